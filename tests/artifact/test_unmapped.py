"""Artifacts that are not mapped: nothing that happens to their files reaches an answer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from kneighbors import load
from kneighbors.artifact import Artifact, memfile, open_artifact, reader, save
from kneighbors.artifact.rows import CheckedRows
from kneighbors.errors import ArtifactError
from support import artifact_making as making
from support.whole_artifact import everything, save_whole, staged

pytestmark = pytest.mark.skipif(not memfile.is_possible(), reason="no sealed files in memory here")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("faiss")
    path = tmp_path_factory.mktemp("whole") / "a"
    save_whole(path)
    return path


def vectors_of(artifact: Artifact) -> CheckedRows:
    rows = artifact.index.rows
    assert isinstance(rows, CheckedRows)
    return rows


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """An artifact whose vectors have several blocks, and of which few are read."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kneighbors.artifact.writer.BLOCK_BYTES", 4096)
        save(tmp_path / "a", staged())
    return tmp_path / "a"


def test_answers_are_those_of_mapped_files(whole: Path) -> None:
    with open_artifact(whole) as mapped, open_artifact(whole, mapped=False) as copied:
        assert (True, False) == (mapped.is_mapped, copied.is_mapped)
        assert everything(mapped) == everything(copied)


@pytest.mark.parametrize("way", ["cut", "overwritten", "removed"])
def test_what_happens_to_the_files_afterwards_changes_no_answer(whole: Path, way: str) -> None:
    files = making.contents(whole)
    with open_artifact(whole, mapped=False) as artifact:
        expected = everything(artifact)
        try:
            for name, data in files.items():
                if way == "removed":
                    (whole / name).unlink()
                else:
                    (whole / name).write_bytes(b"" if way == "cut" else b"\x55" * len(data))
            # The whole corpus was read by slices before, and so is in memory.
            assert expected == everything(artifact)
        finally:
            for name, data in files.items():
                (whole / name).write_bytes(data)


@pytest.mark.parametrize("mapped", [True, False])
@pytest.mark.parametrize("way", ["cut", "overwritten"])
def test_a_row_that_changed_after_its_check_is_refused(path: Path, mapped: bool, way: str) -> None:
    with open_artifact(path, mapped=mapped) as artifact:
        rows = vectors_of(artifact)
        rows.check(0, 400)
        rows.take(np.array([300]))
        with (path / "vectors.npy").open("r+b") as file:
            file.seek(128 + 300 * 24 * 4)
            if way == "cut":
                file.truncate()
            else:
                file.write(b"\x55")
        with pytest.raises(ArtifactError) as caught:
            rows.take(np.array([300]))
        assert "artifact-damaged" == caught.value.code
        with pytest.raises(ArtifactError):
            rows.check(290, 310)
        assert making.corpus(400, 24)[:1].tobytes() == rows.take(np.array([0])).tobytes()


def test_a_file_that_was_only_touched_is_still_right(path: Path) -> None:
    with open_artifact(path, mapped=False) as artifact:
        rows = vectors_of(artifact)
        rows.check(0, 400)
        expected = making.corpus(400, 24)[[7, 399]].tobytes()
        os.utime(path / "vectors.npy", (1, 1))
        assert expected == rows.take(np.array([7, 399])).tobytes()
        assert 1 < rows.n_blocks_checked < 10
        with (path / "vectors.npy").open("r+b") as file:
            file.write((path / "vectors.npy").read_bytes())
        assert expected == rows.take(np.array([7, 399])).tobytes()


def test_slices_are_read_where_there_is_no_room_for_a_copy(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "_growing", lambda *arguments: None)
    with open_artifact(path, mapped=False) as artifact:
        rows = vectors_of(artifact)
        assert making.corpus(400, 24)[5:300].tobytes() == rows.slice(5, 300).tobytes()
        assert (0, 24) == rows.slice(9, 9).shape
        os.truncate(path / "vectors.npy", 20_000)
        with pytest.raises(ArtifactError):
            rows.slice(5, 300)


def test_damage_is_found_before_it_is_copied(path: Path) -> None:
    with open_artifact(path, mapped=False) as artifact:
        with (path / "vectors.npy").open("r+b") as file:
            file.seek(20_000)
            file.write(b"\x55")
        with pytest.raises(ArtifactError, match="16384 to 20480"):
            vectors_of(artifact).slice(0, 400)


def test_what_would_take_half_of_the_memory_is_mapped(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "available_memory", lambda: 10_000)
    with open_artifact(path, mapped=False) as artifact:
        assert artifact.is_mapped


def test_an_estimator_can_be_loaded_so_that_nothing_is_mapped(path: Path) -> None:
    estimator = load(path, mapped=False)
    (path / "head.npy").write_bytes(b"")
    distances, indices = estimator.kneighbors(making.corpus(400, 24)[3:4], 1)
    assert 3 == indices[0, 0]
    assert abs(float(distances[0, 0])) < 1e-7


#: Two processes of one family open an artifact; each tells the files in memory that it has mapped.
_FAMILY = """
import json, os, signal, sys
from kneighbors.artifact import open_artifact
from kneighbors.artifact.memfile import never_map
never_map()

def child():
    artifact = open_artifact(sys.argv[1])
    artifact.index.kneighbors(artifact.index.rows.slice(0, 4).copy(), 2)
    lines = [line.split() for line in open("/proc/self/maps") if "memfd:kneighbors " in line]
    writeable = [line for line in lines if "w" in line[1]]
    return artifact, sorted({line[4] for line in lines}), writeable

def forked():
    told, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        artifact, found, writeable = child()
        os.write(tell, json.dumps([found, len(writeable)]).encode() + b"\\n")
        signal.pause()
    return pid, json.loads(os.fdopen(told, "rb").readline())

family = [forked(), forked()]
print(json.dumps([said for pid, said in family]))
for pid, said in family:
    os.kill(pid, signal.SIGKILL)
"""


def test_processes_of_a_family_have_one_copy(path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _FAMILY, path], capture_output=True, text=True, check=True
    )
    one, other = json.loads(done.stdout)
    assert one == other
    assert (2, 0) == (len(one[0]), one[1])


def test_a_copy_can_be_cut_or_written_to_by_nobody(path: Path) -> None:
    with open_artifact(path, mapped=False):
        links = {
            file: file.readlink().name for file in Path("/proc/self/fd").iterdir() if file.exists()
        }
        refused = set()
        for file in (file for file, name in links.items() if name == "memfd:kneighbors (deleted)"):
            with file.open("r+b", buffering=0) as opened:
                with pytest.raises(PermissionError):
                    os.ftruncate(opened.fileno(), 0)
                with suppress(PermissionError):
                    # The copy of the vectors grows; its first page is a label, read no more.
                    opened.write(b"x")
                    continue
                refused.add(file)
        assert refused
