"""Bitmaps of predicates, kept as long as there is room for them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kneighbors.items.buffers import BoolArray

#: One bit a row, eight to a byte, the first lowest; what lies behind the last row means nothing.
Bitmap = NDArray[np.uint8]

#: Bytes that a catalogue may keep: 2,900 predicates on 180,000 rows, or 50 on ten million.
MOST_BYTES = 1 << 26


class Bitmaps:
    """A cache of bitmaps that forgets those that were not used for longest.

    Parameters
    ----------
    most_bytes : int
        What the bitmaps and their keys may take together. One that is larger than all of it is not
        kept.

    Notes
    -----
    May be used by threads. Two of them may compute the same bitmap at once: that costs time, and
    the bitmaps are the same.
    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most = most_bytes
        self._kept: OrderedDict[Hashable, tuple[Bitmap, int]] = OrderedDict()
        self._bytes = 0
        self._lock = Lock()

    def get(self, key: Hashable, compute: Callable[[], BoolArray], key_bytes: int = 0) -> Bitmap:
        """Return the bitmap of a key, computed if it is not kept.

        Parameters
        ----------
        key : hashable
        compute : callable
            Returns the mask.
        key_bytes : int
            What the key takes, about.
        """
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key][0]
        bitmap = packed(compute())
        size = bitmap.nbytes + key_bytes
        with self._lock:
            if key not in self._kept and size <= self._most:
                self._kept[key] = bitmap, size
                self._bytes += size
                while self._bytes > self._most:
                    _, (_, gone) = self._kept.popitem(last=False)
                    self._bytes -= gone
        return bitmap

    def __len__(self) -> int:
        return len(self._kept)

    def __reduce__(self) -> tuple[Any, ...]:
        # A copy elsewhere begins empty: everything in here can be computed again.
        return Bitmaps, (self._most,)


def packed(mask: BoolArray) -> Bitmap:
    """Return a mask as a bitmap, which nobody changes."""
    bitmap = np.packbits(mask, bitorder="little")
    bitmap.flags.writeable = False
    return bitmap


def unpacked(bitmap: Bitmap, n_samples: int) -> BoolArray:
    """Return a bitmap as a mask, which nobody changes."""
    mask = np.unpackbits(bitmap, count=n_samples, bitorder="little").view(np.bool_)
    mask.flags.writeable = False
    return mask
