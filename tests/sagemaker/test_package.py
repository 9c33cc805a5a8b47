"""Archives for SageMaker: what is in them, that they stand alone, and what they refuse."""

from __future__ import annotations

import ast
import importlib.util
import io
import json
import subprocess
import sys
import tarfile
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import joblib
import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

import kneighbors.sagemaker
from kneighbors.artifact import unpack, verify
from kneighbors.errors import KNeighborsError, ParameterRefused, StorageError
from kneighbors.sagemaker.package import package
from support.cli_artifacts import make_corpus, save_artifact
from support.cli_disks import mounted

QUERIES = np.random.default_rng(3).normal(size=(4, 5)).astype(np.float32)


@pytest.fixture(scope="module")
def wines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_artifact(tmp_path_factory.mktemp("artifact") / "wines")


def extracted(archive: Path, folder: Path) -> Path:
    """Unpack as SageMaker does, with tar."""
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    return folder


def alone(folder: Path, program: str) -> Any:
    """Run a program in another process, whose only kneighbors is the one in ``code/``."""
    code = folder / "code"
    prelude = f"""
import sys
sys.path[:] = [{str(code)!r}] + [p for p in sys.path if not p.endswith("src")]
sys.meta_path = [f for f in sys.meta_path if "editable" not in getattr(f, "__module__", "").lower()]
"""
    ended = subprocess.run(
        [sys.executable, "-c", prelude + program],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=folder,
        check=False,
        env={"PATH": "/usr/bin:/bin"},
    )
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def test_the_artifact_of_an_archive_is_whole_and_readers_skip_the_code(
    wines: Path, tmp_path: Path
) -> None:
    packaged = package(wines, tmp_path / "model.tar.gz")
    unpack(packaged.path, tmp_path / "M")
    assert all(report.is_whole for report in verify(tmp_path / "M"))
    assert not (tmp_path / "M" / "code").exists()
    assert packaged.path.stat().st_size == packaged.bytes


def test_the_same_artifact_gives_the_same_bytes(wines: Path, tmp_path: Path) -> None:
    first = package(wines, tmp_path / "a.tar.gz", sourcedir=tmp_path / "a-code.tar.gz")
    second = package(wines, tmp_path / "b.tar.gz", sourcedir=tmp_path / "b-code.tar.gz")
    assert first.path.read_bytes() == second.path.read_bytes()
    assert first.sourcedir is not None
    assert second.sourcedir is not None
    assert first.sourcedir.read_bytes() == second.sourcedir.read_bytes()


def test_an_archive_of_an_archive_is_that_of_its_artifact(wines: Path, tmp_path: Path) -> None:
    first = package(wines, tmp_path / "a.tar.gz")
    second = package(first.path, tmp_path / "b.tar.gz")
    assert first.path.read_bytes() == second.path.read_bytes()


def test_code_answers_with_nothing_else_of_ours_installed(wines: Path, tmp_path: Path) -> None:
    folder = extracted(package(wines, tmp_path / "model.tar.gz").path, tmp_path / "model")
    np.save(tmp_path / "model" / "query.npy", QUERIES[0])
    program = """
import json
import inference, kneighbors
from pathlib import Path
model = inference.model_fn(".")
data = inference.input_fn(Path("query.npy").read_bytes(), "application/x-npy")
body, kind = inference.output_fn(inference.predict_fn(data, model), "application/json")[:2]
print(json.dumps([kneighbors.__file__, json.loads(body)]))
"""
    home, (distances, rows) = alone(folder, program)
    assert Path(home).is_relative_to(folder / "code")
    near = NearestNeighbors(n_neighbors=4, metric="cosine").fit(make_corpus().astype(float))
    expected_distances, expected_rows = near.kneighbors(QUERIES[:1].astype(float))
    assert expected_rows[0].tolist() == rows
    np.testing.assert_allclose(expected_distances[0], distances, atol=1e-12)


def test_code_trains_and_runs_an_images_commands(wines: Path, tmp_path: Path) -> None:
    folder = extracted(package(wines, tmp_path / "model.tar.gz").path, tmp_path / "model")
    program = """
import contextlib, io, json
import numpy as np
from pathlib import Path
from kneighbors.cli.container import run
from kneighbors.sagemaker.training import TrainingSettings, train
np.save("corpus.npy", np.eye(3))
report = train(TrainingSettings(train="corpus.npy", model_dir=Path("M")))
with contextlib.redirect_stdout(io.StringIO()):
    code = run(["--help"])
print(json.dumps([report.rows, code]))
"""
    assert alone(folder, program) == [3, 0]


@pytest.mark.parametrize("metric", ["cosine", "euclidean", "sqeuclidean"])
@pytest.mark.parametrize("touched", ["as it is", "other pickle", "no facts"])
def test_the_plain_script_answers_as_scikit_learn(
    tmp_path: Path, metric: str, touched: str
) -> None:
    wines = save_artifact(tmp_path / "wines", metric=metric)
    made = package(wines, tmp_path / "model.tar.gz", format="sklearn")
    folder = extracted(made.path, tmp_path / "model")
    near = NearestNeighbors(n_neighbors=4, metric=metric, algorithm="brute").fit(make_corpus())
    if touched == "no facts":
        (folder / "model.json").unlink()
    elif touched == "other pickle":
        near.more = "bytes"
        joblib.dump(near, folder / "model.joblib")
    script = loaded(folder / "code" / "plain_scikit_learn.py")
    model = script.model_fn(str(folder))
    assert isinstance(model._fit_X.base, np.memmap) == (touched == "as it is")
    distances, rows = near.kneighbors(QUERIES)
    matrix = asked(script, model, npy(QUERIES), "application/x-npy")
    assert matrix.shape == (2, 4, 4)
    assert rows.tolist() == matrix[1].tolist()
    np.testing.assert_allclose(matrix[0], distances, rtol=1e-6)
    vector = asked(script, model, npy(QUERIES[0]), "application/x-npy")
    np.testing.assert_array_equal(matrix[:, 0], vector)
    as_json = asked(script, model, json.dumps(QUERIES.tolist()), "application/json")
    # Two rows are the same, and come in any order.
    np.testing.assert_allclose(as_json[0], matrix[0], rtol=1e-5, atol=1e-6)
    as_csv = "\n".join(",".join(map(str, row)) for row in QUERIES.tolist())
    np.testing.assert_array_equal(as_json, asked(script, model, as_csv, "text/csv"))


def test_the_plain_script_answers_in_json(wines: Path, tmp_path: Path) -> None:
    made = package(wines, tmp_path / "model.tar.gz", format="sklearn")
    folder = extracted(made.path, tmp_path / "model")
    script = loaded(folder / "code" / "plain_scikit_learn.py")
    found = script.predict_fn(QUERIES[0], script.model_fn(str(folder)))
    body, kind = script.output_fn(found, "application/json")
    assert kind == "application/json"
    assert found.tolist() == json.loads(body)


def loaded(path: Path) -> ModuleType:
    """Import a script from a file."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    return script


def npy(array: Any) -> bytes:
    out = io.BytesIO()
    np.save(out, array, allow_pickle=array.dtype == object)
    return out.getvalue()


def asked(script: Any, model: Any, body: bytes | str, kind: str) -> Any:
    found = script.predict_fn(script.input_fn(body, kind), model)
    answer, _ = script.output_fn(found, "application/x-npy")
    return np.load(io.BytesIO(answer), allow_pickle=False)


def test_the_plain_script_needs_nothing_of_ours_and_reads_as_python_3_7(
    wines: Path, tmp_path: Path
) -> None:
    made = package(wines, tmp_path / "model.tar.gz", format="sklearn")
    folder = extracted(made.path, tmp_path / "model")
    assert sorted(path.name for path in (folder / "code").iterdir()) == [
        "inference.py",
        "plain_scikit_learn.py",
    ]
    text = (folder / "code" / "plain_scikit_learn.py").read_text()
    ast.parse(text, feature_version=(3, 7))
    assert "kneighbors" not in text.replace(".kneighbors(", "").replace("n_neighbors", "")


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/x-npy", npy(np.array([{"a": 1}], dtype=object))),
        ("application/json", "[[1, 2]"),
        ("text/plain", "1,2"),
        ("image/png", b"\x89PNG"),
    ],
)
def test_the_plain_script_refuses_pickles_and_what_it_cannot_read(
    kind: str, body: bytes | str
) -> None:
    home = Path(kneighbors.sagemaker.__file__).parent / "entry_point" / "plain_scikit_learn.py"
    with pytest.raises(ValueError, match=r"allow_pickle|Expect"):
        loaded(home).input_fn(body, kind)


@pytest.mark.parametrize(
    ("front", "present", "absent"),
    [
        ("stock", "SAGEMAKER_SUBMIT_DIRECTORY", "SAGEMAKER_SERVING_MODULE"),
        ("ours", "SAGEMAKER_SERVING_MODULE", "SAGEMAKER_PROGRAM"),
    ],
)
def test_each_front_has_its_variables(
    wines: Path, tmp_path: Path, front: Literal["stock", "ours"], present: str, absent: str
) -> None:
    packaged = package(wines, tmp_path / "model.tar.gz", front=front)
    assert present in packaged.environment
    assert absent not in packaged.environment
    assert packaged.environment["PYTHONPATH"] == "/opt/ml/model/code"
    assert packaged.image("eu-west-1").endswith("/sagemaker-scikit-learn:1.9-0-cpu-py3")


def test_a_users_script_takes_the_place_of_ours(wines: Path, tmp_path: Path) -> None:
    script = tmp_path / "handlers.py"
    script.write_text("def model_fn(model_dir):\n    return 7\n")
    packaged = package(wines, tmp_path / "model.tar.gz", entry_point=script)
    assert packaged.environment["SAGEMAKER_PROGRAM"] == "handlers.py"
    folder = extracted(packaged.path, tmp_path / "model")
    assert alone(folder, "import inference, json; print(json.dumps(inference.model_fn('.')))") == 7


@pytest.mark.parametrize("fault", ["empty", "ours", "long", "two", "text"])
def test_scripts_that_are_none_are_refused(wines: Path, tmp_path: Path, fault: str) -> None:
    folder = tmp_path / "folder"
    (folder / "kneighbors").mkdir(parents=True)
    entry = folder
    if fault == "ours":
        (folder / "kneighbors" / "__init__.py").touch()
        (folder / "a.py").touch()
    elif fault == "long":
        (folder / "a.py").touch()
        (folder / ("b" * 99 + ".txt")).touch()
    elif fault == "two":
        (folder / "a.py").touch()
        (folder / "b.py").touch()
    elif fault == "text":
        entry = folder / "a.txt"
        entry.touch()
    with pytest.raises(KNeighborsError) as caught:
        package(wines, tmp_path / "model.tar.gz", entry_point=entry)
    assert caught.value.code == "entry-point"
    assert not (tmp_path / "model.tar.gz").exists()


def test_what_cannot_be_packaged_is_refused_by_name(wines: Path, tmp_path: Path) -> None:
    plain: Any = {"format": "sklearn"}
    inner = save_artifact(tmp_path / "inner", metric="inner_product")
    output = tmp_path / "model.tar.gz"
    for model, code, options in (
        (inner, "package-metric", plain),
        (wines, "package-front", plain | {"front": "ours"}),
        (wines, "package-front", {"front": "theirs"}),
        (wines, "package-format", {"format": "onnx"}),
    ):
        with pytest.raises(ParameterRefused) as caught:
            package(model, output, **options)
        assert caught.value.code == code
    assert not output.exists()


@pytest.mark.parametrize("format", ["kneighbors", "sklearn"])
def test_a_file_that_is_there_stays_unless_told(
    wines: Path, tmp_path: Path, format: Literal["kneighbors", "sklearn"]
) -> None:
    output = tmp_path / "model.tar.gz"
    output.write_text("mine")
    with pytest.raises(StorageError) as caught:
        package(wines, output, format=format)
    assert caught.value.code == "artifact-exists"
    assert output.read_text() == "mine"
    package(wines, output, format=format, overwrite=True)
    assert output.stat().st_size > 1000
    assert [path.name for path in tmp_path.iterdir()] == ["model.tar.gz"]


@pytest.mark.parametrize("format", ["kneighbors", "sklearn"])
def test_a_full_disk_leaves_no_archive(
    wines: Path, tmp_path: Path, format: Literal["kneighbors", "sklearn"]
) -> None:
    with mounted(tmp_path / "small", "size=8k") as small:
        (small / "filler").write_bytes(bytes(8192))
        with pytest.raises(StorageError) as caught:
            package(wines, small / "model.tar.gz", format=format)
        assert caught.value.code == "storage-full"
        assert [path.name for path in small.iterdir()] == ["filler"]


def test_the_model_and_the_code_are_both_written_or_neither(wines: Path, tmp_path: Path) -> None:
    output, code = tmp_path / "model.tar.gz", tmp_path / "sourcedir.tar.gz"
    code.write_text("mine")
    with pytest.raises(StorageError, match="new file"):
        package(wines, output, sourcedir=code)
    assert (code.read_text(), output.exists()) == ("mine", False)
    with pytest.raises(ParameterRefused, match="one name for both"):
        package(wines, output, sourcedir=tmp_path / "." / output.name)
    with pytest.raises(KNeighborsError):
        package(tmp_path, output, sourcedir=code, overwrite=True)
    assert (code.read_text(), output.exists()) == ("mine", False)
    with mounted(tmp_path / "small", "size=8k") as small:
        with pytest.raises(StorageError, match="no room"):
            package(wines, output, sourcedir=small / "sourcedir.tar.gz")
        assert not list(small.iterdir())
    assert not output.exists()


def test_a_directory_that_is_not_there_is_named(wines: Path, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="directory to write to") as caught:
        package(wines, tmp_path / "none" / "model.tar.gz")
    assert ("storage-missing", str(tmp_path / "none")) == (caught.value.code, caught.value.where)


@pytest.mark.parametrize("text", [b"def (", b"x = 1\0", b"'\xe9'"])
def test_a_script_that_is_no_python_is_not_packaged(
    wines: Path, tmp_path: Path, text: bytes
) -> None:
    script = tmp_path / "handlers.py"
    script.write_bytes(text)
    with pytest.raises(ParameterRefused, match="script in Python") as caught:
        package(wines, tmp_path / "model.tar.gz", entry_point=script)
    assert caught.value.code == "entry-point"
    assert not (tmp_path / "model.tar.gz").exists()


def test_a_damaged_artifact_is_not_packaged(tmp_path: Path) -> None:
    wines = save_artifact(tmp_path / "wines")
    with (wines / "vectors.npy").open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\xff")
    for format in ("kneighbors", "sklearn"):
        with pytest.raises(KNeighborsError) as caught:
            package(wines, tmp_path / "model.tar.gz", format=format)
        assert caught.value.code == "artifact-damaged"
    assert not (tmp_path / "model.tar.gz").exists()
