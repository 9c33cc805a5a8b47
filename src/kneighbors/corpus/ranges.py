"""Corpora of which some rows are read without the others: a task reads what it needs, no more.

Parquet is read by row groups and ``.npy`` by offsets. Of other kinds nobody knows where a row
begins before all rows above it were read; they are read once, into files without names.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from kneighbors.corpus.arrow_file import read_parquet
from kneighbors.corpus.corpus import Corpus
from kneighbors.corpus.labels import labels_of
from kneighbors.corpus.matrix import SpooledMatrix
from kneighbors.corpus.npy_file import map_npy, read_npy, rows_of_npy
from kneighbors.corpus.reader import read_corpus
from kneighbors.corpus.roles import Wanted
from kneighbors.corpus.sink import File, Sink
from kneighbors.corpus.sources import Source, as_file, find_sources
from kneighbors.errors import CorpusRefused
from kneighbors.search.progress import ignore
from kneighbors.search.rows import FloatArray
from kneighbors.storage import Address, open_store

_READERS = {"npy": read_npy, "parquet": read_parquet}


@dataclass(frozen=True, slots=True)
class Piece:
    """A file of a corpus, and where its rows are in all of it."""

    source: Source
    first: int
    stop: int


class RangedCorpus:
    """A corpus whose rows are read a range at a time.

    Parameters
    ----------
    address : str
        As of `kneighbors.corpus.read_corpus`.
    vector_column, id_column, columns
        As there.

    Attributes
    ----------
    shape : tuple of int
        Number of rows and of features.
    dtype : dtype
        Of all rows, from whichever file.
    sources : list of dict
        The files, with ``name``, ``rows`` and ``bytes``.

    Raises
    ------
    CorpusRefused, ArrayRefused, StorageError
        As `kneighbors.corpus.read_corpus`; ``corpus-order`` for a ``.npy`` in Fortran order.

    Notes
    -----
    Of Parquet and ``.npy``, a row of each file is read now. On S3, files are fetched whole when
    rows of them are wanted. Other kinds are read whole now, their vectors into a file.
    """

    def __init__(
        self,
        address: str,
        *,
        vector_column: str | None = None,
        id_column: str | None = None,
        columns: Sequence[str] | str | None = None,
    ) -> None:
        self._wanted = Wanted(vector_column, id_column, columns)
        parsed = Address.parse(address)
        self._store = open_store(parsed)
        found = find_sources(parsed, self._store)
        self._whole: Corpus | None = None
        self._mapped: FloatArray | None = None
        if any(source.kind not in _READERS for source in found):
            self._read_whole(address)
        else:
            self._look(found, parsed)

    def range(self, first: int, stop: int) -> Corpus:
        """Return some rows as a corpus of their own, the vectors in a file without a name."""
        if self._whole is not None:
            whole = self._whole
            return Corpus(
                whole.X[first:stop],
                None if whole.ids is None else whole.ids.slice(first, stop - first),
                None if whole.items is None else whole.items.slice(first, stop - first),
            )
        if self._mapped is not None:
            return Corpus(self._mapped[first:stop])
        sink = self._sink()
        for piece in self._pieces:
            begin, end = max(first, piece.first), min(stop, piece.stop)
            if begin < end:
                self._read(piece, (begin - piece.first, end - piece.first), sink)
        ids, items = labels_of(sink.batches, sink.rows_of_files, self._wanted, False)
        return Corpus(sink.matrix.finish(), ids, items)

    def _read_whole(self, address: str) -> None:
        wanted = self._wanted
        self._whole = read_corpus(
            address,
            vector_column=wanted.vector_column,
            id_column=wanted.id_column,
            columns=wanted.columns,
            spooled=True,
        )
        self.shape: tuple[int, int] = (self._whole.X.shape[0], self._whole.X.shape[1])
        self.dtype: np.dtype[Any] = self._whole.X.dtype
        self.sources = [
            {key: one[key] for key in ("name", "rows", "bytes")} for one in self._whole.sources
        ]

    def _look(self, found: Sequence[Source], address: Address) -> None:
        """Find how many rows each file has, and what they are."""
        self.dtype = np.dtype(np.float32)
        counts = []
        probe = Sink(None, ignore, 1)
        dtypes = []
        for source in found:
            with as_file(source, self._store, ignore, 0, 1) as file:
                counts.append(_count(file, source.kind))
                if counts[-1]:
                    one = Sink(None, ignore, 1)
                    for sink in (one, probe):
                        _READERS[source.kind](replace(file, rows=(0, 1)), self._wanted, sink)
                    dtypes.append(one.matrix.finish().dtype)
                if len(found) == 1 and source.kind == "npy" and address.scheme == "file":
                    self._mapped = map_npy(file, None)
        ends = np.concatenate([[0], np.cumsum(counts)]).tolist()
        if not ends[-1] or probe.n_features is None:
            raise CorpusRefused("corpus-empty", "Expected rows, got none.", where=address.shown)
        self.dtype = np.result_type(*dtypes)
        self.shape = (ends[-1], probe.n_features)
        self._pieces = [
            Piece(source, *span) for source, span in zip(found, pairwise(ends), strict=True)
        ]
        self.sources = [
            {
                "name": one.source.address.shown,
                "rows": one.stop - one.first,
                "bytes": one.source.size_bytes,
            }
            for one in self._pieces
        ]

    def _sink(self) -> Sink:
        return Sink(self.dtype, ignore, 1, SpooledMatrix(self.dtype))

    def _read(self, piece: Piece, rows: tuple[int, int], sink: Sink) -> None:
        with as_file(piece.source, self._store, ignore, 0, 1) as file:
            _READERS[piece.source.kind](replace(file, rows=rows), self._wanted, sink)


def _count(file: File, kind: str) -> int:
    if kind == "npy":
        return rows_of_npy(file)
    from kneighbors.corpus.arrow_file import rows_of_parquet

    return rows_of_parquet(file)
