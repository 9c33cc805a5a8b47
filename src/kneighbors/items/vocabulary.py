"""A vocabulary: terms with vectors and weights, so that words can be a query."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from kneighbors.errors import ItemsRefused, ParameterRefused
from kneighbors.items.quoting import names_listed, quoted
from kneighbors.items.spelling import nearest
from kneighbors.items.vocabulary_checks import (
    checked_synonyms,
    checked_terms,
    checked_vectors,
    checked_weights,
    folded,
    listed,
)
from kneighbors.items.wordblock import forged, from_arrays, to_arrays


@dataclass(frozen=True)
class Found:
    """Terms of a query, looked up.

    Attributes
    ----------
    terms : tuple of str
        The standard term of each that is known, in their order, repeats kept.
    places : tuple of int
        Their rows in the vocabulary.
    skipped : tuple of str
        Those that are not known.
    """

    terms: tuple[str, ...]
    places: tuple[int, ...]
    skipped: tuple[str, ...]


class Vocabulary:
    """Terms, their vectors and weights, and synonyms that stand for them.

    Parameters
    ----------
    terms : sequence of str
        Unique standard terms, each of 1 to 1,024 bytes in UTF-8.
    vectors : array-like of shape (n_terms, n_features)
        Finite numbers, kept as float16, float32 or float64.
    weights : array-like of shape (n_terms,), optional
        How much each counts in a mean, such as its inverse document frequency (IDF); finite, not
        negative, 1 by default.
    synonyms : mapping of str to str, optional
        Other words to the standard terms that they mean.

    Raises
    ------
    ItemsRefused
        ``vocabulary-term`` for a term that is empty, doubled or no text, or a synonym of an unknown
        one; ``vocabulary-vectors`` and ``vocabulary-weights`` for arrays of another shape or with
        impossible values.

    Notes
    -----
    A word is looked for as it is written. If there is no such term, case, Unicode form, and the
    difference between blanks, hyphens and underscores are left aside (`folded`); if several terms
    differ in these alone, the word is refused with all of them named. Does not change after it was
    made; may be used by threads.

    Examples
    --------
    >>> vocabulary = Vocabulary(
    ...     ["high_acid", "lime"], [[1.0, 0.0], [0.0, 1.0]], [1.0, 3.0], {"limes": "lime"}
    ... )
    >>> vocabulary.vector_of(["High acid", "limes"])
    array([0.25, 0.75])
    """

    def __init__(
        self,
        terms: Sequence[str],
        vectors: Any,
        weights: Any = None,
        synonyms: Mapping[str, str] | None = None,
    ) -> None:
        self._terms = tuple(checked_terms(terms))
        self._vectors = checked_vectors(vectors, len(self._terms))
        self._weights = checked_weights(weights, len(self._terms))
        self._synonyms = checked_synonyms(synonyms or {}, self._terms)

    @classmethod
    def from_parts(cls, parts: Mapping[str, NDArray[Any]]) -> Vocabulary:
        """Take back what `parts` returned; arrays may be memory-mapped, their values are trusted.

        Raises
        ------
        ArtifactError
            ``artifact-invalid`` when nothing of ours wrote the words.
        """
        words = from_arrays(
            parts["vocabulary-text"], parts["vocabulary-offsets"], "the words of the vocabulary"
        )
        vectors, means = parts["vocabulary-vectors"], parts["vocabulary-synonyms"].tolist()
        terms, others = tuple(words[: len(vectors)]), words[len(vectors) :]
        if len(others) != len(means) or not all(0 <= place < len(terms) for place in means):
            raise forged("the synonyms of the vocabulary")
        vocabulary = cls.__new__(cls)
        vocabulary._terms = terms
        vocabulary._vectors = vectors
        vocabulary._weights = parts["vocabulary-weights"]
        vocabulary._synonyms = dict(zip(others, means, strict=True))
        return vocabulary

    def parts(self) -> dict[str, NDArray[Any]]:
        """Return the arrays to store, under these names."""
        text, offsets = to_arrays([*self._terms, *self._synonyms])
        return {
            "vocabulary-text": text,
            "vocabulary-offsets": offsets,
            "vocabulary-vectors": self._vectors,
            "vocabulary-weights": self._weights,
            "vocabulary-synonyms": np.array(list(self._synonyms.values()), dtype=np.int64),
        }

    @property
    def terms(self) -> tuple[str, ...]:
        """The standard terms, in the order given."""
        return self._terms

    @property
    def synonyms(self) -> dict[str, str]:
        """Other words, and the standard terms that they mean."""
        return {word: self._terms[place] for word, place in self._synonyms.items()}

    @property
    def n_features(self) -> int:
        """Width of the vectors."""
        return int(self._vectors.shape[1])

    def check_width(self, n_features: int) -> None:
        """Refuse a corpus of another width.

        Raises
        ------
        ItemsRefused
            ``vocabulary-width``.
        """
        if self.n_features != n_features:
            raise ItemsRefused(
                "vocabulary-width",
                f"Expected a vocabulary of {n_features} dimensions, as the corpus has, "
                f"got one of {self.n_features}.",
            )

    def vector_of(
        self, terms: Iterable[str], *, unknown: Literal["refuse", "skip"] = "refuse"
    ) -> NDArray[np.float64]:
        """Return the mean of the terms' vectors, weighted by their weights.

        Parameters
        ----------
        terms : iterable of str
            One to 1,000. One that is given twice counts twice.
        unknown : {"refuse", "skip"}, default "refuse"
            What is done with a term that is not known.

        Returns
        -------
        ndarray of shape (n_features,), dtype float64
            ``sum(w * v) / sum(w)``.

        Raises
        ------
        ItemsRefused
            ``term-unknown``, with the nearest spellings; with ``"skip"``, if none is known.
        ParameterRefused
            ``terms-empty``, ``terms-too-many``, ``parameter-type``; ``terms-weightless`` if the
            weights of all are 0.

        Notes
        -----
        The walk-through divides the weighted sum by the number of terms instead of the sum of their
        weights. The direction is the same, so under cosine the answers are; the length is not.

        References
        ----------
        K. Spärck Jones, A statistical interpretation of term specificity and its application in
        retrieval, Journal of Documentation 28 (1972), for the weights. S. Arora, Y. Liang and T.
        Ma, A simple but tough-to-beat baseline for sentence embeddings, ICLR 2017, for weighted
        means of word vectors.
        """
        places = np.array(self.find(terms, unknown=unknown).places, dtype=np.int64)
        weights = self._weights[places].astype(np.float64)
        total = float(weights.sum())
        if total == 0.0:
            raise ParameterRefused(
                "terms-weightless",
                "Expected a term of some weight, got only terms whose weight is 0.",
                where="terms",
            )
        mean: NDArray[np.float64] = weights @ self._vectors[places].astype(np.float64) / total
        return mean

    def find(self, terms: Iterable[str], *, unknown: Literal["refuse", "skip"] = "refuse") -> Found:
        """Look terms up.

        Raises
        ------
        ItemsRefused, ParameterRefused
            As `vector_of`.
        """
        if unknown not in ("refuse", "skip"):
            raise ParameterRefused(
                "parameter-type", f"Expected 'refuse' or 'skip' for unknown, got {quoted(unknown)}."
            )
        places: list[int] = []
        skipped: list[str] = []
        first_skipped = 0
        words = listed(terms)
        for at, word in enumerate(words):
            place = self._place_of(word)
            if place is None and unknown == "refuse":
                raise self._unknown(word, at)
            if place is None:
                first_skipped = first_skipped if skipped else at
                skipped.append(word)
            else:
                places.append(place)
        if not places:
            raise self._unknown(skipped[0], first_skipped)
        known = tuple(self._terms[place] for place in places)
        return Found(known, tuple(places), tuple(skipped))

    def suggestions(self, term: str, most: int = 3) -> list[str]:
        """Return words of the vocabulary that are spelled like an unknown one, the likeliest first.

        Notes
        -----
        About 10 ms, however large the vocabulary.
        """
        known = self._lookup
        sample = self._words[:: max(1, len(self._words) // 500)]
        alike = [self._terms[place] for place in known.get(folded(term), ())]
        close = nearest(folded(term), lambda words: [w for w in words if w in known], sample, most)
        standard = [self._terms[known[word][0]] for word in close if word in known]
        return list(dict.fromkeys(alike + standard))[:most]

    def __len__(self) -> int:
        return len(self._terms)

    def __repr__(self) -> str:
        return f"Vocabulary({len(self)} terms, {self.n_features} dimensions)"

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name in _STATE}

    @cached_property
    def _exact(self) -> dict[str, int]:
        return {**self._synonyms, **{term: place for place, term in enumerate(self._terms)}}

    @cached_property
    def _lookup(self) -> dict[str, tuple[int, ...]]:
        """The places that each folded word may mean."""
        places: dict[str, tuple[int, ...]] = {}
        for word, place in self._exact.items():
            key = folded(word)
            places[key] = tuple(dict.fromkeys((*places.get(key, ()), place)))
        return places

    @cached_property
    def _words(self) -> list[str]:
        return list(self._lookup)

    def _place_of(self, word: str) -> int | None:
        place = self._exact.get(word)
        if place is not None:
            return place
        meant = self._lookup.get(folded(word), ())
        return meant[0] if len(meant) == 1 else None

    def _unknown(self, word: str, at: int) -> ItemsRefused:
        near = self.suggestions(word)
        return ItemsRefused(
            "term-unknown",
            f"Expected a term of the vocabulary, got {quoted(word)}.",
            where=f"terms[{at}]",
            hint=f"The nearest are {names_listed(near)}." if near else None,
        )


_STATE = frozenset({"_terms", "_vectors", "_weights", "_synonyms"})
