"""CreateModel and its kin, with boto3 as the client."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from support.local_hosting import BUCKET, IMAGE, HostingPlane, archive

ARN = "arn:aws:sagemaker:us-east-1:123456789012:model/"


def create(hosting: HostingPlane, **members: Any) -> str:
    name = hosting.new("model")
    role = hosting.process.role
    hosting.api.create_model(ModelName=name, **{"ExecutionRoleArn": role, **members})
    return name


def refusal(hosting: HostingPlane, **members: Any) -> str:
    with pytest.raises(ClientError) as caught:
        create(hosting, **members)
    assert "ValidationException" == caught.value.response["Error"]["Code"]
    return str(caught.value.response["Error"]["Message"])


def test_a_model_is_described_as_it_was_created(hosting: HostingPlane) -> None:
    url = hosting.upload(archive({"version.txt": "1"}))
    container = {"Image": IMAGE, "ModelDataUrl": url, "Environment": {"A": "b"}}
    name = create(hosting, PrimaryContainer=container, Tags=[{"Key": "team", "Value": "cellar"}])
    found = hosting.api.describe_model(ModelName=name)
    assert (ARN + name, container, False) == (
        found["ModelArn"],
        found["PrimaryContainer"],
        found["EnableNetworkIsolation"],
    )
    assert "VpcConfig" not in found
    tags = hosting.api.list_tags(ResourceArn=ARN + name)["Tags"]
    assert [{"Key": "team", "Value": "cellar"}] == tags


def test_two_models_of_one_name_are_refused(hosting: HostingPlane) -> None:
    name = hosting.model()
    with pytest.raises(ClientError, match="Cannot create already existing model") as caught:
        hosting.api.create_model(
            ModelName=name,
            ExecutionRoleArn=hosting.process.role,
            PrimaryContainer={"Image": IMAGE},
        )
    assert f'"{ARN}{name}"' in str(caught.value)


@pytest.mark.parametrize("operation", ["describe_model", "delete_model"])
def test_a_model_that_is_not_there_could_not_be_found(
    hosting: HostingPlane, operation: str
) -> None:
    with pytest.raises(ClientError) as caught:
        getattr(hosting.api, operation)(ModelName="nobody")
    assert {"Code": "ValidationException", "Message": f'Could not find model "{ARN}nobody".'} == (
        caught.value.response["Error"]
    )


def test_a_deleted_model_is_gone(hosting: HostingPlane) -> None:
    name = hosting.model()
    hosting.api.delete_model(ModelName=name)
    with pytest.raises(ClientError, match="Could not find model"):
        hosting.api.describe_model(ModelName=name)


def test_a_role_that_is_no_arn_is_refused(hosting: HostingPlane) -> None:
    said = refusal(
        hosting, ExecutionRoleArn="a-role-without-its-account", PrimaryContainer={"Image": IMAGE}
    )
    assert "'executionRoleArn' failed to satisfy constraint" in said


def test_model_data_that_is_not_there_is_refused(hosting: HostingPlane) -> None:
    url = f"s3://{BUCKET}/nothing/model.tar.gz"
    container = {"Image": IMAGE, "ModelDataUrl": url}
    assert f"Could not find model data at {url}." == refusal(hosting, PrimaryContainer=container)


def test_an_image_that_nothing_stands_in_for_is_refused_by_name(hosting: HostingPlane) -> None:
    said = refusal(hosting, PrimaryContainer={"Image": "1.dkr.ecr/xgboost:1"})
    assert "1.dkr.ecr/xgboost:1" in said
    assert "--image" in said


@pytest.mark.parametrize(
    ("container", "expected"),
    [
        ({"ModelPackageName": "p"}, "ModelPackageName"),
        ({"Image": IMAGE, "Mode": "MultiModel"}, "ModelDataUrl"),
        (
            {
                "Image": IMAGE,
                "ModelDataSource": {
                    "S3DataSource": {
                        "S3Uri": f"s3://{BUCKET}/prefix",
                        "S3DataType": "S3Prefix",
                        "CompressionType": "None",
                    }
                },
            },
            "must end with a forward slash",
        ),
        ({"Image": IMAGE, "Environment": {f"K{n}": "v" * 1000 for n in range(40)}}, "32768 bytes"),
    ],
)
def test_a_container_that_breaks_a_rule_is_refused(
    hosting: HostingPlane, container: dict[str, Any], expected: str
) -> None:
    assert expected in refusal(hosting, PrimaryContainer=container)


def test_a_model_has_one_container_or_several(hosting: HostingPlane) -> None:
    expected = "Expected one of PrimaryContainer and Containers."
    one = {"Image": IMAGE}
    assert expected == refusal(hosting)
    assert expected == refusal(hosting, PrimaryContainer=one, Containers=[one])


def test_lists_are_filtered_sorted_and_paged(hosting: HostingPlane) -> None:
    names = [f"listed-{letter}" for letter in "cab"]
    for name in names:
        hosting.api.create_model(
            ModelName=name,
            ExecutionRoleArn=hosting.process.role,
            PrimaryContainer={"Image": IMAGE},
        )
    asked = {"NameContains": "listed-", "SortBy": "Name", "SortOrder": "Ascending"}
    first = hosting.api.list_models(MaxResults=2, **asked)
    rest = hosting.api.list_models(MaxResults=2, NextToken=first["NextToken"], **asked)
    found = [one["ModelName"] for page in (first, rest) for one in page["Models"]]
    assert sorted(names) == found
    assert "NextToken" not in rest
    newest = hosting.api.list_models(NameContains="listed-")["Models"]
    assert [*reversed(names)] == [one["ModelName"] for one in newest]


def test_a_token_that_no_page_gave_is_refused(hosting: HostingPlane) -> None:
    with pytest.raises(ClientError, match="NextToken"):
        hosting.api.list_models(NextToken="made-up")
