"""Training jobs that fail, hang, fork, fill their disk or are interrupted; the plane goes on."""

from __future__ import annotations

import os
import signal
from typing import Any

import psutil
import pytest

from support.local_jobs import BUCKET, Jobs, channel
from support.local_plane import PlaneProcess
from support.server_process import wait_for


@pytest.fixture
def jobs(plane: PlaneProcess) -> Jobs:
    jobs = Jobs(plane)
    jobs.put({"faults/x.csv": "1,2\n"})
    return jobs


def refused(jobs: Jobs, code: str, match: str, **members: Any) -> None:
    """Check that a job is refused when it is created."""
    with pytest.raises(jobs.sagemaker.exceptions.ClientError, match=match) as caught:
        jobs.start("pass", **members)
    assert code == caught.value.response["Error"]["Code"]


def is_alive(pid: int) -> bool:
    """Tell whether a process runs; one that nobody has collected yet does not."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def pids(jobs: Jobs, name: str) -> list[int]:
    return [int(word) for line in jobs.lines(name) for word in line.split() if word.isdecimal()]


def test_a_script_that_raises_gives_its_traceback(jobs: Jobs) -> None:
    job = jobs.run("""
def fit():
    raise ValueError("the corpus has no rows")
print("begun", flush=True)
fit()
""")
    reason = job["FailureReason"]
    assert "Failed" == job["TrainingJobStatus"] == job["SecondaryStatus"]
    assert reason.startswith("AlgorithmError: Traceback (most recent call last):")
    assert reason.endswith("ValueError: the corpus has no rows, exit code: 1")
    lines = jobs.lines(job["TrainingJobName"])
    assert ["begun", "ValueError: the corpus has no rows"] == [lines[0], lines[-1]]
    assert "ModelArtifacts" not in job


def test_a_failure_file_is_the_reason(jobs: Jobs) -> None:
    job = jobs.run("""
import sys
open(base + "/output/failure", "w").write("metric unknown: cosinus" + "x" * 5000)
sys.exit(3)
""")
    reason = job["FailureReason"]
    assert reason.startswith("AlgorithmError: metric unknown: cosinusx")
    assert reason.endswith("x, exit code: 3")
    assert 1024 == len(reason)


def test_a_killed_container_is_reported_as_out_of_memory(jobs: Jobs) -> None:
    job = jobs.run("os.kill(os.getpid(), 9)")
    assert (
        "ClientError: Please use an instance type with more memory, or reduce the size of training "
        "data processed on an instance., exit code: 137"
    ) == job["FailureReason"]


def test_daemons_do_not_outlive_their_job(jobs: Jobs) -> None:
    job = jobs.run("""
import subprocess, sys, time
code = "import os, time; os.setsid(); print(os.getpid(), flush=True); time.sleep(600)"
for environment in (None, {}):
    if os.fork() == 0:
        if os.fork() == 0:
            os.setsid()
            subprocess.Popen([sys.executable, "-S", "-c", code], env=environment)
        os._exit(0)
    os.wait()
time.sleep(0.5)
""")
    found = pids(jobs, job["TrainingJobName"])
    assert 2 == len(found)
    assert [] == [pid for pid in found if is_alive(pid)]
    assert "Completed" == job["TrainingJobStatus"]


def test_a_job_that_ends_its_keeper_leaves_nothing(jobs: Jobs) -> None:
    job = jobs.run("""
import subprocess, sys, time
print(os.getpid(), flush=True)
os.kill(os.getppid(), 9)
time.sleep(600)
""")
    assert "Failed" == job["TrainingJobStatus"]
    (pid,) = pids(jobs, job["TrainingJobName"])
    assert not is_alive(pid)


def test_a_job_past_its_time_is_stopped_and_keeps_its_model(jobs: Jobs) -> None:
    job = jobs.run(
        """
import signal, time
def save(*_):
    open(base + "/model/late", "w").write("saved")
    raise SystemExit(0)
signal.signal(signal.SIGTERM, save)
time.sleep(600)
""",
        StoppingCondition={"MaxRuntimeInSeconds": 1},
    )
    ending = ("Stopped", "MaxRuntimeExceeded")
    assert ending == (job["TrainingJobStatus"], job["SecondaryStatus"])
    assert {"late": b"saved"} == jobs.archive(job["ModelArtifacts"]["S3ModelArtifacts"])


def test_a_job_that_does_not_listen_is_ended_after_the_grace(jobs: Jobs) -> None:
    name = jobs.start("""
import signal, time
signal.signal(signal.SIGTERM, lambda *_: print("no", flush=True))
print(os.getpid(), "ready", flush=True)
while True:
    time.sleep(600)
""")
    wait_for(lambda: any("ready" in line for line in jobs.lines(name)), "the job to be ready")
    jobs.sagemaker.stop_training_job(TrainingJobName=name)
    assert "Stopping" == jobs.describe(name)["TrainingJobStatus"]
    job = jobs.ended(name)
    assert ("Stopped", "Stopped") == (job["TrainingJobStatus"], job["SecondaryStatus"])
    assert "no" in jobs.lines(name)
    assert [] == [pid for pid in pids(jobs, name) if is_alive(pid)]
    refused_to = "the training job is in status Stopped"
    with pytest.raises(jobs.sagemaker.exceptions.ClientError, match=refused_to):
        jobs.sagemaker.stop_training_job(TrainingJobName=name)


def test_one_host_that_fails_ends_the_others(jobs: Jobs) -> None:
    resources = {"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 1}
    job = jobs.run(
        """
import time
config = json.load(open(base + "/input/config/resourceconfig.json"))
if config["current_host"] == "algo-2":
    raise RuntimeError("no shard for me")
time.sleep(600)
""",
        ResourceConfig=resources,
    )
    assert job["FailureReason"].endswith("RuntimeError: no shard for me, exit code: 1 (algo-2)")


def test_a_job_that_outgrows_its_volume_is_ended(jobs: Jobs) -> None:
    job = jobs.run("""
import time
with open(base + "/model/huge", "wb") as file:
    os.posix_fallocate(file.fileno(), 0, 1200 << 20)
time.sleep(600)
""")
    assert (
        "ClientError: No space left on device: the files of algo-1 outgrew VolumeSizeInGB, which "
        "is 1."
    ) == job["FailureReason"]


def test_objects_that_cannot_be_files_fail_the_job(jobs: Jobs) -> None:
    jobs.put({"clash/a": "file", "clash/a/b": "directory"})
    job = jobs.run("pass", InputDataConfig=[channel("train", f"s3://{BUCKET}/clash/")])
    assert job["FailureReason"].startswith("ClientError: Data download failed: The object s3://")


def test_what_cannot_be_run_is_refused_when_it_is_created(jobs: Jobs) -> None:
    invalid = "ValidationException"
    refused(jobs, invalid, "roleArn", RoleArn="arn:aws:iam::123456789012:user/me")
    missing = [channel("train", "s3://nowhere/data")]
    refused(jobs, invalid, 'URL "s3://nowhere/data"', InputDataConfig=missing)
    empty = [channel("train", f"s3://{BUCKET}/nothing")]
    refused(jobs, invalid, f'URL "s3://{BUCKET}/nothing"', InputDataConfig=empty)
    twice = [channel("train", f"s3://{BUCKET}/faults")] * 2
    refused(jobs, invalid, "must be unique", InputDataConfig=twice)
    output = {"S3OutputPath": "s3://nowhere/out"}
    refused(jobs, invalid, 'S3OutputPath "s3://nowhere/out"', OutputDataConfig=output)
    xgboost = {"TrainingImage": "1.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"}
    refused(jobs, invalid, "sagemaker-xgboost:1.7-1.*--image", AlgorithmSpecification=xgboost)
    metrics = {"MetricDefinitions": [{"Name": "recall", "Regex": "recall=("}]}
    refused(jobs, invalid, "Regex of metric recall", AlgorithmSpecification=metrics)
    checkpoints = {"S3Uri": f"s3://{BUCKET}/c", "LocalPath": "/var/checkpoints"}
    refused(jobs, invalid, "/var/checkpoints", CheckpointConfig=checkpoints)


def test_two_jobs_of_one_name_are_refused(jobs: Jobs) -> None:
    jobs.run("pass", TrainingJobName="twin")
    refused(jobs, "ResourceInUse", "names must be unique", TrainingJobName="twin")


def test_jobs_of_a_killed_plane_are_failed_and_their_processes_are_ended(jobs: Jobs) -> None:
    plane = jobs.plane
    names = [
        jobs.start("import time; print(os.getpid(), flush=True); time.sleep(600)") for _ in range(2)
    ]
    wait_for(lambda: all(pids(jobs, name) for name in names), "the jobs to run")
    kept, left = (pids(jobs, name)[0] for name in names)
    # A keeper ends all as the plane goes; of the one that cannot, something is left over.
    os.kill(psutil.Process(left).ppid(), signal.SIGSTOP)
    plane.kill()
    wait_for(lambda: not is_alive(kept), "the keeper to end its job")
    assert is_alive(left)
    plane.start()
    assert not is_alive(left)
    again = Jobs(plane)
    for name in names:
        job = again.describe(name)
        assert "Failed" == job["TrainingJobStatus"]
        assert "The control plane was interrupted" in job["FailureReason"]
    assert "Completed" == again.run("pass", TrainingJobName="after")["TrainingJobStatus"]
