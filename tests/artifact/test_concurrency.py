"""Several at once: writers, readers while an artifact is replaced, threads that open and ask."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from kneighbors.artifact import Artifact, open_artifact, publishing, save, staging, verify
from kneighbors.errors import StorageError
from support import artifact_making as making


def in_threads(*works: Callable[[], None]) -> None:
    """Do all works at once; raise what the first of them raised."""
    failures: list[BaseException] = []

    def guarded(work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


SEEDS = (0, 1)
EXPECTED = [making.corpus(seed=seed).tobytes() for seed in SEEDS]


def seed_of(artifact: Artifact) -> int:
    """Return which artifact this is, all of it."""
    return EXPECTED.index(making.answers(artifact)[0])


def save_seed(path: Path, seed: int, overwrite: bool = True) -> None:
    # A catalogue for each, so that a mix of both would show.
    catalog = making.catalog("string" if seed else "integer", items=bool(seed))
    save(path, making.index(seed=seed), catalog, overwrite=overwrite)


@pytest.fixture(params=["beside", "in place"])
def path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    if request.param == "in place":
        monkeypatch.setattr(publishing, "is_mount", lambda path: path.is_dir())
        (tmp_path / "mounted").mkdir()
        return tmp_path / "mounted"
    return tmp_path / "a"


def in_place(path: Path) -> bool:
    return path.name == "mounted"


def test_two_savers_leave_one_whole_artifact(path: Path) -> None:
    busy = []

    def saver(seed: int) -> None:
        try:
            save_seed(path, seed)
        except StorageError as error:
            busy.append(error.code)

    for _ in range(10):
        in_threads(*(lambda seed=seed: saver(seed) for seed in (0, 1, 0, 1)))
        # In place there is one at a time; beside, nobody is in anybody's way.
        assert set(busy) <= ({"artifact-busy"} if in_place(path) else set())
        assert all(report.is_whole for report in verify(path))
        with open_artifact(path) as artifact:
            seed = seed_of(artifact)
            assert artifact.manifest.id_type == ("string" if seed else "integer")
    assert list(path.parent.iterdir()) == [path]
    with open_artifact(path) as artifact:
        assert len(list(path.iterdir())) == len(artifact.manifest.parts) + 1


def test_of_two_savers_to_a_new_path_one_is_refused(path: Path) -> None:
    codes: list[str] = []

    def saver(seed: int) -> None:
        try:
            save_seed(path, seed, overwrite=False)
            codes.append("saved")
        except StorageError as error:
            codes.append(error.code)

    in_threads(*(lambda seed=seed: saver(seed) for seed in (0, 1, 0, 1)))
    assert codes.count("saved") == 1
    refused = {"artifact-exists", "artifact-busy"} if in_place(path) else {"artifact-exists"}
    assert set(codes) <= {"saved", *refused}
    assert all(report.is_whole for report in verify(path))


def test_readers_see_the_old_or_the_new_never_a_mix(path: Path) -> None:
    save_seed(path, 0)
    finished = threading.Event()
    seen: list[int] = []

    def writer() -> None:
        try:
            for turn in range(40):
                save_seed(path, (turn + 1) % 2)
        finally:
            finished.set()

    def reader() -> None:
        while not finished.is_set():
            with open_artifact(path) as artifact:
                seed = seed_of(artifact)
                assert artifact.manifest.id_type == ("string" if seed else "integer")
                seen.append(seed)

    def checker() -> None:
        while not finished.is_set():
            assert all(report.is_whole for report in verify(path))

    in_threads(writer, reader, reader, checker)
    assert set(seen) == {0, 1}


def test_an_artifact_that_is_open_stays_what_it_was(path: Path) -> None:
    save_seed(path, 1)
    with open_artifact(path) as artifact:
        for seed in (0, 1, 0):
            save_seed(path, seed)
        assert seed_of(artifact) == 1
    with open_artifact(path) as artifact:
        assert seed_of(artifact) == 0


def test_a_reader_between_the_two_steps_is_told_that_nothing_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staging, "exchange", lambda one, other: False)
    save_seed(tmp_path / "a", 0)
    codes: list[str] = []
    rename = os.rename

    def watched(source: Any, target: Any) -> None:
        rename(source, target)
        with suppress(StorageError), open_artifact(tmp_path / "a"):
            return
        codes.append("nothing there")

    monkeypatch.setattr(os, "rename", watched)
    save_seed(tmp_path / "a", 1)
    assert codes == ["nothing there"]


def test_threads_share_one_artifact(tmp_path: Path) -> None:
    save_seed(tmp_path / "a", 1)
    with open_artifact(tmp_path / "a") as artifact:
        expected = making.answers(artifact)

    with open_artifact(tmp_path / "a") as shared:

        def ask() -> None:
            for _ in range(5):
                assert making.answers(shared) == expected

        in_threads(*[ask] * 6)
