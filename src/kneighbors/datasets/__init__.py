"""Example data that the package generates itself; nothing is downloaded.

The examples, the demonstration and the benchmarks use it. It needs numpy, and pyarrow when data are
made.
"""

from __future__ import annotations

from kneighbors.datasets.interactions import make_interactions
from kneighbors.datasets.wines import Wines, make_wines

__all__ = ["Wines", "make_interactions", "make_wines"]
