"""Each call of the system fails in its turn: the old state or the new one, and a clear word."""

from __future__ import annotations

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import joblib
import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from kneighbors.artifact import open_artifact, verify
from kneighbors.cli.app import run
from support import artifact_making as making
from support.faults_loop import (
    BROKEN,
    FORBIDDEN,
    FULL,
    KILLED,
    SHORT,
    SLOW,
    Fault,
    Operation,
    check_end,
    command,
    every_call,
    interrupted,
    run_with,
)
from support.faults_seccomp import why_not

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(why_not() is not None, reason=str(why_not())),
]


def signature(path: Path) -> str:
    """Return what tells one artifact from another, having verified and asked all of it."""
    assert all(report.is_whole for report in verify(path))
    with open_artifact(path) as artifact:
        return sha256(repr(making.answers(artifact)).encode()).hexdigest()


def state_of(name: str) -> Callable[[Path], str]:
    """Return a function that tells which of the two artifacts has a name."""

    def state(folder: Path) -> str:
        found = signature(folder / name)
        known = json.loads((folder / "known.json").read_text())
        assert found in known, f"neither the old nor the new one is at {name}"
        return str(known[found])

    return state


def train(folder: Path, corpus: str, *more: str | Path) -> list[str | Path]:
    return ["train", "--train", folder / f"{corpus}.npy", "--ids", folder / "ids.txt",
            "--n-neighbors", "3", "--no-progress", *more]  # fmt: skip


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with everything that the operations begin with."""
    folder = tmp_path_factory.mktemp("pristine") / "folder"
    folder.mkdir()
    for seed, name in enumerate(("old", "new")):
        np.save(folder / f"{name}.npy", making.corpus(40, 8, seed=seed))
    (folder / "ids.txt").write_text("".join(f"wine-{row}\n" for row in range(40)))
    X = np.load(folder / "new.npy")
    joblib.dump(NearestNeighbors(metric="cosine").fit(X), folder / "new.joblib")
    known = {}
    for name, target in (("old", "model"), ("new", "other")):
        assert run([str(a) for a in train(folder, name, "--model-dir", folder / target)]) == 0
        known[signature(folder / target)] = name
    for name in ("model", "other"):
        assert run(["package", str(folder / name), "--output", str(folder / f"{name}.tgz")]) == 0
    (folder / "known.json").write_text(json.dumps(known))
    return folder


def trained(folder: Path) -> str:
    """Tell which model there is; of the report there may be none, but no part."""
    report = folder / "out" / "report.json"
    if report.exists():
        assert json.loads(report.read_text())["rows"] == 40
    return state_of("model")(folder)


def unchanged(folder: Path) -> str:
    """Return "new" where nothing was to be changed and nothing was."""
    assert state_of("model")(folder) == "old"
    return "new"


OPERATIONS = {
    "train": Operation(
        command(lambda folder: train(folder, "new", "--model-dir", folder / "model", "--overwrite",
                             "--output-data-dir", folder / "out")),
        trained,
    ),
    "package": Operation(
        command(lambda folder: ["package", folder / "other", "--output", folder / "model.tgz", "--force"]),
        state_of("model.tgz"),
    ),
    "package of an archive": Operation(
        command(lambda folder: ["package", folder / "other.tgz", "--output", folder / "model.tgz",
                        "--force"]),
        state_of("model.tgz"),
    ),
    "convert": Operation(
        command(lambda folder: ["convert", folder / "new.joblib", "--model-dir", folder / "model",
                        "--trust-pickle", "--ids", folder / "ids.txt", "--overwrite"]),
        state_of("model"),
    ),
    "merge": Operation(
        command(lambda folder: ["merge", folder / "other", "--model-dir", folder / "model", "--overwrite"]),
        state_of("model"),
    ),
    "query": Operation(
        command(lambda folder: ["query", folder / "model", "--row", "7", "--json"]), unchanged
    ),
    "query of an archive": Operation(
        command(lambda folder: ["query", folder / "model.tgz", "--row", "7", "--json"]), unchanged
    ),
    "inspect": Operation(
        command(lambda folder: ["inspect", folder / "model", "--verify"]), unchanged
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", [BROKEN, FULL, FORBIDDEN, KILLED], ids=lambda fault: fault.name)
@pytest.mark.parametrize("name", OPERATIONS)
def test_each_call_fails_in_its_turn(
    tmp_path: Path, pristine: Path, name: str, fault: Fault
) -> None:
    count = every_call(OPERATIONS[name], fault, pristine, tmp_path)
    print(name, fault.name, count)
