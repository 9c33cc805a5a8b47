"""From a request to a checked query: ids become rows, rows become vectors, parameters get bounds.

The last step before the search: what comes out of here is not checked again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kneighbors.errors import BodyRefused, ItemsRefused, ParameterRefused
from kneighbors.formats import Limits, Parameters, Request
from kneighbors.formats.request import FloatArray
from kneighbors.formats.text import shown
from kneighbors.items import Catalog
from kneighbors.recommend.allowing import Allowing
from kneighbors.recommend.choosing import Choice, pool_of
from kneighbors.recommend.groups import Groups
from kneighbors.recommend.query import Query, RowArray
from kneighbors.recommend.tastes import Taste, mean_of
from kneighbors.recommend.wishing import Wishing
from kneighbors.search.gate import check_n_neighbors, check_queries, check_radius

if TYPE_CHECKING:
    from kneighbors.items.lists import Lists
    from kneighbors.items.vocabulary import Vocabulary
    from kneighbors.search.graph_opening import Index


class Reader:
    """What a request is held against.

    Parameters
    ----------
    index : Index
    catalog : Catalog
    limits : Limits
    default_n_neighbors : int
        Neighbours of a query that asks for no number.
    vocabulary : Vocabulary, optional
        What terms mean.
    lists : Lists, optional
        Lists of rows by name.
    """

    def __init__(
        self,
        index: Index,
        catalog: Catalog,
        limits: Limits,
        default_n_neighbors: int,
        vocabulary: Vocabulary | None = None,
        lists: Lists | None = None,
    ) -> None:
        self.index = index
        self.catalog = catalog
        self.limits = limits
        self.default_n_neighbors = default_n_neighbors
        self._allowing = Allowing(catalog, lists)
        self._groups = Groups(catalog)
        self._wishing = Wishing(index, catalog, vocabulary, limits)

    def query(self, request: Request, accept: str | None, source: str) -> Query:
        """Return a request as a query that may be searched for.

        Raises
        ------
        ArrayRefused
            As `kneighbors.search.gate.check_queries` raises it.
        ItemsRefused
            For ids, columns and lists that there are not, and what a filter cannot mean.
        ParameterRefused
            For parameters out of their bounds or of no use together.
        BodyRefused
            With code ``ids-too-many`` or ``answer-too-large``.
        """
        parameters = request.parameters
        items, radius = parameters.include_items, parameters.radius
        if items is not False:
            self._check_items(items)
        tastes = own_rows = None
        by_each = False
        if request.wishes is not None:
            by_each = parameters.strategy == "best_score"
            tastes = self._wishing.tastes(request.wishes, parameters)
            vectors, own_rows = self._of_tastes(tastes, by_each), _own_rows(tastes)
        else:
            _check_no_strategy(parameters)
            vectors, rows = self._vectors(request)
            own_rows = None if rows is None else list(rows.reshape(-1, 1))
            if parameters.explain:
                tastes = self._wishing.of_queries(vectors, rows)
        excludes_own = parameters.exclude_self
        if excludes_own is None:
            excludes_own = request.wishes is not None
        n_neighbors = self._n_neighbors(parameters)
        query = Query(
            vectors=vectors,
            n_neighbors=n_neighbors,
            radius=None if radius is None else check_radius(radius, self.index.metric),
            exclude=self._exclude(parameters, own_rows if excludes_own else None, len(vectors)),
            include_items=items,
            single=request.single,
            # Attributes and explanations have no place in nested arrays.
            shape=request.shape if items is False and not parameters.explain else "object",
            accept=accept,
            source=source,
            allowed=self._allowing.allowed(parameters, _FILTER),
            choice=self._choice(parameters, n_neighbors, len(vectors)),
            tastes=tastes if by_each or parameters.explain else None,
            by_each=by_each,
            explain=parameters.explain,
            allow_partial=parameters.allow_partial,
        )
        self._check_size(query)
        return query

    def _vectors(self, request: Request) -> tuple[FloatArray, RowArray | None]:
        """Return the query vectors, and for queries by id their rows."""
        if request.vectors is not None:
            if request.parameters.exclude_self:
                raise ParameterRefused(
                    "exclude-self-needs-ids",
                    "Expected queries by id with exclude_self, got vectors, of which none is a "
                    "row.",
                    hint="Send ids, or name what is to be left out in exclude_ids.",
                )
            return check_queries(request.vectors, self.index.n_features, self.index.metric), None
        rows = self.catalog.rows_of(request.ids or [])
        return check_queries(
            self.index.rows.take(rows), self.index.n_features, self.index.metric
        ), rows

    def _of_tastes(self, tastes: list[Taste], by_each: bool) -> FloatArray:
        shape = (len(tastes), self.index.n_features)
        if by_each:
            return np.zeros(shape)
        vectors = [mean_of(taste, self.index.metric) for taste in tastes]
        return check_queries(np.stack(vectors), self.index.n_features, self.index.metric)

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

    def _choice(
        self, parameters: Parameters, n_neighbors: int | None, n_queries: int
    ) -> Choice | None:
        metric = self.index.metric
        if parameters.max_per_group is not None and parameters.group_by is None:
            raise ParameterRefused(
                "parameter-conflict",
                "Expected group_by with max_per_group, got none.",
                where="max_per_group",
            )
        if parameters.diversity and n_neighbors is None:
            raise ParameterRefused(
                "parameter-conflict",
                "Expected n_neighbors with diversity, got a radius alone.",
                where="diversity",
            )
        choice = Choice(
            min_distance=_distance("min_distance", parameters.min_distance, metric),
            fold_within=_distance("fold_within", parameters.fold_within, metric),
            groups=None
            if parameters.group_by is None
            else self._groups.of(parameters.group_by, "group_by"),
            max_per_group=parameters.max_per_group or 1,
            diversity=parameters.diversity,
        )
        if choice.diversity or choice.fold_within is not None:
            self._check_comparisons(choice, n_neighbors or self.limits.max_neighbors, n_queries)
        elif choice.min_distance is None and choice.groups is None:
            return None
        return choice

    def _check_comparisons(self, choice: Choice, n_neighbors: int, n_queries: int) -> None:
        """Refuse what would compare so many candidates with one another that it takes too long."""
        compared = n_queries * n_neighbors * pool_of(n_neighbors)
        if compared > self.limits.max_compared:
            raise BodyRefused(
                "answer-too-large",
                "Expected diversity and fold_within with at most "
                f"{self.limits.max_compared} comparisons of candidates, got {n_queries} queries "
                f"with {n_neighbors} neighbours each, which makes {compared}.",
                hint="Ask for fewer neighbours, or send the queries in several requests.",
            )

    def _exclude(
        self, parameters: Parameters, own_rows: list[RowArray] | None, n_queries: int
    ) -> list[RowArray] | None:
        others = self._allowing.rows_of(parameters.exclude_ids, parameters, "exclude_ids")
        if n_queries * len(others) > self.limits.max_answers:
            raise BodyRefused(
                "ids-too-many",
                f"Expected at most {self.limits.max_answers} exclusions over all queries, got "
                f"{len(others)} for each of {n_queries}.",
            )
        if own_rows is not None:
            return [np.unique(np.append(others, rows)) for rows in own_rows]
        return [others] * n_queries if len(others) else None

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
        plain = query.include_items is False and not query.explain
        most = limits.max_answers if plain else limits.max_items
        if n_answers > most:
            raise BodyRefused(
                "answer-too-large",
                f"Expected at most {most} neighbours in one answer, got {len(query)} queries with "
                f"{query.n_neighbors} neighbours each.",
                hint="Send the queries in several requests.",
            )


_FILTER = "filter"


def _own_rows(tastes: list[Taste]) -> list[RowArray]:
    return [np.append(taste.like.own_rows, taste.dislike.own_rows) for taste in tastes]


def _check_no_strategy(parameters: Parameters) -> None:
    if parameters.strategy != "mean":
        raise ParameterRefused(
            "parameter-conflict",
            "Expected likes or dislikes with the strategy best_score, got vectors or ids.",
            where="strategy",
        )


def _distance(name: str, value: float | None, metric: str) -> float | None:
    if value is None:
        return None
    if value < 0 and metric != "inner_product":
        raise ParameterRefused(
            "parameter-range",
            f"Expected {name} of at least 0 for the metric {metric!r}, got {value:g}.",
            where=name,
        )
    return value
