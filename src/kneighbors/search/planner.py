"""The plan of an index: which bounds, and how large a head, by measuring on the corpus itself.

Candidates are compared by what they would cost a single query: reading the columns of every row,
and scoring each row that the bounds leave. How many rows that is, is counted on a sample with
queries made from it; what a number read and a row scored cost, are constants measured once. Counts
rather than timings decide, so the same corpus gets the same plan, and so the same bytes, on every
machine, however busy.

The lesson that a plan must be measured, and that plain products win on many data sets, is that of
F. Abuzaid et al., "To Index or Not to Index: Optimizing Exact Maximum Inner Product Search",
ICDE 2019.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from kneighbors.search.frame import Frame
from kneighbors.search.head import HeadBounds, blocks_of
from kneighbors.search.metrics import METRICS, Float64Array, lengths
from kneighbors.search.product import LENGTHS_FOR_PRODUCT, ProductBounds
from kneighbors.search.progress import Progress
from kneighbors.search.rounding import TAIL_FLOOR, UNIT32
from kneighbors.search.rows import Rows

#: Rows that the basis and the counts are taken from.
_SAMPLE_ROWS = 32_768
_SAMPLE_QUERIES = 32
#: Neighbours that the counts are made for.
_NEIGHBORS = 10
_HEAD_SIZES = (4, 8, 12, 16, 24, 32, 40, 48, 56, 64, 80, 96, 128, 160, 192, 256, 320, 384, 512, 768)
#: Nanoseconds: to read a byte of a product's matrix, and to score a candidate. Measured by
#: `benchmarks/plan_constants.py`; only their ratios matter.
_NS_PER_BYTE = 0.008
_NS_PER_CANDIDATE = 300.0
_NS_PER_CANDIDATE_ELEMENT = 2.5
#: A head takes memory and time to build, so it must save at least a tenth.
_HEAD_MUST_SAVE = 0.9
#: Below this many elements, nothing is worth a rotation.
_SMALL = 1 << 16


@dataclass(frozen=True)
class Survey:
    """What one pass over the corpus tells.

    Attributes
    ----------
    exponent : int
        Power of two that scales every row to a length of at most 1.
    shortest, longest : float
        Lengths of rows.
    """

    exponent: int
    shortest: float
    longest: float

    @property
    def product_is_safe(self) -> bool:
        """Whether no float32 product with a row over- or underflows."""
        return LENGTHS_FOR_PRODUCT[0] <= self.shortest and self.longest <= LENGTHS_FOR_PRODUCT[1]


def survey(rows: Rows, progress: Progress) -> Survey:
    """Read the corpus once for the lengths of its rows."""
    shortest, longest = np.inf, 0.0
    n_samples, n_features = rows.shape
    for start, stop in blocks_of(n_samples, n_features):
        norms = lengths(rows.slice(start, stop).astype(np.float64))
        shortest = min(shortest, float(norms.min()))
        longest = max(longest, float(norms.max()))
        progress("surveying", stop, n_samples)
    exponent = -int(np.frexp(longest)[1])
    return Survey(int(np.clip(exponent, -1000, 1000)), shortest, longest)


def build_bounds(
    rows: Rows, metric: str, random_state: int, progress: Progress
) -> tuple[HeadBounds | ProductBounds, dict[str, Any]]:
    """Measure, decide and build.

    Parameters
    ----------
    rows : Rows
        The corpus, checked.
    metric : str
        Canonical name.
    random_state : int
        Seed of the sample.
    progress : callable
        Told of each pass.

    Returns
    -------
    bounds : HeadBounds or ProductBounds
    plan : dict
        What was decided and why, fit for JSON; `from_parts` of the bounds reads it.
    """
    found = survey(rows, progress)
    plain = Frame(metric, np.zeros(rows.shape[1]), 0)
    n_samples, n_features = rows.shape
    if n_samples * n_features <= _SMALL and found.product_is_safe:
        reason = "a corpus this small is read in no time"
        return ProductBounds.build(plain, rows, progress), {"engine": "product", "reason": reason}
    trial = _Trial(rows, metric, found, np.random.default_rng(random_state))
    head_size, plan = trial.decide(found.product_is_safe)
    if head_size is None:
        return ProductBounds.build(plain, rows, progress), plan
    basis = np.ascontiguousarray(trial.basis[:, :head_size])
    return HeadBounds.build(trial.frame, basis, rows, progress), plan


class _Trial:
    """A sample of the corpus, on which candidates are counted."""

    def __init__(self, rows: Rows, metric: str, found: Survey, random: np.random.Generator) -> None:
        self.shape = rows.shape
        self.itemsize = rows.dtype.itemsize
        n_samples = rows.shape[0]
        chosen = random.choice(n_samples, min(n_samples, _SAMPLE_ROWS), replace=False)
        chosen.sort()
        V = rows.take(chosen.astype(np.int64))
        exponent = 0 if metric == "cosine" else found.exponent
        self.frame = Frame(metric, np.zeros(rows.shape[1]), exponent)
        if self.frame.has_offsets:
            self.frame = Frame(metric, self.frame.place(V).mean(axis=0), exponent)
        self.Z = self.frame.place(V)
        variances, vectors = np.linalg.eigh(self.Z.T @ self.Z)
        self.basis: Float64Array = vectors[:, ::-1]
        self.variances: Float64Array = np.maximum(variances[::-1], 0)
        # Half the queries are rows, half lie between two: stored and foreign ones.
        picks = random.integers(len(V), size=(2, _SAMPLE_QUERIES))
        between = (V[picks[0]].astype(np.float64) + V[picks[1]].astype(np.float64)) / 2
        between[::2] = V[picks[0][::2]]
        keep = between.any(axis=1) if metric == "cosine" else np.ones(len(between), bool)
        self.placed = self.frame.place_queries(METRICS[metric].prepare(between[keep]))

    def decide(self, product_is_safe: bool) -> tuple[int | None, dict[str, Any]]:
        """Return the size of the head (None: the plain product) and the plan to keep."""
        n_samples, n_features = self.shape
        per_candidate = _NS_PER_CANDIDATE + _NS_PER_CANDIDATE_ELEMENT * n_features
        trials = []
        for size, survivors in self._survivors():
            cost = 4 * n_samples * (size + 2) * _NS_PER_BYTE + survivors * per_candidate
            trials.append({"head_size": size, "survivors": survivors, "cost_us": cost / 1e3})
        best = min(trials, key=lambda trial: trial["cost_us"])
        product = self.itemsize * n_samples * n_features * _NS_PER_BYTE / 1e3
        plan: dict[str, Any] = {"product_cost_us": round(product, 1)}
        size = int(best["head_size"])
        plan["trials"] = [
            {key: round(float(value), 1) for key, value in trial.items()} for trial in trials
        ]
        if product_is_safe and best["cost_us"] > _HEAD_MUST_SAVE * product:
            reason = "no head saves a tenth of the plain product: the spectrum is flat"
            return None, {"engine": "product", "reason": reason, **plan}
        kept = float(self.variances[:size].sum() / max(self.variances.sum(), 1e-300))
        reason = f"{size} of {n_features} rotated coordinates hold {kept:.1%} of the variance"
        chosen = {
            "engine": "head",
            "reason": reason,
            "head_size": size,
            "exponent": self.frame.exponent,
            "variance_kept": round(kept, 6),
            "survivors": round(float(best["survivors"]), 1),
        }
        return size, {**chosen, **plan}

    def _survivors(self) -> list[tuple[int, float]]:
        """Count for each size of head the rows that its bounds would leave, in the whole corpus."""
        n_samples, n_features = self.shape
        share = len(self.Z) / n_samples
        k = min(len(self.Z), max(1, round(_NEIGHBORS * share)))
        rotated = (self.Z @ self.basis).astype(np.float32)
        queries = (self.placed.q @ self.basis).astype(np.float32)
        offsets = np.zeros(len(self.Z), np.float32)
        if self.frame.has_offsets:
            offsets -= 0.5 * np.einsum("ij,ij->i", rotated, rotated)
        scales = (1 / self.placed.divisor).astype(np.float32)
        base = np.outer(scales, offsets)
        scores = queries @ rotated.T + base
        floors = np.partition(scores, len(self.Z) - k, axis=1)[:, len(self.Z) - k]
        sizes = [*(size for size in _HEAD_SIZES if size < n_features), n_features]
        out = []
        partial, last = base, 0
        for size in sizes:
            partial = partial + queries[:, last:size] @ rotated[:, last:size].T
            last = size
            tails = np.linalg.norm(rotated[:, size:], axis=1) + (
                (size + 6) * UNIT32 / TAIL_FLOOR * np.linalg.norm(rotated[:, :size], axis=1)
            )
            query_tails = np.maximum(
                np.linalg.norm(queries[:, size:], axis=1), TAIL_FLOOR * self.placed.lengths
            ).astype(np.float32)
            upper = partial + np.outer(query_tails, tails.astype(np.float32))
            count = float((upper >= floors[:, np.newaxis] - 1e-6).mean()) * n_samples
            out.append((size, count))
            if count < 2 * _NEIGHBORS:
                break
        return out
