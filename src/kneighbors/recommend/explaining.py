"""Why an answer was given: the like that it is nearest to, how far, and what they share."""

from __future__ import annotations

from typing import Any

import numpy as np

from kneighbors.items import Catalog
from kneighbors.recommend.candidates import Scores
from kneighbors.recommend.tastes import Examples, Taste
from kneighbors.search.rows import RowArray

Explanation = dict[str, Any]


class Explainer:
    """What answers are explained by.

    Parameters
    ----------
    catalog : Catalog
        Its attributes that are lists of text are what rows can share.
    scores : Scores
    """

    def __init__(self, catalog: Catalog, scores: Scores) -> None:
        self._catalog = catalog
        self._scores = scores

    def of(self, rows: RowArray, taste: Taste) -> list[Explanation]:
        """Return an explanation of each answer to one query.

        Parameters
        ----------
        rows : ndarray of shape (n_found,), dtype int64
        taste : Taste

        Returns
        -------
        list of dict
            ``like`` is the id of the nearest like, or None where a vector or terms came; ``place``
            its number among the likes; ``distance`` that to it; ``shared``, by attribute, the words
            that both have. Empty dicts where there are no likes.
        """
        likes = taste.like
        if not len(likes) or not len(rows):
            return [{} for _ in rows]
        gaps = np.stack(
            [self._scores.nearest(rows, likes.vectors[n : n + 1]) for n in range(len(likes))]
        )
        nearest = np.argmin(gaps, axis=0).tolist()
        columns = self._lists_of_words()
        words = self._catalog.attributes_of(rows, columns) if columns else [{} for _ in rows]
        return [
            {
                "like": self._id_of(likes, place),
                "place": place,
                "distance": float(gaps[place, number]),
                "shared": self._shared(words[number], likes, place, columns),
            }
            for number, place in enumerate(nearest)
        ]

    def _id_of(self, likes: Examples, place: int) -> str | int | None:
        row = int(likes.rows[place])
        return None if row < 0 else self._catalog.ids_of([row])[0]

    def _shared(
        self, words: dict[str, Any], likes: Examples, place: int, columns: list[str]
    ) -> dict[str, list[str]]:
        row, terms = int(likes.rows[place]), likes.terms[place]
        shared = {}
        others = self._catalog.attributes_of([row], columns)[0] if row >= 0 and columns else {}
        for column in columns:
            wanted = set(others.get(column) or () if terms is None else terms)
            both = [word for word in dict.fromkeys(words[column] or ()) if word in wanted]
            if both:
                shared[column] = both
        return shared

    def _lists_of_words(self) -> list[str]:
        schema = self._catalog.schema
        if schema is None:
            return []
        import pyarrow.types as kinds

        return [
            field.name
            for field in schema
            if kinds.is_list(field.type)
            or kinds.is_large_list(field.type)
            or kinds.is_fixed_size_list(field.type)
        ]
