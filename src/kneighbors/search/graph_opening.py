"""Opening a saved index, whatever its engine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from kneighbors.search.graph import ENGINE, GraphIndex
from kneighbors.search.index import ExactIndex
from kneighbors.search.rows import Rows

#: What answers: a graph lies over an exact index.
Index = ExactIndex | GraphIndex


def open_index(
    rows: Rows,
    metric: str,
    parts: Mapping[str, NDArray[Any]],
    plan: Mapping[str, Any],
    origin: str = "",
) -> Index:
    """Put together what `parts` and `plan` of an index gave.

    Parameters
    ----------
    rows : Rows
        The original vectors.
    metric : str
    parts, plan : mapping
        Of the index.
    origin : str
        SHA-256 of the vectors' file.

    Raises
    ------
    ArtifactError
        With code ``artifact-invalid``, or ``graph-mismatch`` where a graph is that of other
        vectors.
    MissingExtra
        Where there is a graph and faiss-cpu is not installed.
    """
    if plan.get("engine") != ENGINE:
        return ExactIndex.from_parts(rows, metric, parts, plan)
    exact = ExactIndex.from_parts(rows, metric, parts, plan["exact"])
    return GraphIndex.from_parts(exact, parts, plan, origin)
