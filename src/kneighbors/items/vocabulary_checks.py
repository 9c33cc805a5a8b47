"""What a vocabulary is made of and asked with, checked."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kneighbors.errors import ItemsRefused, ParameterRefused
from kneighbors.items.quoting import quoted
from kneighbors.items.wordblock import check_word

#: Terms of one query: more than any note of a taster, less than a book.
MOST_TERMS = 1000

_BLANKS = str.maketrans("_-\u2010\u2011\u2012\u2013", "      ")


def folded(word: str) -> str:
    """Return a word without what two spellings of it may differ in.

    Unicode's compatibility form (NFKC) and case folding are applied, hyphens and underscores become
    blanks, and runs of blanks become one. Accents stay, for they tell words apart.

    Examples
    --------
    >>> folded("High_Acid "), folded("Off-Dry")
    ('high acid', 'off dry')
    """
    plain = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", word).casefold())
    return " ".join(plain.translate(_BLANKS).split())


def listed(terms: Any) -> list[str]:
    """Return the terms of a query as a list, or refuse them."""
    if isinstance(terms, (str, bytes, Mapping)) or not isinstance(terms, Iterable):
        raise ParameterRefused(
            "parameter-type", f"Expected a list of terms, got {quoted(terms)}.", where="terms"
        )
    words = list(terms)
    if not words:
        raise ParameterRefused("terms-empty", "Expected a term or more, got none.", where="terms")
    if len(words) > MOST_TERMS:
        raise ParameterRefused(
            "terms-too-many",
            f"Expected at most {MOST_TERMS:,} terms, got {len(words):,}.",
            where="terms",
        )
    for at, word in enumerate(words):
        if not isinstance(word, str):
            raise ParameterRefused(
                "parameter-type", f"Expected text, got {quoted(word)}.", where=f"terms[{at}]"
            )
    return words


def checked_terms(terms: Sequence[str]) -> list[str]:
    """Return the terms of a vocabulary, or refuse them."""
    listed = [
        check_word(term, "terms", "vocabulary-term", f"term {at}") for at, term in enumerate(terms)
    ]
    if not listed:
        raise ItemsRefused("vocabulary-term", "Expected a term or more, got none.")
    seen: dict[str, int] = {}
    for at, term in enumerate(listed):
        if seen.setdefault(term, at) != at:
            raise ItemsRefused(
                "vocabulary-term",
                f"Expected every term once, got {quoted(term)} twice.",
                where=f"terms {seen[term]} and {at}",
            )
    return listed


def checked_vectors(vectors: Any, n_terms: int) -> NDArray[np.floating[Any]]:
    """Return their vectors, or refuse them."""
    array = _numbers(vectors, "vocabulary-vectors", "vectors of numbers of one width")
    if array.ndim != 2 or array.shape[0] != n_terms or array.shape[1] == 0:
        raise ItemsRefused(
            "vocabulary-vectors",
            f"Expected a vector for each of {n_terms} terms, got an array of shape {array.shape}.",
        )
    return _finite(array, "vocabulary-vectors")


def checked_weights(weights: Any, n_terms: int) -> NDArray[np.float64]:
    """Return their weights, or refuse them."""
    if weights is None:
        return np.ones(n_terms)
    array = _numbers(weights, "vocabulary-weights", "weights that are numbers").astype(np.float64)
    if array.shape != (n_terms,):
        raise ItemsRefused(
            "vocabulary-weights",
            f"Expected a weight for each of {n_terms} terms, got an array of shape {array.shape}.",
        )
    _finite(array, "vocabulary-weights")
    (negative,) = np.nonzero(array < 0)
    if negative.size:
        at = int(negative[0])
        raise ItemsRefused(
            "vocabulary-weights",
            f"Expected weights of at least 0, got {float(array[at])}.",
            where=f"term {at}",
        )
    return array


def _numbers(values: Any, code: str, expected: str) -> NDArray[Any]:
    try:
        array = np.asarray(values)
    except ValueError:
        array = np.empty(0, dtype=object)
    if array.dtype.kind in "iu":
        array = array.astype(np.float64)
    if array.dtype.kind != "f" or array.dtype.itemsize > 8:
        raise ItemsRefused(code, f"Expected {expected}, got others ({array.dtype}).")
    return np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("="))


def _finite(array: NDArray[Any], code: str) -> NDArray[Any]:
    finite = np.isfinite(array)
    if not finite.all():
        at = int(np.argwhere(~finite)[0][0])
        raise ItemsRefused(
            code, "Expected finite numbers, got NaN or infinity.", where=f"term {at}"
        )
    return array


def checked_synonyms(synonyms: Mapping[str, str], terms: Sequence[str]) -> dict[str, int]:
    """Return for each synonym the place of its term, or refuse them."""
    place_of = {term: place for place, term in enumerate(terms)}
    checked = {}
    for word, term in synonyms.items():
        where = f"synonym {quoted(word)}"
        check_word(word, "synonyms", "vocabulary-term", where)
        if word in place_of:
            if word == term:
                continue
            raise ItemsRefused(
                "vocabulary-term", "Expected a synonym that is no term itself.", where=where
            )
        if term not in place_of:
            raise ItemsRefused(
                "vocabulary-term",
                f"Expected a synonym of a term, got one of {quoted(term)}.",
                where=where,
            )
        checked[word] = place_of[term]
    return checked
