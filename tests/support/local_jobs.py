"""Training jobs for the tests of the local control plane: small scripts, tiny data."""

from __future__ import annotations

import io
import itertools
import json
import tarfile
from collections.abc import Mapping
from typing import Any

from support.local_plane import PlaneProcess
from support.server_process import wait_for

BUCKET = "cellar"
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.9-0-cpu-py3"
#: An entry point is one line of 256 characters at most, so the script is a hyperparameter.
RUN = (
    "import json, os; base = os.environ['SAGEMAKER_BASE_DIR']; "
    "given = json.load(open(base + '/input/config/hyperparameters.json')); "
    "exec(json.loads(given['script']))"
)
_NUMBERS = itertools.count(1)
ENDED = ("Completed", "Failed", "Stopped")


class Jobs:
    """Starts jobs whose container runs a few lines of Python.

    Parameters
    ----------
    plane : PlaneProcess
    """

    def __init__(self, plane: PlaneProcess) -> None:
        self.plane = plane
        self.sagemaker = plane.client("sagemaker")
        self.s3 = plane.client("s3")

    def put(self, objects: Mapping[str, str | bytes]) -> None:
        """Write objects by key."""
        self.s3.create_bucket(Bucket=BUCKET)
        for key, data in objects.items():
            self.s3.put_object(Bucket=BUCKET, Key=key, Body=data)

    def request(self, script: str, **members: Any) -> dict[str, Any]:
        """Return a request for a job that runs a script."""
        algorithm = {
            "TrainingImage": IMAGE,
            "TrainingInputMode": "File",
            "ContainerEntrypoint": ["python", "-c", RUN],
            **members.pop("AlgorithmSpecification", {}),
        }
        return {
            "TrainingJobName": f"job-{next(_NUMBERS)}",
            "AlgorithmSpecification": algorithm,
            "HyperParameters": {"script": json.dumps(script), **members.pop("HyperParameters", {})},
            "RoleArn": self.plane.role,
            "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/out"},
            "ResourceConfig": {
                "InstanceType": "ml.m5.large",
                "InstanceCount": 1,
                "VolumeSizeInGB": 1,
            },
            "StoppingCondition": {"MaxRuntimeInSeconds": 60},
            **members,
        }

    def start(self, script: str, **members: Any) -> str:
        """Start a job and return its name."""
        request = self.request(script, **members)
        self.sagemaker.create_training_job(**request)
        return str(request["TrainingJobName"])

    def run(self, script: str, **members: Any) -> dict[str, Any]:
        """Run a job to its end and return its description."""
        return self.ended(self.start(script, **members))

    def describe(self, name: str) -> dict[str, Any]:
        """Return a job's description."""
        found: dict[str, Any] = self.sagemaker.describe_training_job(TrainingJobName=name)
        return found

    def ended(self, name: str) -> dict[str, Any]:
        """Wait for a job's end and return its description."""
        wait_for(lambda: self.describe(name)["TrainingJobStatus"] in ENDED, f"the end of {name}")
        return self.describe(name)

    def wait_for_line(self, name: str, line: str) -> None:
        """Wait until a job has printed a line."""
        wait_for(lambda: line in self.lines(name), f"{name} to print {line!r}")

    def lines(self, name: str) -> list[str]:
        """Return what a job has printed."""
        streams = self.streams(name)
        logs = self.plane.client("logs")
        return [
            event["message"]
            for stream in streams
            for event in logs.get_log_events(
                logGroupName="/aws/sagemaker/TrainingJobs",
                logStreamName=stream,
                startFromHead=True,
            )["events"]
        ]

    def streams(self, name: str) -> list[str]:
        """Return the names of a job's log streams; none while there is no log."""
        logs = self.plane.client("logs")
        try:
            found = logs.describe_log_streams(
                logGroupName="/aws/sagemaker/TrainingJobs", logStreamNamePrefix=f"{name}/"
            )
        except logs.exceptions.ResourceNotFoundException:
            return []
        return [str(stream["logStreamName"]) for stream in found["logStreams"]]

    def get(self, uri: str) -> bytes:
        """Return an object's bytes."""
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        data: bytes = self.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        return data

    def archive(self, uri: str) -> dict[str, bytes]:
        """Return the files of an archive."""
        with tarfile.open(fileobj=io.BytesIO(self.get(uri))) as tar:
            files = {member.name: tar.extractfile(member) for member in tar if member.isfile()}
            return {name: file.read() for name, file in files.items() if file is not None}


def channel(name: str, uri: str, **members: Any) -> dict[str, Any]:
    """Return a channel that reads a prefix."""
    source = {
        "S3DataType": "S3Prefix",
        "S3Uri": uri,
        "S3DataDistributionType": members.pop("distribution", "FullyReplicated"),
    }
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}, **members}
