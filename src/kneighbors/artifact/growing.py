"""The vectors copied into memory block by block, when queries read them one after the other.

Where that happens (the plain product: always, or for queries of which bounds rule out too few),
reading them from the file each time would take several times as long as the product. They are
copied once instead, each block when it is first read so, into memory that nobody can cut short, one
copy for all processes of a server. What was copied is not read from the file again.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kneighbors.artifact.memfile import PAGE, MemoryFile
from kneighbors.artifact.npy import Header, array_of


class GrowingCopy:
    """A copy of ``vectors.npy`` that grows.

    Parameters
    ----------
    digest : str
        Of the manifest.
    header : Header
        Of the file.
    length : int
        Of the file.
    block_bytes : int
        Of a block.

    Attributes
    ----------
    array : ndarray
        All vectors; of those in blocks that are not there yet, zeros. Not writeable.
    """

    def __init__(self, digest: str, header: Header, length: int, block_bytes: int) -> None:
        n_blocks = -(-length // block_bytes)
        # A mark for each block, then the file, each from a page on.
        self._begin = PAGE + -(-n_blocks // PAGE) * PAGE
        self._block_bytes = block_bytes
        self._is_whole = False
        self._file = MemoryFile.shared(f"vectors {digest}", self._begin + length)
        view = self._file.view
        self._marks: NDArray[np.uint8] = np.frombuffer(view, np.uint8, n_blocks, PAGE)
        self.array: NDArray[Any] = array_of(view[self._begin :], header)

    @property
    def is_whole(self) -> bool:
        """Whether all blocks are there."""
        self._is_whole = self._is_whole or bool(self._marks.all())
        return self._is_whole

    def missing(self, first: int, last: int) -> list[int]:
        """Return which blocks from `first` to `last` are not there yet; any process may put it."""
        found: list[int] = (np.flatnonzero(self._marks[first : last + 1] == 0) + first).tolist()
        return found

    def put(self, block: int, data: bytes) -> None:
        """Keep a block that was found right."""
        self._file.write(self._begin + block * self._block_bytes, data)
        # Afterwards, so that nobody reads what is being written.
        self._file.write(PAGE + block, b"\1")
