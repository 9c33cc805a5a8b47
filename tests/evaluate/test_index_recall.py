"""Index recall, against a scan that shares nothing with the index."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.dom import minidom

import numpy as np
import pytest

from kneighbors import NearestNeighbors
from kneighbors.artifact import open_artifact
from kneighbors.errors import ParameterRefused
from kneighbors.evaluate import index_recall, trade_off
from kneighbors.evaluate.index_recall_figure import draw_index_recall
from kneighbors.evaluate.index_recall_scan import scan
from kneighbors.evaluate.tuning_figure import draw_trade_off
from kneighbors.search.metrics import METRICS
from kneighbors.search.progress import ignore
from kneighbors.search.rows import ArrayRows
from support.graphs import embeddings, graph
from support.oracle import check_answer

X = embeddings(1200)
Q = embeddings(60, seed=6)
GRAPH = graph(X, M=4, ef_construction=10, ef_search=8)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("metric", list(METRICS))
def test_the_scan_finds_the_nearest_rows(metric: str, dtype: Any) -> None:
    corpus = np.concatenate([X, X[:40]]).astype(dtype)
    found, rows = scan(ArrayRows(corpus), metric, Q.astype(dtype), 9, None, ignore)
    for query in range(0, 60, 7):
        q = Q[query].astype(dtype)
        check_answer(metric, corpus, q, found[query], rows[query], 9)


def test_the_scan_survives_numbers_at_the_edge() -> None:
    corpus = np.concatenate([X.astype(np.float64), X[:30].astype(np.float64) * 1e200])
    found, rows = scan(ArrayRows(corpus), "euclidean", corpus[1200:1203], 3, None, ignore)
    assert rows[:, 0].tolist() == [1200, 1201, 1202]
    assert found[:, 0].tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("metric", list(METRICS))
def test_an_exact_engine_has_a_recall_of_one(metric: str) -> None:
    found = index_recall(NearestNeighbors(metric=metric).fit(X), sample=100)
    assert (found.by_id.mean, found.by_distance.mean, found.by_id.p5) == (1.0, 1.0, 1.0)
    assert (found.is_exact, found.queries, found.n_queries) == (True, "rows", 100)
    assert found.by_id.low < 1.0 == found.by_id.high


def test_a_poor_graph_is_found_out() -> None:
    found = index_recall(GRAPH, Q, n_neighbors=5)
    true = GRAPH.exact.kneighbors(Q, 5)[1]
    rows = GRAPH.kneighbors(Q, 5)[1]
    hits = [len(set(a) & set(b)) / 5 for a, b in zip(rows.tolist(), true.tolist(), strict=True)]
    assert found.by_id.mean == pytest.approx(np.mean(hits))
    assert found.by_id.mean < 0.99
    assert found.by_id.low < found.by_id.mean < found.by_id.high
    assert found.by_id.worst <= found.by_id.p5 <= found.by_id.mean
    assert (found.engine, found.is_exact, found.queries) == ("hnsw", False, "given")
    assert json.loads(json.dumps(found.to_dict()))["by_id"]["mean"] == found.by_id.mean


def test_an_artifact_is_measured_as_it_is(tmp_path: Path) -> None:
    NearestNeighbors(metric="cosine").fit(X).save(tmp_path / "M")
    with open_artifact(tmp_path / "M") as artifact:
        assert index_recall(artifact, Q[:5]).by_id.mean == 1.0


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"confidence": 1.0}, "confidence-range"),
        ({"sample": 0}, "sample-range"),
        ({"queries": np.empty((0, 24))}, "sample-range"),
        ({"n_neighbors": 1200}, "n-neighbors-range"),
        ({"queries": np.ones((1, 3))}, "array-width"),
    ],
    ids=str,
)
def test_what_cannot_be_measured_is_refused(arguments: dict[str, Any], code: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        index_recall(GRAPH, **arguments)
    assert getattr(caught.value, "code", None) == code


def test_what_has_no_index_is_refused() -> None:
    for model in (NearestNeighbors(metric="manhattan").fit(X), object()):
        with pytest.raises(ParameterRefused) as caught:
            index_recall(model)
        assert caught.value.code == "evaluate-no-index"


def test_a_wider_search_finds_more_and_the_graph_stays_as_it_was() -> None:
    settings = trade_off(GRAPH, Q, n_neighbors=5)
    assert [one["engine"] for one in settings] == ["hnsw"] * (len(settings) - 1) + ["exact"]
    widths = [one["ef_search"] for one in settings[:-1]]
    assert widths == sorted(widths, reverse=True)
    assert settings[0]["recall"] > settings[-2]["recall"]
    assert all(one["low"] <= one["recall"] for one in settings)
    assert (GRAPH.ef_search, GRAPH.plan["ef_search"]) == (8, 8)


def test_an_exact_index_has_no_trade_off() -> None:
    with pytest.raises(ParameterRefused) as caught:
        trade_off(GRAPH.exact)
    assert caught.value.code == "trade-off-exact"


@pytest.mark.parametrize("target", [None, 0.95])
def test_the_pictures_are_whole(target: float | None) -> None:
    settings = trade_off(GRAPH, Q, n_neighbors=5)
    drawn = draw_trade_off(settings, target)
    root = minidom.parseString(drawn)  # noqa: S318
    assert len(root.getElementsByTagName("circle")) == len(settings)
    assert ("target 0.95" in drawn) == (target is not None)
    assert "nan" not in drawn
    histogram = draw_index_recall(index_recall(GRAPH, Q, n_neighbors=5))
    root = minidom.parseString(histogram)  # noqa: S318
    assert root.getElementsByTagName("rect")
    assert "nan" not in histogram
