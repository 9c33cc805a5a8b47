"""Requests against botocore's shapes: what is wrong is said as AWS says it."""

from __future__ import annotations

from typing import Any

import pytest

from kneighbors.local.operations import service
from kneighbors.local.shapes import faults_of

ROLE = "arn:aws:iam::123456789012:role/KNeighborsLocal"
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.9-0"


def job(**changes: Any) -> dict[str, Any]:
    """Return a request that is right, but for the changes; None takes a member away."""
    request = {
        "TrainingJobName": "wines-1",
        "RoleArn": ROLE,
        "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        "HyperParameters": {"metric": '"cosine"'},
        "OutputDataConfig": {"S3OutputPath": "s3://cellar/out"},
        "ResourceConfig": {
            "InstanceCount": 1,
            "InstanceType": "ml.m5.large",
            "VolumeSizeInGB": 30,
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
    }
    return {name: value for name, value in (request | changes).items() if value is not None}


def found(request: dict[str, Any]) -> list[str]:
    return faults_of(service("sagemaker").operation_model("CreateTrainingJob").input_shape, request)


def test_a_request_of_the_right_shape_has_no_fault() -> None:
    assert [] == found(job())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"RoleArn": None},
            "Value null at 'roleArn' failed to satisfy constraint: Member must not be null",
        ),
        (
            {"RoleArn": "a" * 20},
            "at 'roleArn' failed to satisfy constraint: Member must satisfy reg",
        ),
        ({"TrainingJobName": "a b"}, "regular expression pattern"),
        ({"HyperParameters": {"k": "a" * 2501}}, "length less than or equal to 2500"),
        ({"TrainingJobName": 7}, "Member must be a string"),
        ({"HyperParameters": {"k": 5}}, "Value 5 at 'hyperParameters.k.member'"),
        ({"HyperParameters": []}, "Member must be a map"),
        ({"Tags": [{"Key": "a"}]}, "Value null at 'tags.1.member.value'"),
        ({"InputDataConfig": {}}, "Member must be a list"),
        (
            {"ResourceConfig": {"InstanceCount": -1, "VolumeSizeInGB": 1}},
            "greater than or equal to 0",
        ),
        (
            {"ResourceConfig": {"InstanceCount": True, "VolumeSizeInGB": 1}},
            "Member must be a number",
        ),
        (
            {"ResourceConfig": {"InstanceType": "big", "VolumeSizeInGB": 1}},
            "Member must satisfy enum value set: [",
        ),
        ({"EnableNetworkIsolation": "yes"}, "Member must be a boolean"),
        ({"AlgorithmSpecification": "x"}, "Member must be an object"),
    ],
)
def test_what_is_wrong_is_said_in_the_words_of_aws(changes: dict[str, Any], words: str) -> None:
    faults = found(job(**changes))
    assert 1 == len(faults)
    assert words in faults[0]


def test_every_fault_is_named() -> None:
    assert 2 == len(found(job(RoleArn=None, TrainingJobName="a b")))


def test_members_that_the_shape_does_not_have_are_let_through() -> None:
    assert [] == found(job(NewThing={"a": 1}))


def test_a_long_value_is_shown_in_part() -> None:
    for fault in found(job(TrainingJobName="a" * 100_000)):
        assert len(fault) < 1000
