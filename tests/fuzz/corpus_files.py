"""Small files of every kind that a corpus can be read from, to be damaged."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import parquet

_CSV = b"id,d0,d1\na,1,2\nb,3,4\n"


def _npy(X: NDArray[Any]) -> bytes:
    file = io.BytesIO()
    np.save(file, X)
    return file.getvalue()


def _npz(write: Callable[..., None], **members: Any) -> bytes:
    file = io.BytesIO()
    write(file, **members)
    return file.getvalue()


def _parquet(table: pa.Table, **options: Any) -> bytes:
    file = io.BytesIO()
    parquet.write_table(table, file, **options)
    return file.getvalue()


def _arrow(table: pa.Table, new: Callable[..., Any], **options: Any) -> bytes:
    file = io.BytesIO()
    with new(file, table.schema, **options) as writer:
        writer.write_table(table)
    return file.getvalue()


@cache
def files() -> dict[str, tuple[bytes, ...]]:
    """Return good files by the ends of their names."""
    X = np.random.default_rng(0).standard_normal((6, 4)).round(2)
    ids = [f"a{row}" for row in range(6)]
    fixed = pa.FixedSizeListArray.from_arrays(pa.array(X.ravel()), 4)
    lists = pa.table({"id": ids, "v": fixed, "n": pa.array([1, None, 3, 4, 5, 6])})
    columns = pa.table({f"d{number}": X[:, number] for number in range(4)})
    texts = pa.array(list("aabbcc")).dictionary_encode()
    ragged = pa.table({"v": X.tolist(), "s": texts})
    squeezed = pa.ipc.IpcWriteOptions(compression="lz4")
    return {
        ".npy": (_npy(X), _npy(X.astype(np.float32)), _npy(np.asfortranarray(X))),
        ".npz": (
            _npz(np.savez, X=X, ids=np.array(ids)),
            _npz(np.savez_compressed, vectors=X, n=np.arange(6)),
        ),
        ".csv": (_CSV, b'id,name,v\n1,"x, y","[1, 2]"\n2,z,"[3, 4]"\n', b"1,2\n3,4\n"),
        ".csv.gz": (gzip.compress(_CSV, mtime=0),),
        ".parquet": (_parquet(lists), _parquet(columns, compression="none"), _parquet(ragged)),
        ".arrow": (
            _arrow(lists, pa.ipc.new_file),
            _arrow(columns, pa.ipc.new_stream),
            _arrow(ragged, pa.ipc.new_file, options=squeezed),
        ),
    }
