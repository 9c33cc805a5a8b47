"""The commands that package, deploy, transform and delete."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from support.cli_disks import mounted
from support.cli_run import Runner
from support.local_plane import PlaneProcess

ROLE = "arn:aws:iam::123456789012:role/SageMaker"
BUCKET = "sagemaker-us-east-1-123456789012"


@pytest.fixture(autouse=True)
def no_account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def test_an_artifact_is_deployed_asked_and_deleted(
    cli: Runner, shared_plane: PlaneProcess, wines: Path
) -> None:
    here = ["--to", "local", "--root", str(shared_plane.root)]
    one_worker = ["--env", "SAGEMAKER_MODEL_SERVER_WORKERS=1"]
    made = cli("deploy", str(wines), *here, "--name", "cave", *one_worker)
    assert made.code == 0, made.err
    assert made.out.splitlines()[0].startswith("cave  InService after")
    assert 'Client.sagemaker("cave")' in made.err
    again = cli("deploy", str(wines), *here, "--name", "cave", "--json")
    assert (again.code, again.json["error"]["code"]) == (1, "endpoint-exists")
    client = shared_plane.client("sagemaker")
    shared_plane.client("s3").put_object(Bucket=BUCKET, Key="in/q.csv", Body=b"1,0,0,0,0\n")
    (model,) = client.list_models(NameContains="cave")["Models"]
    done = cli(
        "transform", model["ModelName"], *here, "--input", f"s3://{BUCKET}/in/",
        "--output", f"s3://{BUCKET}/out", "--content-type", "text/csv", "--json",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert done.json["files"] == [f"s3://{BUCKET}/out/q.csv.out"]
    gone = cli("delete", "cave", *here, "--yes", "--artifacts")
    assert gone.code == 0, gone.err
    kinds = [line.split()[1] for line in gone.out.splitlines()]
    assert kinds == ["endpoint", "configuration", "model", "archive"]
    assert client.list_models(NameContains="cave")["Models"] == []
    missing = cli("delete", "cave", *here, "--json")
    assert (missing.code, missing.json["error"]["code"]) == (1, "endpoint-missing")


def test_a_dry_run_needs_neither_credentials_nor_a_network(cli: Runner, wines: Path) -> None:
    done = cli(
        "deploy", str(wines), "--region", "eu-west-1", "--role", ROLE, "--dry-run",
        "--variant", "new=s3://bucket/model.tar.gz,weight=0.5,instances=2",
        "--env", "LEVEL=1", "--tag", "team=wine",
    )  # fmt: skip
    assert done.code == 0, done.err
    requests = done.json["requests"]
    assert [one["operation"] for one in requests] == [
        "PutObject", "CreateModel", "CreateModel", "CreateEndpointConfig", "CreateEndpoint",
    ]  # fmt: skip
    assert requests[2]["parameters"]["PrimaryContainer"]["ModelDataUrl"].startswith("s3://bucket/")
    variants = requests[3]["parameters"]["ProductionVariants"]
    assert [one["InitialVariantWeight"] for one in variants] == [1.0, 0.5]
    assert {"Key": "team", "Value": "wine"} in requests[4]["parameters"]["Tags"]


def test_an_asynchronous_endpoint_answers_below_its_own_prefix(cli: Runner, wines: Path) -> None:
    done = cli(
        "deploy", str(wines), "--region", "us-east-1", "--role", ROLE, "--async", "--name", "w",
        "--dry-run",
    )  # fmt: skip
    config = done.json["requests"][2]["parameters"]
    assert config["AsyncInferenceConfig"]["OutputConfig"] == {
        "S3OutputPath": f"s3://{BUCKET}/kneighbors/w/answers"
    }


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["--region", "us-east-1"], 2, "role-missing"),
        (["--role", ROLE], 2, "region-missing"),
        (["--role", "x", "--region", "us-east-1"], 2, "role-malformed"),
        (["--role", ROLE, "--region", "mars-1", "--dry-run"], 2, "region-unknown"),
        (["--role", ROLE, "--region", "us-east-1"], 1, "credentials-missing"),
        (["--role", ROLE, "--region", "us-east-1", "--profile", "no"], 2, "profile-unknown"),
        (["--role", ROLE, "--region", "us-east-1", "--variant", "new"], 2, "usage"),
        (["--role", ROLE, "--region", "us-east-1", "--variant", "n=M,weight=x"], 2, "usage"),
        (["--role", ROLE, "--region", "us-east-1", "--tag", "x"], 2, "usage"),
        (["--role", ROLE, "--root", "x"], 2, "usage"),
        (["--to", "local", "--profile", "x"], 2, "usage"),
        (["--to", "local"], 1, "local-not-up"),
    ],
)
def test_what_is_wrong_is_told_by_name(
    cli: Runner, wines: Path, arguments: list[str], code: int, word: str
) -> None:
    done = cli("deploy", str(wines), *arguments)
    assert (done.code, done.out) == (code, "")
    assert f"[{word}]" in done.err


def test_packaging_prints_what_a_model_has_to_be_told(
    cli: Runner, wines: Path, tmp_path: Path
) -> None:
    target = tmp_path / "model.tar.gz"
    done = cli("package", str(wines), "--output", str(target), "--front", "ours")
    assert done.code == 0, done.err
    assert "SAGEMAKER_SERVING_MODULE=kneighbors.server.wsgi:main" in done.out.splitlines()
    taken = cli("package", str(wines), "--output", str(target), "--json")
    assert (taken.code, taken.json["error"]["code"]) == (1, "artifact-exists")
    told = cli("package", str(wines), "--output", str(target), "--force", "--json")
    assert told.json["environment"]["SAGEMAKER_PROGRAM"] == "sklearn_nearest_neighbors.py"
    assert told.json["bytes"] == target.stat().st_size


def test_a_full_disk_leaves_no_folder_to_start_a_job_from(cli: Runner, tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "size=96k") as disk:
        done = cli("sagemaker", "init", disk / "deep/job", "--with-package", "--json")
        assert (1, "storage-full") == (done.code, done.json["error"]["code"])
        assert [] == list(disk.iterdir())
        # What was there before stays, in a folder that was.
        (disk / "mine").mkdir()
        (disk / "mine/notes.txt").write_text("mine")
        assert 1 == cli("sagemaker", "init", disk / "mine", "--with-package").code
        assert ["notes.txt"] == [path.name for path in (disk / "mine").iterdir()]


def test_a_job_begins_with_a_script_that_is_never_overwritten(cli: Runner, tmp_path: Path) -> None:
    folder = tmp_path / "job"
    assert cli("sagemaker", "init", "").code == 2
    assert cli("sagemaker", "init", str(folder)).code == 0
    script = folder / "sklearn_nearest_neighbors.py"
    assert "def model_fn(" in script.read_text()
    assert (folder / "requirements.txt").read_text().startswith("kneighbors==")
    script.write_text("mine")
    again = cli("sagemaker", "init", str(folder), "--json")
    assert (again.code, again.json["error"]["code"]) == (1, "storage-exists")
    assert script.read_text() == "mine"
    forced = cli("sagemaker", "init", str(folder), "--force", "--with-package", "--json")
    assert "def model_fn(" in script.read_text()
    assert (folder / "requirements.txt").read_text() == ""
    assert str(folder / "kneighbors/sagemaker/model.py") in forced.json["files"]
