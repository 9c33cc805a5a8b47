"""Bounds in stages: a coarse one for all rows, a finer one for those that it leaves.

For a few queries the coarse stage is an integer product with codes, where the accelerator is
installed; for batches, and without it, a float32 product with heads, or with the rows themselves
where no head pays. All of them bound the same scores, so the answers are the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kneighbors.errors import ArtifactError
from kneighbors.search.coded_queries import CodedQueries
from kneighbors.search.codes import CodeBounds
from kneighbors.search.fine import FineBounds
from kneighbors.search.frame import Frame
from kneighbors.search.head import HeadBounds
from kneighbors.search.metrics import Float64Array
from kneighbors.search.parts import part_of
from kneighbors.search.product import EUCLIDEAN, ProductBounds
from kneighbors.search.rotation import share
from kneighbors.search.rounding import Float32Array
from kneighbors.search.rows import Rows
from kneighbors.search.sieve import FloatSieve, Sieve

#: Up to so many queries, integer products are quicker than a float32 product with a head.
_FEW_QUERIES = 4


class StagedBounds:
    """Upper bounds of scores, by stages.

    Parameters
    ----------
    coarse : HeadBounds or ProductBounds
        For all rows.
    codes : CodeBounds or None
        For all rows, if there are few queries.
    fine : FineBounds or None
        For the rows that a coarse head leaves; in the frame of the codes and the head.
    plain : ProductBounds or None
        For queries of which all these rule out too few rows; None where nothing is better.
    batches_by_codes : bool
        Whether codes are for many queries as well.
    """

    def __init__(
        self,
        coarse: HeadBounds | ProductBounds,
        codes: CodeBounds | None = None,
        fine: FineBounds | None = None,
        plain: ProductBounds | None = None,
        batches_by_codes: bool = False,
    ) -> None:
        self.coarse = coarse
        self.codes = codes
        self.fine = fine
        self.plain = plain
        self.batches_by_codes = batches_by_codes
        rotations = [stage.rotation for stage in (codes, fine) if stage is not None]
        if isinstance(coarse, HeadBounds):
            rotations.append(coarse.rotation)
        share([rotation for rotation in rotations if rotation is not None])

    @classmethod
    def from_parts(
        cls,
        rows: Rows,
        metric: str,
        parts: Mapping[str, NDArray[Any]],
        plan: Mapping[str, Any],
    ) -> StagedBounds:
        """Take the parts of a saved index; older ones have the head or the product alone."""
        engine = plan.get("engine")
        if engine not in {"head", "product"}:
            raise ArtifactError(
                "artifact-invalid",
                f"Expected a plan for the engine 'head' or 'product', got {engine!r}.",
            )
        n_samples, n_features = rows.shape
        plain = None
        if engine == "product" or plan.get("fallback") == "product":
            shape = (1 + (metric in EUCLIDEAN), n_samples)
            plain = plain_bounds(metric, rows, part_of(parts, "factors", np.float32, shape))
            if engine == "product" and "code_size" not in plan:
                return cls(plain)
        centre = part_of(parts, "centre", np.float64, (n_features,))
        frame = Frame(metric, centre, int(plan["exponent"]))
        by_codes = plan.get("batches") == "codes"
        codes = fine = None
        if "code_size" in plan:
            codes = CodeBounds.from_parts(frame, rows.shape, int(plan["code_size"]), parts)
        if "fine_size" in plan:
            fine = FineBounds.from_parts(frame, rows.shape, int(plan["fine_size"]), parts)
        if engine == "product" and plain is not None:
            return cls(plain, codes, fine, plain, by_codes)
        coarse = HeadBounds.from_parts(frame, rows.shape, int(plan["head_size"]), parts)
        return cls(coarse, codes, fine, plain, by_codes)

    def parts(self) -> dict[str, NDArray[Any]]:
        """Return the arrays to save."""
        out = self.coarse.parts()
        for stage in (self.codes, self.fine, self.plain):
            if stage is not None:
                out |= stage.parts()
        return out

    @property
    def metric(self) -> str:
        """Canonical name of the metric."""
        return self.coarse.frame.metric

    def sieve(self, prepared: Float64Array) -> Sieve:
        """Return what rules rows out for these queries, prepared by the metric."""
        few = len(prepared) <= _FEW_QUERIES or self.batches_by_codes
        if self.codes is not None and few:
            packed = self.codes.packed
            if packed is not None:
                return CodedQueries(self.codes, packed, prepared)
        return FloatSieve(self.coarse, prepared)


def plain_bounds(metric: str, rows: Rows, factors: Float32Array) -> ProductBounds:
    """Return the bounds by the product with the rows as they are."""
    return ProductBounds(Frame(metric, np.zeros(rows.shape[1]), 0), rows, factors)
