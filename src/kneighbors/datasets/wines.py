"""Generated wines: ids, attributes and embeddings, for examples and for measurement."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from kneighbors.datasets.embedding import N_FEATURES, FloatArray, embed_terms
from kneighbors.datasets.embedding import term_vectors as _term_vectors
from kneighbors.datasets.embedding import term_weights as _term_weights
from kneighbors.datasets.table import items_of
from kneighbors.datasets.tasting import taste
from kneighbors.datasets.vocabulary import SYNONYMS, TERMS
from kneighbors.datasets.whole import whole
from kneighbors.errors import ItemsRefused, ParameterRefused
from kneighbors.items.vocabulary import Vocabulary

if TYPE_CHECKING:
    import pyarrow as pa

# The ids have seven digits.
_MOST_WINES: Final = 10_000_000
_SEEDS: Final = 2**63
# Drawing takes some 2 kB a row while it is at work, hence 64 MB.
_BLOCK_ROWS: Final = 32_768

_PLACE_OF: Final = {term: place for place, term in enumerate(TERMS)}


@dataclass(frozen=True, eq=False, repr=False)
class Wines:
    """Wines that never were: a corpus with everything that goes with it.

    Made by `make_wines`. Row ``i`` of each of `X`, `ids` and `items` is the same wine.

    Attributes
    ----------
    X : ndarray of shape (n, 300), dtype float32
        Embeddings: each wine's is the mean of its terms' vectors, weighted by IDF.
    ids : list of str, of length n
        ``"wine-0000000"`` and so on.
    items : pyarrow.Table
        Columns name, variety, country, price (null where unknown), points (80 to 100) and terms
        (a list of strings).
    terms : list of str, of length n_terms
        All tasting terms, whether a wine has them or not.
    term_vectors : ndarray of shape (n_terms, 300), dtype float32
        Each term's vector. Related terms lie together. Read-only.
    idf : ndarray of shape (n_terms,), dtype float32
        Each term's weight: the rarer, the heavier. Read-only.
    vocabulary : Vocabulary
        All three as one, with synonyms.
    """

    X: FloatArray
    ids: list[str]
    items: pa.Table
    terms: list[str] = field(default_factory=lambda: list(TERMS))
    term_vectors: FloatArray = field(default_factory=_term_vectors)
    idf: FloatArray = field(default_factory=_term_weights)

    def __len__(self) -> int:
        return len(self.X)

    def __repr__(self) -> str:
        return f"<Wines: {len(self):,} wines, {N_FEATURES} dimensions, {len(self.terms)} terms>"

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The terms with their vectors, weights and some synonyms, to be saved with an index."""
        return Vocabulary(self.terms, self.term_vectors, self.idf, SYNONYMS)

    def embed(self, terms: Iterable[str]) -> FloatArray:
        """Turn tasting terms into a query vector, as the wines' own vectors are made.

        Parameters
        ----------
        terms : iterable of str
            One term or more, of `Wines.terms`. A term that is given twice counts twice.

        Returns
        -------
        ndarray of shape (300,), dtype float32
            The terms' mean, weighted by IDF.

        Raises
        ------
        ItemsRefused
            ``term-unknown``: a term is not in the vocabulary.
        ParameterRefused
            ``parameter-type``: `terms` is one string, or holds something else than strings;
            ``terms-empty``: there is none.

        Examples
        --------
        >>> wines = make_wines(100)
        >>> wines.embed(["lemon", "wet stone"]).shape
        (300,)
        """
        places = [_place_of(term, at) for at, term in enumerate(_listed(terms))]
        if not places:
            raise ParameterRefused("terms-empty", "Expected one tasting term or more, got none.")
        vector: FloatArray = embed_terms(np.array([places], np.int64))[0]
        return vector


def make_wines(n: int = 180_000, seed: int = 0) -> Wines:
    """Generate wines with ids, attributes and 300-dimensional embeddings.

    The vocabulary, the names and the numbers are this package's own. Nearest neighbours make sense:
    wines taste like their variety and the way they are made, related terms have similar vectors,
    and the spectrum of the embeddings is like that of real tasting notes. About three wines in a
    hundred have exactly the vector of another, five more differ in one term.

    Parameters
    ----------
    n : int, default=180_000
        Number of wines, 1 to 10,000,000.
    seed : int, default=0
        Which wines, 0 to 2**63 - 1. The terms' vectors are the same for all seeds, so wines of
        another seed are queries that the corpus does not contain.

    Returns
    -------
    Wines

    Raises
    ------
    ParameterRefused
        ``parameter-type``: `n` or `seed` is no whole number; ``parameter-range``: it is out of its
        bounds.

    Notes
    -----
    O(n): about two seconds for 180,000 wines on one core; 1.2 kB of `X` a wine and half as much
    for the rest. The same `n` and `seed` give the same bytes on every machine, and a smaller
    `n` gives the first rows of a larger one.

    Examples
    --------
    >>> wines = make_wines(1000)
    >>> wines.X.shape, wines.X.dtype
    ((1000, 300), dtype('float32'))
    >>> wines.ids[0]
    'wine-0000000'
    >>> wines.items.column_names
    ['name', 'variety', 'country', 'price', 'points', 'terms']
    """
    n = whole("n", n, 1, _MOST_WINES)
    seed = whole("seed", seed, 0, _SEEDS - 1)
    import pyarrow as pa

    X = np.empty((n, N_FEATURES), np.float32)
    tables = []
    for start in range(0, n, _BLOCK_ROWS):
        tasted = taste(seed, np.arange(start, min(start + _BLOCK_ROWS, n)))
        X[start : start + _BLOCK_ROWS] = embed_terms(tasted.terms)
        tables.append(items_of(tasted))
    ids = [f"wine-{row:07d}" for row in range(n)]
    return Wines(X=X, ids=ids, items=pa.concat_tables(tables).combine_chunks())


def _listed(terms: Any) -> list[Any]:
    if isinstance(terms, str) or not isinstance(terms, Iterable):
        raise ParameterRefused(
            "parameter-type",
            f"Expected a list of tasting terms, got {terms!r} of type {type(terms).__name__}.",
        )
    return list(terms)


def _place_of(term: Any, at: int) -> int:
    if not isinstance(term, str):
        raise ParameterRefused(
            "parameter-type",
            f"Expected tasting terms to be strings, got {term!r} of type {type(term).__name__}.",
            where=f"terms[{at}]",
        )
    if term not in _PLACE_OF:
        near = get_close_matches(term, TERMS, n=3)
        raise ItemsRefused(
            "term-unknown",
            f"Expected a term of the vocabulary, got {term!r}.",
            where=f"terms[{at}]",
            hint=f"Did you mean {' or '.join(map(repr, near))}?" if near else None,
        )
    return _PLACE_OF[term]
