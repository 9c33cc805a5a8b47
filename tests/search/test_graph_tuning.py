"""The cheapest setting that reaches a recall, and what is said where there is none."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from kneighbors.errors import ParameterRefused
from kneighbors.search.graph import GraphIndex
from kneighbors.search.graph_choice import Choice
from kneighbors.search.graph_recall import recalls_by_distance, recalls_by_id
from kneighbors.search.graph_setting import Setting, Wanted
from kneighbors.search.graph_tuning import _cheapest, tune
from kneighbors.search.index import ExactIndex
from kneighbors.search.rows import ArrayRows
from support.graphs import embeddings

X = embeddings()
SMALL_GRAPH = {"M": 4, "ef_construction": 20}


def exact() -> ExactIndex:
    return ExactIndex.build(ArrayRows(X), "cosine")


def test_a_graph_that_reaches_the_recall_is_found_on_rows_held_out() -> None:
    found = Choice("hnsw", target_recall=0.9, params=SMALL_GRAPH).apply(exact())
    assert isinstance(found, GraphIndex)
    tuning = found.plan["tuning"]
    chosen = tuning["settings"][tuning["chosen"]]
    assert chosen["low"] >= 0.9
    assert (tuning["queries"], tuning["n_queries"]) == ("held out", 400)
    assert found.plan["ef_search"] == chosen["ef_search"]
    assert json.loads(json.dumps(found.plan)) == found.plan
    # The rows that were held out are in it.
    assert sorted(found.order.tolist()) == list(range(len(X)))
    queries = embeddings(300, seed=8)
    true = found.exact.kneighbors(queries, 10)[0]
    assert recalls_by_distance(found.kneighbors(queries, 10)[0], true).mean() >= 0.9


def test_the_users_own_queries_are_measured_on() -> None:
    queries = embeddings(200, seed=3)
    found = Choice("hnsw", target_recall=0.9, params=SMALL_GRAPH).apply(exact(), queries=queries)
    assert (found.plan["tuning"]["queries"], found.plan["tuning"]["n_queries"]) == ("given", 200)


def test_a_setting_narrower_than_one_that_fails_does_not_pass() -> None:
    found = tune(exact(), Wanted(0.97), graphs=[(4, 20)], with_exact=True)
    passes = [one["passes"] for one in found.plan["tuning"]["settings"] if one["M"]]
    assert passes == sorted(passes, reverse=True)


def setting(**fields: Any) -> Setting:
    empty = {"recall": 1.0, "recall_by_id": 1.0, "low": 1.0, "p5": 1.0, "passes": True}
    return Setting(**{"engine": "hnsw", "M": 8, "ef_construction": 40, **empty, **fields})


def test_of_one_graph_the_narrowest_search_is_the_cheapest_and_exact_wins_if_it_is_faster() -> None:
    wide = setting(ef_search=64, query_ms=0.2)
    narrow = setting(ef_search=32, query_ms=0.3)
    scan = setting(engine="exact", M=None, ef_construction=None, ef_search=None, query_ms=0.25)
    assert _cheapest([wide, narrow]) == narrow
    assert _cheapest([wide, narrow, scan]) == scan


def test_what_cannot_be_reached_names_the_best() -> None:
    noise = np.random.default_rng(0).standard_normal((3000, 64)).astype(np.float32)
    index = ExactIndex.build(ArrayRows(noise), "cosine")
    wanted = Choice("hnsw", target_recall=0.99, params={"M": 2, "ef_construction": 2})
    with pytest.raises(ParameterRefused, match=r"M 2, ef_construction 2, ef_search \d+") as caught:
        wanted.apply(index)
    assert caught.value.code == "recall-unreachable"


def test_a_recall_of_one_is_no_graphs() -> None:
    with pytest.raises(ParameterRefused) as caught:
        Choice("hnsw", target_recall=1.0).apply(exact())
    assert caught.value.code == "recall-unreachable"
    found = Choice(target_recall=1.0).apply(exact())
    assert found.is_exact
    assert "exact" in found.plan["tuning"]["reason"]


def test_too_few_queries_are_refused_with_how_many_it_takes() -> None:
    wanted = Choice("hnsw", target_recall=0.99, params=SMALL_GRAPH)
    with pytest.raises(ParameterRefused, match="at least 320 sample queries") as caught:
        wanted.apply(exact(), queries=embeddings(100, seed=2))
    assert caught.value.code == "recall-sample"


def test_auto_is_exact_unless_something_is_looked_for() -> None:
    index = exact()
    assert Choice().apply(index) is index
    assert Choice("exact").apply(index) is index


def test_auto_stays_exact_where_that_is_fast_enough() -> None:
    found = Choice(latency_ms=1e6).apply(exact())
    assert found.is_exact
    assert "the goal is 1e+06 ms" in found.plan["choice"]


def test_auto_looks_further_where_exact_is_too_slow() -> None:
    wanted = Choice(latency_ms=1e-9, target_recall=0.9, params=SMALL_GRAPH)
    found = wanted.apply(exact())
    assert "more than the goal" in found.plan["choice"]
    assert found.plan["tuning"]["settings"]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"algorithm": "ivf"}, "algorithm-unknown"),
        ({"target_recall": 0}, "target-recall-range"),
        ({"target_recall": -0.1}, "target-recall-range"),
        ({"target_recall": 1.01}, "target-recall-range"),
        ({"target_recall": float("nan")}, "target-recall-range"),
        ({"target_recall": True}, "target-recall-range"),
        ({"latency_ms": 0.0}, "latency-range"),
        ({"latency_ms": float("inf")}, "latency-range"),
        ({"confidence": 1.0}, "confidence-range"),
        ({"algorithm": "hnsw", "params": {"M": 1}}, "graph-params"),
        ({"algorithm": "hnsw", "params": {"m": 8}}, "graph-params"),
        ({"algorithm": "hnsw", "params": {"ef_search": 2.5}}, "graph-params"),
        ({"algorithm": "exact", "target_recall": 0.9}, "parameter-conflict"),
        ({"algorithm": "exact", "params": {"M": 8}}, "parameter-conflict"),
        ({"algorithm": "auto", "params": {"M": 8}}, "parameter-conflict"),
        ({"algorithm": "hnsw", "latency_ms": 1.0}, "parameter-conflict"),
        (
            {"algorithm": "hnsw", "target_recall": 0.9, "params": {"ef_search": 8}},
            "parameter-conflict",
        ),
    ],
    ids=str,
)
def test_what_cannot_be_meant_is_refused(fields: dict[str, Any], code: str) -> None:
    with pytest.raises(ParameterRefused) as caught:
        Choice(**fields)
    assert caught.value.code == code


def test_recall_by_distance_counts_a_tie_and_recall_by_id_does_not() -> None:
    true = np.array([[0.1, 0.2]]), np.array([[4, 5]])
    found = np.array([[0.1, 0.2]]), np.array([[4, 6]])
    assert recalls_by_distance(found[0], true[0]).tolist() == [1.0]
    assert recalls_by_id(found[1], true[1]).tolist() == [0.5]


def test_places_without_a_row_are_no_hits() -> None:
    true = np.array([[0.1, np.inf]]), np.array([[4, -1]])
    found = np.array([[np.inf, np.inf]]), np.array([[-1, -1]])
    assert recalls_by_distance(found[0], true[0]).tolist() == [0.0]
    assert recalls_by_id(found[1], true[1]).tolist() == [0.0]
