"""The walk-through's script: a program that trains, a module that answers."""

from __future__ import annotations

import importlib.util
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from kneighbors.errors import BodyRefused
from kneighbors.formats import JSON, NPY
from kneighbors.sagemaker.model import Model
from support.storage_servers import aws_client, s3_server, use_endpoint
from support.wire_bodies import npy_body
from support.wire_model import corpus, expected

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "src" / "kneighbors" / "sagemaker" / "entry_point" / "sklearn_nearest_neighbors.py"
X = corpus(60, 8)


def run(*arguments: str | int | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    kept = {name: text for name, text in os.environ.items() if not name.startswith("SM_")}
    return subprocess.run(
        [sys.executable, "-W", "error", str(SCRIPT), *map(str, arguments)],
        env={**kept, "PYTHONPATH": str(ROOT / "src"), **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    np.save(folder / "wines.npy", X)
    return folder


@pytest.fixture(scope="module")
def model_dir(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained") / "model"
    done = run("--train", data, "--model-dir", folder)
    assert 0 == done.returncode, done.stderr
    return folder


@pytest.fixture
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("a_script", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_program_trains_from_its_arguments(data: Path, tmp_path: Path) -> None:
    done = run(
        *("--train", data / "wines.npy", "--model-dir", tmp_path / "m"),
        *("--output-data-dir", tmp_path / "o", "--n_neighbors", 3, "--metric", "euclidean"),
    )
    assert (0, "") == (done.returncode, done.stderr)
    assert "rows=60;" in done.stdout
    model = Model.open(tmp_path / "m")
    assert ("euclidean", 3) == (model.metric, model.default_n_neighbors)
    assert 60 == json.loads((tmp_path / "o" / "report.json").read_text())["rows"]


@pytest.mark.parametrize("metric", ['"\\"euclidean\\""', '"euclidean"'], ids=["SDK 2", "SDK 3"])
def test_the_program_trains_from_sagemakers_variables(
    data: Path, tmp_path: Path, metric: str
) -> None:
    done = run(
        SM_CHANNEL_TRAIN=str(data),
        SM_MODEL_DIR=str(tmp_path / "m"),
        SM_HPS=f'{{"metric": {metric}, "n_neighbors": "3"}}',
    )
    assert (0, "") == (done.returncode, done.stderr)
    model = Model.open(tmp_path / "m")
    assert ("euclidean", 3) == (model.metric, model.default_n_neighbors)


def test_an_argument_is_stronger_than_a_variable(data: Path, tmp_path: Path) -> None:
    variables = {"SM_CHANNEL_TRAIN": str(data), "SM_MODEL_DIR": str(tmp_path / "m")}
    done = run("--n-neighbors", 2, SM_HPS='{"n_neighbors": 3}', **variables)
    assert (0, "") == (done.returncode, done.stderr)
    assert 2 == Model.open(tmp_path / "m").default_n_neighbors


def test_the_corpus_may_lie_on_s3(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with s3_server() as url:
        use_endpoint(monkeypatch, url)
        client = aws_client(url)
        client.create_bucket(Bucket="corpus-of-a-script")
        client.upload_file(str(data / "wines.npy"), "corpus-of-a-script", "data/wines.npy")
        done = run(
            "--train", "s3://corpus-of-a-script/data/wines.npy", "--model-dir", tmp_path / "m"
        )
    assert (0, "") == (done.returncode, done.stderr)
    assert 60 == Model.open(tmp_path / "m").n_samples


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--train", "nowhere.npy", "--model-dir", "m"], "[storage-missing]"),
        (["--model-dir", "m"], "[parameter-missing]"),
        (["--train", ".", "--model-dir", "m", "--metric", "manhattan"], "[metric-unknown]"),
    ],
)
def test_a_users_mistake_is_one_line(tmp_path: Path, arguments: list[str], said: str) -> None:
    done = run(*arguments)
    assert 1 == done.returncode
    assert done.stderr.startswith(f"error: {said} ")
    assert 1 == done.stderr.count("\n")


def test_an_unknown_option_is_wrong_usage() -> None:
    done = run("--neighbours", "5")
    assert 2 == done.returncode
    assert "unrecognized arguments: --neighbours" in done.stderr


def test_every_setting_of_a_training_run_is_an_option() -> None:
    from kneighbors.sagemaker.settings import _READERS

    usage = run("--help").stdout
    for name in set(_READERS) - {"checkpoint_dir"}:
        assert f"--{name}" in usage or f"--{name.replace('_', '-')}" in usage, name


def test_the_predictor_of_the_walk_through_gets_two_by_ten(
    script: ModuleType, model_dir: Path
) -> None:
    model = script.model_fn(str(model_dir))
    vector = X[7].astype(np.float32)
    data = script.input_fn(npy_body(vector), NPY)
    body, content_type = script.output_fn(script.predict_fn(data, model), NPY)
    answer = np.load(io.BytesIO(body), allow_pickle=False)
    assert (NPY, (2, 10), np.float64) == (content_type, answer.shape, answer.dtype)
    distances, rows = expected(X, vector, 10)
    assert rows == answer[1].astype(int).tolist()
    np.testing.assert_allclose(answer[0], distances, rtol=0, atol=1e-7)


def test_the_module_answers_json_as_text(script: ModuleType, model_dir: Path) -> None:
    model = script.model_fn(str(model_dir))
    text = json.dumps({"instances": [X[7].tolist()], "k": 2})
    body, content_type = script.output_fn(
        script.predict_fn(script.input_fn(text, JSON), model), JSON
    )
    assert JSON == content_type
    assert 7 == json.loads(body)["predictions"][0]["indices"][0]


def test_the_module_loads_no_pickle(script: ModuleType) -> None:
    file = io.BytesIO()
    np.save(file, np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(BodyRefused):
        script.input_fn(file.getvalue(), NPY)


def test_the_script_is_plain_enough_for_any_python_that_the_package_runs_on() -> None:
    text = SCRIPT.read_text()
    assert "allow_pickle" not in text
    compile(text, str(SCRIPT), "exec", dont_inherit=True)
