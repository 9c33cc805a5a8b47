"""Related terms lie together, and wines' vectors are weighted means of their terms' vectors."""

from __future__ import annotations

import numpy as np
import pytest

from kneighbors.datasets import Wines, make_wines
from kneighbors.datasets.embedding import embed_terms, term_vectors, term_weights
from kneighbors.datasets.tasting import NO_TERM, taste
from kneighbors.datasets.vocabulary import GROUPS, TERMS


@pytest.fixture(scope="module")
def wines() -> Wines:
    return make_wines(5000)


def test_a_row_is_the_weighted_mean_of_its_terms(wines: Wines) -> None:
    place = {term: number for number, term in enumerate(wines.terms)}
    for row in (0, 1, 4999):
        places = [place[term] for term in wines.items["terms"][row].as_py()]
        mean = np.average(
            wines.term_vectors[places].astype(np.float64), axis=0, weights=wines.idf[places]
        )
        np.testing.assert_allclose(wines.X[row], mean, rtol=0, atol=1e-6)


def test_embedding_a_wines_terms_gives_its_row_to_the_bit(wines: Wines) -> None:
    for row in range(0, 5000, 97):
        assert np.array_equal(wines.embed(wines.items["terms"][row].as_py()), wines.X[row])


def test_a_row_does_not_depend_on_the_rows_around_it() -> None:
    terms = taste(0, np.arange(3000)).terms
    together = embed_terms(terms)
    for row in (0, 255, 256, 2999):
        assert np.array_equal(embed_terms(terms[row : row + 1])[0], together[row])


def test_most_terms_are_closest_to_a_term_of_their_own_group() -> None:
    vectors = term_vectors().astype(np.float64)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    likeness = vectors @ vectors.T
    np.fill_diagonal(likeness, -1.0)
    group = np.repeat(np.arange(len(GROUPS)), [len(g.terms) for g in GROUPS.values()])
    assert (group[likeness.argmax(axis=1)] == group).mean() > 0.95


def test_the_rarer_a_term_the_heavier_it_weighs(wines: Wines) -> None:
    counts = np.bincount(taste(0, np.arange(5000)).terms.ravel(), minlength=NO_TERM)[:NO_TERM]
    assert wines.idf.min() >= 1.0
    assert np.corrcoef(np.log(counts + 1), wines.idf)[0, 1] < -0.95


def test_weights_are_the_idf_of_the_generated_wines() -> None:
    terms = taste(0, np.arange(60_000)).terms
    shares = np.bincount(terms.ravel(), minlength=NO_TERM)[:NO_TERM] / len(terms)
    # The closed form takes every note to be of the mean length.
    np.testing.assert_allclose(term_weights(), 1.0 - np.log(shares), rtol=0, atol=0.5)


def test_vectors_and_weights_cannot_be_changed_by_accident(wines: Wines) -> None:
    with pytest.raises(ValueError, match="read-only"):
        wines.term_vectors[0, 0] = 1.0
    with pytest.raises(ValueError, match="read-only"):
        wines.idf[0] = 1.0
    assert wines.term_vectors.shape == (len(TERMS), 300)
