"""From likes and dislikes by id, vector or terms to vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, cast

import numpy as np

from kneighbors.errors import BodyRefused, ItemsRefused, ParameterRefused, Refused
from kneighbors.formats import Example, Limits, Parameters, Wish
from kneighbors.formats.request import FloatArray, Id
from kneighbors.items import Catalog
from kneighbors.recommend.tastes import Examples, Taste
from kneighbors.search.gate import check_queries
from kneighbors.search.rows import RowArray

if TYPE_CHECKING:
    from kneighbors.items.vocabulary import Vocabulary
    from kneighbors.search.graph_opening import Index

#: Examples of all the queries of a request, for each that one query may have.
_OVER_ALL = 10


class Wishing:
    """What likes and dislikes are held against.

    Parameters
    ----------
    index : Index
    catalog : Catalog
    vocabulary : Vocabulary or None
    limits : Limits
    """

    def __init__(
        self, index: Index, catalog: Catalog, vocabulary: Vocabulary | None, limits: Limits
    ) -> None:
        self._index = index
        self._catalog = catalog
        self._vocabulary = vocabulary
        self._limits = limits

    def tastes(self, wishes: Sequence[Wish], parameters: Parameters) -> list[Taste]:
        """Return what each query likes and does not like.

        Raises
        ------
        ItemsRefused
            With code ``id-unknown``, ``id-type``, ``vocabulary-missing`` or those of terms.
        ArrayRefused
            For vectors, as the gate raises it.
        ParameterRefused
            With code ``like-missing`` or ``like-weights``.
        BodyRefused
            With code ``ids-too-many``.
        """
        most = _OVER_ALL * self._limits.max_ids
        total = sum(len(wish.like) + len(wish.dislike) for wish in wishes)
        if total > most:
            raise BodyRefused(
                "ids-too-many",
                f"Expected at most {most} likes and dislikes over all queries, got {total}.",
                hint="Send the queries in several requests.",
            )
        found = []
        for wish in wishes:
            if not wish.like and not wish.dislike:
                raise ParameterRefused(
                    "like-missing",
                    "Expected likes, dislikes or terms, got none.",
                    where=wish.where or None,
                )
            if parameters.strategy == "best_score":
                self._check_each(wish)
            found.append(
                Taste(
                    self._examples(wish.like, parameters),
                    self._examples(wish.dislike, parameters),
                    wish.where,
                )
            )
        return found

    def of_queries(self, vectors: FloatArray, rows: RowArray | None) -> list[Taste]:
        """Return queries by vector or id as tastes with one like each, for explanations."""
        none = self._examples((), Parameters())
        return [
            Taste(
                Examples(
                    vectors[place : place + 1],
                    np.array([-1]) if rows is None else rows[place : place + 1],
                    np.ones(1),
                    (None,),
                ),
                none,
            )
            for place in range(len(vectors))
        ]

    def _check_each(self, wish: Wish) -> None:
        examples = (*wish.like, *wish.dislike)
        if len(examples) > self._limits.max_scored:
            raise BodyRefused(
                "ids-too-many",
                f"Expected at most {self._limits.max_scored} likes and dislikes with the strategy "
                f"best_score, which searches for each, got {len(examples)}.",
                where=wish.where or None,
                hint="Use the strategy mean.",
            )
        for one in examples:
            if one.weight != 1.0:
                raise ParameterRefused(
                    "like-weights",
                    "Expected no weights with the strategy best_score, which takes the nearest "
                    f"like, got {one.weight:g}.",
                    where=one.where or None,
                    hint="Use the strategy mean.",
                )

    def _examples(self, examples: Sequence[Example], parameters: Parameters) -> Examples:
        n_features = self._index.n_features
        rows = np.full(len(examples), -1, dtype=np.int64)
        named = [place for place, one in enumerate(examples) if one.id is not None]
        if named:
            rows[named] = self._rows_of([examples[place] for place in named])
        parts: list[FloatArray] = []
        terms: list[tuple[str, ...] | None] = []
        for one in examples:
            words = None
            if one.id is not None:
                vector = None
            elif one.terms is not None:
                vector, words = self._of_terms(one.terms, one.where, parameters.unknown_terms)
            else:
                vector = np.asarray(one.vector)
            if vector is not None:
                parts.append(self._checked(vector, one.where))
            terms.append(words)
        if len(named) == len(examples):
            vectors = self._index.rows.take(rows)
        else:
            vectors = np.empty((len(examples), n_features))
            vectors[rows < 0] = np.concatenate(parts)
            vectors[rows >= 0] = self._index.rows.take(rows[rows >= 0])
        weights = np.array([one.weight for one in examples], dtype=np.float64)
        return Examples(vectors, rows, weights, tuple(terms))

    def _checked(self, vector: FloatArray, where: str) -> FloatArray:
        try:
            return check_queries(
                vector[np.newaxis], self._index.n_features, self._index.metric, name="the vector"
            )
        except Refused as error:
            raise type(error)(
                error.code, error.message, where=where or None, hint=error.hint
            ) from error

    def _rows_of(self, examples: Sequence[Example]) -> RowArray:
        try:
            return self._catalog.rows_of(_ids(examples))
        except ItemsRefused:
            for one in examples:  # find the first at fault, to name its place
                try:
                    self._catalog.rows_of(_ids([one]))
                except ItemsRefused as error:
                    raise ItemsRefused(
                        error.code, error.message, where=one.where or None, hint=error.hint
                    ) from error
            raise

    def _of_terms(
        self, terms: tuple[str, ...], where: str, unknown: str
    ) -> tuple[FloatArray, tuple[str, ...]]:
        if self._vocabulary is None:
            raise ItemsRefused(
                "vocabulary-missing",
                "Expected an index with a vocabulary for terms, got one without.",
                where=where or None,
                hint="Train with --vocabulary.",
            )
        mode = cast(Literal["refuse", "skip"], unknown)
        try:
            vector = self._vocabulary.vector_of(terms, unknown=mode)
            found = self._vocabulary.find(terms, unknown=mode)
        except Refused as error:
            raise type(error)(
                error.code, error.message, where=where or None, hint=error.hint
            ) from error
        return vector, tuple(found.terms)


def _ids(examples: Sequence[Example]) -> list[Id]:
    return [one.id for one in examples if one.id is not None]
