"""A notebook of one of SageMaker's SDKs, run against the control plane of this machine."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.neighbors import NearestNeighbors

from aws.environments import ROOT, environment_of_stack, plain_variables
from aws.requests import X
from kneighbors.sagemaker.package import package
from support.artifact_making import save_small

PROGRAMS = Path(__file__).parent / "programs"
QUERIES = X[:5]
VECTOR, BATCH = X[7], X[:3]
#: Alone on the machine a notebook takes a minute at most.
TIMEOUT_S = 600
_SCRIPT = "sklearn_nearest_neighbors.py"


@dataclass(frozen=True)
class Notebook:
    """A notebook that has been run.

    Parameters
    ----------
    code : int
        Its exit code.
    log : str
        What it printed.
    folder : Path
        Where it ran.
    """

    code: int
    log: str
    folder: Path

    @cached_property
    def found(self) -> dict[str, Any]:
        """What the program noted."""
        assert self.code == 0, self.log
        document: dict[str, Any] = json.loads((self.folder / "found.json").read_text("utf-8"))
        return document


def run_notebook(sdk: str, folder: Path) -> Notebook:
    """Run the notebook for an SDK as a person would, but with short waits.

    ``kneighbors local run --`` is all that it is prepared by: the SDK is in an environment that
    does not have this package.
    """
    python = environment_of_stack(sdk) / "bin" / "python"
    _write_files(folder)
    command = [
        *(sys.executable, "-m", "kneighbors", "local", "run", "--root", str(folder / "root")),
        *("--", str(python), str(PROGRAMS / "with_short_waits.py")),
        str(PROGRAMS / f"notebook_{sdk}.py"),
    ]
    variables = plain_variables() | {"HOME": str(folder)}
    done = subprocess.run(
        command, env=variables | {"PYTHONPATH": str(ROOT / "src")}, cwd=folder,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        timeout=TIMEOUT_S, check=False,
    )  # fmt: skip
    return Notebook(done.returncode, done.stdout, folder)


def _write_files(folder: Path) -> None:
    (folder / "code").mkdir()
    script = ROOT / "src/kneighbors/sagemaker/entry_point" / _SCRIPT
    (folder / "code" / _SCRIPT).write_bytes(script.read_bytes())
    np.save(folder / "wines.npy", X)
    np.save(folder / "query.npy", VECTOR)
    lines = [",".join(map(repr, row)) for row in QUERIES.tolist()]
    (folder / "queries.csv").write_text("\n".join(lines) + "\n")
    save_small(folder / "model")
    package(folder / "model", folder / "packaged.tar.gz")


def scikit_learn(queries: Any) -> Any:
    """Return what scikit-learn finds: distances over rows, as the endpoint lays them out."""
    oracle = NearestNeighbors(n_neighbors=10, metric="cosine", algorithm="brute").fit(
        X.astype("f8")
    )
    return np.array(oracle.kneighbors(np.atleast_2d(queries).astype("f8")))


def transformed(text: str) -> Any:
    """Return the lines that a transform job wrote, laid out as an endpoint's answer."""
    lines = np.array([[float(one) for one in line.split(",")] for line in text.splitlines()])
    return np.stack([lines[:, :10], lines[:, 10:]])
