"""The vectors of an artifact, checked block by block when they are first touched.

A block is read from the file, hashed, and compared with the checksum that was saved; only then is a
row of it given away. So damage from before the first touch, on disk or on the way, is found before
any answer is computed from it.

What happens to the file afterwards is noticed as well, wherever rows are read from it: after each
reading the file is asked for its length and its times, and if they are others than those of the
check, the blocks are checked anew. What is mapped is another matter. There a file that is cut short
kills the process (SIGBUS), and one that is written to changes what was given away already. A
process that must not die, a server, is therefore given rows that map nothing.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kneighbors.artifact.directory import OpenFile, damaged
from kneighbors.artifact.growing import GrowingCopy
from kneighbors.artifact.npy import Header
from kneighbors.search.rows import FloatArray, RowArray

#: What the system maps around an address that is touched. Reading a row takes 0.55 us and copying
#: it from the map 0.12, but what was touched counts as memory of the process: rows here and there
#: would make that the whole corpus after a thousand queries. So rows are read, unless there are as
#: many as the file has pieces of this size: of a small file, or nearly all of a large one.
_MAPPED_AROUND = 1 << 16

#: How often rows are read again because the file is being written to.
_ATTEMPTS = 5


class _Marks:
    """Which blocks have been found right since the file was last seen to change."""

    def __init__(self, state: tuple[int, int, int], n_blocks: int) -> None:
        self.state = state
        self.checked = np.zeros(n_blocks, dtype=np.bool_)
        self.all_checked = False


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
    mapped : bool, default True
        Whether the file is mapped.
    copy : GrowingCopy, optional
        Where slices are copied to when they are first asked for. Without it and without a map,
        everything is read from the file.
    copies_ahead : bool, default False
        Whether `check` copies as well, since slices will be asked for.

    Raises
    ------
    ArtifactError
        ``artifact-damaged`` at once when the header's own block is damaged, and later from `take`
        and `slice`, naming the bytes.

    Notes
    -----
    Threads may share one. Two that touch the same block at once may both check it, which costs
    time only: a block is marked after it was found right, and when the file has changed the marks
    are replaced, not taken back.
    """

    def __init__(
        self,
        file: OpenFile,
        header: Header,
        checksums: NDArray[np.uint8],
        block_bytes: int,
        *,
        mapped: bool = True,
        copy: GrowingCopy | None = None,
        copies_ahead: bool = False,
    ) -> None:
        self._file = file
        self._offset = header.offset
        self._shape = (header.shape[0], header.shape[1])
        self._dtype: np.dtype[Any] = np.dtype(header.dtype)
        self._row_bytes = self._shape[1] * self._dtype.itemsize
        self._checksums = checksums
        self._block_bytes = block_bytes
        self._copy = copy
        self._copies_ahead = copies_ahead
        self._mapped: FloatArray | None = file.map_array(header) if mapped else None
        self._marks = _Marks(file.state(), len(checksums))
        # The shape and the dtype are answers as well.
        self._check_block(0, self._marks)

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows and of features."""
        return self._shape

    @property
    def dtype(self) -> np.dtype[np.floating[Any]]:
        """Type of the elements."""
        return self._dtype

    @property
    def n_blocks_checked(self) -> int:
        """How many blocks have been found right so far."""
        return int(np.count_nonzero(self._marks.checked))

    def take(self, rows: RowArray) -> FloatArray:
        """Return copies of the given rows, having checked every block that they touch.

        Takes about 0.6 us a row, and the first time 45 us for each block of 64 KiB.
        """
        rows = np.asarray(rows, dtype=np.int64)
        if rows.size and not 0 <= int(rows.min()) <= int(rows.max()) < self._shape[0]:
            raise IndexError(f"Expected rows from 0 to {self._shape[0] - 1}.")
        if self._copy is not None and self._copy.is_whole:
            return np.asarray(self._copy.array[rows])
        for _ in range(_ATTEMPTS):
            marks = self._marks
            if not marks.all_checked:
                self._check_rows(rows, marks)
            found = self._gathered(rows)
            if not self._has_changed(marks):
                return found
        raise self._restless()

    def slice(self, start: int, stop: int) -> FloatArray:
        """Return rows ``start`` to ``stop``, having checked every block that they touch.

        They are a view of the map or of the copy, where there is one.
        """
        start, stop, _ = slice(start, stop).indices(self._shape[0])
        if self._copy is not None:
            self._copy_range(start, stop, self._copy)
            return self._copy.array[start:stop]
        for _ in range(_ATTEMPTS):
            marks = self._marks
            if not marks.all_checked:
                self._check_range(start, stop, marks)
            mapped = self._mapped
            found = self._read_slice(start, stop) if mapped is None else mapped[start:stop]
            if not self._has_changed(marks):
                return found
        raise self._restless()

    def check(self, start: int, stop: int) -> None:
        """Check every block that rows ``start`` to ``stop`` touch, at the cost of reading them."""
        start, stop, _ = slice(start, stop).indices(self._shape[0])
        if self._copy is not None and self._copies_ahead:
            self._copy_range(start, stop, self._copy)
            return
        self._has_changed(self._marks)
        self._check_range(start, stop, self._marks)

    def _gathered(self, rows: RowArray) -> FloatArray:
        if self._mapped is not None and len(rows) * _MAPPED_AROUND >= self._file.bytes:
            return np.asarray(self._mapped[rows])
        offsets = (self._offset + rows * self._row_bytes).tolist()
        data = self._file.read_each(offsets, self._row_bytes)
        # A bytearray, because rows are copies and a copy may be written to.
        return np.frombuffer(bytearray(data), self._dtype).reshape(-1, self._shape[1])

    def _read_slice(self, start: int, stop: int) -> FloatArray:
        out: FloatArray = np.empty((max(0, stop - start), self._shape[1]), self._dtype)
        self._file.read_into(self._offset + start * self._row_bytes, out)
        return out

    def _copy_range(self, start: int, stop: int, copy: GrowingCopy) -> None:
        for block in copy.missing(*self._blocks_of(start, stop)):
            marks = self._marks
            data = self._read_block(block)
            # What was found right is not hashed again, if the file is still what it was then.
            if not marks.checked[block] or self._has_changed(marks):
                self._compare(block, data)
            copy.put(block, data)

    def _has_changed(self, marks: _Marks) -> bool:
        """Tell whether the file is another than the marks are about; then forget them."""
        state = self._file.state()
        if state == marks.state:
            return False
        if self._marks is marks:
            self._marks = _Marks(state, len(self._checksums))
        return True

    def _restless(self) -> Exception:
        return damaged(self._file.where, 0, self._file.bytes, "somebody is writing to the file")

    def _blocks_of(self, start: int, stop: int) -> tuple[int, int]:
        """Return the first and the last block of some rows; of none, no block."""
        first = (self._offset + start * self._row_bytes) // self._block_bytes
        last = (self._offset + stop * self._row_bytes - 1) // self._block_bytes
        return first, last if start < stop else first - 1

    def _check_range(self, start: int, stop: int, marks: _Marks) -> None:
        first, last = self._blocks_of(start, stop)
        (missing,) = np.nonzero(~marks.checked[first : last + 1])
        self._check_blocks(missing + first, marks)

    def _check_rows(self, rows: RowArray, marks: _Marks) -> None:
        starts = self._offset + rows * self._row_bytes
        first = starts // self._block_bytes
        last = (starts + (self._row_bytes - 1)) // self._block_bytes
        # A row may be longer than a block, so all blocks between its ends are looked at.
        span = int((last - first).max()) if rows.size else 0
        for step in range(span + 1):
            blocks = np.minimum(first + step, last)
            missing = blocks[~marks.checked[blocks]]
            if missing.size:
                self._check_blocks(np.unique(missing), marks)

    def _check_blocks(self, blocks: NDArray[np.int64], marks: _Marks) -> None:
        for block in blocks.tolist():
            self._check_block(block, marks)
        if blocks.size and marks.checked.all():
            marks.all_checked = True

    def _check_block(self, block: int, marks: _Marks) -> None:
        # Read, not mapped: a checked block need not become memory of this process.
        self._compare(block, self._read_block(block))
        marks.checked[block] = True

    def _read_block(self, block: int) -> bytes:
        start = block * self._block_bytes
        return self._file.read(start, min(self._block_bytes, self._file.bytes - start))

    def _compare(self, block: int, data: bytes) -> None:
        if sha256(data).digest() != bytes(self._checksums[block]):
            start = block * self._block_bytes
            what = "the checksum of the block differs"
            raise damaged(self._file.where, start, start + len(data), what)
