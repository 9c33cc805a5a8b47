"""A training job on AWS's own training toolkit, in a folder that stands in for /opt/ml."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aws.environments import overlay, plain_variables

#: A job here takes some seconds, of which Python's imports are most.
TIMEOUT_S = 120


@dataclass(frozen=True)
class Job:
    """What a training job left behind.

    Parameters
    ----------
    code : int
        Exit code of ``train``.
    log : str
        Everything that was printed.
    base : Path
        What is /opt/ml in a container.
    """

    code: int
    log: str
    base: Path

    @property
    def model(self) -> Path:
        """What goes into ``model.tar.gz``."""
        return self.base / "model"

    @property
    def failure(self) -> str:
        """What the platform takes for the reason of a failure."""
        path = self.base / "output" / "failure"
        return path.read_text("utf-8") if path.exists() else ""


def train(
    folder: Path,
    corpus: NDArray[np.float32],
    sourcedir: Path,
    script: str,
    hyperparameters: Mapping[str, str],
) -> Job:
    """Run ``train`` of AWS's toolkit as the platform does, and wait for its end."""
    base = folder / "opt/ml"
    for name in ("input/config", "input/data/train", "model", "output/data", "code"):
        (base / name).mkdir(parents=True)
    np.save(base / "input/data/train/wines.npy", corpus)
    reserved = {"sagemaker_program": script, "sagemaker_submit_directory": str(sourcedir)}
    documents = {
        "hyperparameters": {**reserved, **hyperparameters},
        "inputdataconfig": {
            "train": {
                "TrainingInputMode": "File",
                "S3DistributionType": "FullyReplicated",
                "RecordWrapperType": "None",
            }
        },
        "resourceconfig": {
            "current_host": "algo-1",
            "hosts": ["algo-1"],
            "current_instance_type": "ml.m5.large",
            "network_interface_name": "lo",
        },
    }
    for name, document in documents.items():
        (base / f"input/config/{name}.json").write_text(json.dumps(document))
    binaries = overlay("training", folder)
    variables = {
        "SAGEMAKER_BASE_DIR": str(base),
        # Its own way to say that the host's name need not be known to a name server.
        "SM_STUDIO_LOCAL_MODE": "true",
        "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}",
    }
    done = subprocess.run(
        [str(binaries / "train")], env=plain_variables() | variables, cwd=folder,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        timeout=TIMEOUT_S, check=False,
    )  # fmt: skip
    return Job(done.returncode, done.stdout, base)
