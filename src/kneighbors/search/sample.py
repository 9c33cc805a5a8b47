"""A sample of the corpus, on which is counted how many rows each stage of bounds would leave."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kneighbors.search.frame import Frame, Placed
from kneighbors.search.metrics import METRICS, Float64Array
from kneighbors.search.rounding import MOST_CODE, TAIL_FLOOR, UNIT32, Float32Array
from kneighbors.search.rows import Rows

#: Rows that the basis and the counts are taken from.
_ROWS = 32_768
_QUERIES = 32
#: Neighbours that the counts are made for.
NEIGHBORS = 10
#: No finer stage is looked for once a bound leaves so many rows.
_FEW = 2 * NEIGHBORS


@dataclass(frozen=True)
class Counts:
    """How many rows bounds with heads of some size leave, in the whole corpus.

    Attributes
    ----------
    floats, codes : float
        With heads in float32, and in codes of a byte.
    carried : float
        With heads in float32 and the floors of a batch, that rise from block to block.
    """

    floats: float
    codes: float
    carried: float


class Sample:
    """Placed rows and queries made from them.

    Parameters
    ----------
    frame : Frame
    Z : ndarray of shape (n, n_features), dtype float64
        Placed rows.
    placed : Placed
        Queries in the frame.

    Attributes
    ----------
    basis : ndarray of shape (n_features, n_features), dtype float64
        Orthonormal columns, the directions in which rows vary most first.
    variances : ndarray of shape (n_features,), dtype float64
        In the order of the basis.
    """

    def __init__(self, frame: Frame, Z: Float64Array, placed: Placed) -> None:
        self.frame = frame
        self.Z = Z
        self.placed = placed
        variances, vectors = np.linalg.eigh(Z.T @ Z)
        self.basis: Float64Array = vectors[:, ::-1]
        self.variances: Float64Array = np.maximum(variances[::-1], 0)

    @classmethod
    def of(cls, rows: Rows, metric: str, exponent: int, random: np.random.Generator) -> Sample:
        """Draw rows, and make queries of them."""
        n_samples, n_features = rows.shape
        chosen = random.choice(n_samples, min(n_samples, _ROWS), replace=False)
        chosen.sort()
        V = rows.take(chosen.astype(np.int64))
        frame = Frame(metric, np.zeros(n_features), exponent)
        if frame.has_offsets:
            frame = Frame(metric, frame.place(V).mean(axis=0), exponent)
        # Half the queries are rows, half lie between two: stored and foreign ones.
        picks = random.integers(len(V), size=(2, _QUERIES))
        between = (V[picks[0]].astype(np.float64) + V[picks[1]].astype(np.float64)) / 2
        between[::2] = V[picks[0][::2]]
        keep = between.any(axis=1) if metric == "cosine" else np.ones(len(between), bool)
        placed = frame.place_queries(METRICS[metric].prepare(between[keep]))
        return cls(frame, frame.place(V), placed)

    def kept(self, size: int) -> float:
        """Return the share of the variance that the leading directions hold."""
        return float(self.variances[:size].sum() / max(self.variances.sum(), 1e-300))

    def counts(self, sizes: list[int], n_samples: int) -> dict[int, Counts]:
        """Count for each size of head the rows that its bounds would leave.

        Parameters
        ----------
        sizes : list of int
            Ascending. Those beyond the first that leaves few rows are left out.
        n_samples : int
            Rows of the corpus, to which the counts are scaled.
        """
        most = min(len(self.Z), NEIGHBORS)
        k = min(most, max(1, round(NEIGHBORS * len(self.Z) / n_samples)))
        rotated = (self.Z @ self.basis).astype(np.float32)
        queries = (self.placed.q @ self.basis).astype(np.float32)
        own = self.placed.lengths.astype(np.float32)
        offsets = np.zeros(len(self.Z), np.float32)
        if self.frame.has_offsets:
            offsets -= 0.5 * np.einsum("ij,ij->i", rotated, rotated)
        partial = np.outer((1 / self.placed.divisor).astype(np.float32), offsets)
        scores = queries @ rotated.T + partial
        ordered = np.partition(scores, [len(self.Z) - most, len(self.Z) - k], axis=1) - 1e-6
        # The best of the whole corpus, and those of no more rows than the sample has.
        floors = ordered[:, len(self.Z) - k]
        lower = ordered[:, len(self.Z) - most, np.newaxis]
        steps = np.ptp(rotated, axis=0) / (2 * MOST_CODE)
        squares = np.square(rotated)
        rest = squares.sum(axis=1)
        out: dict[int, Counts] = {}
        last = 0
        for size in sizes:
            partial = partial + queries[:, last:size] @ rotated[:, last:size].T
            rest = np.maximum(rest - squares[:, last:size].sum(axis=1), 0)
            last = size
            tails = np.sqrt(rest) + (size + 6) * UNIT32 / TAIL_FLOOR * np.sqrt(-2 * offsets)
            query_tails = np.maximum(
                np.linalg.norm(queries[:, size:], axis=1), np.float32(TAIL_FLOOR) * own
            )
            upper = partial + np.outer(query_tails, tails.astype(np.float32))
            coarse = own * np.float32(np.sqrt(np.square(steps[:size]).sum() / 12))
            coarse += _query_error(queries[:, :size], rotated[:, :size], steps[:size])
            limits = floors[:, np.newaxis]
            out[size] = Counts(
                float((upper >= limits).mean()) * n_samples,
                float((upper >= limits - coarse[:, np.newaxis]).mean()) * n_samples,
                float((upper >= lower).mean()) * n_samples,
            )
            if out[size].floats < _FEW:
                break
        return out


def _query_error(queries: Float32Array, heads: Float32Array, steps: Float32Array) -> Float32Array:
    """Return what the rounding of each query to whole numbers adds to its bounds, about."""
    real = np.abs(queries * steps)
    units = real.max(axis=1) / MOST_CODE
    codes = np.divide(heads[::16], steps, out=np.zeros_like(heads[::16]), where=steps > 1e-30)
    length = np.sqrt(np.square(codes).sum(axis=1).mean())
    return np.asarray(units * np.sqrt(queries.shape[1] / 12) * length, np.float32)
