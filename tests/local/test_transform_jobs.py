"""Batch transform through boto3."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kneighbors.artifact import pack, save
from kneighbors.search.index import ExactIndex
from kneighbors.search.rows import ArrayRows
from support.local_jobs import BUCKET, IMAGE, Jobs
from support.local_plane import PlaneProcess
from support.server_process import wait_for


@pytest.fixture(scope="module")
def batch(plane: PlaneProcess) -> Batch:
    return Batch(plane)


class Batch:
    """Runs transform jobs over a few files."""

    def __init__(self, plane: PlaneProcess) -> None:
        self.jobs = Jobs(plane)
        self.sagemaker = self.jobs.sagemaker
        self._count = 0

    def model(self, image: str = "echo", **members: Any) -> str:
        self._count += 1
        name = f"model-{self._count}"
        self.sagemaker.create_model(
            ModelName=name,
            ExecutionRoleArn=self.jobs.plane.role,
            PrimaryContainer={"Image": image, **members},
        )
        return name

    def start(self, files: dict[str, bytes], model: str, **members: Any) -> str:
        self._count += 1
        name = f"transform-{self._count}"
        self.jobs.put({f"{name}/in/{key}": data for key, data in files.items()})
        given = {
            "DataSource": {
                "S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/{name}/in/"}
            },
            "ContentType": "text/csv",
            "SplitType": "Line",
            **members.pop("TransformInput", {}),
        }
        output = {
            "S3OutputPath": f"s3://{BUCKET}/{name}/out",
            "AssembleWith": "Line",
            **members.pop("TransformOutput", {}),
        }
        self.sagemaker.create_transform_job(
            TransformJobName=name,
            ModelName=model,
            TransformInput=given,
            TransformOutput=output,
            TransformResources={
                "InstanceType": "ml.m5.large",
                "InstanceCount": members.pop("InstanceCount", 1),
            },
            **members,
        )
        return name

    def ended(self, name: str) -> dict[str, Any]:
        def status() -> bool:
            return self.describe(name)["TransformJobStatus"] in ("Completed", "Failed", "Stopped")

        wait_for(status, f"the end of {name}")
        return self.describe(name)

    def describe(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.sagemaker.describe_transform_job(TransformJobName=name)
        return found

    def outputs(self, name: str) -> dict[str, bytes]:
        prefix = f"{name}/out/"
        found = self.jobs.s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])
        return {
            one["Key"].removeprefix(prefix): self.jobs.get(f"s3://{BUCKET}/{one['Key']}")
            for one in found
        }

    def run(self, files: dict[str, bytes], **members: Any) -> dict[str, bytes]:
        """Run a job that completes, and return what it wrote."""
        model = members.pop("model", None) or self.model(Environment=members.pop("variables", {}))
        name = self.start(files, model, **members)
        job = self.ended(name)
        assert "Completed" == job["TransformJobStatus"], job.get("FailureReason")
        return self.outputs(name)


def test_every_file_has_an_output_of_its_name(batch: Batch) -> None:
    files = {"a.csv": b"1\n22\n", "deep/b.csv": b"333\n"}
    assert {"a.csv.out": b"1\n2\n", "deep/b.csv.out": b"3\n"} == batch.run(files, InstanceCount=2)


def test_records_stay_in_order_however_many_are_asked_at_once(batch: Batch) -> None:
    lines = [b"x" * (1 + n % 7) for n in range(200)]
    expected = b"".join(b"%d\n" % len(line) for line in lines)
    made = batch.run(
        {"a": b"\n".join(lines)}, BatchStrategy="SingleRecord", MaxConcurrentTransforms=8
    )
    assert {"a.out": expected} == made


def test_a_strategy_says_how_many_records_go_at_once(batch: Batch) -> None:
    counts = {"variables": {"ANSWER": "batches"}}
    files = {"a": b"1\n2\n3\n"}
    assert {"a.out": b"3\n"} == batch.run(files, **counts)
    single = batch.run(files, BatchStrategy="SingleRecord", **counts)
    assert {"a.out": b"1\n1\n1\n"} == single


def test_a_container_says_how_it_wants_to_be_asked_and_the_job_overrules_it(batch: Batch) -> None:
    own = {"ANSWER": "batches", "PARAMETERS": json.dumps({"BatchStrategy": "SINGLE_RECORD"})}
    files = {"a": b"1\n2\n"}
    assert {"a.out": b"1\n1\n"} == batch.run(files, variables=own)
    assert {"a.out": b"2\n"} == batch.run(files, variables=own, BatchStrategy="MultiRecord")


def test_a_container_is_told_of_the_batch(batch: Batch) -> None:
    made = batch.run(
        {"a": b"1\n"},
        variables={"ANSWER": "environment"},
        MaxPayloadInMB=2,
        BatchStrategy="MultiRecord",
        Environment={"OWN": "mine"},
    )
    told = json.loads(made["a.out"])
    names = ("BATCH", "MAX_PAYLOAD_IN_MB", "BATCH_STRATEGY", "MAX_CONCURRENT_TRANSFORMS")
    expected = ["true", "2", "MULTI_RECORD", None]
    assert expected == [told.get(f"SAGEMAKER_{name}") for name in names]
    assert "mine" == told["OWN"]


def test_recordio_is_cut_by_its_marks(batch: Batch) -> None:
    record = struct.pack("<II", 0xCED7230A, 2) + b"ab\0\0"
    made = batch.run(
        {"a": record * 3},
        variables={"ANSWER": "same"},
        TransformInput={"SplitType": "RecordIO"},
        TransformOutput={"AssembleWith": "None"},
        BatchStrategy="SingleRecord",
    )
    assert {"a.out": record * 3} == made


def test_columns_are_filtered_and_joined(batch: Batch) -> None:
    made = batch.run(
        {"a": b"wine-1,0.5,0.25\nwine-2,1,2\n"},
        variables={"ANSWER": "same"},
        DataProcessing={"InputFilter": "$[1:]", "JoinSource": "Input", "OutputFilter": "$[0,-1]"},
    )
    assert {"a.out": b"wine-1,0.25\nwine-2,2\n"} == made


def test_json_records_are_joined_under_names_of_their_own(batch: Batch) -> None:
    made = batch.run(
        {"a": b'{"id": 1, "features": [0.5]}\n{"id": 2, "features": [1]}\n'},
        variables={"ANSWER": "same"},
        TransformInput={"ContentType": "application/jsonlines"},
        DataProcessing={"InputFilter": "$.features", "JoinSource": "Input"},
    )
    records = [json.loads(line) for line in made["a.out"].splitlines()]
    assert [
        {"id": 1, "features": [0.5], "SageMakerOutput": [0.5]},
        {"id": 2, "features": [1], "SageMakerOutput": [1]},
    ] == records


def test_a_bad_record_fails_its_file_and_the_others_are_there(batch: Batch) -> None:
    name = batch.start({"bad": b"1\nfail\n", "good": b"1\n"}, batch.model())
    job = batch.ended(name)
    assert "Failed" == job["TransformJobStatus"]
    assert job["FailureReason"].startswith("ClientError: See job logs for more information.")
    assert "Bad HTTP status received from algorithm: 400. a line says fail" in job["FailureReason"]
    assert {"good.out": b"1\n"} == batch.outputs(name)


def test_a_record_that_is_longer_than_a_payload_fails_its_file(batch: Batch) -> None:
    name = batch.start({"a": b"x" * (2 << 20)}, batch.model(), MaxPayloadInMB=1)
    reason = batch.ended(name)["FailureReason"]
    assert "A record of 2097152 bytes exceeds MaxPayloadInMB, which is 1048576 bytes." in reason


def test_a_container_that_dies_fails_the_job(batch: Batch) -> None:
    job = batch.ended(batch.start({"a": b"die\n"}, batch.model()))
    assert "Failed" == job["TransformJobStatus"]
    assert "container ended" in job["FailureReason"]


def test_our_own_container_answers_a_batch(batch: Batch, tmp_path: Path) -> None:
    X = np.random.default_rng(3).normal(size=(50, 4))
    archive = tmp_path / "model.tar.gz"
    save(tmp_path / "artifact", ExactIndex.build(ArrayRows(X), "cosine"))
    pack(tmp_path / "artifact", archive)
    batch.jobs.put({"model.tar.gz": archive.read_bytes()})
    model = batch.model(IMAGE, ModelDataUrl=f"s3://{BUCKET}/model.tar.gz")
    lines = b"".join(",".join(map(str, row)).encode() + b"\n" for row in X[:5].tolist())
    made = batch.run({"queries.csv": lines}, model=model, TransformOutput={"Accept": "text/csv"})
    rows = made["queries.csv.out"].decode().splitlines()
    assert 5 == len(rows)


def test_what_cannot_be_run_is_refused_at_once(batch: Batch) -> None:
    model = batch.model()
    with pytest.raises(batch.sagemaker.exceptions.ClientError, match="must not exceed 100 MB"):
        batch.start({"a": b""}, model, MaxPayloadInMB=50, MaxConcurrentTransforms=3)
    with pytest.raises(batch.sagemaker.exceptions.ClientError, match="Could not find model"):
        batch.start({"a": b""}, "nobody")
    with pytest.raises(batch.sagemaker.exceptions.ClientError, match="none that batch transform"):
        batch.start({"a": b""}, model, DataProcessing={"InputFilter": "features"})
    with pytest.raises(batch.sagemaker.exceptions.ClientError, match="No S3 objects found"):
        batch.start({}, model)


def test_a_job_that_is_stopped_says_so(batch: Batch) -> None:
    name = batch.start({"a": b"1\n" * 20_000}, batch.model(), BatchStrategy="SingleRecord")
    batch.sagemaker.stop_transform_job(TransformJobName=name)
    assert "Stopped" == batch.ended(name)["TransformJobStatus"]
    assert {} == batch.outputs(name)
    names = [
        one["TransformJobName"]
        for one in batch.sagemaker.list_transform_jobs(StatusEquals="Stopped")[
            "TransformJobSummaries"
        ]
    ]
    assert [name] == names
