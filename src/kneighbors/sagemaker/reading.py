"""From a request to a checked query: ids become rows, rows become vectors, parameters get bounds.

The last step before the search: what comes out of here is not checked again.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from kneighbors.errors import BodyRefused, ItemsRefused, ParameterRefused
from kneighbors.formats import Limits, Parameters, Request
from kneighbors.formats.request import FloatArray, Id
from kneighbors.formats.text import shown
from kneighbors.items import Catalog
from kneighbors.sagemaker.query import Query, RowArray
from kneighbors.search.gate import check_n_neighbors, check_queries, check_radius

if TYPE_CHECKING:
    from kneighbors.search.index import ExactIndex

_INTEGER = re.compile(r"[+-]?[0-9]{1,19}")


@dataclass(frozen=True, slots=True, eq=False)
class Reader:
    """What a request is held against.

    Parameters
    ----------
    index : ExactIndex
    catalog : Catalog
    limits : Limits
    default_n_neighbors : int
        Neighbours of a query that asks for no number.
    """

    index: ExactIndex
    catalog: Catalog
    limits: Limits
    default_n_neighbors: int

    def query(self, request: Request, accept: str | None, source: str) -> Query:
        """Return a request as a query that may be searched for.

        Raises
        ------
        ArrayRefused
            As `kneighbors.search.gate.check_queries` raises it.
        ItemsRefused
            With code ``id-unknown``, ``id-type``, ``items-missing`` or ``items-column-unknown``.
        ParameterRefused
            With code ``n-neighbors-range``, ``radius-range`` or ``exclude-self-needs-ids``.
        BodyRefused
            With code ``ids-too-many`` or ``answer-too-large``.
        """
        parameters = request.parameters
        items, radius = parameters.include_items, parameters.radius
        if items is not False:
            self._check_items(items)
        vectors, own_rows = self._vectors(request)
        query = Query(
            vectors=vectors,
            n_neighbors=self._n_neighbors(parameters),
            radius=None if radius is None else check_radius(radius, self.index.metric),
            exclude=self._exclude(parameters, own_rows, len(vectors)),
            include_items=items,
            single=request.single,
            # Attributes have no place in nested arrays.
            shape=request.shape if items is False else "object",
            accept=accept,
            source=source,
        )
        self._check_size(query)
        return query

    def _vectors(self, request: Request) -> tuple[FloatArray, RowArray | None]:
        """Return the query vectors, and for queries by id their rows."""
        if request.vectors is not None:
            return check_queries(request.vectors, self.index.n_features, self.index.metric), None
        rows = self.catalog.rows_of(request.ids or [])
        return check_queries(
            self.index.rows.take(rows), self.index.n_features, self.index.metric
        ), rows

    def _n_neighbors(self, parameters: Parameters) -> int | None:
        asked = parameters.n_neighbors
        if asked is None:
            return None if parameters.radius is not None else self.default_n_neighbors
        most, reason = min(
            (self.limits.max_neighbors, "the limit of this server"),
            (self.index.n_samples, "the number of rows"),
        )
        if asked > most:
            raise ParameterRefused(
                "n-neighbors-range",
                f"Expected n_neighbors of at most {most}, {reason}, got {shown(asked)}.",
                where="n_neighbors",
            )
        return check_n_neighbors(asked, self.index.n_samples)

    def _exclude(
        self, parameters: Parameters, own_rows: RowArray | None, n_queries: int
    ) -> list[RowArray] | None:
        if parameters.exclude_self and own_rows is None:
            raise ParameterRefused(
                "exclude-self-needs-ids",
                "Expected queries by id with exclude_self, got vectors, of which none is a row.",
                hint="Send ids, or name what is to be left out in exclude_ids.",
            )
        others = self._excluded_rows(parameters)
        if n_queries * len(others) > self.limits.max_answers:
            raise BodyRefused(
                "ids-too-many",
                f"Expected at most {self.limits.max_answers} exclusions over all queries, got "
                f"{len(others)} for each of {n_queries}.",
            )
        if parameters.exclude_self and own_rows is not None:
            return [np.append(others, row) for row in own_rows]
        return [others] * n_queries if len(others) else None

    def _excluded_rows(self, parameters: Parameters) -> RowArray:
        ids: Sequence[Id] = parameters.exclude_ids
        if not ids:
            return np.empty(0, dtype=np.int64)
        if parameters.exclude_ids_are_text and self.catalog.id_type != "string":
            ids = [_as_integer(one) for one in ids]
        try:
            return np.unique(self.catalog.rows_of(ids))
        except ItemsRefused as error:
            raise ItemsRefused(
                error.code, error.message, where=f"exclude_ids, {error.where}", hint=error.hint
            ) from error

    def _check_items(self, wanted: bool | tuple[str, ...]) -> None:
        if wanted and not self.catalog.has_items:
            raise ItemsRefused(
                "items-missing", "Expected an index with attributes for include_items, got none."
            )
        if isinstance(wanted, tuple):
            self.catalog.attributes_of([], wanted)  # refuses unknown columns

    def _check_size(self, query: Query) -> None:
        limits = self.limits
        n_answers = len(query) * (query.n_neighbors or 1)
        most = limits.max_answers if query.include_items is False else limits.max_items
        if n_answers > most:
            raise BodyRefused(
                "answer-too-large",
                f"Expected at most {most} neighbours in one answer, got {len(query)} queries with "
                f"{query.n_neighbors} neighbours each.",
                hint="Send the queries in several requests.",
            )


def _as_integer(text: Id) -> int:
    if _INTEGER.fullmatch(str(text)) is None:
        raise ItemsRefused(
            "id-type", f"Expected an integer id, got {shown(text)}.", where="exclude_ids"
        )
    return int(text)
