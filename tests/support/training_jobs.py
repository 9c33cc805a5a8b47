"""The tree of a training job as SageMaker lays it out, and the program that trains in it."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from support.cli_run import TIMEOUT_S, Outcome, clean_environment

TRAIN = [sys.executable, "-m", "kneighbors.cli.container", "train"]


class JobTree:
    """What a container finds below ``/opt/ml``."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.config = base / "input" / "config"
        self.model = base / "model"
        self.output = base / "output"
        for folder in (self.config, base / "input" / "data", self.model, self.output / "data"):
            folder.mkdir(parents=True)
        self.write("hyperparameters", {})
        self.write("inputdataconfig", {})
        self.hosts("algo-1", ["algo-1"])

    def write(self, name: str, document: Any) -> None:
        (self.config / f"{name}.json").write_text(json.dumps(document))

    def hyperparameters(self, **values: str) -> None:
        self.write("hyperparameters", values)

    def hosts(self, current: str, hosts: Sequence[str]) -> None:
        group = {
            "instance_group_name": "homogeneousCluster",
            "instance_type": "ml.m5.large",
            "hosts": list(hosts),
        }
        self.write(
            "resourceconfig",
            {
                "current_host": current,
                "hosts": list(hosts),
                "current_instance_type": "ml.m5.large",
                "current_group_name": "homogeneousCluster",
                "instance_groups": [group],
                "network_interface_name": "eth0",
            },
        )

    def channel(self, name: str, mode: str = "File", split: bool = False) -> Path:
        """Add a channel, and return its directory, which is empty."""
        path = self.config / "inputdataconfig.json"
        channels = json.loads(path.read_text())
        channels[name] = {
            "TrainingInputMode": mode,
            "S3DistributionType": "ShardedByS3Key" if split else "FullyReplicated",
            "RecordWrapperType": "None",
        }
        path.write_text(json.dumps(channels))
        folder = self.base / "input" / "data" / name
        folder.mkdir()
        return folder

    def script(self, text: str, name: str = "script.py", **files: str) -> Path:
        """Make a source archive with a script, and have the job run it."""
        code = {name: text, **files}
        archive = self.base.parent / f"{self.base.name}-sourcedir.tar.gz"
        make_archive(archive, code)
        self.hyperparameters(
            sagemaker_program=json.dumps(name), sagemaker_submit_directory=json.dumps(str(archive))
        )
        return archive

    def environ(self, **more: str) -> dict[str, str]:
        return clean_environment(SAGEMAKER_BASE_DIR=str(self.base), **more)

    def run(self, environ: Mapping[str, str] | None = None) -> Outcome:
        done = subprocess.run(
            TRAIN,
            capture_output=True,
            env=dict(environ or self.environ()),
            timeout=TIMEOUT_S,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        return Outcome(done.returncode, done.stdout.decode(), done.stderr.decode())

    def start(self, environ: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            TRAIN,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=dict(environ or self.environ()),
        )

    @property
    def failure(self) -> str:
        return (self.output / "failure").read_text()


def make_archive(path: Path, files: Mapping[str, str]) -> None:
    """Write files as a ``.tar.gz``."""
    folder = path.parent / f"{path.name}-files"
    with tarfile.open(path, "w:gz") as archive:
        for name, text in files.items():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
            archive.add(target, name)
