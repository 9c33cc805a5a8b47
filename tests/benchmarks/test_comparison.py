"""Corpora are what they are said to be, recall is counted right, and engines are compared alike."""

from __future__ import annotations

from pathlib import Path

import corpora
import numpy as np
import pytest
from comparison import compare
from engines import ENGINES
from recall import Truth
from worker import EngineFailed, Worker, written


@pytest.mark.parametrize("name", corpora.CORPORA)
def test_a_corpus_is_the_same_each_time_and_in_a_file(name: str, tmp_path: Path) -> None:
    X = corpora.make(name, 20_000)
    corpora.write(name, tmp_path / "corpus.npy", 20_000)
    assert X.dtype == np.float32
    assert np.array_equal(X, np.load(tmp_path / "corpus.npy", mmap_mode="r"))
    assert np.isfinite(X).all()


def test_the_flat_spectrum_has_less_than_two_fifths_in_ten_directions() -> None:
    X = corpora.make("flat", 20_000).astype(np.float64)
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    variances = np.linalg.eigvalsh(np.cov(X.T))[::-1]
    assert 0.3 < variances[:10].sum() / variances.sum() < 0.4


def test_duplicates_occur_often_and_hubs_are_near_to_everything() -> None:
    X = corpora.make("duplicates", 16_384)
    rows, counts = np.unique(X, axis=0, return_counts=True)
    assert 0.7 < len(rows) / len(X) < 0.8
    assert counts.max() > 100
    Q = corpora.queries(X[counts.argmax() :], 200)
    unit = X / np.linalg.norm(X, axis=1, keepdims=True)
    centre = unit.mean(axis=0)
    hubs = np.argsort(-(unit @ centre))[:300]
    found = np.argsort(-(Q @ unit.T), axis=1)[:, :50]
    # Two rows in a hundred are hubs; they are many more of the neighbours.
    assert np.isin(found, hubs).mean() > 0.1


def test_recall_counts_by_distance_and_each_row_once() -> None:
    X = np.array([[1, 0], [1, 0], [1, 0.1], [0, 1]], np.float32)
    truth = Truth(X, X[:1], 2)
    answers = [[0, 1], [1, 0], [0, 2], [0, 0], [0, -1], [3, 2]]
    recalls = [truth.recalls(np.array([rows]))[0] for rows in answers]
    assert recalls == [1.0, 1.0, 0.5, 0.5, 0.5, 0.0]


def test_engines_are_compared_each_in_a_process_of_its_own() -> None:
    found = compare(corpora.make("isotropic", 2000, 32), ["kneighbors", "blas_product"], 20, 2)
    assert list(found["engines"]) == ["kneighbors", "blas_product"]
    assert found["left_out"] == {}
    ours, product = found["engines"]["kneighbors"], found["engines"]["blas_product"]
    assert (ours["recall"], product["recall"]) == (1.0, None)
    assert 0 < ours["single_ms"] <= ours["single_p95_ms"] <= ours["single_p99_ms"]
    assert ours["queries_per_s"] > 0


def test_an_engine_that_is_not_installed_is_left_out_with_the_reason(tmp_path: Path) -> None:
    missing = next((name for name in ("voyager", "scann") if not _installed(name)), None)
    if missing is None:
        pytest.skip("every engine is installed")
    with (
        written(corpora.make("isotropic", 100, 8), tmp_path) as path,
        pytest.raises(EngineFailed, match=f"No module named '{missing}'"),
    ):
        Worker(missing, path)


def test_exact_engines_are_named_apart_from_those_that_are_tuned() -> None:
    tuned = {name for name, engine in ENGINES.items() if engine.efforts}
    assert {"kneighbors", "blas_product", "faiss_flat"} & tuned == set()
    assert all(list(ENGINES[name].efforts) == sorted(ENGINES[name].efforts) for name in tuned)


def _installed(name: str) -> bool:
    import importlib.util

    return importlib.util.find_spec(name) is not None
