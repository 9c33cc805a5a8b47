"""Checked rows: numpy's rows, of blocks that were checked before."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kneighbors.artifact import npy
from kneighbors.artifact.directory import Directory
from kneighbors.artifact.partfile import PartFile
from kneighbors.artifact.rows import CheckedRows
from kneighbors.errors import ArtifactError
from support import artifact_making as making


def write(path: Path, X: Any, block_bytes: int) -> Any:
    directory = Directory(path)
    file = PartFile(directory.number, "vectors.npy", block_bytes)
    code = npy.dtype_code(X.dtype)
    file.write(npy.build_header(code, X.shape))
    file.write(X.data)
    file.close()
    return np.frombuffer(file.checksums, np.uint8).reshape(-1, 32)


def rows_of(path: Path, X: Any, block_bytes: int = 4096) -> CheckedRows:
    return opened(path, write(path, X, block_bytes), block_bytes)


def opened(path: Path, checksums: Any, block_bytes: int = 4096) -> CheckedRows:
    file = Directory(path).open("vectors.npy")
    return CheckedRows(file, file.header(), checksums, block_bytes)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(1, 1), (1000, 3), (500, 16), (300, 300), (20, 5000)], ids=str)
def test_rows_are_those_of_numpy(tmp_path: Path, shape: tuple[int, int], dtype: str) -> None:
    X = making.corpus(*shape, dtype)
    rows = rows_of(tmp_path, X)
    assert rows.shape == shape
    assert rows.dtype.name == dtype
    random = np.random.default_rng(0)
    for count in (0, 1, 2, 17, 400):
        wanted = random.integers(0, shape[0], count)
        found = rows.take(wanted)
        np.testing.assert_array_equal(found, X[wanted])
        assert found.flags.writeable
        assert found.flags.c_contiguous
    for _ in range(20):
        start, stop = sorted(random.integers(0, shape[0] + 1, 2).tolist())
        found = rows.slice(start, stop)
        np.testing.assert_array_equal(found, X[start:stop])
        assert not found.flags.writeable
    np.testing.assert_array_equal(rows.slice(0, shape[0] + 5), X)


@pytest.mark.parametrize("block_bytes", [4096, 8192, 65536])
@pytest.mark.parametrize("shape", [(1000, 7), (64, 16), (3, 3000), (962, 2)], ids=str)
def test_every_byte_is_under_a_checksum(
    tmp_path: Path, shape: tuple[int, int], block_bytes: int
) -> None:
    X = making.corpus(*shape)
    checksums = write(tmp_path, X, block_bytes)
    data = (tmp_path / "vectors.npy").read_bytes()
    assert len(checksums) == -(-len(data) // block_bytes)
    for place in {*range(128, len(data), len(data) // 25), 0, 127, len(data) - 1}:
        damaged = bytearray(data)
        damaged[place] ^= 0x10
        (tmp_path / "vectors.npy").write_bytes(damaged)
        row = (place - 128) // (shape[1] * 4)
        with pytest.raises(ArtifactError) as caught:
            opened(tmp_path, checksums, block_bytes).take(np.array([max(row, 0)]))
        if place >= 128:
            assert caught.value.code == "artifact-damaged"
            start = place // block_bytes * block_bytes
            stop = min(start + block_bytes, len(data))
            assert f"vectors.npy, bytes {start} to {stop}" in str(caught.value)
            with pytest.raises(ArtifactError, match=f"bytes {start} to {stop}"):
                opened(tmp_path, checksums, block_bytes).slice(row, row + 1)


def test_only_touched_blocks_are_checked_and_each_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = rows_of(tmp_path, making.corpus(4096, 16))  # 64 rows to a block, 65 blocks
    checked: list[int] = []
    compare = CheckedRows._compare

    def watched(self: CheckedRows, block: int, data: bytes) -> None:
        checked.append(block)
        compare(self, block, data)

    monkeypatch.setattr(CheckedRows, "_compare", watched)
    rows.take(np.array([100, 100, 101, 4000]))
    assert checked == [1, 62]
    rows.take(np.array([100, 4000]))
    rows.slice(100, 101)
    assert checked == [1, 62]
    # The header of 128 bytes shifts the rows by two.
    rows.slice(62, 126)
    rows.take(np.array([0, 61]))
    assert checked == [1, 62]
    rows.slice(189, 191)
    assert checked == [1, 62, 2, 3]
    assert rows.n_blocks_checked == 5
    rows.slice(0, 4096)
    assert sorted(checked) == list(range(1, 65))
    assert rows.n_blocks_checked == 65
    rows.slice(0, 4096)
    rows.take(np.arange(4096))
    assert len(checked) == 64


def test_a_damaged_block_stays_refused_and_others_answer(tmp_path: Path) -> None:
    X = making.corpus(4096, 16)
    checksums = write(tmp_path, X, 4096)
    with (tmp_path / "vectors.npy").open("r+b") as file:
        file.seek(5 * 4096 + 17)
        file.write(b"\x55")
    rows = opened(tmp_path, checksums)
    for _ in range(3):
        with pytest.raises(ArtifactError, match="bytes 20480 to 24576"):
            rows.take(np.array([0, 5 * 64]))
        with pytest.raises(ArtifactError, match="bytes 20480 to 24576"):
            rows.slice(0, 4096)
    np.testing.assert_array_equal(rows.take(np.array([1000])), X[1000:1001])


@pytest.mark.parametrize("wrong", [[-1], [100], [0, 10**12], [-(2**63)]])
def test_rows_that_are_not_there_are_refused(tmp_path: Path, wrong: list[int]) -> None:
    rows = rows_of(tmp_path, making.corpus(100, 4))
    with pytest.raises(IndexError, match="from 0 to 99"):
        rows.take(np.array(wrong))


def test_a_file_cut_while_it_is_open_is_refused_not_answered(tmp_path: Path) -> None:
    # 80 rows of 64 KiB windows: few rows are read, not mapped.
    X = making.corpus(6000, 256)
    rows = rows_of(tmp_path, X, 65536)
    np.testing.assert_array_equal(rows.take(np.array([5999])), X[5999:])
    with (tmp_path / "vectors.npy").open("r+b") as file:
        file.truncate(4096)
    with pytest.raises(ArtifactError, match="the file ends before"):
        rows.take(np.array([5999]))
    with pytest.raises(ArtifactError, match="the file ends before"):
        rows.take(np.array([3000]))


def test_threads_get_right_rows_and_the_damage(tmp_path: Path) -> None:
    X = making.corpus(4096, 16)
    checksums = write(tmp_path, X, 4096)
    with (tmp_path / "vectors.npy").open("r+b") as file:
        file.seek(40 * 4096)
        file.write(b"\x55\x55")
    rows = opened(tmp_path, checksums)
    found: list[str] = []

    def work(seed: int) -> None:
        random = np.random.default_rng(seed)
        for _ in range(200):
            wanted = random.integers(0, 4096, 8)
            hit = bool(((wanted * 64 + 128 + 63) // 4096 == 40).any()) or bool(
                ((wanted * 64 + 128) // 4096 == 40).any()
            )
            try:
                right = np.array_equal(rows.take(wanted), X[wanted])
                found.append("right" if right and not hit else "wrong")
            except ArtifactError:
                found.append("refused" if hit else "wrong")

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 1600
    assert set(found) == {"right", "refused"}
