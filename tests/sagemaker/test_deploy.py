"""Deployments against a real control plane, with containers that really run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kneighbors
from kneighbors.errors import KNeighborsError, ParameterRefused, ServiceError
from kneighbors.sagemaker import smoke
from kneighbors.sagemaker.cloud_logs import ContainersFailed
from kneighbors.sagemaker.deletion import delete, find_removal
from kneighbors.sagemaker.deploy import (
    Access,
    Aws,
    Deployment,
    Variant,
    deploy,
)
from kneighbors.sagemaker.endpoints import describe
from kneighbors.sagemaker.transform import TransformJob, transform, transform_artifact
from kneighbors.sagemaker.upload import ensure_bucket
from support.cli_artifacts import make_corpus, save_artifact
from support.local_plane import PlaneProcess
from support.server_process import wait_for

ROLE = "arn:aws:iam::123456789012:role/KNeighborsLocal"
QUERIES = np.random.default_rng(5).normal(size=(6, 5)).astype(np.float32)


@pytest.fixture(scope="module")
def aws(shared_plane: PlaneProcess) -> Iterator[Aws]:
    found = Aws(access(shared_plane))
    yield found
    found.close()


@pytest.fixture(scope="module")
def wines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_artifact(tmp_path_factory.mktemp("artifact") / "wines")


@pytest.fixture(scope="module")
def endpoint(aws: Aws, wines: Path) -> str:
    """An endpoint that tests may ask, and none changes."""
    return deploy(deployment("wines", wines), aws).name


def access(plane: PlaneProcess) -> Access:
    return Access(
        region="us-east-1",
        endpoint_url=plane.url,
        access_key_id=plane.settings["access_key"],
        secret_access_key=plane.settings["secret_key"],
        session_token=plane.settings["token"],
    )


def deployment(name: str, model: Path, **members: Any) -> Deployment:
    given: dict[str, Any] = {
        "variants": (Variant(str(model)),),
        "role": ROLE,
        "environment": {"SAGEMAKER_MODEL_SERVER_WORKERS": "1"},
    }
    return Deployment(name=name, region="us-east-1", **{**given, **members})


def resources(aws: Aws, name: str) -> list[str]:
    """Return the names of all that there is of an endpoint."""
    found = []
    for operation, member, key in (
        ("ListEndpoints", "Endpoints", "EndpointName"),
        ("ListEndpointConfigs", "EndpointConfigs", "EndpointConfigName"),
        ("ListModels", "Models", "ModelName"),
    ):
        page = aws.call("sagemaker", operation, NameContains=name)
        found += [f"{member} {one[key]}" for one in page[member]]
    listed = aws.call("s3", "ListObjectsV2", Bucket="sagemaker-us-east-1-123456789012")
    found += [one["Key"] for one in listed.get("Contents", []) if f"/{name}-" in one["Key"]]
    return found


@pytest.fixture
def client(
    shared_plane: PlaneProcess, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[kneighbors.Client]:
    signed_in(monkeypatch, shared_plane)
    with kneighbors.Client.sagemaker(
        endpoint, region="us-east-1", endpoint_url=shared_plane.url
    ) as opened:
        yield opened


def signed_in(monkeypatch: pytest.MonkeyPatch, plane: PlaneProcess) -> None:
    """Set the variables that a program under ``kneighbors local run`` has."""
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", plane.settings["access_key"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", plane.settings["secret_key"])
    monkeypatch.setenv("AWS_SESSION_TOKEN", plane.settings["token"])
    monkeypatch.setenv("AWS_ENDPOINT_URL", plane.url)
    monkeypatch.setenv("AWS_REGION", "us-east-1")


def test_the_client_of_an_endpoint_answers_as_the_artifact(
    client: kneighbors.Client, wines: Path
) -> None:
    near = kneighbors.load(wines)
    distances, rows = client.kneighbors(QUERIES, n_neighbors=3)
    expected = near.kneighbors(QUERIES, 3)
    assert expected[1].tolist() == rows.tolist()
    np.testing.assert_allclose(expected[0], distances, rtol=1e-12, atol=1e-14)
    assert client.ping()
    assert repr(client) == "Client('sagemaker://wines')"


def test_a_large_batch_goes_in_parts(client: kneighbors.Client, wines: Path) -> None:
    client.max_body_bytes = 6_000
    queries = np.tile(make_corpus(), (40, 1))
    distances, _ = client.kneighbors(queries, n_neighbors=2)
    assert distances.shape == (2400, 2)
    assert kneighbors.load(wines).kneighbors(queries, 2)[0].tolist() == distances.tolist()


@pytest.mark.slow
def test_a_body_that_aws_finds_too_long_is_halved(client: kneighbors.Client) -> None:
    client.max_body_bytes = client.max_rows = 1 << 40
    queries = np.tile(QUERIES, (60_000, 1))
    assert queries.nbytes > 6_291_456
    distances, _ = client.kneighbors(queries, n_neighbors=1)
    assert distances.shape == (360_000, 1)


def test_an_endpoint_is_asked_by_ids_with_items(client: kneighbors.Client) -> None:
    (found,) = client.query(ids=["w10"], n_neighbors=2, exclude_self=True, include_items=["name"])
    assert found.ids[0] == "w11"
    assert found.items is not None
    assert found.items[0] == {"name": "Wine [11]"}


def test_what_the_container_refuses_has_its_own_code(client: kneighbors.Client) -> None:
    with pytest.raises(ServiceError) as caught:
        client.kneighbors(np.ones(7))
    assert caught.value.code == "array-width"
    with pytest.raises(ServiceError) as caught:
        client.query(ids=["none of these"])
    assert caught.value.code == "id-unknown"


def test_a_plain_name_is_an_endpoint_and_a_missing_one_is_told(
    shared_plane: PlaneProcess, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    signed_in(monkeypatch, shared_plane)
    for name in (endpoint, f"sagemaker://{endpoint}"):
        with kneighbors.Client(name) as client:
            assert client.kneighbors(QUERIES[0])[0].shape == (4,)
    with kneighbors.Client("nobody") as client:
        assert not client.ping()
        with pytest.raises(ServiceError) as caught:
            client.kneighbors(QUERIES[0])
    assert caught.value.code == "endpoint-missing"


def test_an_update_serves_the_new_artifact_and_delete_removes_what_was_made(
    aws: Aws, wines: Path, tmp_path: Path
) -> None:
    made = deploy(deployment("cellar", wines), aws)
    assert made.status == "InService"
    with pytest.raises(ServiceError) as caught:
        deploy(deployment("cellar", wines), aws)
    assert caught.value.code == "endpoint-exists"
    other = save_artifact(tmp_path / "other", metric="euclidean")
    changed = deploy(deployment("cellar", other, update=True, front="ours"), aws)
    found = aws.call("sagemaker", "DescribeEndpoint", EndpointName="cellar")
    assert found["EndpointConfigName"] == changed.config != made.config
    removal = find_removal(aws, "cellar")
    assert set(removal.configs) == {made.config, changed.config}
    assert set(removal.models) == {*made.models, *changed.models}
    assert set(removal.archives) == {*made.archives, *changed.archives}
    delete(aws, removal, artifacts=True)
    assert resources(aws, "cellar") == []
    with pytest.raises(ServiceError) as caught:
        find_removal(aws, "cellar")
    assert caught.value.code == "endpoint-missing"


@pytest.mark.slow
def test_delete_leaves_what_others_made(aws: Aws, wines: Path) -> None:
    deploy(deployment("shared", wines), aws)
    foreign = aws.call(
        "sagemaker",
        "CreateModel",
        ModelName="shared-of-somebody",
        ExecutionRoleArn=ROLE,
        PrimaryContainer={"Image": "x/scikit-learn:1"},
    )
    delete(aws, find_removal(aws, "shared"), keep_models=True)
    left = resources(aws, "shared")
    assert "Models shared-of-somebody" in left
    assert len(left) == 3
    delete(aws, find_removal(aws, "shared"), artifacts=True)
    assert resources(aws, "shared") == ["Models shared-of-somebody"]
    assert foreign["ModelArn"]


def test_a_deployment_that_fails_shows_the_log_and_leaves_nothing(
    aws: Aws, wines: Path, tmp_path: Path
) -> None:
    script = tmp_path / "broken.py"
    script.write_text(
        "import os, sys\nprint('broken on purpose', file=sys.stderr, flush=True)\nos._exit(3)\n"
    )
    with pytest.raises(ContainersFailed) as caught:
        deploy(deployment("broken", wines, entry_point=str(script), startup_timeout_s=60), aws)
    assert caught.value.code == "deployment-failed"
    lines = "\n".join(caught.value.log_lines)
    assert "broken on purpose" in lines
    assert "/ping" not in lines
    wait_for(lambda: resources(aws, "broken") == [], "the endpoint to be gone")


@pytest.mark.slow
def test_an_update_that_fails_leaves_what_was_served(aws: Aws, wines: Path, tmp_path: Path) -> None:
    made = deploy(deployment("steady", wines), aws)
    before = resources(aws, "steady")
    script = tmp_path / "broken.py"
    script.write_text("import os\nos._exit(3)\n")
    with pytest.raises(ContainersFailed, match="serves what it served"):
        deploy(deployment("steady", wines, entry_point=str(script), update=True), aws)
    assert before == resources(aws, "steady")
    found = aws.call("sagemaker", "DescribeEndpoint", EndpointName="steady")
    assert (found["EndpointStatus"], found["EndpointConfigName"]) == ("InService", made.config)
    delete(aws, find_removal(aws, "steady"))


@pytest.mark.slow
def test_an_endpoint_that_answers_wrongly_is_removed(
    aws: Aws, wines: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = save_artifact(tmp_path / "other", metric="euclidean")
    wrong = smoke.Probe.of(other)
    monkeypatch.setattr(smoke.Probe, "of", lambda path: wrong)
    with pytest.raises(ContainersFailed) as caught:
        deploy(deployment("liar", wines), aws)
    assert caught.value.code == "smoke-test"
    wait_for(lambda: resources(aws, "liar") == [], "the endpoint to be gone")


@pytest.mark.slow
@pytest.mark.parametrize(
    "members",
    [
        {"serverless_mb": 1024},
        {"async_output": "s3://sagemaker-us-east-1-123456789012/answers"},
        {"format": "sklearn"},
    ],
    ids=str,
)
def test_every_kind_of_endpoint_answers(aws: Aws, wines: Path, members: dict[str, Any]) -> None:
    name = next(iter(members)).split("_")[0]
    assert deploy(deployment(name, wines, **members), aws).status == "InService"
    delete(aws, find_removal(aws, name), artifacts=True)
    assert resources(aws, name) == []


@pytest.mark.slow
def test_several_variants_are_each_tried(
    aws: Aws,
    shared_plane: PlaneProcess,
    wines: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = save_artifact(tmp_path / "other", metric="euclidean")
    variants = (Variant(str(wines)), Variant(str(other), "new", 0.5))
    deploy(deployment("both", wines, variants=variants), aws)
    signed_in(monkeypatch, shared_plane)
    for variant, artifact in (("AllTraffic", wines), ("new", other)):
        with kneighbors.Client.sagemaker("both", variant=variant) as client:
            distances, _ = client.kneighbors(QUERIES)
        expected = kneighbors.load(artifact).kneighbors(QUERIES, 4)[0]
        np.testing.assert_allclose(expected, distances, rtol=1e-12, atol=1e-14)
    delete(aws, find_removal(aws, "both"), artifacts=True)


def interrupting(status: str) -> Any:
    """Return a progress that interrupts when AWS is known to be at work."""

    def progress(stage: str, done: int, total: int) -> None:
        if stage == status:
            raise KeyboardInterrupt

    return progress


def test_a_deployment_that_is_interrupted_goes_on_and_says_so(aws: Aws, wines: Path) -> None:
    with pytest.raises(KeyboardInterrupt) as caught:
        deploy(deployment("halted", wines), aws, progress=interrupting("Creating"))
    assert caught.value.__notes__ == [
        "The endpoint halted goes on; `kneighbors delete halted` removes it."
    ]
    wait_for(
        lambda: (describe(aws, "halted") or {}).get("EndpointStatus") == "InService", "the endpoint"
    )
    delete(aws, find_removal(aws, "halted"), artifacts=True)
    assert resources(aws, "halted") == []


@pytest.mark.slow
def test_a_transform_job_that_is_interrupted_goes_on_with_its_model(aws: Aws, wines: Path) -> None:
    bucket = "sagemaker-us-east-1-123456789012"
    ensure_bucket(aws, bucket, create=True)
    aws.call("s3", "PutObject", Bucket=bucket, Key="halt/q.csv", Body=b"1,0,0,0,0\n")
    work = deployment("halt", wines)
    job = TransformJob(
        name="halt-job",
        model=work.model_name(0),
        input=f"s3://{bucket}/halt/",
        output=f"s3://{bucket}/halted",
        content_type="text/csv",
    )
    with pytest.raises(KeyboardInterrupt) as caught:
        transform_artifact(work, job, aws, progress=interrupting("InProgress"))
    assert "goes on, and its model stays" in caught.value.__notes__[0]
    wait_for(
        lambda: (
            aws.call("sagemaker", "DescribeTransformJob", TransformJobName=job.name)[
                "TransformJobStatus"
            ]
            == "Completed"
        ),
        "the job",
    )
    assert f"Models {job.model}" in resources(aws, "halt")
    aws.call("sagemaker", "DeleteModel", ModelName=job.model)


@pytest.mark.slow
def test_a_transform_job_answers_files_and_its_model_is_removed(aws: Aws, wines: Path) -> None:
    bucket = "sagemaker-us-east-1-123456789012"
    ensure_bucket(aws, bucket, create=True)
    aws.call("s3", "PutObject", Bucket=bucket, Key="in/q.csv", Body=b"1,0,0,0,0\n0,1,0,0,0\n")
    work = deployment("batch", wines)
    job = TransformJob(
        name="batch-job",
        model=work.model_name(0),
        input=f"s3://{bucket}/in/",
        output=f"s3://{bucket}/out",
        content_type="text/csv",
        accept="application/jsonlines",
        split="Line",
    )
    done = transform_artifact(work, job, aws)
    assert done.files == (f"s3://{bucket}/out/q.csv.out",)
    answer = aws.call("s3", "GetObject", Bucket=bucket, Key="out/q.csv.out")["Body"].read()
    assert len(answer.splitlines()) == 2
    assert resources(aws, "batch") == []
    with pytest.raises(KNeighborsError) as caught:
        transform(TransformJob(name="other", model="nobody", input=job.input, output="s3://b"), aws)
    assert caught.value.code == "aws-refused"


def test_a_bucket_that_is_named_has_to_be_there(aws: Aws, wines: Path) -> None:
    with pytest.raises(KNeighborsError) as caught:
        deploy(deployment("nowhere", wines, bucket="no-such-bucket"), aws)
    assert caught.value.code == "bucket-missing"
    assert resources(aws, "nowhere") == []


def test_without_credentials_the_places_looked_at_are_named(
    shared_plane: PlaneProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    found = Aws(Access(region="us-east-1", endpoint_url=shared_plane.url))
    with pytest.raises(ServiceError, match="AWS_ACCESS_KEY_ID") as caught:
        found.call("sagemaker", "ListModels")
    assert caught.value.code == "credentials-missing"
    found.close()
    with pytest.raises(ParameterRefused) as refused:
        Aws(Access())
    assert refused.value.code == "region-missing"
    with pytest.raises(ParameterRefused) as refused:
        Aws(Access(profile="nobody"))
    assert refused.value.code == "profile-unknown"


def test_a_place_where_nobody_listens_is_unreachable() -> None:
    found = Aws(Access("us-east-1", "http://127.0.0.1:9", "key", "secret"))
    with pytest.raises(ServiceError) as caught:
        found.call("sagemaker", "ListModels")
    assert caught.value.code == "service-unreachable"
    found.close()
    with pytest.raises(ParameterRefused) as refused:
        Aws(Access("us-east-1", "not an address", "key", "secret")).client("s3")
    assert refused.value.code == "url-malformed"
