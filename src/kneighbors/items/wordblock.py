"""A few words as two arrays: all their bytes, and where each begins and ends."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kneighbors.errors import ArtifactError, ItemsRefused
from kneighbors.items.quoting import quoted

#: Longest word, in bytes of UTF-8: as for an id.
LONGEST_BYTES = 1024


def check_word(word: Any, what: str, code: str, where: str) -> str:
    """Return a word that can be a name: valid Unicode of 1 to 1,024 bytes.

    Raises
    ------
    ItemsRefused
        With the code that is given.
    """
    try:
        if isinstance(word, str) and 1 <= len(word.encode()) <= LONGEST_BYTES and word.strip():
            return word
    except UnicodeEncodeError:
        pass
    raise ItemsRefused(
        code,
        f"Expected {what} of 1 to {LONGEST_BYTES:,} bytes of valid Unicode, got {quoted(word)}.",
        where=where,
    )


def to_arrays(words: Sequence[str]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return the bytes of all words, and ``len(words) + 1`` ends."""
    data = [word.encode() for word in words]
    ends = np.zeros(len(data) + 1, dtype=np.int64)
    np.cumsum([len(piece) for piece in data], out=ends[1:])
    return np.frombuffer(b"".join(data), dtype=np.uint8), ends


def from_arrays(text: NDArray[np.uint8], ends: NDArray[np.int64], what: str) -> list[str]:
    """Return the words again.

    Raises
    ------
    ArtifactError
        ``artifact-invalid`` when nobody wrote such arrays.
    """
    data, bounds = text.tobytes(), ends.tolist()
    if bounds and (bounds[0], bounds[-1]) == (0, len(data)) and (np.diff(ends) > 0).all():
        try:
            return [data[start:stop].decode() for start, stop in pairwise(bounds)]
        except UnicodeDecodeError:
            pass
    raise forged(what)


def forged(what: str) -> ArtifactError:
    """Return the refusal of stored arrays that nothing of ours wrote."""
    return ArtifactError(
        "artifact-invalid", "Expected arrays that were saved, got others.", where=what
    )
