"""Pickles of scikit-learn's become artifacts, if they are trusted and can be."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import sklearn
from scipy import sparse
from sklearn.neighbors import KNeighborsClassifier, KNeighborsTransformer, NearestNeighbors

import kneighbors
from kneighbors.cli.app import run
from kneighbors.errors import KNeighborsError, ParameterRefused
from kneighbors.sagemaker.convert import convert

X = np.random.default_rng(0).normal(size=(30, 4))
Q = np.random.default_rng(1).normal(size=(5, 4))


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize(
    "estimator",
    [
        NearestNeighbors(n_neighbors=3, metric="cosine"),
        NearestNeighbors(n_neighbors=3),
        NearestNeighbors(n_neighbors=3, metric="l2", algorithm="kd_tree"),
        NearestNeighbors(n_neighbors=3, metric="minkowski", p=2, algorithm="ball_tree"),
        NearestNeighbors(n_neighbors=3, metric="sqeuclidean"),
        KNeighborsTransformer(n_neighbors=3, metric="cosine"),
        kneighbors.NearestNeighbors(n_neighbors=3, metric="inner_product"),
    ],
    ids=str,
)
def test_a_converted_model_answers_as_before(tmp_path: Path, estimator: Any, dtype: str) -> None:
    estimator.fit(X.astype(dtype))
    joblib.dump(estimator, tmp_path / "model.joblib")
    made = convert(tmp_path / "model.joblib", tmp_path / "M", trust_pickle=True)
    assert (made.warnings, made.estimator) == ((), type(estimator).__name__)
    loaded = kneighbors.load(tmp_path / "M")
    distances, rows = estimator.kneighbors(Q.astype(dtype), 3)
    found_distances, found_rows = loaded.kneighbors(Q.astype(dtype))
    assert rows.tolist() == found_rows.tolist()
    np.testing.assert_allclose(found_distances, distances, rtol=1e-5, atol=1e-6)


def test_a_plain_pickle_is_read_too_and_items_are_joined(tmp_path: Path) -> None:
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(NearestNeighbors().fit(X)))
    lines = ["wine,price", *(f"w{row},{row}" for row in range(len(X)))]
    (tmp_path / "wines.csv").write_text("\n".join(lines) + "\n")
    options: Any = {"items": tmp_path / "wines.csv", "id_column": "wine", "trust_pickle": True}
    convert(tmp_path / "model.pkl", tmp_path / "M", **options)
    catalog = kneighbors.load(tmp_path / "M").catalog_
    assert catalog.ids_of([3]) == ["w3"]
    assert catalog.attributes_of([3]) == [{"price": 3}]


def test_without_trust_nothing_is_unpickled(tmp_path: Path) -> None:
    marker = tmp_path / "ran"

    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (marker,))

    (tmp_path / "model.joblib").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(ParameterRefused) as caught:
        convert(tmp_path / "model.joblib", tmp_path / "M")
    assert caught.value.code == "pickle-untrusted"
    assert "runs whatever code" in caught.value.message
    assert not marker.exists()


@pytest.mark.parametrize(
    ("estimator", "code"),
    [
        (KNeighborsClassifier().fit(X, np.arange(30) % 2), "convert-estimator"),
        ({"not": "an estimator"}, "convert-estimator"),
        (NearestNeighbors(), "convert-estimator"),
        (NearestNeighbors().fit(sparse.csr_matrix(X)), "convert-sparse"),
        (NearestNeighbors(metric="manhattan").fit(X), "convert-metric"),
        (NearestNeighbors(p=3).fit(X), "convert-metric"),
        (NearestNeighbors(metric="cosine").fit(np.zeros((3, 2))), "array-zero-vector"),
    ],
)
def test_what_has_no_artifact_is_refused_by_name(tmp_path: Path, estimator: Any, code: str) -> None:
    joblib.dump(estimator, tmp_path / "model.joblib")
    with pytest.raises(KNeighborsError) as caught:
        convert(tmp_path / "model.joblib", tmp_path / "M", trust_pickle=True)
    assert caught.value.code == code
    assert not (tmp_path / "M").exists()


@pytest.mark.parametrize("data", [b"", b"no pickle", b"\x80\x05c__gone__\nThing\n."])
def test_an_unreadable_pickle_is_an_error_of_the_file(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "model.joblib").write_bytes(data)
    with pytest.raises(KNeighborsError) as caught:
        convert(tmp_path / "model.joblib", tmp_path / "M", trust_pickle=True)
    assert caught.value.code == "pickle-unreadable"


class Exits:
    """A pickle that ends the program."""

    def __reduce__(self) -> Any:
        return sys.exit, (0,)


def test_a_pickle_that_exits_is_an_error_of_the_file(tmp_path: Path) -> None:
    joblib.dump(Exits(), tmp_path / "model.joblib")
    with pytest.raises(KNeighborsError, match="got SystemExit: 0") as caught:
        convert(tmp_path / "model.joblib", tmp_path / "M", trust_pickle=True)
    assert caught.value.code == "pickle-unreadable"


@pytest.mark.parametrize(
    ("name", "value"), [("n_neighbors", "many"), ("n_neighbors", None), ("metric_params", 7)]
)
def test_an_estimator_with_odd_parameters_is_refused(tmp_path: Path, name: str, value: Any) -> None:
    estimator = NearestNeighbors().fit(X)
    setattr(estimator, name, value)
    joblib.dump(estimator, tmp_path / "model.joblib")
    with pytest.raises(ParameterRefused) as caught:
        convert(tmp_path / "model.joblib", tmp_path / "M", trust_pickle=True)
    assert caught.value.code == "convert-estimator"


def test_a_warning_of_another_version_is_told(tmp_path: Path) -> None:
    data = pickle.dumps(NearestNeighbors().fit(X))
    now = sklearn.__version__.encode()
    other = b"0" + now[1:]
    assert now in data
    (tmp_path / "model.joblib").write_bytes(data.replace(now, other))
    made = convert(tmp_path / "model.joblib", tmp_path / "M", trust_pickle=True)
    assert len(made.warnings) == 1
    assert other.decode() in made.warnings[0]


def test_the_command_says_what_was_made_and_refuses_without_trust(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    joblib.dump(NearestNeighbors(metric="cosine").fit(X), tmp_path / "model.joblib")
    command = ["convert", str(tmp_path / "model.joblib"), "--model-dir", str(tmp_path / "M")]
    assert run(command) == 2
    assert "[pickle-untrusted]" in capsys.readouterr().err
    assert run([*command, "--trust-pickle"]) == 0
    assert "30 x 4 float64, cosine, from a NearestNeighbors" in capsys.readouterr().out
