"""From some queries to a table of their neighbours, by the same steps as a request's."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from kneighbors.artifact import Artifact
from kneighbors.formats import JSON, Limits, Parameters, Request
from kneighbors.join.queries import Asked, id_array
from kneighbors.join.settings import JoinSettings
from kneighbors.recommend.finding import find
from kneighbors.recommend.query import Query
from kneighbors.recommend.reading import Reader
from kneighbors.search.gate import check_n_neighbors

if TYPE_CHECKING:
    import pyarrow as pa

_DEFAULT_N_NEIGHBORS = 10
#: A batch on this machine is no stranger's request: it may be large.
_LIMITS = Limits(
    max_rows=1 << 31,
    max_neighbors=1 << 31,
    max_ids=1 << 31,
    max_answers=1 << 48,
    max_items=1 << 48,
)


class Answering:
    """What queries are asked of.

    Parameters
    ----------
    artifact : Artifact
    settings : JoinSettings

    Attributes
    ----------
    n_neighbors : int or None
        Neighbours of each query; None where a radius alone decides.

    Raises
    ------
    Refused
        As a request is for its parameters.
    """

    def __init__(self, artifact: Artifact, settings: JoinSettings) -> None:
        index = artifact.index
        recorded = artifact.manifest.source.get("n_neighbors")
        default = recorded if type(recorded) is int and recorded >= 1 else _DEFAULT_N_NEIGHBORS
        self._index = index
        self._catalog = artifact.catalog
        self._reader = Reader(
            index, artifact.catalog, _LIMITS, min(default, index.n_samples), lists=artifact.lists
        )
        self._parameters = Parameters(
            n_neighbors=settings.n_neighbors,
            radius=settings.radius,
            filter=settings.filter,
            exclude_ids=settings.exclude_ids,
            include_ids=settings.include_ids,
        )
        if settings.n_neighbors is not None:
            check_n_neighbors(settings.n_neighbors, index.n_samples)
        # Refused now, not after the first part was read.
        query = self._query(index.rows.take(np.zeros(1, np.int64)))
        self.n_neighbors = query.n_neighbors

    def table(self, asked: Asked, first: int) -> pa.Table:
        """Return the neighbours of some queries.

        Parameters
        ----------
        asked : Asked
        first : int
            Number of the first query.

        Returns
        -------
        pyarrow.Table
            Columns ``query``, ``query_id`` if they have ids, ``distances``, ``rows``, and ``ids``
            if the corpus has ids; the last three are lists, the nearest first.
        """
        import pyarrow as pa

        query = self._query(asked.vectors)
        if asked.own_rows is not None:
            query = replace(query, exclude=_with_own(query, asked.own_rows))
        (found,) = find(self._index, [query], _LIMITS)
        ends = np.zeros(len(query) + 1, np.int64)
        np.cumsum([len(rows) for rows in found.indices], out=ends[1:])
        rows = _flat(found.indices, np.int64)
        columns: dict[str, Any] = {
            "query": pa.array(np.arange(first, first + len(query), dtype=np.int64))
        }
        if asked.ids is not None:
            columns["query_id"] = asked.ids
        columns["distances"] = _lists(ends, pa.array(_flat(found.distances, np.float64)))
        columns["rows"] = _lists(ends, pa.array(rows))
        if self._catalog.id_type != "row":
            ids = id_array(self._catalog.ids_of(rows), self._catalog.id_type)
            columns["ids"] = _lists(ends, ids)
        return pa.table(columns)

    def _query(self, vectors: Any) -> Query:
        request = Request(vectors=vectors, shape="object", parameters=self._parameters)
        return self._reader.query(request, None, JSON)


def _with_own(query: Query, own_rows: Any) -> list[Any]:
    others = query.exclude or [np.empty(0, np.int64)] * len(query)
    return [
        np.unique(np.append(rows, own)) if own >= 0 else rows
        for rows, own in zip(others, own_rows.tolist(), strict=True)
    ]


def _flat(pieces: Any, dtype: type) -> Any:
    """Return the neighbours of all queries in one run."""
    return np.concatenate([*pieces, np.empty(0, dtype)])


def _lists(ends: Any, values: pa.Array) -> pa.Array:
    import pyarrow as pa

    return pa.LargeListArray.from_arrays(pa.array(ends), values)
