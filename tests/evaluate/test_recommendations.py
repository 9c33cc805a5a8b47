"""An evaluation says what a recommender finds again of what was held out, and against what."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from kneighbors import NearestNeighbors
from kneighbors.datasets import Wines, make_interactions, make_wines
from kneighbors.errors import InteractionsRefused, ParameterRefused
from kneighbors.evaluate import Evaluation, evaluate_interactions, read_interactions
from kneighbors.evaluate.figure import draw_evaluation
from kneighbors.evaluate.figures_of_merit import MERITS, diversity_of, merits_of
from kneighbors.evaluate.rankers import NOTHING, AtRandom, most_popular
from kneighbors.evaluate.splits import Split, split_interactions
from kneighbors.items import Catalog
from kneighbors.recommend.recommender import Recommender
from kneighbors.search.index import ExactIndex
from kneighbors.search.metrics import METRICS
from kneighbors.search.rows import ArrayRows


@pytest.fixture(scope="module")
def wines() -> Wines:
    return make_wines(600)


@pytest.fixture(scope="module")
def recommender(wines: Wines) -> Recommender:
    index = ExactIndex.build(ArrayRows(wines.X), "cosine")
    return Recommender(index, Catalog(len(wines), ids=wines.ids))


@pytest.fixture(scope="module")
def likes(wines: Wines) -> Any:
    return make_interactions(wines, 150)


@pytest.fixture(scope="module")
def found(recommender: Recommender, likes: Any) -> Evaluation:
    return evaluate_interactions(recommender, likes, n_neighbors=5, resamples=200)


class Told:
    """Recommends what it was made with, and remembers what it was asked."""

    def __init__(self, answers: dict[int, list[int]], n: int) -> None:
        self.catalog = Catalog(n)
        self.index = SimpleNamespace(rows=ArrayRows(np.eye(n)), metric="euclidean", n_samples=n)
        self.asked: list[dict[str, Any]] = []
        self._answers = answers

    def recommend(self, **parameters: Any) -> Any:
        self.asked.append(parameters)
        first = next(iter(parameters["like"]))
        return SimpleNamespace(indices=np.array(self._answers[first], np.int64))


LINES = {"user": [0, 0, 1, 1], "item": [1, 2, 3, 4], "time": [1, 2, 1, 2], "weight": [5, 1, 4, 1]}


def test_figures_by_hand() -> None:
    told = Told({1: [7, 2], 3: [5, 6]}, 10)
    merits = evaluate_interactions(told, LINES, n_neighbors=2).measured["recommender"].merits
    values = {name: one.value for name, one in merits.items()}
    assert values == pytest.approx(
        {
            "precision": 0.25,
            "hit_recall": 0.5,
            "map": 0.25,
            "ndcg": 0.5 / np.log2(3),
            "mrr": 0.25,
            "hit_rate": 0.5,
            "novelty": 1.0,
            "diversity": np.sqrt(2),
            "popularity": 0.0,
            "popularity_bias": 0.0,
        }
    )


def test_a_recommender_that_knows_everything_is_perfect() -> None:
    told = Told({1: [2], 3: [4]}, 10)
    found = evaluate_interactions(told, LINES, n_neighbors=1).measured["recommender"]
    accuracy = ("precision", "hit_recall", "map", "ndcg", "mrr", "hit_rate")
    assert [1.0] * 6 == [found.merits[name].value for name in accuracy]
    assert (0.2, 0) == (found.coverage, found.n_short)


def test_likes_are_told_with_what_else_was_asked_for() -> None:
    told = Told({1: [2], 3: [4]}, 10)
    evaluate_interactions(told, LINES, n_neighbors=1, strategy="best_score")
    first = {"like": [1], "n_neighbors": 1, "include_items": False, "strategy": "best_score"}
    assert first == told.asked[0]
    evaluate_interactions(told, LINES, n_neighbors=1, weighted=True)
    assert [{1: 5.0}, {3: 4.0}] == [asked["like"] for asked in told.asked[2:]]


def test_empty_lists_find_nothing_and_have_no_novelty() -> None:
    found = evaluate_interactions(Told({1: [], 3: []}, 10), LINES, n_neighbors=2)
    merits = found.measured["recommender"].merits
    assert (0.0, 0.0) == (merits["precision"].value, merits["mrr"].value)
    assert (None, None) == (merits["novelty"].value, merits["diversity"].value)
    assert (0.0, 2) == (
        found.measured["recommender"].coverage,
        found.measured["recommender"].n_short,
    )


def test_the_recommender_beats_what_is_popular_and_that_beats_chance(
    recommender: Recommender, likes: Any
) -> None:
    found = evaluate_interactions(recommender, likes, n_neighbors=10, resamples=200)
    recall = {name: one.merits["hit_recall"].value or 0.0 for name, one in found.measured.items()}
    assert recall["recommender"] > recall["popular"] > recall["random"]
    assert (found.gains["random"]["hit_recall"].low or 0.0) > 0


def test_gains_are_differences(found: Evaluation) -> None:
    for baseline in ("popular", "random"):
        for merit in MERITS:
            of_both = (
                found.measured["recommender"].merits[merit].value,
                found.measured[baseline].merits[merit].value,
            )
            assert of_both[0] is not None
            assert of_both[1] is not None
            gain = found.gains[baseline][merit].value
            assert gain == pytest.approx(of_both[0] - of_both[1], abs=1e-12)


def test_the_curve_ends_at_the_hit_recall(found: Evaluation) -> None:
    for one in found.measured.values():
        assert 5 == len(one.curve)
        assert one.curve[-1] == one.merits["hit_recall"]
        assert sorted(point.value or 0.0 for point in one.curve) == [p.value for p in one.curve]


def test_every_value_lies_in_its_interval_and_all_of_it_is_json(found: Evaluation) -> None:
    document = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    for one in document["measured"].values():
        assert list(MERITS) == list(one["merits"])
        for estimate in one["merits"].values():
            assert estimate["low"] <= estimate["value"] <= estimate["high"]
    counts = document["split"]
    assert 150 == counts["users"] + counts["users_with_one_interaction"]


def test_the_same_seed_gives_the_same_and_another_other_intervals(
    recommender: Recommender, likes: Any, found: Evaluation
) -> None:
    again = evaluate_interactions(recommender, likes, n_neighbors=5, resamples=200)
    assert found.to_dict() == again.to_dict()
    other = evaluate_interactions(recommender, likes, n_neighbors=5, resamples=200, random_state=1)
    merits = found.measured["recommender"].merits, other.measured["recommender"].merits
    assert merits[0]["ndcg"].value == merits[1]["ndcg"].value
    assert merits[0]["ndcg"].low != merits[1]["ndcg"].low


def test_more_diversity_is_measured_as_more(recommender: Recommender, likes: Any) -> None:
    plain, diverse = (
        evaluate_interactions(
            recommender, likes, n_neighbors=5, max_users=30, resamples=10, diversity=diversity
        ).measured["recommender"].merits["diversity"].value
        for diversity in (0.0, 0.7)
    )  # fmt: skip
    assert plain is not None
    assert diverse is not None
    assert diverse > plain


def test_the_baselines_recommend_nothing_that_is_liked_and_nothing_twice(
    likes: Any, wines: Wines
) -> None:
    split = held(likes, wines)
    for ranker in (most_popular, AtRandom(0)):
        for user, rows in enumerate(ranker(split, 10)):
            assert 10 == len(set(rows.tolist()))
            assert not set(rows.tolist()) & set(split.likes[user].tolist())


def held(likes: Any, wines: Wines) -> Split:
    catalog = Catalog(len(wines), ids=wines.ids)
    return split_interactions(read_interactions(likes, catalog), len(wines))


def test_what_is_popular_is_what_most_like(likes: Any, wines: Wines) -> None:
    split = held(likes, wines)
    for user, rows in enumerate(most_popular(split, 3)):
        others = np.delete(split.popularity, np.append(split.likes[user], rows))
        assert split.popularity[rows].min() >= others.max()


def test_every_item_is_as_likely_at_random() -> None:
    lines = {"user": np.repeat(np.arange(3000), 2), "item": np.tile([0, 1], 3000)}
    split = split_interactions(read_interactions(lines, Catalog(12)), 12)
    drawn = np.bincount(AtRandom(0)(split, 4).ravel(), minlength=12)
    # Items 0 and 1 are half of the time liked, and then no answer.
    assert drawn[2:].max() / drawn[2:].min() < 1.1


def test_a_corpus_that_is_exhausted_fills_up_with_nothing() -> None:
    lines = {"user": [0] * 4, "item": [0, 1, 2, 3], "time": [1, 2, 3, 4]}
    split = split_interactions(read_interactions(lines, Catalog(5)), 5)
    assert [3, 4, NOTHING] == most_popular(split, 3)[0].tolist()
    assert {3, 4, NOTHING} == set(AtRandom(0)(split, 3)[0].tolist())


@pytest.mark.parametrize("metric", ["cosine", "euclidean", "sqeuclidean", "inner_product"])
def test_the_diversity_is_the_mean_of_the_metrics_distances(metric: str) -> None:
    X = np.random.default_rng(0).standard_normal((20, 3)).astype(np.float32)
    answers = np.array([[3, 7, 1], [4, 4, NOTHING], [5, NOTHING, NOTHING]])
    near = NearestNeighbors(n_neighbors=20, metric=metric).fit(X)
    distances, indices = near.kneighbors(X)
    table = np.empty((20, 20))
    np.put_along_axis(table, indices, distances, axis=1)
    expected = [(table[3, 7] + table[3, 1] + table[7, 1]) / 3, table[4, 4], np.nan]
    found = diversity_of(answers, ArrayRows(X), metric)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert set(METRICS) == {"cosine", "euclidean", "sqeuclidean", "inner_product"}


def test_blocks_do_not_change_the_diversity(monkeypatch: pytest.MonkeyPatch) -> None:
    X = ArrayRows(np.random.default_rng(0).standard_normal((20, 3)))
    answers = np.random.default_rng(1).integers(20, size=(9, 4))
    whole = diversity_of(answers, X, "cosine")
    monkeypatch.setattr("kneighbors.evaluate.figures_of_merit._BLOCK", 24)
    np.testing.assert_array_equal(whole, diversity_of(answers, X, "cosine"))


def test_an_item_that_nobody_likes_is_as_novel_as_one_liked_by_one() -> None:
    lines = {"user": [0, 0, 1, 1, 2, 2], "item": [1, 2, 1, 3, 1, 4], "time": [1, 2] * 3}
    split = split_interactions(read_interactions(lines, Catalog(9)), 9)
    merits = merits_of(np.array([[8], [1], [2]]), split, ArrayRows(np.eye(9)), "cosine")
    np.testing.assert_allclose([np.log2(3), 0.0, np.log2(3)], merits["novelty"])


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"n_neighbors": 601}, "n-neighbors-range"),
        ({"n_neighbors": 0}, "n-neighbors-range"),
        ({"confidence": 1.0}, "confidence-range"),
        ({"resamples": 0}, "parameter-range"),
        ({"strategy": "worst"}, "parameter-range"),
    ],
)
def test_what_makes_no_sense_is_refused(
    recommender: Recommender, likes: Any, options: dict[str, Any], code: str
) -> None:
    with pytest.raises(ParameterRefused) as caught:
        evaluate_interactions(recommender, likes, **options)
    assert code == caught.value.code


def test_unknown_items_are_refused_before_anything_is_asked(recommender: Recommender) -> None:
    with pytest.raises(InteractionsRefused):
        evaluate_interactions(recommender, {"user": [1, 1], "item": ["a", "b"]})


@pytest.mark.parametrize("k", [1, 2, 5])
def test_the_picture_is_well_formed_and_says_what_it_shows(
    recommender: Recommender, likes: Any, k: int
) -> None:
    found = evaluate_interactions(recommender, likes, n_neighbors=k, max_users=20, resamples=20)
    picture = draw_evaluation(found)
    root = ElementTree.fromstring(picture)  # noqa: S314
    words = "".join(root.itertext())
    assert "20 users, 20 items held out (leave-one-out), 600 items" in words
    assert all(name in words for name in ("recommender", "popular", "random", "hit_recall"))
    assert "nan" not in picture
    # One dot and one whisker for each of six figures and three rankers.
    assert 18 == picture.count("<circle") == picture.count('class="whisker')
    assert picture == draw_evaluation(found)
