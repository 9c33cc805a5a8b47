"""Where readers put what they read, and where files that do not fit together are noticed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kneighbors.corpus.matrix import Matrix, float_type, write
from kneighbors.corpus.roles import Roles
from kneighbors.errors import CorpusRefused
from kneighbors.search.progress import Progress
from kneighbors.search.rows import FloatArray

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class File:
    """A file of this machine that is about to be read.

    Attributes
    ----------
    path : Path
        Where its bytes are, for now.
    shown : str
        What messages call it: its path, or its address on S3.
    size_bytes : int
        Its length.
    is_compressed : bool
        Whether gzip is around it.
    rows : tuple of (int, int), optional
        The first row that is wanted, and the one after the last; all rows by default. Of
        ``.npy`` and Parquet only.
    """

    path: Path
    shown: str
    size_bytes: int
    is_compressed: bool = False
    rows: tuple[int, int] | None = None


class Sink:
    """The rows of all files, one after another.

    Parameters
    ----------
    dtype : dtype, optional
        What all numbers become.
    progress : callable
        Called as ``progress("reading", done, total)`` in bytes of the files.
    total_bytes : int
        Their lengths, all together.
    matrix : Matrix, optional
        What the rows are written into; by default one in memory.
    """

    def __init__(
        self,
        dtype: np.dtype[Any] | None,
        progress: Progress,
        total_bytes: int,
        matrix: Matrix | None = None,
    ) -> None:
        self.matrix = matrix or Matrix(dtype)
        self.batches: list[pa.Table] = []
        self.rows_of_files: list[int] = []
        self._progress = progress
        self._total_bytes = total_bytes
        self._done_bytes = 0
        self._file: File | None = None
        self._first: tuple[File, frozenset[str], Roles] | None = None
        self._width_from: File | None = None
        self._first_row = 0

    @property
    def n_features(self) -> int | None:
        """Width of all rows; None until a file has decided it."""
        return self.matrix.n_features

    @property
    def row(self) -> int:
        """Number of the next row in the file that is being read."""
        return self.matrix.n_rows - self._first_row

    def demand_columns(self, file: File, names: Sequence[str]) -> None:
        """Refuse a file whose columns are not those of the first file.

        Raises
        ------
        CorpusRefused
            With code ``corpus-schema``.
        """
        if self._first is None:
            return
        first, first_names, _ = self._first
        odd = sorted(first_names ^ set(names))
        if odd:
            raise CorpusRefused(
                "corpus-schema",
                f"Expected the columns of {first.shown}; only one of the two files has "
                f"{', '.join(map(ascii, odd[:5]))}{', ...' if len(odd) > 5 else ''}.",
                where=file.shown,
            )

    def begin(self, file: File, names: Sequence[str] = (), roles: Roles | None = None) -> None:
        """Start a file; `roles` is None if it has no columns.

        Raises
        ------
        CorpusRefused
            With code ``corpus-schema`` if its columns are not those of the first file, or the
            vector is in others of them.
        """
        self._file = file
        self._first_row = self.matrix.n_rows
        if roles is None:
            return
        if self._first is None:
            self._first = file, frozenset(names), roles
        self.demand_columns(file, names)
        first, _, expected = self._first
        if (roles.vector, roles.dimensions) != (expected.vector, expected.dimensions):
            raise CorpusRefused(
                "corpus-schema",
                f"Expected the vector in the same columns as in {first.shown}, got it in others.",
                where=file.shown,
                hint="Name them with vector_column or columns.",
            )

    def expect(self, rows: int, width: int) -> None:
        """Say how many rows come next, and how wide they are.

        Raises
        ------
        CorpusRefused
            With code ``corpus-width`` if earlier files have another width.
        """
        self._check_width(width)
        self.matrix.expect(rows)

    def add(self, vectors: NDArray[Any], items: pa.Table | None = None) -> None:
        """Add rows, and what else is known about each.

        Raises
        ------
        CorpusRefused
            With code ``corpus-width`` if earlier files have another width.
        """
        self._check_width(vectors.shape[1])
        self.matrix.add(vectors, self._now.shown)
        if items is not None:
            self.batches.append(items)

    def room(self, rows: int, width: int, dtype: np.dtype[Any]) -> FloatArray:
        """Return a view of `rows` rows to be filled with `fill`."""
        self.expect(rows, width)
        kept = float_type(dtype)
        if kept is None:
            raise AssertionError("readers refuse what are no numbers")
        return self.matrix.room(rows, kept)

    def fill(self, view: FloatArray, numbers: NDArray[Any]) -> None:
        """Write numbers into a part of what `room` returned."""
        write(view, numbers, self._now.shown)

    def advance(self, done_bytes: int) -> None:
        """Say how far the file is."""
        file = self._now
        self._progress(
            "reading", self._done_bytes + min(done_bytes, file.size_bytes), self._total_bytes
        )

    def end(self) -> None:
        """End the file."""
        file = self._now
        self._done_bytes += file.size_bytes
        self._progress("reading", self._done_bytes, self._total_bytes)
        self.rows_of_files.append(self.matrix.n_rows - self._first_row)
        self._file = None

    @property
    def _now(self) -> File:
        if self._file is None:
            raise AssertionError("a file is begun first")
        return self._file

    def _check_width(self, width: int) -> None:
        if self.matrix.n_features is None:
            self.matrix.n_features = width
            self._width_from = self._now
        elif width != self.matrix.n_features and self._width_from is not None:
            raise CorpusRefused(
                "corpus-width",
                f"Expected vectors of {self.matrix.n_features} dimensions as in "
                f"{self._width_from.shown}, got {width}.",
                where=self._now.shown,
            )
