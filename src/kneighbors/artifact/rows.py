"""The vectors of an artifact, checked block by block when they are first touched.

What this guards against, and what not: a block is read from the file, hashed, and compared with the
checksum that was saved; only then is a row of it given away. So damage from before the first touch,
on disk or on the way, is found before any answer is computed from it. A block is checked once for
each process. Whoever writes into the file afterwards changes what is read later and is not noticed;
`kneighbors.artifact.save` never writes into a file that somebody may have open. Shortening the file
in place is noticed where rows are read, and kills the process (SIGBUS) where they are mapped, as
with every mapped file.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kneighbors.artifact.directory import OpenFile, damaged
from kneighbors.artifact.npy import Header
from kneighbors.search.rows import FloatArray, RowArray

#: What the system maps around an address that is touched. Reading a row takes 0.55 us and copying
#: it from the map 0.12, but what was touched counts as memory of the process: rows here and there
#: would make that the whole corpus after a thousand queries. So rows are read, unless there are as
#: many as the file has pieces of this size: of a small file, or nearly all of a large one.
_MAPPED_AROUND = 1 << 16


class CheckedRows:
    """Rows of a ``vectors.npy`` that implement `kneighbors.search.rows.Rows`.

    Parameters
    ----------
    file : OpenFile
        The opened file.
    header : Header
        What its header says: two dimensions, ``<f4`` or ``<f8``.
    checksums : ndarray of shape (n_blocks, 32), dtype uint8
        SHA-256 of each block of the file, the last one being shorter.
    block_bytes : int
        Length of a block; blocks begin at the start of the file, header included.

    Raises
    ------
    ArtifactError
        ``artifact-damaged`` at once when the header's own block is damaged, and later from `take`
        and `slice`, naming the bytes.

    Notes
    -----
    Threads may share one. Two that touch the same block at once may both check it, which costs
    time only: a block is marked after it was found right, and marks are never taken back.
    """

    def __init__(
        self, file: OpenFile, header: Header, checksums: NDArray[np.uint8], block_bytes: int
    ) -> None:
        self._file = file
        self._offset = header.offset
        self._array: FloatArray = file.map_array(header)
        self._row_bytes = self._array.shape[1] * self._array.itemsize
        self._checksums = checksums
        self._block_bytes = block_bytes
        self._checked = np.zeros(len(checksums), dtype=np.bool_)
        self._all_checked = False
        # The shape and the dtype are answers as well.
        self._check_block(0)

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows and of features."""
        return self._array.shape[0], self._array.shape[1]

    @property
    def dtype(self) -> np.dtype[np.floating[Any]]:
        """Type of the elements."""
        return self._array.dtype

    @property
    def n_blocks_checked(self) -> int:
        """How many blocks have been found right so far."""
        return int(np.count_nonzero(self._checked))

    def take(self, rows: RowArray) -> FloatArray:
        """Return copies of the given rows, having checked every block that they touch.

        Takes about 0.6 us a row, and the first time 45 us for each block of 64 KiB.
        """
        rows = np.asarray(rows, dtype=np.int64)
        if rows.size and not 0 <= int(rows.min()) <= int(rows.max()) < len(self._array):
            raise IndexError(f"Expected rows from 0 to {len(self._array) - 1}.")
        if not self._all_checked:
            self._check_rows(rows)
        if len(rows) * _MAPPED_AROUND >= self._file.bytes:
            return np.asarray(self._array[rows])
        offsets = (self._offset + rows * self._row_bytes).tolist()
        data = self._file.read_each(offsets, self._row_bytes)
        # A bytearray, because rows are copies and a copy may be written to.
        return np.frombuffer(bytearray(data), self.dtype).reshape(-1, self.shape[1])

    def slice(self, start: int, stop: int) -> FloatArray:
        """Return mapped rows ``start`` to ``stop``, having checked every block that they touch."""
        start, stop, _ = slice(start, stop).indices(len(self._array))
        if not self._all_checked and start < stop:
            first = (self._offset + start * self._row_bytes) // self._block_bytes
            last = (self._offset + stop * self._row_bytes - 1) // self._block_bytes
            (missing,) = np.nonzero(~self._checked[first : last + 1])
            self._check_blocks(missing + first)
        return self._array[start:stop]

    def _check_rows(self, rows: RowArray) -> None:
        starts = self._offset + rows * self._row_bytes
        first = starts // self._block_bytes
        last = (starts + (self._row_bytes - 1)) // self._block_bytes
        # A row may be longer than a block, so all blocks between its ends are looked at.
        span = int((last - first).max()) if rows.size else 0
        for step in range(span + 1):
            blocks = np.minimum(first + step, last)
            missing = blocks[~self._checked[blocks]]
            if missing.size:
                self._check_blocks(np.unique(missing))

    def _check_blocks(self, blocks: NDArray[np.int64]) -> None:
        for block in blocks.tolist():
            self._check_block(block)
        if blocks.size and self._checked.all():
            self._all_checked = True

    def _check_block(self, block: int) -> None:
        start = block * self._block_bytes
        stop = min(start + self._block_bytes, self._file.bytes)
        # Read, not mapped: a checked block need not become memory of this process.
        if sha256(self._file.read(start, stop - start)).digest() != bytes(self._checksums[block]):
            raise damaged(self._file.where, start, stop, "the checksum of the block differs")
        self._checked[block] = True
