"""What is said of each wine, as an Arrow table.

Columns: name, variety, country, price, points, terms. pyarrow is imported when a table is made.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from kneighbors.datasets.names import LANGUAGE_OF, LANGUAGES
from kneighbors.datasets.tasting import COUNTRIES, NO_TERM, Numbers, Tasted
from kneighbors.datasets.varieties import VARIETIES
from kneighbors.datasets.vocabulary import TERMS

if TYPE_CHECKING:
    import pyarrow as pa


def items_of(tasted: Tasted) -> pa.Table:
    """Return the wines' attributes.

    Parameters
    ----------
    tasted : Tasted
        Wines as numbers, one entry a row.

    Returns
    -------
    pyarrow.Table
        With the columns name (string), variety (string), country (string), price (float64, null
        where unknown), points (int64) and terms (list of strings).
    """
    import pyarrow as pa

    variety = pa.array([variety.name for variety in VARIETIES]).take(pa.array(tasted.variety))
    return pa.table(
        {
            "name": _names(tasted, variety),
            "variety": variety,
            "country": pa.array(COUNTRIES).take(pa.array(tasted.country)),
            "price": pa.array(tasted.price, from_pandas=True),
            "points": pa.array(tasted.points),
            "terms": _term_lists(tasted.terms),
        }
    )


def _names(tasted: Tasted, variety: pa.Array) -> pa.Array:
    """Put names together: winery, vintage, vineyard, variety."""
    import pyarrow as pa
    import pyarrow.compute as pc

    languages = list(LANGUAGES)
    language = np.array([languages.index(LANGUAGE_OF[country]) for country in COUNTRIES])
    spoken = language[tasted.country]
    houses, vineyards = _words(), _words(vineyards=True)
    return pc.binary_join_element_wise(
        houses.of(spoken, tasted.house),
        pa.array(tasted.vintage).cast(pa.string()),
        vineyards.of(spoken, tasted.vineyard),
        variety,
        " ",
    )


class _Words:
    """All languages' names in one array, and where each language's begin."""

    def __init__(self, *, vineyards: bool) -> None:
        import pyarrow as pa

        lists = [
            language.vineyards if vineyards else language.houses for language in LANGUAGES.values()
        ]
        self._names = pa.array([name for names in lists for name in names])
        self._counts = np.array([len(names) for names in lists])
        self._starts = np.cumsum(self._counts) - self._counts

    def of(self, language: Numbers, number: Numbers) -> pa.Array:
        import pyarrow as pa

        return self._names.take(pa.array(self._starts[language] + number % self._counts[language]))


@cache
def _words(*, vineyards: bool = False) -> _Words:
    return _Words(vineyards=vineyards)


def _term_lists(terms: Numbers) -> pa.ListArray:
    import pyarrow as pa

    noted = terms != NO_TERM
    offsets = np.zeros(len(terms) + 1, np.int32)
    np.cumsum(noted.sum(axis=1), out=offsets[1:])
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(TERMS).take(pa.array(terms[noted])))
