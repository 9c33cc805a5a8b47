"""Vocabularies: words that become a query."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

from kneighbors.errors import ArtifactError, ItemsRefused, ParameterRefused
from kneighbors.items.vocabulary import Vocabulary
from kneighbors.items.vocabulary_checks import MOST_TERMS

TERMS = ["high_acid", "lime", "Rosé", "off-dry"]
VECTORS = np.arange(12, dtype=np.float32).reshape(4, 3)
WEIGHTS = [1.0, 3.0, 2.0, 0.0]
VOCABULARY = Vocabulary(TERMS, VECTORS, WEIGHTS, {"limes": "lime", "zingy": "high_acid"})


def refusal(*arguments: Any) -> ItemsRefused:
    with pytest.raises(ItemsRefused) as caught:
        Vocabulary(*arguments)
    return caught.value


def test_a_query_is_the_weighted_mean_of_its_terms() -> None:
    expected = (1.0 * VECTORS[0] + 3.0 * VECTORS[1]) / 4.0
    found = VOCABULARY.vector_of(["high_acid", "lime"])
    assert found.dtype == np.float64
    assert np.array_equal(expected, found)


def test_a_term_given_twice_counts_twice() -> None:
    expected = (2 * 3.0 * VECTORS[1] + 2.0 * VECTORS[2]) / 8.0
    assert np.array_equal(expected, VOCABULARY.vector_of(["lime", "Rosé", "lime"]))


def test_without_weights_all_terms_count_alike() -> None:
    plain = Vocabulary(["a", "b"], [[1, 0], [0, 1]])
    assert plain.vector_of(["a", "b"]).tolist() == [0.5, 0.5]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, ">f4", np.int32])
def test_vectors_of_every_dtype_give_the_same_mean(dtype: Any) -> None:
    other = Vocabulary(TERMS, VECTORS.astype(dtype), WEIGHTS)
    terms = ["high_acid", "lime"]
    assert VOCABULARY.vector_of(terms).tolist() == other.vector_of(terms).tolist()


@pytest.mark.parametrize(
    ("word", "term"),
    [
        ("high_acid", "high_acid"),
        ("High Acid", "high_acid"),
        ("HIGH-ACID", "high_acid"),
        ("  high   acid ", "high_acid"),
        ("high\u2010acid", "high_acid"),
        ("Limes", "lime"),
        ("ROSE\u0301", "Rosé"),
        ("ｌｉｍｅ", "lime"),
        ("off dry", "off-dry"),
    ],
)
def test_spellings_of_a_term_are_found(word: str, term: str) -> None:
    assert VOCABULARY.find([word]).terms == (term,)


def test_an_exact_spelling_goes_before_a_folded_one() -> None:
    both = Vocabulary(["us", "US"], [[1.0], [2.0]])
    assert both.vector_of(["US"]).tolist() == [2.0]
    assert both.vector_of(["us"]).tolist() == [1.0]


def test_a_word_that_may_mean_two_terms_is_refused_with_both() -> None:
    with pytest.raises(ItemsRefused) as caught:
        Vocabulary(["us", "US"], [[1.0], [2.0]]).vector_of(["Us"])
    assert caught.value.code == "term-unknown"
    assert caught.value.hint == "The nearest are 'us', 'US'."


@pytest.mark.parametrize(
    ("word", "near"), [("lmie", "'lime'"), ("hihg acid", "'high_acid'"), ("zing", "'high_acid'")]
)
def test_an_unknown_term_is_refused_with_the_nearest(word: str, near: str) -> None:
    with pytest.raises(ItemsRefused) as caught:
        VOCABULARY.vector_of(["lime", word])
    assert (caught.value.code, caught.value.where) == ("term-unknown", "terms[1]")
    assert near in str(caught.value.hint)


def test_unknown_terms_are_skipped_when_asked() -> None:
    found = VOCABULARY.find(["grue", "lime", "bleen"], unknown="skip")
    assert (found.terms, found.places, found.skipped) == (("lime",), (1,), ("grue", "bleen"))
    assert np.array_equal(VECTORS[1], VOCABULARY.vector_of(["grue", "lime"], unknown="skip"))


def test_when_all_terms_would_be_skipped_the_first_is_refused() -> None:
    with pytest.raises(ItemsRefused) as caught:
        VOCABULARY.vector_of(["grue", "bleen"], unknown="skip")
    assert (caught.value.code, caught.value.where) == ("term-unknown", "terms[0]")


@pytest.mark.parametrize(
    ("terms", "code"),
    [
        ([], "terms-empty"),
        ("lime", "parameter-type"),
        ({"lime": 1}, "parameter-type"),
        (7, "parameter-type"),
        (["lime", 7], "parameter-type"),
        (["lime"] * (MOST_TERMS + 1), "terms-too-many"),
        (["off-dry"], "terms-weightless"),
    ],
)
def test_what_is_no_list_of_terms_is_refused(terms: Any, code: str) -> None:
    with pytest.raises(ParameterRefused) as caught:
        VOCABULARY.vector_of(terms)
    assert caught.value.code == code


@pytest.mark.parametrize("word", ["w" * 1_000_000, "\ud800", "", "a\0b"])
def test_hostile_terms_are_unknown_and_shown_short(word: str) -> None:
    with pytest.raises(ItemsRefused) as caught:
        VOCABULARY.vector_of([word])
    assert caught.value.code == "term-unknown"
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("unknown", ["ignore", None, 1])
def test_another_way_with_unknown_terms_is_refused(unknown: Any) -> None:
    with pytest.raises(ParameterRefused, match="'refuse' or 'skip'"):
        VOCABULARY.find(["lime"], unknown=unknown)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (([], []), "vocabulary-term"),
        ((["a", "a"], [[1], [2]]), "vocabulary-term"),
        ((["a", ""], [[1], [2]]), "vocabulary-term"),
        ((["a", "  "], [[1], [2]]), "vocabulary-term"),
        ((["a", 7], [[1], [2]]), "vocabulary-term"),
        ((["a", "\ud800"], [[1], [2]]), "vocabulary-term"),
        ((["a", "b" * 1025], [[1], [2]]), "vocabulary-term"),
        ((["a", "b"], [[1]]), "vocabulary-vectors"),
        ((["a", "b"], [1, 2]), "vocabulary-vectors"),
        ((["a", "b"], [[1], [2, 3]]), "vocabulary-vectors"),
        ((["a", "b"], [[1], ["x"]]), "vocabulary-vectors"),
        ((["a", "b"], [[1], [float("nan")]]), "vocabulary-vectors"),
        ((["a", "b"], np.zeros((2, 0))), "vocabulary-vectors"),
        ((["a", "b"], [[1], [2]], [1]), "vocabulary-weights"),
        ((["a", "b"], [[1], [2]], [1, -1]), "vocabulary-weights"),
        ((["a", "b"], [[1], [2]], [1, float("inf")]), "vocabulary-weights"),
        ((["a", "b"], [[1], [2]], None, {"c": "d"}), "vocabulary-term"),
        ((["a", "b"], [[1], [2]], None, {"a": "b"}), "vocabulary-term"),
        ((["a", "b"], [[1], [2]], None, {"": "b"}), "vocabulary-term"),
    ],
)
def test_what_makes_no_vocabulary_is_refused(arguments: Any, code: str) -> None:
    assert refusal(*arguments).code == code


def test_a_vocabulary_comes_back_from_its_parts() -> None:
    opened = Vocabulary.from_parts(VOCABULARY.parts())
    copied = pickle.loads(pickle.dumps(opened))
    for one in (opened, copied):
        assert one.terms == VOCABULARY.terms
        assert one.synonyms == {"limes": "lime", "zingy": "high_acid"}
        assert np.array_equal(VOCABULARY.vector_of(["lime", "zingy"]), one.vector_of(TERMS[1::-1]))


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("vocabulary-offsets", np.array([0, 9, 5, 18, 25, 30, 35])),
        ("vocabulary-offsets", np.array([1, 9, 13, 18, 25, 30, 35])),
        ("vocabulary-text", np.full(35, 0xFF, np.uint8)),
        ("vocabulary-synonyms", np.array([1, 4])),
        ("vocabulary-synonyms", np.array([1])),
    ],
)
def test_forged_parts_are_refused(name: str, array: Any) -> None:
    with pytest.raises(ArtifactError) as caught:
        Vocabulary.from_parts({**VOCABULARY.parts(), name: array})
    assert caught.value.code == "artifact-invalid"
