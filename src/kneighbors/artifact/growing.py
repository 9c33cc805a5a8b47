"""The vectors copied into memory block by block, as they are found right.

Where queries read all vectors one after the other (the plain product), reading them from the file
each time would take three times as long as the product. They are copied once instead, each block
when it is first touched, into memory that nobody can cut short, one copy for all processes of a
server. What was copied is not read from the file again.
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
        self._file = MemoryFile.shared(f"vectors {digest}", self._begin + length)
        view = self._file.view
        self._marks: NDArray[np.uint8] = np.frombuffer(view, np.uint8, n_blocks, PAGE)
        self.array: NDArray[Any] = array_of(view[self._begin :], header)

    def has(self, block: int) -> bool:
        """Tell whether a block is there, whichever process put it there."""
        return bool(self._marks[block])

    def put(self, block: int, data: bytes) -> None:
        """Keep a block that was found right."""
        self._file.write(self._begin + block * self._block_bytes, data)
        # Afterwards, so that nobody reads what is being written.
        self._file.write(PAGE + block, b"\1")
