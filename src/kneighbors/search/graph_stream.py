"""A graph as bytes: what FAISS reads, read by nobody before every number in it has been checked.

FAISS follows the numbers of a file as pointers, so a file that somebody made up can make it read
or write anywhere. Here the one layout that we write is walked through first: every length, every
offset and every neighbour must be one that the layout allows. FAISS then works on the very bytes
that were checked, mapped as they are, without a copy.

The layout is that of `faiss.write_index` for an HNSW graph over scalar-quantised vectors (`IHNs`
over `IxSQ`), little-endian, behind a header of 64 bytes: a magic word, and the SHA-256 of the
vectors' file that the graph was made from.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kneighbors.errors import ArtifactError

Bytes = NDArray[np.uint8]
IntArray = NDArray[np.integer[Any]]

HEADER_BYTES = 64
_MAGIC = b"KNGRAPH1"
_L2 = 1
#: FAISS's numbers for the codes that we use, and bytes an element.
QUANTIZERS = {"sq8": (2, 1), "fp16": (4, 2)}
_MOST_LEVELS = 64


@dataclass(frozen=True)
class Expected:
    """What a stream must be a graph of.

    Parameters
    ----------
    n_nodes : int
        Rows of the corpus.
    width : int
        Elements of a code.
    codes : str
        A key of `QUANTIZERS`.
    links : int
        Neighbours of a node on the upper levels; twice as many on the lowest.
    """

    n_nodes: int
    width: int
    codes: str
    links: int


def with_header(stream: Bytes, origin: str) -> Bytes:
    """Return a stream behind a header that names the vectors it belongs to.

    Parameters
    ----------
    stream : ndarray of uint8
    origin : str
        SHA-256 of the vectors' file, in hexadecimal digits; empty for vectors that have none.
    """
    header = (_MAGIC + bytes.fromhex(origin)).ljust(HEADER_BYTES, b"\0")
    return np.concatenate([np.frombuffer(header, np.uint8), stream])


def check_origin(part: Bytes, origin: str) -> None:
    """Refuse a part that is no graph, or the graph of other vectors.

    Raises
    ------
    ArtifactError
        With code ``artifact-invalid`` or ``graph-mismatch``.
    """
    header = part[:HEADER_BYTES].tobytes()
    if len(header) < HEADER_BYTES or not header.startswith(_MAGIC):
        raise _invalid("Expected a graph, got other bytes", 0)
    own = header[len(_MAGIC) : len(_MAGIC) + 32].hex()
    if own != (origin or "0" * 64):
        raise ArtifactError(
            "graph-mismatch",
            f"Expected the graph of the vectors with the SHA-256 {origin[:16]}..., "
            f"got that of {own[:16]}...",
            hint="The graph belongs to other vectors: restore the artifact, or train it again.",
        )


def check_stream(stream: Bytes, expected: Expected) -> None:
    """Refuse a stream that FAISS must not see.

    Raises
    ------
    ArtifactError
        With code ``artifact-invalid`` and the byte where it goes wrong.
    """
    walk = _Walk(stream)
    n_nodes, width = expected.n_nodes, expected.width
    walk.word(b"IHNs")
    _check_header(walk, expected)
    levels = _check_tables(walk, expected)
    entry = walk.one("<i4", "an entry point", lambda value: 0 <= value < n_nodes)
    top = int(levels.max()) - 1
    walk.one("<i4", f"the highest level {top}", lambda value: value == top)
    if levels[entry] - 1 != top:
        raise walk.wrong("an entry point on the highest level", entry)
    for name in ("ef_construction", "ef_search"):
        walk.one("<i4", name, lambda value: 1 <= value <= 1 << 20)
    walk.one("<i4", "a beam of 1", lambda value: value == 1)
    walk.word(b"IxSQ")
    _check_header(walk, expected)
    number, size = QUANTIZERS[expected.codes]
    walk.one("<i4", f"the quantiser {number}", lambda value: value == number)
    walk.one("<i4", "a range of minimum and maximum", lambda value: value == 0)
    walk.one("<f4", "no margin", lambda value: value == 0)
    walk.one("<u8", f"{width} dimensions", lambda value: value == width)
    walk.one("<u8", f"codes of {size * width} bytes", lambda value: value == size * width)
    trained = walk.vector("<f4", 2 if expected.codes == "sq8" else 0)
    if not np.isfinite(trained).all():
        raise walk.wrong("a finite range", trained.tolist())
    walk.vector("|u1", n_nodes * size * width)
    walk.end()


def _check_header(walk: _Walk, expected: Expected) -> None:
    width, n_nodes = expected.width, expected.n_nodes
    walk.one("<i4", f"{width} dimensions", lambda value: value == width)
    walk.one("<i8", f"{n_nodes} nodes", lambda value: value == n_nodes)
    walk.skip(16)
    walk.one("|u1", "a trained index", lambda value: value == 1)
    walk.one("<i4", "squared Euclidean distances", lambda value: value == _L2)


def _check_tables(walk: _Walk, expected: Expected) -> IntArray:
    """Check offsets and neighbours; return the levels of the nodes."""
    n_nodes, links = expected.n_nodes, expected.links
    probabilities = walk.vector("<f8", None, most=_MOST_LEVELS)
    # FAISS draws levels with these when nodes are added, which nobody does after this.
    if not np.isfinite(probabilities).all():
        raise walk.wrong("finite probabilities", "others")
    ends = walk.vector("<i4", None, most=_MOST_LEVELS + 1)
    right = np.concatenate([[0], (np.arange(max(len(ends) - 1, 0)) + 2) * links])
    if len(ends) < 2 or not np.array_equal(ends, right):
        raise walk.wrong(f"places for {links} neighbours a level", ends.tolist())
    levels: IntArray = walk.vector("<i4", n_nodes)
    if levels.min() < 1 or levels.max() > len(ends) - 1:
        raise walk.wrong(f"levels from 1 to {len(ends) - 1}", [levels.min(), levels.max()])
    offsets = walk.vector("<u8", n_nodes + 1)
    if offsets[0] != 0 or not np.array_equal(np.diff(offsets), ends[levels].astype(np.uint64)):
        raise walk.wrong("offsets that follow from the levels", "others")
    neighbours = walk.vector("<i4", int(offsets[-1]))
    if neighbours.min() < -1 or neighbours.max() >= n_nodes:
        raise walk.wrong(f"neighbours below {n_nodes}", [neighbours.min(), neighbours.max()])
    starts = offsets[:-1].astype(np.int64)
    for level in range(1, int(levels.max())):
        # A neighbour on a level has a list of its own there.
        high = starts[levels > level]
        places = high[:, np.newaxis] + np.arange(ends[level], ends[level + 1])
        found = neighbours[places]
        if (levels[found[found >= 0]] <= level).any():
            raise walk.wrong(f"neighbours that reach level {level}", "lower ones")
    return levels


class _Walk:
    """A place in a stream, moving forward."""

    def __init__(self, stream: Bytes) -> None:
        self.stream = stream
        self.place = 0

    def wrong(self, expected: str, got: object) -> ArtifactError:
        """Return the refusal of what stands before the place."""
        return _invalid(f"Expected {expected} in the graph, got {got!s:.80}", self.place)

    def take(self, length: int) -> Bytes:
        """Return the next bytes."""
        if length > len(self.stream) - self.place:
            raise self.wrong(f"{length} bytes more", len(self.stream) - self.place)
        part = self.stream[self.place : self.place + length]
        self.place += length
        return part

    def skip(self, length: int) -> None:
        """Pass over bytes that FAISS passes over."""
        self.take(length)

    def word(self, expected: bytes) -> None:
        """Demand four letters."""
        got = self.take(4).tobytes()
        if got != expected:
            raise self.wrong(repr(expected), got)

    def one(self, dtype: str, expected: str, holds: Any) -> int:
        """Return a number for which something holds."""
        value = np.frombuffer(self.take(np.dtype(dtype).itemsize).tobytes(), dtype)[0]
        if not holds(value):
            raise self.wrong(expected, value)
        return int(value)

    def vector(self, dtype: str, length: int | None, most: int = 0) -> Any:
        """Return numbers behind their count, which must be `length`, or up to `most`."""
        allowed = range(length, length + 1) if length is not None else range(1, most + 1)
        count = self.one("<u8", f"a count of {length or most}", lambda value: value in allowed)
        return np.frombuffer(self.take(count * np.dtype(dtype).itemsize), dtype)

    def end(self) -> None:
        """Demand that nothing follows."""
        if self.place != len(self.stream):
            raise self.wrong("the end", f"{len(self.stream) - self.place} bytes more")


def _invalid(message: str, place: int) -> ArtifactError:
    return ArtifactError(
        "artifact-invalid",
        f"{message}.",
        where=f"the part 'graph', byte {HEADER_BYTES + place}",
        hint="Restore the artifact, or train it again.",
    )
