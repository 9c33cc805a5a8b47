"""What is done to files, and how to tell what it has left."""

from __future__ import annotations

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import joblib
import numpy as np
from sklearn.neighbors import NearestNeighbors

from kneighbors.artifact import open_artifact, pack, verify
from kneighbors.cli.app import run
from kneighbors.errors import ArtifactError
from kneighbors.generations import current, history, publish
from kneighbors.sagemaker.training import TrainingSettings, train
from support import artifact_making as making
from support.faults_loop import Operation, command

#: Names of generations in the place "second".
FIRST: list[str] = []


def signature(path: Path) -> str:
    """Return what tells one artifact from another, having verified and asked all of it."""
    with open_artifact(path) as artifact:
        answers = repr(making.answers(artifact))
    if not all(report.is_whole for report in verify(path)):
        raise ArtifactError("artifact-damaged", "A part that no answer needed is damaged.")
    return sha256(answers.encode()).hexdigest()


def state_of(name: str) -> Callable[[Path], str]:
    """Return a function that tells which of the two artifacts has a name."""

    def state(folder: Path) -> str:
        found = signature(folder / name)
        known = json.loads((folder / "known.json").read_text())
        assert found in known, f"neither the old nor the new one is at {name}"
        return str(known[found])

    return state


def make_pristine(folder: Path) -> Path:
    """Make a folder with everything that the operations begin with, and return it."""
    FIRST.clear()
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


def published(folder: Path) -> str:
    """Tell which artifact the pointer names; all that is there is whole."""
    place = folder / "place"
    for one in history(place):
        if one.fault is not None:
            raise ArtifactError("artifact-damaged", f"Generation {one.id}: {one.fault}")
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
