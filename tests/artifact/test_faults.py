"""The system refuses at the N-th call, for every N: a refusal of ours, and nothing left behind."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from kneighbors.artifact import open_artifact, pack, publishing, save, staging, unpack, verify
from kneighbors.errors import ArtifactError, StorageError
from support import artifact_making as making

#: What a writer asks of the system. Reading calls fail too, where a writer reads.
CALLS = ("open", "write", "fsync", "mkdir", "rename", "fchmod", "unlink", "link")

CODES = {
    errno.ENOSPC: "storage-full",
    errno.EDQUOT: "storage-full",
    errno.EROFS: "storage-read-only",
    errno.EACCES: "storage-forbidden",
    errno.EIO: "storage-failed",
}


class NthCallFails:
    """Calls of the system, of which one fails."""

    def __init__(self, names: tuple[str, ...], number: int, failing: int) -> None:
        self.names = names
        self.number = number
        self.left = failing
        self.failed: str | None = None

    @contextmanager
    def active(self) -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            for name in self.names:
                patch.setattr(os, name, self._failing(name, getattr(os, name)))
            yield

    def _failing(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def failing(*arguments: Any, **options: Any) -> Any:
            self.left -= 1
            if self.left == 0:
                self.failed = name
                raise OSError(self.number, os.strerror(self.number), str(arguments[0]))
            return call(*arguments, **options)

        return failing


def refused(faults: NthCallFails, action: Callable[[], object]) -> StorageError | None:
    """Do something while a call fails; return the refusal, if it was noticed."""
    try:
        with faults.active():
            action()
    except StorageError as error:
        return error
    return None


def beside(path: Path) -> None:
    """Save to a new path."""
    save(path, making.index(seed=1), making.catalog())


def over(path: Path) -> None:
    """Save over an artifact."""
    save(path, making.index(seed=1), making.catalog(), overwrite=True)


def seed_of(path: Path) -> int | None:
    """Return which of the two artifacts is at a path, having asked everything of it."""
    if not path.exists():
        return None
    with open_artifact(path) as artifact:
        answers = making.answers(artifact)
    assert all(report.is_whole for report in verify(path))
    return [making.corpus(seed=seed).tobytes() for seed in (0, 1)].index(answers[0])


WAYS = [
    *(("beside", number) for number in CODES),
    *(("in place", number) for number in (errno.ENOSPC, errno.EIO)),
    *(("two steps", number) for number in (errno.ENOSPC, errno.EIO)),
]


@pytest.mark.parametrize(("way", "number"), WAYS)
def test_saving_over_an_artifact_fails_whole_at_every_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str, number: int
) -> None:
    if way == "in place":
        monkeypatch.setattr(publishing, "is_mount", lambda path: path.is_dir())
    if way == "two steps":
        monkeypatch.setattr(staging, "exchange", lambda one, other: False)
    path = tmp_path / "a"
    making.save_small(path)
    failing = 0
    while True:
        failing += 1
        faults = NthCallFails(CALLS, number, failing)
        error = refused(faults, lambda: over(path))
        if error is not None:
            assert error.code == CODES[number], faults.failed
            # Once the new manifest has its name, only the disk's word for it is missing.
            late = faults.failed in {"fsync", "open"} and seed_of(path) == 1
            assert late or seed_of(path) == 0, (failing, faults.failed)
        if faults.failed is None:
            break
        if seed_of(path) == 1:
            save(path, making.index(seed=0), making.catalog(), overwrite=True)
        leftovers = {file.name for file in tmp_path.iterdir()} - {"a"}
        assert not leftovers or faults.failed in {"unlink", "open"}, (failing, faults.failed)
    assert failing > 30
    assert seed_of(path) == 1
    over(path)
    assert [file.name for file in tmp_path.iterdir()] == ["a"]
    assert len(making.contents(path)) == 10


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO], ids=errno.errorcode.get)
@pytest.mark.parametrize("empty", [True, False])
def test_saving_to_a_new_path_fails_whole_at_every_call(
    tmp_path: Path, number: int, empty: bool
) -> None:
    path = tmp_path / "a"
    if empty:
        path.mkdir()
    failing = 0
    while True:
        failing += 1
        faults = NthCallFails(("open", "write", "fsync", "mkdir", "rename"), number, failing)
        error = refused(faults, lambda: beside(path))
        if error is None:
            break
        assert error.code == CODES[number]
        if path.exists() and any(path.iterdir()):
            # It was renamed; only the parent's fsync failed.
            assert faults.failed in {"fsync", "open"}
            assert seed_of(path) == 1
            for file in path.iterdir():
                file.unlink()
            if not empty:
                path.rmdir()
        assert [file.name for file in tmp_path.iterdir()] == (["a"] if empty else [])
    assert failing > 25
    assert seed_of(path) == 1


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO], ids=errno.errorcode.get)
def test_packing_and_unpacking_fail_whole_at_every_call(tmp_path: Path, number: int) -> None:
    making.save_small(tmp_path / "a")
    archive, copy = tmp_path / "a.tar.gz", tmp_path / "b"
    names = ("open", "write", "fsync", "mkdir", "rename", "link")
    for action, made in (
        (lambda: pack(tmp_path / "a", archive), archive),
        (lambda: unpack(archive, copy), copy),
    ):
        failing = 0
        while True:
            failing += 1
            faults = NthCallFails(names, number, failing)
            error = refused(faults, action)
            if error is not None:
                assert error.code == CODES[number]
                if made.exists():
                    assert faults.failed in {"fsync", "open"}
                    assert all(report.is_whole for report in verify(made))
                    if made.is_dir():
                        for file in made.iterdir():
                            file.unlink()
                        made.rmdir()
                    else:
                        made.unlink()
            if faults.failed is None or made.exists():
                break
        assert failing > 5
        assert all(report.is_whole for report in verify(made))
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a", "a.tar.gz", "b"]


@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES], ids=errno.errorcode.get)
def test_opening_fails_with_a_refusal_at_every_call(tmp_path: Path, number: int) -> None:
    making.save_small(tmp_path / "a")
    with open_artifact(tmp_path / "a") as artifact:
        expected = making.answers(artifact)

    def ask() -> None:
        with open_artifact(tmp_path / "a") as artifact:
            assert making.answers(artifact) == expected

    failing = 0
    while True:
        failing += 1
        faults = NthCallFails(("open", "pread", "fstat"), number, failing)
        error = refused(faults, ask)
        if error is not None:
            assert error.code == CODES[number]
            assert str(tmp_path / "a") in str(error)
        if faults.failed is None:
            break
    assert failing > 30


def test_short_reads_and_writes_are_taken_up_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    making.save_small(tmp_path / "a")
    with open_artifact(tmp_path / "a") as artifact:
        expected = making.answers(artifact)
    write, pread = os.write, os.pread
    monkeypatch.setattr(os, "write", lambda number, data: write(number, bytes(data[:100])))
    monkeypatch.setattr(
        os, "pread", lambda number, length, offset: pread(number, min(length, 1000), offset)
    )
    with open_artifact(tmp_path / "a") as artifact:
        assert making.answers(artifact) == expected
        save(tmp_path / "b", artifact.index, artifact.catalog)
    pack(tmp_path / "b", tmp_path / "b.tar.gz")
    unpack(tmp_path / "b.tar.gz", tmp_path / "c")
    with open_artifact(tmp_path / "c") as artifact:
        assert making.answers(artifact) == expected


def test_an_interrupt_leaves_nothing_behind(tmp_path: Path) -> None:
    def interrupt(stage: str, done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        save(tmp_path / "a", making.index(), progress=interrupt)
    assert list(tmp_path.iterdir()) == []
    making.save_small(tmp_path / "a")
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            save(tmp_path / "a", making.index(seed=1), overwrite=True, progress=interrupt)
        assert seed_of(tmp_path / "a") == 0
    assert [file.name for file in tmp_path.iterdir()] == ["a"]


def test_damage_in_the_source_is_not_saved_as_truth(tmp_path: Path) -> None:
    making.save_small(tmp_path / "a")
    with (tmp_path / "a" / "vectors.npy").open("r+b") as file:
        file.seek(12_000)
        file.write(b"\x55")
    with pytest.raises(ArtifactError) as caught:
        open_artifact(tmp_path / "a")
    assert caught.value.code == "artifact-damaged"
    with pytest.raises(ArtifactError) as caught:
        pack(tmp_path / "a", tmp_path / "a.tar.gz")
    assert caught.value.code == "artifact-damaged"
    assert [file.name for file in tmp_path.iterdir()] == ["a"]
