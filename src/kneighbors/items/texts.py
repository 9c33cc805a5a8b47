"""Ids that are text, found through hashes.

The ids of all rows lie in one array of bytes, so that worker processes share one memory-mapped
copy and ten million of them cost no Python objects. The slots of a table lead from the hash of an
id to its row, whose real text is compared then: a hash alone is never believed. Older artifacts
have no such table, and there the hash is searched for among the sorted hashes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kneighbors.errors import ArtifactError
from kneighbors.items.numbers import doubled_id, unknown_id, wrong_type
from kneighbors.items.slots import build_slots, homes_of
from kneighbors.items.spelling import SAMPLE, nearest
from kneighbors.search.rows import RowArray

#: Longest id, in bytes of UTF-8. Long enough for a URL; short enough to be quoted and compared.
LONGEST_BYTES = 1024

_AT_ONCE = 65_536


class TextIds:
    """Unique texts, one for each row.

    Parameters
    ----------
    text : ndarray of shape (n_bytes,), dtype uint8
        The ids of all rows in UTF-8, one after the other.
    offsets : ndarray of shape (n_samples + 1,), dtype int64
        Id of row ``i`` is ``text[offsets[i]:offsets[i + 1]]``.
    hashes : ndarray of shape (n_samples,), dtype uint64
        BLAKE2b of 8 bytes of each id, read as a little-endian number, in increasing order.
    order : ndarray of shape (n_samples,), dtype int64
        The row that each hash belongs to.
    slots : ndarray of dtype int32 or int64, optional
        Made by `build_slots`.
    """

    id_type = "string"

    def __init__(
        self,
        text: NDArray[np.uint8],
        offsets: NDArray[np.int64],
        hashes: NDArray[np.uint64],
        order: RowArray,
        slots: NDArray[Any] | None = None,
    ) -> None:
        self._text = text
        self._offsets = offsets
        self._hashes = hashes
        self._order = order
        self._slots = slots

    @classmethod
    def build(cls, text: NDArray[np.uint8], offsets: NDArray[np.int64]) -> TextIds:
        """Hash and sort the ids, and refuse doubled ones.

        Takes O(n log n), about 0.6 s a million ids, and 32 bytes an id beside its text.
        """
        hashes = hashes_of(_pieces(text, offsets), len(offsets) - 1)
        order = np.argsort(hashes, kind="stable").astype(np.int64, copy=False)
        hashes = hashes[order]
        built = cls(text, offsets, hashes, order, build_slots(hashes, order))
        built._refuse_doubled()
        return built

    @classmethod
    def from_parts(cls, parts: Mapping[str, NDArray[Any]]) -> TextIds:
        """Take back what `parts` returned."""
        return cls(
            parts["ids-text"],
            parts["ids-offsets"],
            parts["ids-hashes"],
            parts["ids-order"],
            parts.get("ids-slots"),
        )

    def parts(self) -> dict[str, NDArray[Any]]:
        """Return the arrays to store."""
        return {
            "ids-text": self._text,
            "ids-offsets": self._offsets,
            "ids-hashes": self._hashes,
            "ids-order": self._order,
            **({} if self._slots is None else {"ids-slots": self._slots}),
        }

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def rows_of(self, ids: Sequence[Any]) -> RowArray:
        """Return the row of each id."""
        for place, value in enumerate(ids):
            if not isinstance(value, str):
                raise wrong_type("a text id", value, place)
        rows = self.find(ids)
        (wrong,) = np.nonzero(rows < 0)
        if wrong.size:
            value = ids[int(wrong[0])]
            raise unknown_id(value, wrong.tolist(), self.near(value))
        return rows

    def ids_of(self, rows: RowArray) -> list[str]:
        """Return the ids of rows."""
        try:
            return [self._bytes_of(int(row)).decode() for row in rows]
        except UnicodeDecodeError as error:
            raise _forged("text") from error

    def texts(self) -> Iterable[str]:
        """Return all ids, row by row."""
        return (piece.decode(errors="replace") for piece in _pieces(self._text, self._offsets))

    def _bytes_of(self, row: int) -> bytes:
        if not 0 <= row < len(self):
            raise _forged("order")
        start, stop = int(self._offsets[row]), int(self._offsets[row + 1])
        if not (0 <= start < stop <= len(self._text) and stop - start <= LONGEST_BYTES):
            raise _forged("offsets")
        return self._text[start:stop].tobytes()

    def find(self, ids: Sequence[str]) -> RowArray:
        """Return the row of each text, or -1."""
        encoded = [_encoded(value) for value in ids]
        wanted = hashes_of(encoded, len(encoded))
        if self._slots is not None:
            homes = homes_of(wanted, self._slots).tolist()
            found = [self._in_slots(data, at) for data, at in zip(encoded, homes, strict=True)]
            return np.array(found, dtype=np.int64)
        starts = np.searchsorted(self._hashes, wanted, side="left")
        rows = np.full(len(encoded), -1, dtype=np.int64)
        for place, (data, value, at) in enumerate(
            zip(encoded, wanted.tolist(), starts.tolist(), strict=True)
        ):
            while data and at < len(self) and self._hashes[at] == value:
                row = int(self._order[at])
                if self._bytes_of(row) == data:
                    rows[place] = row
                    break
                at += 1
        return rows

    def _in_slots(self, data: bytes, at: int) -> int:
        slots = self._slots
        while data and slots is not None and at < len(slots) and (row := int(slots[at])) >= 0:
            if self._bytes_of(row) == data:
                return row
            at += 1
        return -1

    def near(self, value: str) -> list[str]:
        """Return the ids that are most like a text."""

        def find(words: Sequence[str]) -> list[str]:
            rows = self.find(words).tolist()
            return [word for word, row in zip(words, rows, strict=True) if row >= 0]

        # Evenly spaced: a small catalogue is compared whole, of a large one every region.
        rows = np.unique(np.linspace(0, len(self) - 1, SAMPLE).astype(np.int64))
        return nearest(value, find, self.ids_of(rows))

    def _refuse_doubled(self) -> None:
        (alike,) = np.nonzero(self._hashes[1:] == self._hashes[:-1])
        rows_of_text: dict[bytes, list[int]] = {}
        for place in sorted({*alike.tolist(), *(alike + 1).tolist()}):
            row = int(self._order[place])
            rows_of_text.setdefault(self._bytes_of(row), []).append(row)
        doubled = {text: sorted(rows) for text, rows in rows_of_text.items() if len(rows) > 1}
        if doubled:
            text = min(doubled, key=lambda text: doubled[text][1])
            repeats = sum(len(rows) - 1 for rows in doubled.values())
            raise doubled_id(text.decode(), doubled[text], repeats)


def hashes_of(texts: Iterable[bytes], count: int) -> NDArray[np.uint64]:
    """Return the hash of each text: BLAKE2b of 8 bytes, as a little-endian number.

    Examples
    --------
    >>> f"{hashes_of([b'wine'], 1)[0]:016x}"
    '35b21ffc573f9751'
    """
    hashes = np.empty(count, dtype=np.uint64)
    buffer = bytearray()
    done = 0
    for text in texts:
        buffer += blake2b(text, digest_size=8).digest()
        if len(buffer) == 8 * _AT_ONCE:
            hashes[done : done + _AT_ONCE] = np.frombuffer(buffer, dtype="<u8")
            done += _AT_ONCE
            buffer = bytearray()
    hashes[done:] = np.frombuffer(buffer, dtype="<u8")
    return hashes


def _forged(what: str) -> ArtifactError:
    """Return the refusal of stored arrays that no catalogue ever wrote."""
    return ArtifactError(
        "artifact-invalid",
        "Expected arrays that a catalogue wrote, got others.",
        where=f"the {what} of the ids",
    )


def _encoded(value: str) -> bytes:
    """Return an id in UTF-8, or nothing where it can be no id; no id is empty."""
    if len(value) > LONGEST_BYTES:
        return b""
    try:
        return value.encode()
    except UnicodeEncodeError:
        return b""


def _pieces(text: NDArray[np.uint8], offsets: NDArray[np.int64]) -> Iterable[bytes]:
    """Yield the ids in row order, copying a bounded piece of the text at a time."""
    for start in range(0, len(offsets) - 1, _AT_ONCE):
        bounds = offsets[start : start + _AT_ONCE + 1]
        data = text[bounds[0] : bounds[-1]].tobytes()
        local = (bounds - bounds[0]).tolist()
        for begin, end in pairwise(local):
            yield data[begin:end]
