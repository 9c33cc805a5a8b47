"""Recommendations in Python: what the wire and the command line answer, without either."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from kneighbors.errors import ArrayRefused, ParameterRefused
from kneighbors.formats import JSON, Limits, Request
from kneighbors.items import Catalog
from kneighbors.recommend.arguments import Likes, ids_of, parameters_of, wish_of
from kneighbors.recommend.candidates import Scores
from kneighbors.recommend.explaining import Explainer
from kneighbors.recommend.finding import find
from kneighbors.recommend.neighbors import Neighbors
from kneighbors.recommend.query import Found, Query
from kneighbors.recommend.reading import Reader
from kneighbors.recommend.wanted import Wanted
from kneighbors.search.gate import check_queries
from kneighbors.search.rows import FloatArray

if TYPE_CHECKING:
    from kneighbors.artifact import Artifact
    from kneighbors.items.lists import Lists
    from kneighbors.items.vocabulary import Vocabulary
    from kneighbors.search.graph_opening import Index

#: What is not bounded here: whoever calls Python has a machine of their own.
_LIMITS = Limits(max_rows=1 << 31, max_neighbors=1 << 31, max_answers=1 << 40, max_items=1 << 40)
_DEFAULT_N_NEIGHBORS = 10

Encoder = Callable[[list[str]], Any]


class Recommender:
    """Recommendations from an index and what is known about its rows.

    Immutable and safe to use from several threads. `docs/reference/recommend.md` says what each
    argument does, and in which order.

    Parameters
    ----------
    index : Index
    catalog : Catalog, optional
        What the rows are; without one the row numbers are the ids.
    vocabulary : Vocabulary, optional
        What terms mean.
    lists : Lists, optional
        Lists of rows by name.
    encoder : callable, optional
        Makes of a list of n texts an array of shape (n, n_features), as ``SentenceTransformer``'s
        ``encode`` does; for queries by `text`.

    Examples
    --------
    >>> from kneighbors.items import Catalog
    >>> from kneighbors.search.index import ExactIndex
    >>> from kneighbors.search.rows import ArrayRows
    >>> index = ExactIndex.build(ArrayRows(np.array([[0.0], [1.0], [2.0], [8.0]])), "euclidean")
    >>> wines = Recommender(index, Catalog(4, ids=["a", "b", "c", "d"]))
    >>> wines.recommend(like=["a", "c"], n_neighbors=1).ids
    ['b']
    """

    def __init__(
        self,
        index: Index,
        catalog: Catalog | None = None,
        *,
        vocabulary: Vocabulary | None = None,
        lists: Lists | None = None,
        encoder: Encoder | None = None,
    ) -> None:
        self.index = index
        self.catalog = Catalog(index.n_samples) if catalog is None else catalog
        self.vocabulary = vocabulary
        self.lists = lists
        self._encoder = encoder
        default = min(_DEFAULT_N_NEIGHBORS, index.n_samples)
        self._reader = Reader(
            index, self.catalog, _LIMITS, default, vocabulary=vocabulary, lists=lists
        )

    @classmethod
    def open(cls, path: str | Path, *, encoder: Encoder | None = None) -> Recommender:
        """Open an artifact, a directory or a ``.tar.gz``; or the current generation of a place.

        Parameters
        ----------
        path : str or Path
        encoder : callable, optional
            As in `Recommender`.

        Raises
        ------
        ArtifactError, StorageError
            As `kneighbors.artifact.open_artifact` raises them.
        """
        from kneighbors.generations import open_saved

        return cls.of(open_saved(path), encoder=encoder)

    @classmethod
    def of(cls, artifact: Artifact, *, encoder: Encoder | None = None) -> Recommender:
        """Return the recommender of an open artifact."""
        return cls(
            artifact.index,
            artifact.catalog,
            vocabulary=artifact.vocabulary,
            lists=artifact.lists,
            encoder=encoder,
        )

    def recommend(
        self,
        *,
        like: Likes = (),
        dislike: Likes = (),
        terms: Sequence[str] = (),
        text: str | None = None,
        **wanted: Unpack[Wanted],
    ) -> Neighbors:
        """Return what somebody may like who likes these.

        Parameters
        ----------
        like, dislike : sequence or mapping
            Ids, vectors, or pairs of one of them and its weight; or a mapping of ids to weights.
        terms : sequence of str
            Words of the vocabulary; together they are one more like.
        text : str, optional
            What the encoder makes a vector of, which is one more like.
        **wanted
            As `kneighbors.recommend.Wanted` has it: ``n_neighbors``, ``filter``, ``diversity`` and
            others. Attributes come with the answers, where there are any.

        Returns
        -------
        Neighbors

        Raises
        ------
        Refused
            As a request is refused; the code says why.

        Notes
        -----
        One search of the index, or a few where groups and copies leave too few answers.
        """
        if text is not None:
            (vector,) = self._encoded([text])
            like = [*(like.items() if isinstance(like, Mapping) else like), vector]
        wish = wish_of(like, dislike, terms, _LIMITS)
        return self._answers(Request(wishes=[wish]), wanted)[0]

    def neighbors(
        self,
        *,
        ids: Sequence[str | int] | None = None,
        vectors: Any = None,
        texts: Sequence[str] | None = None,
        **wanted: Unpack[Wanted],
    ) -> list[Neighbors]:
        """Return the neighbours of several queries, each by itself.

        Parameters
        ----------
        ids : sequence of str or int, optional
            Rows that are the queries.
        vectors : array-like of shape (n_queries, n_features) or (n_features,), optional
        texts : sequence of str, optional
            What the encoder makes vectors of.
        **wanted
            As of `recommend`.

        Returns
        -------
        list of Neighbors

        Raises
        ------
        ParameterRefused
            With code ``query-conflict``, when not exactly one kind of query is given.
        Refused
            As `recommend`.
        """
        if sum(one is not None for one in (ids, vectors, texts)) != 1:
            raise ParameterRefused("query-conflict", "Expected one of ids, vectors and texts.")
        if ids is not None:
            request = Request(ids=ids_of(ids, _LIMITS))
        else:
            array = self._encoded(list(texts)) if texts is not None else _matrix(vectors)
            request = Request(
                vectors=check_queries(array, self.index.n_features, self.index.metric)
            )
        return self._answers(request, wanted) if request.n_queries else []

    def _encoded(self, texts: list[str]) -> FloatArray:
        if self._encoder is None:
            raise ParameterRefused(
                "encoder-missing",
                "Expected a recommender with an encoder for queries by text, got one without.",
                hint="Open it with Recommender.open(path, encoder=...).",
            )
        array = check_queries(
            self._encoder(texts), self.index.n_features, self.index.metric, name="of the encoder"
        )
        if len(array) != len(texts):
            raise ArrayRefused(
                "array-shape",
                f"Expected an encoder that makes a row of each text, got {len(array)} rows for "
                f"{len(texts)}.",
            )
        return array

    def _answers(self, request: Request, wanted: Mapping[str, Any]) -> list[Neighbors]:
        wanted = {"include_items": self.catalog.has_items, **wanted}
        request = replace(request, parameters=parameters_of(wanted, _LIMITS))
        query = self._reader.query(request, None, JSON)
        (found,) = find(self.index, [query], _LIMITS)
        return [self._neighbors(query, found, place) for place in range(len(query))]

    def _neighbors(self, query: Query, found: Found, place: int) -> Neighbors:
        rows = np.asarray(found.indices[place])
        items = explanations = None
        if query.include_items is not False:
            columns = None if query.include_items is True else query.include_items
            items = self.catalog.attributes_of(rows, columns)
        if query.explain and query.tastes is not None:
            scores = Scores(self.index.rows, self.index.metric)
            explanations = Explainer(self.catalog, scores).of(rows, query.tastes[place])
        reason = None if found.reasons is None else found.reasons[place]
        missing = None if found.missing is None else found.missing[place]
        return Neighbors(
            distances=np.asarray(found.distances[place]),
            indices=rows,
            ids=self.catalog.ids_of(rows),
            items=items,
            reason=reason,
            detail=query.allowed.detail()
            if reason == "filter" and query.allowed is not None
            else None,
            explanations=explanations,
            missing_rows=missing or None,
        )


def _matrix(vectors: Any) -> Any:
    array = np.asarray(vectors)
    return array.reshape(1, -1) if array.ndim == 1 else vectors
