"""Upper bounds of all scores from a *head*: a few rotated coordinates of each row, and its tail.

A row z is P h + r: the head h (float32, in the columns of P), and a rest r that P leaves, whose
length is the row's tail. For a query q with g = P'q, Cauchy and Schwarz give

    z.q  =  h.g + r.q  <=  h.g + |r| |q - P g| + (rounding),

and since |r| and |q - P g| are numbers, the whole bound is one dot product of 'columns' that belong
to the row (h, its offset, its tail) with coefficients that belong to the query. The columns of all
rows are one matrix, stored coordinate by coordinate; so bounding every row for a batch of queries
is a single small matrix product. `docs/explanation/exact-search.md` has the proof.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kneighbors.search.frame import Frame, Placed
from kneighbors.search.metrics import Float64Array
from kneighbors.search.parts import part_of
from kneighbors.search.rotation import Rotated, Rotation
from kneighbors.search.rounding import (
    TAIL_FLOOR,
    UNIT32,
    Float32Array,
    gamma,
    round_up,
)

#: Elements of a corpus block while fitting: 16 MiB in float64.
_BLOCK_ELEMENTS = 1 << 21
#: Multiplications of a product that a BLAS leaves to one thread, and the least rows worth a call.
_SMALL_PRODUCT, _LEAST_ROWS = 250_000, 64


def blocks_of(n_samples: int, n_features: int) -> Iterator[tuple[int, int]]:
    """Yield the bounds of blocks of rows that are worked on at a time."""
    step = max(1, _BLOCK_ELEMENTS // n_features)
    for start in range(0, n_samples, step):
        yield start, min(start + step, n_samples)


class HeadBounds:
    """Upper bounds of scores by head and tail.

    Parameters
    ----------
    frame : Frame
        Where the rows are placed.
    basis : ndarray of shape (n_features, m), dtype float64
        Orthonormal columns; heads are the coordinates in them.
    columns : ndarray of shape (m + 1 or m + 2, n_samples), dtype float32
        The heads' coordinates, the offsets unless the metric is inner product, and the tails.
    """

    #: Bounds are above scores by what differs from row to row.
    spread = None

    def __init__(self, frame: Frame, basis: Float64Array, columns: Float32Array) -> None:
        self.frame = frame
        self.basis = basis
        self.columns = columns
        self.rotation = Rotation(frame, basis)

    @classmethod
    def from_parts(
        cls, frame: Frame, shape: tuple[int, int], size: int, parts: Mapping[str, NDArray[Any]]
    ) -> HeadBounds:
        """Take the parts of a saved index."""
        n_samples, n_features = shape
        basis = part_of(parts, "basis", np.float64, (n_features, size))
        n_columns = columns_for(frame, basis.shape[1])
        return cls(frame, basis, part_of(parts, "head", np.float32, (n_columns, n_samples)))

    def parts(self) -> dict[str, NDArray[Any]]:
        """Return the arrays to save."""
        return {"head": self.columns, "basis": self.basis, "centre": self.frame.centre}

    @property
    def n_samples(self) -> int:
        """Number of rows."""
        return int(self.columns.shape[1])

    @property
    def margin(self) -> float:
        """What bounds may be short of, absolutely: nothing, it is in the columns."""
        return 0.0

    def coefficients(self, placed: Placed) -> Float32Array:
        """Return what the columns are multiplied with; see `coefficients_of`."""
        return coefficients_of(self.rotation, self.basis.shape[1], placed)

    def is_small(self, n_queries: int) -> bool:
        """Whether the products with so many queries are made by one thread."""
        return n_queries > 1 and self._rows_of_product(n_queries) >= _LEAST_ROWS

    def _rows_of_product(self, n_queries: int) -> int:
        return _SMALL_PRODUCT // (n_queries * len(self.columns)) // 16 * 16

    def upper(self, coefficients: Float32Array, start: int, stop: int, out: Float32Array) -> None:
        """Write upper bounds of the scores of rows `start` to `stop` into `out`.

        Parameters
        ----------
        coefficients : ndarray of shape (n_queries, n_columns), dtype float32
        start, stop : int
            Rows of the corpus.
        out : ndarray of shape (n_queries, stop - start), dtype float32
        """
        columns = self.columns[:, start:stop]
        if len(coefficients) == 1:
            np.dot(coefficients[0], columns, out=out[0])
            return
        # Many small products, which a BLAS does not divide among threads: what waking them costs
        # is more than they save, and each thread of a search has rows of its own.
        step = self._rows_of_product(len(coefficients))
        whole = (stop - start) // step * step if step >= _LEAST_ROWS else 0
        if whole:
            pieces = columns[:, :whole].reshape(len(columns), -1, step).transpose(1, 0, 2)
            into = out[:, :whole].reshape(len(coefficients), -1, step).transpose(1, 0, 2)
            np.matmul(coefficients, pieces, out=into)
        if whole < stop - start:
            np.matmul(coefficients, columns[:, whole:], out=out[:, whole:])


def coefficients_of(rotation: Rotation, size: int, placed: Placed) -> Float32Array:
    """Return what the columns of rows are multiplied with, of shape (n_queries, n_columns).

    A row that is not finite says that the query is too extreme to be bounded.
    """
    frame = rotation.frame
    with np.errstate(over="ignore", invalid="ignore"):
        rotated = rotation.queries(placed)
        tails = rotated.tails(size) * (1 + frame.slack) + frame.slack * placed.lengths
        out = np.empty((len(tails), columns_for(frame, size)), np.float32)
        out[:, :size] = rotated.coordinates[:, :size]
        if frame.has_offsets:
            out[:, -2] = 1 / placed.divisor
        out[:, -1] = round_up(np.maximum(tails, TAIL_FLOOR * placed.lengths))
    return out


def columns_for(frame: Frame, size: int) -> int:
    """Return the number of columns of a row: its head, its offset if there are any, its tail."""
    return size + 2 if frame.has_offsets else size + 1


def columns_of(rotated: Rotated, size: int) -> Float32Array:
    """Return the columns of rows with heads of a size, rounded so that bounds stay bounds."""
    rotation = rotated.rotation
    frame = rotation.frame
    n_columns = size + 1 + frame.has_offsets
    error = gamma(n_columns, UNIT32)
    out = np.empty((n_columns, len(rotated.lengths)), np.float32)
    out[:size] = rotated.coordinates[:, :size].T
    own = rotated.lengths
    relative = (n_columns + 4) * UNIT32 * 1.01 + rotation.skew
    # A length's own rounding is in the last term, and no head is longer than its row but for that.
    rounding = relative * (own + 2.0**-120) + rotation.error * 2 * rotated.reach
    rests = rotated.rests(rotated.coordinates[:, :size], UNIT32 * 1.01 * own)
    out[-1] = round_up((rests + rounding / TAIL_FLOOR) / (1 - error))
    if frame.has_offsets:
        offsets = -0.5 * np.square(own) * (1 - error - 4 * UNIT32)
        out[-2] = np.minimum(round_up(offsets), 0)
    return out
