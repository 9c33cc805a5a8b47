"""What a query would cost under each choice of stages, and the choice.

Choices are compared by counts, not by timings: how many numbers of each row a stage reads, and how
many rows it leaves for the next one, counted on a sample. What a number read and a row scored cost,
are rough constants. So the same corpus gets the same plan, and the same bytes, on every
machine, however busy.

The lesson that a plan must be measured, and that plain products win on many data sets, is that of
F. Abuzaid et al., "To Index or Not to Index: Optimizing Exact Maximum Inner Product Search",
ICDE 2019.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from kneighbors.search.building import Sizes
from kneighbors.search.codes import extra_columns
from kneighbors.search.sample import NEIGHBORS, Counts, Sample

_HEAD_SIZES = (4, 8, 12, 16, 20, 24, 28, 32, 40, 48, 56, 64, 80, 96, 128, 160, 192, 256, 320, 384)
_FINE_SIZES = (48, 64, 96, 128, 192, 256)
#: Widths of rows of codes that every accelerator multiplies fast.
_CODE_WIDTHS = (16, 32, 48, 80, 112)

#: Nanoseconds a row, rough: chosen on a loaded machine of two cores. Only their ratios matter;
#: `benchmarks/plan_constants.py` measures the like of them. For one
#: query: a byte of the plain product, a row of codes and a byte of it. In a batch, a query: a
#: column of a product, and to look through its bounds.
_PRODUCT_BYTE = 0.04
_CODE_ROW, _CODE_BYTE = 0.1, 0.045
_BATCH_COLUMN, _BATCH_ROW = 0.05, 0.3
#: In a batch, a query: a row of codes and a byte of it. Floors that rise from block to block leave
#: more.
_BATCH_CODE_ROW, _BATCH_CODE, _CARRIED = 0.1, 0.025, 2.0
#: Nanoseconds: a row that a finer bound looks at, and an element of it; a row that is scored.
_FINE, _FINE_ELEMENT = 100.0, 1.5
_EXACT, _EXACT_ELEMENT = 300.0, 2.5
#: A stage takes memory and time to build, so it must save at least a tenth.
_MUST_SAVE = 0.9
#: A head for batches must save half: floors that rise from block to block begin lower than counted.
_HEAD_MUST_SAVE = 0.5


def decide(
    sample: Sample, shape: tuple[int, int], itemsize: int, product_is_safe: bool
) -> tuple[Sizes, dict[str, Any]]:
    """Choose the stages for a corpus.

    Parameters
    ----------
    sample : Sample
    shape : tuple of int
        Of the corpus.
    itemsize : int
        Bytes of an element of the corpus.
    product_is_safe : bool
        Whether the plain product may be used at all.

    Returns
    -------
    sizes : Sizes
    plan : dict
        The sizes, the counts and costs behind them and a sentence, fit for JSON.
    """
    n_samples, n_features = shape
    extra = extra_columns(sample.frame)
    code_sizes = [width - extra for width in _CODE_WIDTHS if width - extra < n_features]
    sizes = sorted({n_features, *code_sizes, *(s for s in _HEAD_SIZES if s < n_features)})
    counts = sample.counts(sizes, n_samples)
    costs = _Costs(counts, n_samples, n_features, itemsize)
    head, fine = min(costs.heads(), key=lambda pair: costs.batch(*pair))
    head_cost = costs.batch(head, fine)
    pays = not product_is_safe or head_cost <= _HEAD_MUST_SAVE * costs.plain_batch
    chosen_head = head if pays else None
    without = costs.single(head, fine) if pays else costs.plain_single
    # A finer stage serves codes and heads alike; without a head it is the codes' own.
    fines = [fine] if pays else [None, *(size for size in _FINE_SIZES if size in counts)]
    sets = [(s, f) for s in [*code_sizes, n_features] if s in counts for f in fines]
    codes = min(sets, key=lambda pair: costs.coded(pair[0], extra, pair[1]), default=None)
    code_cost = np.inf if codes is None else costs.coded(codes[0], extra, codes[1])
    if codes is not None and code_cost <= _MUST_SAVE * without:
        chosen = Sizes(chosen_head, codes[0], codes[1], product_is_safe)
    else:
        chosen = Sizes(chosen_head, None, fine if pays else None, product_is_safe)
    plan: dict[str, Any] = {"engine": "product" if chosen_head is None else "head"}
    plan["reason"] = _reason(sample, chosen, n_features)
    for name, size in (("head", chosen.head), ("code", chosen.codes), ("fine", chosen.fine)):
        if size is not None:
            plan[f"{name}_size"] = size
    if chosen.head is not None or chosen.codes is not None:
        plan["exponent"] = sample.frame.exponent
        largest = max(size for size in (chosen.head, chosen.codes, chosen.fine) if size is not None)
        plan["variance_kept"] = round(sample.kept(largest), 6)
    if chosen.head is not None and product_is_safe:
        plan["fallback"] = "product"
    best_batch = head_cost if pays else costs.plain_batch
    if codes is not None and chosen.codes is not None:
        coded_batch = costs.coded_batch(codes[0], extra, chosen.fine)
        if coded_batch <= _MUST_SAVE * best_batch:
            plan["batches"] = "codes"
    plan["cost_us"] = {
        "product": round(costs.plain_single / 1e3, 1),
        "product_in_batch": round(costs.plain_batch / 1e3, 1),
        "head_in_batch": round(head_cost / 1e3, 1),
    }
    if codes is not None:
        plan["cost_us"]["codes"] = round(code_cost / 1e3, 1)
    plan["trials"] = [
        {"size": size, "left": round(count.floats, 1), "left_by_codes": round(count.codes, 1)}
        for size, count in counts.items()
    ]
    return chosen, plan


class _Costs:
    """Nanoseconds of a query under each choice."""

    def __init__(
        self, counts: dict[int, Counts], n_samples: int, n_features: int, itemsize: int
    ) -> None:
        self._counts = counts
        self._n_samples = n_samples
        self._exact = _EXACT + _EXACT_ELEMENT * n_features
        self.plain_single = n_samples * itemsize * n_features * _PRODUCT_BYTE
        self.plain_batch = n_samples * (_BATCH_COLUMN * n_features * itemsize / 4 + _BATCH_ROW)

    def heads(self) -> list[tuple[int, int | None]]:
        """Return the pairs of sizes, of a head and of a finer one or none."""
        fines = [size for size in _FINE_SIZES if size in self._counts]
        pairs: list[tuple[int, int | None]] = [(size, None) for size in self._counts]
        pairs += [(size, fine) for size in self._counts for fine in fines if fine > size]
        return pairs

    def batch(self, head: int, fine: int | None) -> float:
        """Return the cost of a query in a batch with a head."""
        columns = self._n_samples * (_BATCH_COLUMN * (head + 2) + _BATCH_ROW)
        return columns + self._rest(self._counts[head].carried, fine)

    def single(self, head: int, fine: int | None) -> float:
        """Return the cost of one query with a head."""
        columns = self._n_samples * 4 * (head + 2) * _PRODUCT_BYTE
        return columns + self._rest(self._counts[head].floats, fine)

    def coded_batch(self, size: int, extra: int, fine: int | None) -> float:
        """Return the cost of a query in a batch with codes."""
        columns = self._n_samples * (_BATCH_CODE_ROW + _BATCH_CODE * (size + extra))
        fine = fine if fine is not None and fine > size else None
        return columns + self._rest(_CARRIED * self._counts[size].codes, fine)

    def coded(self, size: int, extra: int, fine: int | None) -> float:
        """Return the cost of one query with codes."""
        columns = self._n_samples * (_CODE_ROW + _CODE_BYTE * (size + extra))
        fine = fine if fine is not None and fine > size else None
        return columns + self._rest(self._counts[size].codes, fine)

    def _rest(self, left: float, fine: int | None) -> float:
        """Return the cost of the rows that a coarse bound leaves."""
        if fine is None:
            return max(left, 2 * NEIGHBORS) * self._exact
        finer = max(self._counts[fine].floats, 2 * NEIGHBORS)
        return left * (_FINE + _FINE_ELEMENT * fine) + finer * self._exact


def _reason(sample: Sample, sizes: Sizes, n_features: int) -> str:
    """Say in a sentence what was chosen and why."""
    stages = []
    if sizes.codes is not None:
        share = f"{sizes.codes} of {n_features} coordinates" if sizes.codes < n_features else "all"
        stages.append(f"{share} in bytes for single queries")
    if sizes.head is not None:
        stages.append(
            f"{sizes.head} of {n_features} rotated coordinates, {sample.kept(sizes.head):.1%} of "
            "the variance, for batches"
        )
    if sizes.fine is not None:
        stages.append(f"{sizes.fine} ({sample.kept(sizes.fine):.1%}) for the rows that these leave")
    if sizes.head is None:
        flat = "no head saves half of the plain product for batches, the spectrum is flat"
        return "; ".join([*stages, flat])
    return "; ".join(stages)
