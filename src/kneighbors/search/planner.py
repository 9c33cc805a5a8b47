"""The plan of an index: which stages of bounds, and how large, by measuring on the corpus itself.

The corpus is read once for the lengths of its rows; a sample says which stages pay (`costs`), and
they are built.

The lesson that a plan must be measured, and that plain products win on many data sets, is that of
F. Abuzaid et al., "To Index or Not to Index: Optimizing Exact Maximum Inner Product Search",
ICDE 2019.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from kneighbors.search.building import build_stages
from kneighbors.search.costs import decide
from kneighbors.search.frame import Frame
from kneighbors.search.head import blocks_of
from kneighbors.search.metrics import lengths
from kneighbors.search.product import LENGTHS_FOR_PRODUCT, ProductBounds
from kneighbors.search.progress import Progress
from kneighbors.search.rows import Rows
from kneighbors.search.sample import Sample
from kneighbors.search.staged import StagedBounds

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
) -> tuple[StagedBounds, dict[str, Any]]:
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
    bounds : StagedBounds
    plan : dict
        What was decided and why, fit for JSON; `StagedBounds.from_parts` reads it.
    """
    found = survey(rows, progress)
    n_samples, n_features = rows.shape
    if n_samples * n_features <= _SMALL and found.product_is_safe:
        plain = ProductBounds.build(Frame(metric, np.zeros(n_features), 0), rows, progress)
        reason = "a corpus this small is read in no time"
        return StagedBounds(plain), {"engine": "product", "reason": reason}
    exponent = 0 if metric == "cosine" else found.exponent
    sample = Sample.of(rows, metric, exponent, np.random.default_rng(random_state))
    sizes, plan = decide(sample, rows.shape, rows.dtype.itemsize, found.product_is_safe)
    bounds = build_stages(sample.frame, sample.basis, sizes, sample.Z, rows, progress)
    bounds.batches_by_codes = plan.get("batches") == "codes"
    return bounds, plan
