"""The requests of a deployment keep AWS's own rules, and what breaks them is refused first."""

from __future__ import annotations

from typing import Any

import botocore.session
import pytest
from botocore.validate import ParamValidator

from kneighbors.errors import ParameterRefused
from kneighbors.sagemaker.deployment import Deployment, Variant, name_of
from kneighbors.sagemaker.images import image_uri
from kneighbors.sagemaker.requests import all_requests
from kneighbors.sagemaker.transform import TransformJob

ROLE = "arn:aws:iam::123456789012:role/service-role/SageMaker"
SESSION = botocore.session.get_session()


def deployment(**members: Any) -> Deployment:
    given = {"name": "wines", "variants": (Variant("M"),), "role": ROLE, "region": "eu-west-1"}
    return Deployment(**{**given, **members})


def faults(service: str, operation: str, parameters: dict[str, Any]) -> str:
    """Return what botocore has against a request."""
    shape = SESSION.get_service_model(service).operation_model(operation).input_shape
    report: str = ParamValidator().validate(parameters, shape).generate_report()
    return report


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"front": "ours", "network_isolation": True, "tags": {"team": "wine"}},
        {"format": "sklearn"},
        {"serverless_mb": 3072, "max_concurrency": 7},
        {"async_output": "s3://bucket/answers/", "max_concurrency": 3},
        {"update": True, "startup_timeout_s": 90},
        {"variants": (Variant("M"), Variant("s3://b/model.tar.gz", "new", 0.1, "ml.c5.xlarge", 2))},
        {"name": "w" * 63, "image": "123.dkr.ecr.eu-west-1.amazonaws.com/own:1", "prefix": "/a/b/"},
    ],
    ids=str,
)
def test_every_request_is_one_that_aws_knows(members: dict[str, Any]) -> None:
    for request in all_requests(deployment(**members)):
        assert faults(request.service, request.operation, request.parameters) == ""
        for name in ("ModelName", "EndpointConfigName", "EndpointName"):
            assert len(request.parameters.get(name, "")) <= 63


def test_names_fit_together_and_differ_between_deployments() -> None:
    first, second = deployment(), deployment()
    upload, model, config, endpoint = (one.parameters for one in all_requests(first))
    url = f"s3://sagemaker-eu-west-1-123456789012/{upload['Key']}"
    assert url == model["PrimaryContainer"]["ModelDataUrl"]
    assert model["ModelName"] == config["ProductionVariants"][0]["ModelName"]
    assert config["EndpointConfigName"] == endpoint["EndpointConfigName"]
    assert first.config_name != second.config_name


def test_a_serverless_container_has_one_worker_and_no_instance() -> None:
    requests = all_requests(deployment(serverless_mb=2048))
    model, config = requests[1].parameters, requests[2].parameters
    assert model["PrimaryContainer"]["Environment"]["SAGEMAKER_MODEL_SERVER_WORKERS"] == "1"
    (variant,) = config["ProductionVariants"]
    assert variant["ServerlessConfig"] == {"MemorySizeInMB": 2048, "MaxConcurrency": 5}
    assert "InstanceType" not in variant


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"name": "no_underscore"}, "endpoint-name"),
        ({"name": "-w"}, "endpoint-name"),
        ({"name": "w" * 64}, "endpoint-name"),
        ({"role": "SageMaker"}, "role-malformed"),
        ({"role": "arn:aws:iam::1234:role/x"}, "role-malformed"),
        ({"serverless_mb": 1000}, "serverless-memory"),
        ({"serverless_mb": 1024, "async_output": "s3://b/"}, "parameter-conflict"),
        ({"serverless_mb": 1024, "variants": (Variant("a"), Variant("b", "c"))},
         "parameter-conflict"),
        ({"async_output": "bucket"}, "parameter-type"),
        ({"max_concurrency": 0}, "parameter-range"),
        ({"startup_timeout_s": 10}, "parameter-range"),
        ({"variants": (Variant("a"), Variant("b"))}, "variant-malformed"),
        ({"variants": (Variant("a", weight=-1),)}, "variant-malformed"),
        ({"variants": (Variant("a", weight=0),)}, "variant-malformed"),
        ({"variants": (Variant("a", instances=0),)}, "variant-malformed"),
        ({"tags": {"aws:x": ""}}, "tag-malformed"),
        ({"tags": {str(n): "" for n in range(50)}}, "tag-malformed"),
    ],
)  # fmt: skip
def test_what_aws_would_refuse_is_refused_first(members: dict[str, Any], code: str) -> None:
    with pytest.raises(ParameterRefused) as caught:
        deployment(**members)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("region", "uri"),
    [
        ("us-east-1", "683313688378.dkr.ecr.us-east-1.amazonaws.com"),
        ("cn-north-1", "450853457545.dkr.ecr.cn-north-1.amazonaws.com.cn"),
        ("us-iso-east-1", "833128469047.dkr.ecr.us-iso-east-1.c2s.ic.gov"),
        ("us-isob-east-1", "281123927165.dkr.ecr.us-isob-east-1.sc2s.sgov.gov"),
    ],
)
def test_the_image_of_a_region_is_in_its_registry(region: str, uri: str) -> None:
    assert image_uri(region, "1.2-1") == f"{uri}/sagemaker-scikit-learn:1.2-1-cpu-py3"


def test_unknown_regions_and_versions_are_refused_with_the_known_ones() -> None:
    with pytest.raises(ParameterRefused, match="Did you mean 'eu-west-1'") as caught:
        image_uri("eu-wst-1")
    assert caught.value.code == "region-unknown"
    with pytest.raises(ParameterRefused, match=r"1\.9-0") as caught:
        image_uri("us-east-1", "2.0")
    assert caught.value.code == "image-version-unknown"


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("M", "M"),
        ("models/wine_v2/", "wine-v2"),
        ("out/model.tar.gz", "out"),
        ("s3://bucket/job-7/output/model.tar.gz", "output"),
        ("...", "kneighbors"),
    ],
)
def test_an_endpoint_is_called_like_its_model(model: str, name: str) -> None:
    assert name_of(model) == name


def test_a_transform_job_is_one_that_aws_knows() -> None:
    job = TransformJob(
        name="job", model="m", input="s3://b/in", output="s3://b/out", accept="text/csv",
        split="Line", strategy="MultiRecord", join=True, max_concurrency=2, max_payload_mb=0,
    )  # fmt: skip
    request = job.request()
    assert faults(request.service, request.operation, request.parameters) == ""
    assert request.parameters["TransformOutput"]["AssembleWith"] == "Line"


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"input": "b/in"}, "transform-address"),
        ({"output": "s3://"}, "transform-address"),
        ({"instances": 0}, "parameter-range"),
        ({"max_payload_mb": 101}, "parameter-range"),
        ({"name": "a b"}, "endpoint-name"),
    ],
)
def test_a_transform_job_that_aws_would_refuse_is_refused_first(
    members: dict[str, Any], code: str
) -> None:
    given = {"name": "job", "model": "m", "input": "s3://b/in", "output": "s3://b/out"}
    with pytest.raises(ParameterRefused) as caught:
        TransformJob(**{**given, **members})
    assert caught.value.code == code
