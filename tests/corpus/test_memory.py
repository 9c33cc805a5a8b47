"""What reading costs in memory, measured by the system, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import feather, parquet

_ROWS, _WIDTH = 60_000, 400
_PROGRAM = """
import json, pathlib, re, resource, sys
from kneighbors.corpus import read_corpus

def peak():
    status = pathlib.Path("/proc/self/status")
    if status.exists():
        # getrusage would begin with the peak of the process that started this one.
        return int(re.search(r"VmHWM:\\s+(\\d+) kB", status.read_text())[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

warm, path = sys.argv[1:]
read_corpus(warm)  # what is imported and started once is no cost of reading
before = peak()
X = read_corpus(path).X
print(json.dumps({"peak": peak() - before, "corpus": X.nbytes, "sum": float(X.sum())}))
"""


def _tile(rows: int) -> Any:
    """Return a matrix whose rows repeat, so that its text is quickly written."""
    few = np.random.default_rng(0).standard_normal((50, _WIDTH)).round(4).astype(np.float32)
    return np.tile(few, (rows // 50, 1))


def _text(path: Path, rows: int) -> None:
    few = _tile(50).astype(float).tolist()
    lines = "".join(f"{n},{','.join(map(repr, row))}\n" for n, row in enumerate(few))
    header = "id," + ",".join(f"d{n}" for n in range(_WIDTH)) + "\n"
    with path.open("w") as file:
        file.write(header)
        for _ in range(rows // 50):
            file.write(lines)


def _vectors(path: Path, rows: int) -> None:
    few = _tile(50).astype(float)
    lines = "".join(f'Wine {n},"{row}"\n' for n, row in enumerate(few))
    with path.open("w") as file:
        file.write("title,review_vector\n")
        for _ in range(rows // 50):
            file.write(lines)


def _table(rows: int) -> pa.Table:
    values = pa.array(_tile(rows).reshape(-1))
    return pa.table({"v": pa.FixedSizeListArray.from_arrays(values, _WIDTH)})


def _columns(rows: int) -> pa.Table:
    values = _tile(rows)
    return pa.table({f"d{n}": np.ascontiguousarray(values[:, n]) for n in range(_WIDTH)})


_WRITERS: dict[str, Any] = {
    "plain.csv": _text,
    "vectors.csv": _vectors,
    "lists.parquet": lambda path, rows: parquet.write_table(_table(rows), path),
    "columns.parquet": lambda path, rows: parquet.write_table(_columns(rows), path),
    "lists.feather": lambda path, rows: feather.write_feather(
        _table(rows), path, compression="uncompressed", chunksize=rows
    ),
    "fortran.npy": lambda path, rows: np.save(path, np.asfortranarray(_tile(rows))),
    "vectors.npz": lambda path, rows: np.savez(path, vectors=_tile(rows)),
}


@pytest.mark.parametrize("name", _WRITERS)
def test_reading_needs_less_than_twice_the_corpus(tmp_path: Path, name: str) -> None:
    suffix = name.partition(".")[2]
    # Text becomes float64, which is twice as large a corpus.
    rows = _ROWS // 2 if suffix == "csv" else _ROWS
    with np.printoptions(threshold=sys.maxsize, linewidth=10_000):
        _WRITERS[name](tmp_path / f"warm.{suffix}", 50)
        _WRITERS[name](tmp_path / name, rows)
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, tmp_path / f"warm.{suffix}", tmp_path / name],
        capture_output=True,
        text=True,
        check=True,
    )
    measured = json.loads(done.stdout)
    assert measured["corpus"] == 96_000_000
    assert measured["corpus"] // 2 < measured["peak"] < 2 * measured["corpus"]
    assert measured["sum"] == pytest.approx(float(_tile(rows).astype(float).sum()), rel=1e-3)
