"""Training jobs through boto3: what a container gets, and what becomes of what it leaves."""

from __future__ import annotations

import json

import pytest

from kneighbors.local.namespace import has_namespaces
from support.local_jobs import BUCKET, Jobs, channel
from support.local_plane import PlaneProcess
from support.server_process import wait_for


@pytest.fixture(scope="module")
def jobs(plane: PlaneProcess) -> Jobs:
    jobs = Jobs(plane)
    jobs.put({f"data/part-{n}.csv": f"{n},0\n" for n in range(4)} | {"data/deep/x.csv": "9,9\n"})
    return jobs


PRINT_TREE = """
import json, os, pathlib
base = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"])
for path in sorted((base / "input/data").rglob("*")):
    if path.is_file():
        print(path.relative_to(base / "input/data"), repr(path.read_text()))
"""

SAVE = """
import os, pathlib
base = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"])
(base / "model/code").mkdir()
(base / "model/index.npy").write_bytes(b"vectors")
(base / "model/code/inference.py").write_text("pass")
(base / "output/data/report.json").write_text("{}")
"""


def test_a_job_trains_and_its_model_is_in_s3(jobs: Jobs) -> None:
    job = jobs.run(SAVE)
    assert "Completed" == job["TrainingJobStatus"]
    assert "Completed" == job["SecondaryStatus"]
    model = job["ModelArtifacts"]["S3ModelArtifacts"]
    assert f"s3://{BUCKET}/out/{job['TrainingJobName']}/output/model.tar.gz" == model
    assert {"index.npy": b"vectors", "code/inference.py": b"pass"} == jobs.archive(model)
    output = model.replace("model.tar.gz", "output.tar.gz")
    assert {"report.json": b"{}"} == jobs.archive(output)


def test_a_job_passes_through_aws_s_secondary_statuses(jobs: Jobs) -> None:
    job = jobs.run(SAVE)
    transitions = job["SecondaryStatusTransitions"]
    assert ["Starting", "Downloading", "Training", "Uploading", "Completed"] == [
        one["Status"] for one in transitions
    ]
    assert all(one["StartTime"] <= one["EndTime"] for one in transitions)
    assert job["CreationTime"] <= job["TrainingStartTime"] <= job["TrainingEndTime"]


def test_channels_are_files_below_the_data_directory(jobs: Jobs) -> None:
    channels = [
        channel("train", f"s3://{BUCKET}/data/"),
        channel("one", f"s3://{BUCKET}/data/part-1.csv"),
        channel("fast", f"s3://{BUCKET}/data/deep/", InputMode="FastFile"),
        channel("within", f"s3://{BUCKET}/da"),
    ]
    job = jobs.run(PRINT_TREE, InputDataConfig=channels)
    lines = jobs.lines(job["TrainingJobName"])
    assert [
        "fast/x.csv '9,9\\n'",
        "one/part-1.csv '1,0\\n'",
        "train/deep/x.csv '9,9\\n'",
        *(f"train/part-{n}.csv '{n},0\\n'" for n in range(4)),
        "within/data/deep/x.csv '9,9\\n'",
        *(f"within/data/part-{n}.csv '{n},0\\n'" for n in range(4)),
    ] == lines


def test_the_settings_of_a_job_are_in_its_config_directory(jobs: Jobs) -> None:
    script = """
import json, os, pathlib
for path in sorted(pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"], "input/config").iterdir()):
    print(path.name, json.dumps(json.loads(path.read_text()), sort_keys=True))
print(os.environ["TRAINING_JOB_NAME"], os.environ["TRAINING_JOB_ARN"], os.environ["OWN"])
"""
    job = jobs.run(
        script,
        HyperParameters={"metric": '"cosine"', "n_neighbors": "10"},
        Environment={"OWN": "mine", "SAGEMAKER_REGION": "nowhere"},
        InputDataConfig=[channel("train", f"s3://{BUCKET}/data/", ContentType="text/csv")],
    )
    *files, variables = jobs.lines(job["TrainingJobName"])
    config = {line.split()[0]: json.loads(line.split(maxsplit=1)[1]) for line in files}
    hyperparameters = config["hyperparameters.json"]
    assert ('"cosine"', "10") == (hyperparameters["metric"], hyperparameters["n_neighbors"])
    assert {
        "train": {
            "ContentType": "text/csv",
            "RecordWrapperType": "None",
            "S3DistributionType": "FullyReplicated",
            "TrainingInputMode": "File",
        }
    } == config["inputdataconfig.json"]
    assert ["algo-1"] == config["resourceconfig.json"]["hosts"]
    assert "algo-1" == config["resourceconfig.json"]["current_host"]
    assert f"{job['TrainingJobName']} {job['TrainingJobArn']} mine" == variables


def test_several_hosts_share_the_objects_and_make_one_model(jobs: Jobs) -> None:
    script = """
import json, os, pathlib
base = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"])
host = json.loads((base / "input/config/resourceconfig.json").read_text())["current_host"]
names = sorted(path.name for path in (base / "input/data/train").rglob("*.csv"))
(base / f"model/{host}.json").write_text(json.dumps(names))
(base / "model/who").write_text(host)
"""
    shards = channel("train", f"s3://{BUCKET}/data/part", distribution="ShardedByS3Key")
    resources = {"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 1}
    job = jobs.run(script, InputDataConfig=[shards], ResourceConfig=resources)
    files = jobs.archive(job["ModelArtifacts"]["S3ModelArtifacts"])
    assert ["part-0.csv", "part-2.csv"] == json.loads(files["algo-1.json"])
    assert ["part-1.csv", "part-3.csv"] == json.loads(files["algo-2.json"])
    assert b"algo-1" == files["who"]
    assert {"algo-1", "algo-2"} == {
        stream.split("/")[1].rpartition("-")[0] for stream in jobs.streams(job["TrainingJobName"])
    }


def test_a_pipe_gives_all_objects_once_an_epoch(jobs: Jobs) -> None:
    script = """
import os
for epoch in range(2):
    with open(f"{os.environ['SAGEMAKER_BASE_DIR']}/input/data/train_{epoch}") as pipe:
        print(epoch, repr(pipe.read()))
"""
    piped = channel("train", f"s3://{BUCKET}/data/part", InputMode="Pipe")
    job = jobs.run(script, InputDataConfig=[piped])
    expected = "'0,0\\n1,0\\n2,0\\n3,0\\n'"
    assert [f"0 {expected}", f"1 {expected}"] == jobs.lines(job["TrainingJobName"])


def test_a_manifest_names_the_objects(jobs: Jobs) -> None:
    jobs.put({"m.json": json.dumps([{"prefix": f"s3://{BUCKET}/data/"}, "part-3.csv"])})
    listed = channel("train", f"s3://{BUCKET}/m.json")
    listed["DataSource"]["S3DataSource"]["S3DataType"] = "ManifestFile"
    job = jobs.run(PRINT_TREE, InputDataConfig=[listed])
    assert ["train/part-3.csv '3,0\\n'"] == jobs.lines(job["TrainingJobName"])


def test_metrics_are_found_in_the_output_while_it_runs(jobs: Jobs) -> None:
    script = """
import os, time
print("recall=0.25;", flush=True)
while not os.path.exists(os.environ["SAGEMAKER_BASE_DIR"] + "/output/data/go"):
    time.sleep(0.01)
"""
    metrics = [{"Name": "recall", "Regex": "recall=([0-9.]+);"}]
    name = jobs.start(script, AlgorithmSpecification={"MetricDefinitions": metrics})
    wait_for(lambda: jobs.describe(name).get("FinalMetricDataList"), "a metric")
    assert "InProgress" == jobs.describe(name)["TrainingJobStatus"]
    home = jobs.plane.root / "containers/training-job" / name / "algo-1"
    (home / "opt/ml/output/data/go").touch()
    job = jobs.ended(name)
    assert [("recall", 0.25)] == [
        (one["MetricName"], one["Value"]) for one in job["FinalMetricDataList"]
    ]


def test_checkpoints_are_restored_and_kept(jobs: Jobs) -> None:
    script = """
import pathlib, json, os
base = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"])
config = json.loads((base / "input/config/checkpointconfig.json").read_text())
folder = pathlib.Path(config["LocalPath"])
before = folder / "state/epoch"
epoch = int(before.read_text()) + 1 if before.exists() else 0
before.parent.mkdir(exist_ok=True)
before.write_text(str(epoch))
print("epoch", epoch)
"""
    config = {"S3Uri": f"s3://{BUCKET}/checkpoints"}
    first = jobs.run(script, CheckpointConfig=config)
    second = jobs.run(script, CheckpointConfig=config)
    assert [["epoch 0"], ["epoch 1"]] == [
        jobs.lines(job["TrainingJobName"]) for job in (first, second)
    ]
    assert b"1" == jobs.get(f"s3://{BUCKET}/checkpoints/state/epoch")


def test_intermediate_output_is_copied_while_it_runs(jobs: Jobs) -> None:
    script = """
import os, pathlib, time
base = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"])
(base / "output/intermediate").mkdir()
(base / "output/intermediate/curve.txt").write_text("1 2 3")
while not (base / "output/data/go").exists():
    time.sleep(0.01)
"""
    name = jobs.start(script)
    prefix = f"out/{name}/output/intermediate/"
    wait_for(lambda: jobs.s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix)["KeyCount"], "the copy")
    assert b"1 2 3" == jobs.get(f"s3://{BUCKET}/{prefix}curve.txt")
    home = jobs.plane.root / "containers/training-job" / name / "algo-1"
    (home / "opt/ml/output/data/go").touch()
    assert "Completed" == jobs.ended(name)["TrainingJobStatus"]


def test_a_model_may_stay_uncompressed(jobs: Jobs) -> None:
    output = {"S3OutputPath": f"s3://{BUCKET}/plain/", "CompressionType": "NONE"}
    job = jobs.run(SAVE, OutputDataConfig=output)
    prefix = job["ModelArtifacts"]["S3ModelArtifacts"]
    assert f"s3://{BUCKET}/plain/{job['TrainingJobName']}/output/model/" == prefix
    assert b"vectors" == jobs.get(f"{prefix}index.npy")


def test_hard_coded_paths_work_where_the_system_has_namespaces(jobs: Jobs) -> None:
    if not has_namespaces():
        pytest.skip("this system gives no mount namespaces")
    script = """
import pathlib, socket
pathlib.Path("/opt/ml/model/made").write_text("here")
print(socket.gethostbyname("algo-1"), socket.gethostname())
"""
    job = jobs.run(script)
    assert ["127.0.0.1 algo-1"] == jobs.lines(job["TrainingJobName"])
    assert {"made": b"here"} == jobs.archive(job["ModelArtifacts"]["S3ModelArtifacts"])


def test_jobs_are_listed_by_status_and_name_a_page_at_a_time(jobs: Jobs) -> None:
    for number in range(3):
        jobs.run("pass", TrainingJobName=f"listed-{number}")
    pages = [
        [one["TrainingJobName"] for one in page["TrainingJobSummaries"]]
        for page in jobs.sagemaker.get_paginator("list_training_jobs").paginate(
            NameContains="listed",
            StatusEquals="Completed",
            SortBy="Name",
            SortOrder="Descending",
            PaginationConfig={"PageSize": 2},
        )
    ]
    assert [["listed-2", "listed-1"], ["listed-0"]] == pages


def test_a_deleted_job_is_gone_and_its_model_stays(jobs: Jobs) -> None:
    job = jobs.run(SAVE, Tags=[{"Key": "team", "Value": "wine"}])
    name = job["TrainingJobName"]
    jobs.sagemaker.delete_training_job(TrainingJobName=name)
    with pytest.raises(jobs.sagemaker.exceptions.ClientError, match="Requested resource not found"):
        jobs.describe(name)
    assert jobs.get(job["ModelArtifacts"]["S3ModelArtifacts"])


def test_nothing_of_a_job_is_left_on_the_disk(jobs: Jobs) -> None:
    job = jobs.run(SAVE)
    home = jobs.plane.root / "containers/training-job" / job["TrainingJobName"]
    wait_for(lambda: not home.exists(), "the job's directory to be removed")
