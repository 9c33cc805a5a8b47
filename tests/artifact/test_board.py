"""Copies in memory that a family of processes shares: found, told, and forgotten in the end."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kneighbors.artifact import memfile, open_artifact, reader
from kneighbors.artifact.board import Board
from kneighbors.artifact.memfile import MemoryFile
from kneighbors.errors import ArtifactError
from support import artifact_making as making

pytestmark = pytest.mark.skipif(not memfile.is_possible(), reason="no sealed files in memory here")

SIZE = 8192


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> Board:
    """The list of a process that maps no files."""
    monkeypatch.setattr(memfile, "_board", None)
    monkeypatch.setattr(memfile, "_maps", True)
    memfile.never_map()
    assert not memfile.maps()
    assert memfile._board is not None
    return memfile._board


def filled(text: bytes, calls: list[bytes]) -> MemoryFile:
    def fill(write: memfile.Write) -> None:
        calls.append(text)
        write(4096, text)

    return MemoryFile.shared("vectors", SIZE, fill)


@pytest.mark.usefixtures("board")
def test_a_copy_that_somebody_holds_is_not_made_again() -> None:
    calls: list[bytes] = []
    one, two = filled(b"first", calls), filled(b"second", calls)
    assert [b"first"] == calls
    assert b"first" == bytes(one.view[4096:4101]) == bytes(two.view[4096:4101])


def test_a_copy_goes_with_the_last_that_holds_it(board: Board) -> None:
    calls: list[bytes] = []
    filled(b"first", calls).view.release()
    assert b"second" == bytes(filled(b"second", calls).view[4096:4102])
    # Who has let go is forgotten as soon as somebody tells.
    holders = json.loads(os.pread(board._number, 1 << 14, 0))
    assert all(process == os.getpid() for process, _ in holders["vectors"])


def test_another_file_under_a_number_is_not_taken_for_the_copy(
    board: Board, tmp_path: Path
) -> None:
    (tmp_path / "other").write_bytes(b"something else")
    with (tmp_path / "other").open("rb") as other:
        board.tell("vectors", other.fileno())
        calls: list[bytes] = []
        assert b"mine" == bytes(filled(b"mine", calls).view[4096:4100])
        assert [b"mine"] == calls

        def breaks(number: int) -> bool:
            raise OSError

        assert board.find("vectors", os.O_RDONLY, breaks) is None


def test_what_finds_no_place_on_the_list_is_not_shared(board: Board) -> None:
    name = "x" * 20_000
    board.tell(name, 0)
    assert board.find(name, os.O_RDONLY, lambda number: True) is None


def test_a_child_does_not_wait_for_a_lock_that_went_along_with_the_fork(board: Board) -> None:
    board._thread.acquire()
    board._renew()
    with board.locked():
        pass


@pytest.mark.usefixtures("board")
@pytest.mark.parametrize("memory", [1 << 40, 1])
def test_answers_are_the_same_without_any_map(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, memory: int
) -> None:
    making.save_small(tmp_path / "a")
    with monkeypatch.context() as patched:
        patched.setattr(memfile, "_maps", True)
        with open_artifact(tmp_path / "a") as artifact:
            expected = repr(making.answers(artifact))
    monkeypatch.setattr(reader, "available_memory", lambda: memory)
    with open_artifact(tmp_path / "a") as artifact:
        assert expected == repr(making.answers(artifact))
        with pytest.raises(IndexError):
            artifact.index.rows.take(np.array([artifact.index.n_samples]))
        artifact.index.rows.slice(0, 10)


def test_a_file_that_somebody_goes_on_writing_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    making.save_small(tmp_path / "a")
    with open_artifact(tmp_path / "a") as artifact:
        rows = artifact.index.rows
        monkeypatch.setattr(rows, "_has_changed", lambda marks: True)
        asks: list[Callable[[], Any]] = [lambda: rows.take(np.array([3])), lambda: rows.slice(0, 5)]
        for ask in asks:
            with pytest.raises(ArtifactError) as refused:
                ask()
            assert "somebody is writing" in str(refused.value)


def test_the_memory_of_a_container_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "unbounded").write_text("max\n")
    (tmp_path / "bounded").write_text("4096\n")
    machine = memfile.available_memory()
    monkeypatch.setattr(memfile, "_BOUNDS", (tmp_path / "unbounded", tmp_path / "none"))
    assert memfile.available_memory() >= machine
    monkeypatch.setattr(memfile, "_BOUNDS", (tmp_path / "unbounded", tmp_path / "bounded"))
    assert memfile.available_memory() == 4096


def test_a_system_without_files_in_memory_shares_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "memfd_create")
    monkeypatch.setattr(memfile, "_board", None)
    monkeypatch.setattr(memfile, "_maps", True)
    memfile.is_possible.cache_clear()
    try:
        assert not memfile.is_possible()
        memfile.never_map()
        assert memfile._board is None
    finally:
        memfile.is_possible.cache_clear()
