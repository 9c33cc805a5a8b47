"""From an address to a corpus."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kneighbors.corpus.arrow_file import read_arrow, read_parquet
from kneighbors.corpus.corpus import Corpus
from kneighbors.corpus.csv_file import read_csv
from kneighbors.corpus.labels import labels_of
from kneighbors.corpus.matrix import SpooledMatrix
from kneighbors.corpus.npy_file import map_npy, read_npy, refuse_column_names
from kneighbors.corpus.npz_file import read_npz
from kneighbors.corpus.roles import Wanted
from kneighbors.corpus.sink import File, Sink
from kneighbors.corpus.sources import as_file, find_sources
from kneighbors.errors import CorpusRefused, ParameterRefused
from kneighbors.search.progress import Progress, ignore
from kneighbors.storage import Address, open_store, translated

#: Reading such a file a second time, from the page cache, takes a quarter of a second.
_HASHED_BYTES = 256 << 20
_READERS: dict[str, Callable[[File, Wanted, Sink], None]] = {
    "npy": read_npy,
    "npz": read_npz,
    "csv": read_csv,
    "parquet": read_parquet,
    "arrow": read_arrow,
}


def read_corpus(
    address: str | os.PathLike[str] | Address,
    *,
    vector_column: str | None = None,
    id_column: str | None = None,
    columns: Sequence[str] | str | None = None,
    dtype: str | None = None,
    spooled: bool = False,
    progress: Progress | None = None,
) -> Corpus:
    r"""Read the vectors of a file or of all files of a directory, and what is written of them.

    Parameters
    ----------
    address : str, path or Address
        A path, ``file:///...`` or ``s3://bucket/key``: a file whose name ends in ``.npy``,
        ``.npz``, ``.csv``, ``.csv.gz``, ``.parquet`` or ``.arrow`` (and their usual variants), or
        a directory or prefix with files of one of these kinds, read in the order of their names.
    vector_column : str, optional
        The column, or member of an ``.npz``, that holds whole vectors. See
        `kneighbors.corpus.roles` for how it is found otherwise.
    id_column : str, optional
        The column of ids; ``id`` or ``ids`` if they can be ids, otherwise.
    columns : sequence of str, or str, optional
        The columns of one dimension each, in this order; as one text, the beginning that the names
        of numbered columns share, such as ``"dim_"``.
    dtype : {"float32", "float64"}, optional
        What the numbers become. If not given, what loses nothing: float32 stays, numbers in text
        and integers of more than 16 bits become float64.
    spooled : bool, default=False
        Put the vectors into a file without a name, in the directory for temporary files, rather
        than into memory.
    progress : callable, optional
        Called as ``progress(stage, done, total)`` in bytes of the files; the stages are
        ``"downloading"``, for S3, and ``"reading"``.

    Returns
    -------
    Corpus

    Raises
    ------
    CorpusRefused
        With a code that begins with ``corpus-``; the message names the file and, as far as there
        is one, the line or row and the column.
    ArrayRefused
        With code ``array-not-finite`` for NaN or infinity in text, or ``array-overflow``.
    ItemsRefused
        If `id_column` cannot be ids.
    StorageError
        If a file cannot be read.
    MissingExtra
        If the address is on S3 and obstore is not installed.

    Notes
    -----
    One local ``.npy`` file of native float32 or float64 in C order is not read at all but mapped.
    Otherwise the peak of memory is the matrix, the attributes, and about 100 MiB. A file on S3 is
    first copied to the directory for temporary files, one file at a time, and removed.

    Examples
    --------
    >>> from kneighbors.corpus import read_corpus
    >>> path = getfixture("tmp_path") / "wines.csv"
    >>> _ = path.write_text("id,name,d0,d1\nw1,Chablis,0.5,1\nw2,Barolo,-2,0.25\n")
    >>> corpus = read_corpus(path)
    >>> corpus.X
    array([[ 0.5 ,  1.  ],
           [-2.  ,  0.25]])
    >>> corpus.ids.to_pylist(), corpus.items.to_pylist()
    (['w1', 'w2'], [{'name': 'Chablis'}, {'name': 'Barolo'}])
    """
    wanted = Wanted(vector_column, id_column, columns)
    kept = _dtype(dtype)
    parsed = Address.parse(address)
    store = open_store(parsed)
    sources = find_sources(parsed, store)
    report = progress or ignore
    total = sum(source.size_bytes for source in sources)
    if len(sources) == 1 and sources[0].kind == "npy" and parsed.scheme == "file":
        with as_file(sources[0], store, report, 0, total) as file:
            mapped = _mapped(file, wanted, kept, report)
        if mapped is not None:
            return mapped
    sink = Sink(kept, report, total, SpooledMatrix(kept) if spooled else None)
    described = []
    before = 0
    for source in sources:
        with as_file(source, store, report, before, total) as file:
            _READERS[source.kind](file, wanted, sink)
            described.append(_described(file, sink.rows_of_files[-1]))
        before += source.size_bytes
    if sink.matrix.n_rows == 0:
        raise CorpusRefused("corpus-empty", "Expected rows, got none.", where=parsed.shown)
    is_text = sources[0].kind == "csv"
    ids, items = labels_of(sink.batches, sink.rows_of_files, wanted, is_text)
    sink.batches.clear()
    return Corpus(sink.matrix.finish(), ids, items, described)


def _mapped(
    file: File, wanted: Wanted, dtype: np.dtype[Any] | None, progress: Progress
) -> Corpus | None:
    refuse_column_names(wanted, file.shown)
    X = map_npy(file, dtype)
    if X is None:
        return None
    progress("reading", file.size_bytes, file.size_bytes)
    return Corpus(X, sources=[_described(file, len(X))])


def _described(file: File, rows: int) -> dict[str, Any]:
    sha256 = None
    if file.size_bytes <= _HASHED_BYTES:
        with translated(file.shown), file.path.open("rb") as data:
            sha256 = hashlib.file_digest(data, "sha256").hexdigest()
    return {"name": file.shown, "rows": rows, "bytes": file.size_bytes, "sha256": sha256}


def _dtype(name: str | None) -> np.dtype[Any] | None:
    if name is None:
        return None
    if name not in ("float32", "float64"):
        raise ParameterRefused(
            "corpus-dtype", f"Expected dtype to be 'float32' or 'float64', got {name!r}."
        )
    return np.dtype(name)
