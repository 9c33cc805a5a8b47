"""Each call of the system fails in its turn: the old state or the new one, and a clear word."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from kneighbors.artifact import open_artifact, pack, verify
from kneighbors.cli.app import run
from kneighbors.generations import current, history, publish
from kneighbors.sagemaker.training import TrainingSettings, train
from support import artifact_making as making
from support.faults_loop import (
    BROKEN,
    EINTR,
    FORBIDDEN,
    FULL,
    KILLED,
    SHORT,
    SLOW,
    Fault,
    Operation,
    command,
    every_call,
    every_call_at_once,
    write_down,
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
        settings = TrainingSettings(
            train=str(folder / f"{name}.npy"),
            ids=str(folder / "ids.txt"),
            model_dir=folder / target,
            n_neighbors=3,
        )
        train(settings)
        known[signature(folder / target)] = name
        pack(folder / target, folder / f"{target}.tgz")
        FIRST.append(publish(folder / target, folder / "second").id)
    publish(folder / "model", folder / "place")
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


#: Names of generations in the place "second".
FIRST: list[str] = []


def published(folder: Path) -> str:
    """Tell which artifact the pointer names; all that is there is whole."""
    place = folder / "place"
    assert [one.fault for one in history(place)] == [None] * len(history(place))
    return state_of(f"place/generations/{current(place).id}")(folder)


def returned(folder: Path) -> str:
    """Return "new" where the pointer of the second place went back to the first generation."""
    return {"new": "old", "old": "new"}[state_of(_current(folder / "second"))(folder)]


def _current(place: Path) -> str:
    return f"{place.name}/generations/{current(place).id}"


TRAIN = ("train", "--train", "{}/new.npy", "--ids", "{}/ids.txt", "--n-neighbors", "3",
         "--no-progress", "--model-dir", "{}/model", "--overwrite",
         "--output-data-dir", "{}/out")  # fmt: skip
OPERATIONS = {
    "train": Operation(command(*TRAIN), trained),
    "package": Operation(
        command("package", "{}/other", "--output", "{}/model.tgz", "--force"),
        state_of("model.tgz"),
    ),
    "pack": Operation(
        lambda folder: pack(folder / "other", folder / "model.tgz", overwrite=True),
        state_of("model.tgz"),
    ),
    "convert": Operation(
        command("convert", "{}/new.joblib", "--model-dir", "{}/model", "--trust-pickle",
                "--ids", "{}/ids.txt", "--overwrite"),
        state_of("model"),
    ),
    "merge": Operation(
        command("merge", "{}/other", "--model-dir", "{}/model", "--overwrite"), state_of("model")
    ),
    "publish": Operation(
        command("publish", "{}/other", "--to", "{}/place", "--no-progress"),
        published,
    ),
    "publish an archive": Operation(
        command("publish", "{}/other.tgz", "--to", "{}/place", "--no-progress"), published
    ),
    "rollback": Operation(
        lambda folder: run(["rollback", f"{folder}/second", "--to", FIRST[0], "--no-progress"]),
        returned,
    ),
    "query": Operation(command("query", "{}/model", "--row", "7"), unchanged),
    "query of an archive": Operation(
        command("query", "{}/model.tgz", "--row", "7"), unchanged
    ),
    "query of a place": Operation(command("query", "{}/place", "--row", "7"), unchanged),
    "inspect": Operation(command("inspect", "{}/model", "--verify"), unchanged),
}  # fmt: skip
WRITING = ("train", "convert", "merge", "pack", "publish", "rollback")
#: Those that have the most of their own ways to the disk; the rest is left to the long run.
USUAL = ("train", "pack", "publish", "rollback", "query", "query of a place")


def cases() -> Iterator[Any]:
    """Yield every operation with every fault that it can meet."""
    for name in OPERATIONS:
        for fault in (BROKEN, FORBIDDEN, FULL, KILLED):
            if name not in (*WRITING, "package", "publish an archive") and fault is not BROKEN:
                continue
            if name == "package" and fault is BROKEN:
                continue  # its code is hundreds of files that are only read
            is_usual = name in USUAL or fault is FULL
            marks = () if is_usual else pytest.mark.slow
            yield pytest.param(name, fault, marks=marks, id=f"{name}-{fault.name}")


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("name", "fault"), list(cases()))
def test_each_call_fails_in_its_turn(
    tmp_path: Path, pristine: Path, name: str, fault: Fault
) -> None:
    count = every_call(OPERATIONS[name], fault, pristine, tmp_path)
    write_down({"operation": name, "fault": fault.name, "calls": count})
    assert count > 5


@pytest.mark.parametrize("name", WRITING)
@pytest.mark.parametrize("fault", [SHORT, SLOW, EINTR], ids=lambda fault: fault.name)
def test_what_is_done_by_half_or_late_is_done_in_the_end(
    tmp_path: Path, pristine: Path, name: str, fault: Fault
) -> None:
    ended = every_call_at_once(OPERATIONS[name], fault, pristine, tmp_path)
    assert ended.exit_code == 0, ended
    assert len(ended.hits) > 5
