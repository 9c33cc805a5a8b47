"""A script as it was written in 2019 trains and serves on this machine without a change."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aws.environments import environment_of_stack, plain_variables
from aws.requests import X

HERE = Path(__file__).parent
TIMEOUT_S = 600
pytestmark = pytest.mark.timeout(TIMEOUT_S + 60)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Run the script as a job and as an endpoint, by the SDK that was there for it."""
    folder = tmp_path_factory.mktemp("script")
    python = environment_of_stack("sdk2") / "bin" / "python"
    for name in ("sklearn_nearest_neighbors.py", "notebook.py"):
        shutil.copy(HERE / "script_of_2019" / name, folder)
    np.savetxt(folder / "wines.csv", X, delimiter=",")
    local = [sys.executable, "-m", "kneighbors", "local", "run", "--root", str(folder / "root")]
    program = [str(python), str(HERE / "programs" / "with_short_waits.py"), "notebook.py"]
    done = subprocess.run(
        [*local, "--", *program],
        cwd=folder, env=plain_variables() | {"HOME": str(folder)}, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=TIMEOUT_S,
        check=False,
    )  # fmt: skip
    assert 0 == done.returncode, done.stdout
    document: dict[str, Any] = json.loads((folder / "found.json").read_text("utf-8"))
    return document | {"log": done.stdout}


def test_it_answers_as_it_did_the_second_to_eleventh_neighbour(found: dict[str, Any]) -> None:
    answer = np.array(found["answer"])
    unit = X.astype("f8") / np.linalg.norm(X.astype("f8"), axis=1, keepdims=True)
    distances = 1 - unit @ unit[7]
    nearest = np.argsort(distances, kind="stable")[1:11]
    assert (2, 10) == answer.shape
    assert nearest.tolist() == answer[1].astype(int).tolist()
    np.testing.assert_allclose(answer[0], distances[nearest], atol=1e-12)


def test_what_it_printed_became_a_metric(found: dict[str, Any]) -> None:
    assert {"rows": float(len(X))} == found["metrics"]


def test_what_it_installed_stays_out_of_our_environment(found: dict[str, Any]) -> None:
    assert "s3fs 20" in found["log"], "it was installed where the script ran"
    with pytest.raises(metadata.PackageNotFoundError):
        metadata.version("s3fs")
