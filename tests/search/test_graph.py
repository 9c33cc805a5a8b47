"""The approximate index beside the exact one: what it finds, and what it never does."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
from typing import Any

import numpy as np
import pytest

from kneighbors.errors import ArtifactError, MissingExtra
from kneighbors.search.graph import GraphIndex
from kneighbors.search.graph_opening import open_index
from kneighbors.search.graph_recall import recalls_by_distance
from kneighbors.search.metrics import METRICS
from kneighbors.search.rows import ArrayRows
from support.graphs import N_SAMPLES, embeddings, graph
from support.oracle import distances

X = embeddings()
Q = embeddings(100, seed=1)


@pytest.fixture(scope="module")
def cosine() -> GraphIndex:
    return graph(X)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("metric", list(METRICS))
def test_nearly_all_neighbours_are_found(metric: str, dtype: Any) -> None:
    index = graph(X.astype(dtype), metric)
    found = index.kneighbors(Q.astype(dtype), 10)
    true = index.exact.kneighbors(Q.astype(dtype), 10)
    assert recalls_by_distance(found[0], true[0]).mean() > 0.9


@pytest.mark.parametrize("metric", list(METRICS))
def test_distances_are_exact_and_sorted(metric: str) -> None:
    index = graph(X, metric)
    found, rows = index.kneighbors(Q[:5], 10)
    for query in range(5):
        exact = distances(metric, X, Q[query])[rows[query]]
        np.testing.assert_allclose(found[query], exact, rtol=1e-6, atol=1e-12)
        assert list(np.lexsort((rows[query], found[query]))) == list(range(10))


def test_it_says_that_it_is_approximate(cosine: GraphIndex) -> None:
    assert (cosine.is_exact, cosine.exact.is_exact) == (False, True)
    assert cosine.plan["engine"] == "hnsw"


def test_a_query_alone_has_the_answer_that_it_has_in_company(cosine: GraphIndex) -> None:
    together = cosine.kneighbors(Q, 7)
    for query in range(0, 100, 9):
        alone = cosine.kneighbors(Q[query : query + 1], 7)
        np.testing.assert_array_equal(alone[0][0], together[0][query])
        np.testing.assert_array_equal(alone[1][0], together[1][query])


@pytest.mark.parametrize("count", [1, 12])
def test_excluded_rows_are_not_found_and_replaced_by_others(cosine: GraphIndex, count: int) -> None:
    first = cosine.kneighbors(Q[:count], 5)[1]
    found, rows = cosine.kneighbors(Q[:count], 5, exclude=list(first))
    assert not np.isin(rows, first).any(axis=1).any() or count > 1
    assert all(not np.isin(own, gone).any() for own, gone in zip(rows, first, strict=True))
    assert np.isfinite(found).all()


@pytest.mark.parametrize("share", [0.001, 0.1, 0.5, 0.9])
def test_masks_are_kept_and_no_answer_is_short(cosine: GraphIndex, share: float) -> None:
    mask = np.random.default_rng(2).random(N_SAMPLES) < share
    masks = [mask, None, mask]
    found, rows = cosine.kneighbors(Q[:3], 10, masks=masks)
    true, _ = cosine.exact.kneighbors(Q[:3], 10, masks=masks)
    assert np.array_equal(rows >= 0, np.isfinite(true))
    assert mask[rows[[0, 2]][rows[[0, 2]] >= 0]].all()
    assert recalls_by_distance(found, true).min() > 0.6


def test_more_neighbours_than_the_graph_is_good_for_are_found_exactly(cosine: GraphIndex) -> None:
    assert np.array_equal(cosine.kneighbors(Q[:3], 500)[1], cosine.exact.kneighbors(Q[:3], 500)[1])
    assert np.array_equal(
        cosine.kneighbors(Q[:1], N_SAMPLES)[1], cosine.exact.kneighbors(Q[:1], N_SAMPLES)[1]
    )


def test_a_radius_is_exact(cosine: GraphIndex) -> None:
    found = cosine.radius_neighbors(Q[:5], 0.2)
    true = cosine.exact.radius_neighbors(Q[:5], 0.2)
    assert [list(rows) for rows in found[1]] == [list(rows) for rows in true[1]]


def test_a_tiny_corpus_is_answered_exactly() -> None:
    index = graph(X[:20])
    assert np.array_equal(index.kneighbors(Q, 20)[1], index.exact.kneighbors(Q, 20)[1])


@pytest.mark.parametrize("metric", ["euclidean", "inner_product"])
def test_queries_that_no_graph_is_fit_for_are_answered_exactly(metric: str) -> None:
    index = graph(X.astype(np.float64), metric)
    odd = np.stack([np.full(24, 1e140), np.zeros(24), X[0].astype(np.float64)])
    for queries in (odd, odd[:1], odd[1:2]):
        found, rows = index.kneighbors(queries, 5)
        true = index.exact.kneighbors(queries, 5)
        assert np.array_equal(rows[:2], true[1][:2])
        assert np.array_equal(found[:2], true[0][:2])


def test_duplicates_in_masses_are_told_by_row() -> None:
    index = graph(np.repeat(X[:4], 500, axis=0))
    found, rows = index.kneighbors(X[:1], 5)
    assert found[0].tolist() == [0.0] * 5
    assert rows[0].tolist() == sorted(set(rows[0].tolist()))


def test_elements_of_very_different_sizes_get_wider_codes() -> None:
    spread = X * np.geomspace(1e-3, 1e3, X.shape[1], dtype=np.float32)
    index = graph(spread[:, ::-1].copy(), "euclidean")
    assert {graph(X).plan["codes"], index.plan["codes"]} <= {"sq8", "fp16"}
    true = index.exact.kneighbors(spread[:50, ::-1].copy(), 10)
    found = index.kneighbors(spread[:50, ::-1].copy(), 10)
    assert recalls_by_distance(found[0], true[0]).mean() > 0.9


def test_the_parts_give_the_same_index(cosine: GraphIndex) -> None:
    again = open_index(ArrayRows(X), "cosine", cosine.parts(), cosine.plan)
    assert np.array_equal(again.kneighbors(Q, 5)[1], cosine.kneighbors(Q, 5)[1])


def test_the_opened_graph_works_on_the_bytes_as_they_are(cosine: GraphIndex) -> None:
    import faiss

    graph_ = cosine.searcher._graph
    assert not graph_.hnsw.neighbors.is_owned
    storage: Any = faiss.downcast_index(graph_.storage)
    assert not storage.codes.is_owned


def test_a_pickle_has_the_same_answers(cosine: GraphIndex) -> None:
    again = pickle.loads(pickle.dumps(cosine))
    assert np.array_equal(again.kneighbors(Q, 5)[1], cosine.kneighbors(Q, 5)[1])


def test_threads_get_the_same_answers(cosine: GraphIndex) -> None:
    expected = cosine.kneighbors(Q, 5)[1]
    found: list[Any] = []
    threads = [
        threading.Thread(target=lambda: found.append(cosine.kneighbors(Q, 5)[1])) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert all(np.array_equal(one, expected) for one in found)


FORKED = """
import os, sys, warnings
warnings.simplefilter("ignore")
from support.graphs import embeddings, graph
X = embeddings()
index = graph(X)
index.kneighbors(X, 5)
child = os.fork()
if child == 0:
    index.kneighbors(X, 5)
    os._exit(7)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_forked_process_goes_on_searching() -> None:
    paths = os.pathsep.join(["tests", *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", FORKED],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stdout.strip(), done.stderr) == ("7", "")


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from kneighbors.search import graph_library

    graph_library.library.cache_clear()
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(MissingExtra, match=r"kneighbors\[approximate\]"):
        graph(X[:50])
    graph_library.library.cache_clear()


def test_an_order_that_is_none_is_refused(cosine: GraphIndex) -> None:
    parts = cosine.parts()
    parts["graph-order"] = np.zeros_like(parts["graph-order"])
    with pytest.raises(ArtifactError) as caught:
        open_index(ArrayRows(X), "cosine", parts, cosine.plan)
    assert caught.value.code == "artifact-invalid"
