"""A table of slots that leads from a hash to its row in constant time, and may be memory-mapped.

Open addressing with linear probing (Knuth, The Art of Computer Programming 3, 6.4, algorithm L): a
hash has its home in the slot that its first bits name, and lies there or in one of the slots that
follow, before the first empty one. At most two of three slots are full, so about two are looked at,
whatever the number of rows.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_EMPTY = -1


def build_slots(hashes: NDArray[np.uint64], rows: NDArray[np.int64]) -> NDArray[Any]:
    """Return the table of some rows.

    Parameters
    ----------
    hashes : ndarray of shape (n,), dtype uint64
        In increasing order.
    rows : ndarray of shape (n,), dtype int64
        The row that each belongs to.

    Returns
    -------
    ndarray of shape (2**bits + more,), dtype int32 or int64
        A row or -1 in each slot; the last one is empty. Takes O(n).
    """
    n = len(hashes)
    bits = max(1, (3 * n // 2).bit_length())
    numbers = np.arange(n, dtype=np.int64)
    homes = (hashes >> np.uint64(64 - bits)).astype(np.int64)
    # Each takes its home, or the slot behind the one before it, whichever comes later.
    places = numbers + np.maximum.accumulate(homes - numbers) if n else numbers
    last = int(places[-1]) if n else 0
    dtype = np.int32 if n < 2**31 else np.int64
    slots = np.full(max(2**bits + 1, last + 2), _EMPTY, dtype=dtype)
    slots[places] = rows
    return slots


def homes_of(hashes: NDArray[np.uint64], slots: NDArray[Any]) -> NDArray[np.int64]:
    """Return the slot where the search for each hash begins."""
    bits = (len(slots) - 1).bit_length() - 1
    return (hashes >> np.uint64(64 - bits)).astype(np.int64)


def mixed(numbers: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Return a hash of each integer, of 64 bits, no two of which are alike.

    The finalizer of SplitMix64 (Steele, Lea and Flood, Fast splittable pseudorandom number
    generators, OOPSLA 2014), which can be undone and so maps no two integers to one.
    """
    z = numbers.view(np.uint64).copy()
    z ^= z >> np.uint64(30)
    z *= np.uint64(0xBF58476D1CE4E5B9)
    z ^= z >> np.uint64(27)
    z *= np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return z
