"""Recommendations in Python and on the wire: what the brute force does not show."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kneighbors
from kneighbors.artifact import save
from kneighbors.datasets import make_wines
from kneighbors.errors import KNeighborsError
from kneighbors.items import Catalog
from kneighbors.items.lists import Lists
from kneighbors.recommend import Recommender
from kneighbors.sagemaker.model import Model
from kneighbors.search.index import ExactIndex
from kneighbors.search.rows import ArrayRows

WINES = make_wines(600)
CATALOG = Catalog(len(WINES), WINES.ids, WINES.items)
INDEX = ExactIndex.build(ArrayRows(WINES.X), "cosine")
LISTS = Lists({"had": np.arange(50), "cellar": np.arange(40, 60)})
A, B, C = WINES.ids[:3]


def encoder(texts: list[str]) -> Any:
    return np.stack([WINES.embed(text.split()) for text in texts])


RECOMMENDER = Recommender(INDEX, CATALOG, vocabulary=WINES.vocabulary, lists=LISTS, encoder=encoder)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    path = tmp_path_factory.mktemp("model") / "wines"
    save(path, INDEX, CATALOG, vocabulary=WINES.vocabulary, lists=LISTS)
    return Model.open(path)


def asked(
    model: Model, body: dict[str, Any], attributes: str | None = None
) -> list[dict[str, Any]]:
    reply = model.invoke(json.dumps(body).encode(), "application/json", None, attributes)
    predictions: list[dict[str, Any]] = json.loads(reply.body)["predictions"]
    return predictions


def refusal(model: Model, body: dict[str, Any]) -> tuple[str, str | None]:
    with pytest.raises(KNeighborsError) as caught:
        asked(model, body)
    return caught.value.code, caught.value.where


def test_the_recommender_is_a_public_name() -> None:
    assert Recommender is kneighbors.Recommender


def test_terms_are_a_request_of_their_own(model: Model) -> None:
    terms = ["complex", "high_acid", "fresh", "grass", "lime"]
    vector = WINES.vocabulary.vector_of(terms)
    ((prediction,), (by_vector,)) = (
        asked(model, {"terms": terms, "k": 5}),
        asked(model, {"instances": [vector.tolist()], "k": 5}),
    )
    assert by_vector == prediction
    assert prediction["ids"] == RECOMMENDER.recommend(terms=terms, n_neighbors=5).ids


def test_one_like_alone_is_the_query_by_its_id_without_itself(model: Model) -> None:
    (liked,) = asked(model, {"like": [A], "k": 7})
    (by_id,) = asked(model, {"ids": [A], "k": 7, "exclude_self": True})
    assert by_id == liked


def test_wishes_on_lines_are_answered_each_on_its_line(model: Model) -> None:
    lines = [{"like": [A]}, {"terms": ["fresh"], "dislike": [B]}, {"like": [C], "dislike": [A]}]
    body = "\n".join(map(json.dumps, lines)).encode()
    reply = model.invoke(body, "application/jsonlines", None, "k=3;diversity=0.4")
    alone = [asked(model, {**line, "k": 3, "diversity": 0.4})[0] for line in lines]
    assert alone == [json.loads(line) for line in reply.body.splitlines()]


def test_a_text_is_what_the_encoder_makes_of_it() -> None:
    found = RECOMMENDER.recommend(text="fresh lime", n_neighbors=4)
    (by_vector,) = RECOMMENDER.neighbors(vectors=encoder(["fresh lime"])[0], n_neighbors=4)
    (by_text,) = RECOMMENDER.neighbors(texts=["fresh lime"], n_neighbors=4)
    assert by_vector.ids == found.ids == by_text.ids


def test_weights_are_given_by_pairs_or_by_a_mapping() -> None:
    by_pairs = RECOMMENDER.recommend(like=[(A, 2), (B, 1)])
    by_mapping = RECOMMENDER.recommend(like={A: 2.0, B: 1.0})
    thrice = RECOMMENDER.recommend(like=[A, A, B])
    assert by_pairs.ids == by_mapping.ids == thrice.ids


def test_lists_are_left_out_or_alone_let_in_by_name(model: Model) -> None:
    (without,) = asked(model, {"like": [A], "k": 600 - 50, "exclude_list": "had"})
    assert min(without["indices"]) == 50
    (within,) = asked(model, {"like": [A], "k": 30, "include_list": ["cellar"]})
    assert sorted(within["indices"]) == list(range(40, 60))
    assert (within["n_found"], within["reason"]) == (20, "included")
    (by_header,) = asked(model, {"like": [A]}, "k=30;include_list=cellar;exclude_list=had")
    assert sorted(by_header["indices"]) == list(range(50, 60))
    assert by_header["reason"] == "excluded"


def test_a_filter_that_contradicts_itself_is_answered_by_nothing_and_why(model: Model) -> None:
    both = {"price": {"lt": 5, "gt": 10}}
    (prediction,) = asked(model, {"like": [A], "k": 3, "filter": both})
    assert ([], 0, "filter") == (
        prediction["ids"],
        prediction["n_found"],
        prediction["reason"],
    )
    assert "price" in prediction["detail"]


def test_likes_and_exclusions_may_exhaust_the_corpus(model: Model) -> None:
    (prediction,) = asked(model, {"like": [A], "k": 3, "exclude_ids": list(WINES.ids)})
    assert (0, "excluded") == (prediction["n_found"], prediction["reason"])


def test_an_explanation_names_the_nearest_like_and_what_is_shared(model: Model) -> None:
    (prediction,) = asked(model, {"like": [A, B], "terms": ["lime"], "k": 20, "explain": True})
    words = WINES.items["terms"].to_pylist()
    for row, told in zip(prediction["indices"], prediction["explanations"], strict=True):
        liked = [WINES.X[0], WINES.X[1], WINES.vocabulary.vector_of(["lime"])]
        x = WINES.X[row].astype(float)
        gaps = [1 - x @ v / np.linalg.norm(x) / np.linalg.norm(v) for v in liked]
        place = int(np.argmin(gaps))
        assert (place, [A, B, None][place]) == (told["place"], told["like"])
        assert gaps[place] == pytest.approx(told["distance"], abs=1e-6)
        other = [words[0], words[1], ["lime"]][place]
        assert set(words[row]) & set(other) == set(told["shared"].get("terms", ()))


def test_no_row_of_a_corpus_with_copies_recommends_itself_or_loses_its_best() -> None:
    random = np.random.default_rng(5)
    X = random.standard_normal((2000, 16)).astype(np.float32)
    copies = random.random(len(X)) < 0.05
    X[copies] = X[random.integers(len(X), size=int(copies.sum()))]
    recommender = Recommender(ExactIndex.build(ArrayRows(X), "cosine"))
    found = recommender.neighbors(ids=range(len(X)), n_neighbors=1, exclude_self=True)
    U = X.astype(float) / np.linalg.norm(X.astype(float), axis=1, keepdims=True)
    gaps = 1 - U @ U.T
    np.fill_diagonal(gaps, np.inf)
    firsts = np.array([one.indices[0] for one in found])
    assert 0 == int((firsts == np.arange(len(X))).sum())
    np.testing.assert_allclose(
        [one.distances[0] for one in found], np.maximum(gaps.min(axis=1), 0), atol=1e-9
    )


@pytest.mark.parametrize(
    ("body", "code", "where"),
    [
        ({"like": []}, "like-missing", "$"),
        ({"like": [], "dislike": [A]}, "like-missing", "$"),
        ({"like": ["nobody"]}, "id-unknown", "$.like[0]"),
        ({"like": [A, 7]}, "id-type", "$.like[1]"),
        ({"like": [A, None]}, "body-type", "$.like[1]"),
        ({"like": [True]}, "body-type", "$.like[0]"),
        ({"like": A}, "body-type", "$.like"),
        ({"like": ["a" * 1_000_000]}, "body-id", "$.like[0]"),
        ({"like": [A] * 10_001}, "ids-too-many", "$.like"),
        ({"like": [[1.0, 2.0]]}, "array-width", "$.like[0]"),
        ({"like": [[0.0] * 300]}, "array-zero-vector", "$.like[0]"),
        (
            {"like": [{"vector": [1.0] + [0.0] * 299}, {"vector": [-1.0] + [0.0] * 299}]},
            "array-zero-vector",
            "$",
        ),
        ({"like": [{"id": A, "weight": -1}]}, "parameter-range", "$.like[0].weight"),
        ({"like": [{"id": A, "weight": "2"}]}, "parameter-type", "$.like[0].weight"),
        ({"like": [{"id": A, "weight": 0}]}, "like-weights", "$"),
        ({"like": [{"id": A, "wait": 1}]}, "body-field-unknown", "$.like[0]"),
        ({"like": [{"id": A, "vector": [1]}]}, "body-field-conflict", "$.like[0]"),
        ({"like": [{"weight": 1}]}, "body-field-missing", "$.like[0]"),
        ({"like": [A], "ids": [B]}, "body-field-conflict", "$"),
        ({"like": [A], "strategy": "best"}, "parameter-range", "$.strategy"),
        ({"ids": [A], "strategy": "best_score"}, "parameter-conflict", "strategy"),
        (
            {"like": [{"id": A, "weight": 2}], "strategy": "best_score"},
            "like-weights",
            "$.like[0]",
        ),
        ({"like": [A] * 101, "strategy": "best_score"}, "ids-too-many", "$"),
        ({"terms": ["nonesuch"]}, "term-unknown", "$.terms"),
        ({"terms": "fresh"}, "body-type", "$.terms"),
        ({"terms": ["fresh", 1]}, "body-type", "$.terms[1]"),
        ({"like": [A], "diversity": 1.5}, "parameter-range", "$.diversity"),
        ({"like": [A], "diversity": 0.5, "k": 600}, None, None),
        (
            {"instances": [{"like": [A]}] * 100, "diversity": 0.5, "k": 300},
            "answer-too-large",
            None,
        ),
        ({"like": [A], "diversity": 0.5, "radius": 1}, "parameter-conflict", "diversity"),
        ({"like": [A], "max_per_group": 2}, "parameter-conflict", "max_per_group"),
        ({"like": [A], "group_by": "colour"}, "items-column-unknown", "group_by"),
        ({"like": [A], "group_by": "terms"}, "group-type", "group_by"),
        ({"like": [A], "fold_within": -1}, "parameter-range", "fold_within"),
        ({"like": [A], "min_distance": "1"}, "parameter-type", "$.min_distance"),
        ({"like": [A], "include_list": "wished"}, "list-unknown", "include_list"),
        ({"like": [A], "filter": {"cost": 3}}, "items-column-unknown", None),
        ({"instances": [{"like": [A]}, [1.0]]}, "body-field-conflict", "$.instances[1]"),
        ({"instances": [{"like": [A], "k": 3}]}, "body-field-unknown", "$.instances[0]"),
    ],
)
def test_a_bad_wish_is_refused_at_its_path(
    model: Model, body: dict[str, Any], code: str | None, where: str | None
) -> None:
    if code is None:
        assert 599 == len(asked(model, body)[0]["ids"])
        return
    found = refusal(model, body)
    assert (code, where or found[1]) == found


def test_a_weight_that_is_not_a_number_is_refused_in_python() -> None:
    with pytest.raises(KNeighborsError) as caught:
        RECOMMENDER.recommend(like={A: float("nan")})
    assert caught.value.code == "parameter-range"


def test_terms_without_a_vocabulary_and_text_without_an_encoder_are_refused() -> None:
    bare = Recommender(INDEX)
    for given, code in (
        ({"terms": ["fresh"]}, "vocabulary-missing"),
        ({"text": "x"}, "encoder-missing"),
    ):
        with pytest.raises(KNeighborsError) as caught:
            bare.recommend(**given)
        assert caught.value.code == code


def test_an_answer_by_example_is_an_array_where_that_is_asked_for(model: Model) -> None:
    body = json.dumps({"like": [A], "k": 3}).encode()
    reply = model.invoke(body, "application/json", "text/csv")
    (prediction,) = asked(model, {"like": [A], "k": 3})
    numbers = [float(one) for one in reply.body.decode().strip().split(",")]
    assert numbers == [*prediction["distances"], *prediction["indices"]]


def test_an_artifact_is_opened_with_its_vocabulary_and_lists(tmp_path: Path) -> None:
    save(tmp_path / "M", INDEX, CATALOG, vocabulary=WINES.vocabulary, lists=LISTS)
    opened = Recommender.open(tmp_path / "M")
    found = opened.recommend(terms=["fresh"], exclude_list="had", n_neighbors=3)
    assert (
        RECOMMENDER.recommend(terms=["fresh"], exclude_list="had", n_neighbors=3).ids == found.ids
    )
