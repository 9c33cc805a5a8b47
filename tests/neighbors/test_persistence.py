"""Saving an estimator and loading it again."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import kneighbors
from kneighbors.artifact import open_artifact, save
from kneighbors.errors import ArtifactError, ParameterRefused, StorageError
from kneighbors.items.lists import Lists
from kneighbors.items.vocabulary import Vocabulary


@pytest.fixture
def corpus() -> Any:
    random = np.random.default_rng(1)
    return random.standard_normal((3000, 64)).astype(np.float32) * np.float32(0.85) ** np.arange(
        64, dtype=np.float32
    )


@pytest.mark.parametrize("metric", ["cosine", "euclidean", "sqeuclidean", "inner_product"])
def test_a_loaded_estimator_answers_as_the_saved_one(
    metric: str,
    corpus: Any,
    tmp_path: Path,
) -> None:
    X = corpus
    items = {"name": [f"wine {i}" for i in range(len(X))], "price": np.arange(len(X)) / 2}
    ids = [f"w{i}" for i in range(len(X))]
    saved = kneighbors.NearestNeighbors(n_neighbors=7, radius=0.5, metric=metric)
    saved.fit(X, ids=ids, items=items).save(tmp_path / "wines")
    loaded = kneighbors.load(tmp_path / "wines")
    assert loaded.get_params() == saved.get_params()
    for queries in (X[:5], X[:5] + X[5:10]):
        for mine, other in zip(loaded.kneighbors(queries), saved.kneighbors(queries), strict=True):
            np.testing.assert_array_equal(mine, other)
    rows = loaded.kneighbors(X[:1])[1][0]
    assert loaded.catalog_.ids_of(rows) == [ids[row] for row in rows]
    assert loaded.catalog_.attributes_of(rows[:1])[0]["name"] == f"wine {rows[0]}"
    copied = pickle.loads(pickle.dumps(loaded))
    np.testing.assert_array_equal(copied.kneighbors(X[:5])[1], loaded.kneighbors(X[:5])[1])
    again = tmp_path / "again"
    loaded.save(again)
    np.testing.assert_array_equal(
        kneighbors.load(again).kneighbors(X[:5])[0], saved.kneighbors(X[:5])[0]
    )


def test_feature_names_survive(tmp_path: Path) -> None:
    frame = pd.DataFrame(np.random.default_rng(0).random((40, 3)), columns=["a", "b", "c"])
    kneighbors.NearestNeighbors().fit(frame).save(tmp_path / "m")
    loaded = kneighbors.load(tmp_path / "m")
    assert loaded.feature_names_in_.tolist() == ["a", "b", "c"]
    assert loaded.kneighbors(frame[:2])[1][:, 0].tolist() == [0, 1]


def test_the_vocabulary_and_the_lists_of_an_artifact_are_saved_again(tmp_path: Path) -> None:
    index = kneighbors.NearestNeighbors(metric="cosine").fit(np.eye(3)).index_
    vocabulary = Vocabulary(
        ["lime", "oak"], [[1.0, 0.0, 0.0], [0.0, 0.5, 0.5]], [2.0, 1.0], {"limes": "lime"}
    )
    save(tmp_path / "m", index, vocabulary=vocabulary, lists=Lists({"seen": [2, 0]}))
    loaded = kneighbors.load(tmp_path / "m")
    copied = pickle.loads(pickle.dumps(loaded))
    for name, estimator in {"again": loaded, "copy": copied}.items():
        estimator.save(tmp_path / name)
        with open_artifact(tmp_path / name) as artifact:
            assert artifact.vocabulary is not None
            expected = vocabulary.vector_of(["limes", "oak"])
            np.testing.assert_array_equal(artifact.vocabulary.vector_of(["limes", "oak"]), expected)
            assert artifact.lists.names == ("seen",)
            assert artifact.lists.rows("seen").tolist() == [0, 2]


def test_another_corpus_has_neither_the_vocabulary_nor_the_lists_of_the_first(
    tmp_path: Path,
) -> None:
    index = kneighbors.NearestNeighbors().fit(np.eye(3)).index_
    words = Vocabulary(["lime"], [[1.0, 0.0, 0.0]])
    save(tmp_path / "m", index, vocabulary=words, lists=Lists({"seen": [2]}))
    kneighbors.load(tmp_path / "m").fit(np.eye(2)).save(tmp_path / "other")
    with open_artifact(tmp_path / "other") as artifact:
        assert artifact.vocabulary is None
        assert artifact.lists.names == ()


def test_an_existing_artifact_is_replaced_only_when_asked(tmp_path: Path) -> None:
    first = kneighbors.NearestNeighbors().fit(np.eye(6))
    second = kneighbors.NearestNeighbors().fit(np.eye(7))
    first.save(tmp_path / "m")
    with pytest.raises(StorageError):
        second.save(tmp_path / "m")
    assert kneighbors.load(tmp_path / "m").n_samples_fit_ == 6
    second.save(tmp_path / "m", overwrite=True)
    assert kneighbors.load(tmp_path / "m").n_samples_fit_ == 7


def test_what_scikit_learn_answers_is_not_saved(tmp_path: Path) -> None:
    estimator = kneighbors.NearestNeighbors(metric="manhattan").fit(np.eye(6))
    with pytest.raises(ParameterRefused, match="manhattan") as refusal:
        estimator.save(tmp_path / "m")
    assert refusal.value.code == "save-not-exact"
    assert list(tmp_path.iterdir()) == []


def test_nothing_and_something_else_are_no_artifacts(tmp_path: Path) -> None:
    with pytest.raises((StorageError, ArtifactError)):
        kneighbors.load(tmp_path / "missing")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("hello")
    with pytest.raises((StorageError, ArtifactError)):
        kneighbors.load(tmp_path / "other")
