from __future__ import annotations

import json
import os
import random
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kneighbors.artifact import Manifest, open_artifact, verify
from support.cli_artifacts import make_corpus
from support.cli_disks import mounted
from support.cli_run import (
    Runner,
    clean_environment,
    run_on_terminal,
    run_process,
    start_process,
)
from support.storage_servers import aws_client, s3_server, use_endpoint

X = make_corpus()


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    np.save(tmp_path / "corpus.npy", X)
    return tmp_path / "corpus.npy"


def digest_of(path: Path) -> str:
    return Manifest.from_bytes((path / "manifest.json").read_bytes()).digest


def test_train_then_inspect_then_query(cli: Runner, tmp_path: Path) -> None:
    table = pa.table(
        {"wine_id": [f"w{row}" for row in range(60)], "v": X.tolist(), "price": [9.5] * 60}
    )
    pq.write_table(table, tmp_path / "wines.parquet")
    model = tmp_path / "M"
    done = cli(
        *("train", "--train", tmp_path / "wines.parquet", "--id-column", "wine_id"),
        *("--model-dir", model, "--metric", "l2", "--n-neighbors", "3"),
    )
    assert done.code == 0, done.err
    shown = cli("inspect", model, "--verify", "--json").json
    assert (shown["metric"], shown["n_samples"], shown["verified"]) == ("euclidean", 60, True)
    (one,) = cli("query", model, "--id", "w10", "--columns", "price").json["predictions"]
    assert one["ids"][:2] == ["w10", "w11"]
    assert len(one["ids"]) == 3
    assert one["items"][0] == {"price": 9.5}


def test_stdout_is_metrics_and_stderr_is_stages(cli: Runner, corpus: Path, tmp_path: Path) -> None:
    done = cli("train", "--train", corpus, "--model-dir", tmp_path / "M")
    assert all(re.fullmatch(r"[a-z0-9_]+=[0-9.eE+-]+;", line) for line in done.out.splitlines())
    assert "rows=60;" in done.out.splitlines()
    assert "duplicate_rows=1;" in done.out.splitlines()
    assert re.search(r"^measuring: [0-9.]+ s$", done.err, flags=re.MULTILINE)
    quiet = cli(
        *("train", "--train", corpus, "--model-dir", tmp_path / "M2", "--no-progress"),
    )
    assert quiet.err == ""


def test_json_is_the_report(cli: Runner, corpus: Path, tmp_path: Path) -> None:
    done = cli(
        *("train", "--train", corpus, "--model-dir", tmp_path / "M"),
        *("--output-data-dir", tmp_path / "O", "--json"),
    )
    assert (done.code, done.err) == (0, "")
    assert done.json == json.loads((tmp_path / "O" / "report.json").read_text())


@pytest.mark.parametrize(
    "spelled", [["--n_neighbors", "7"], ["--n-neighbors", "7"], ["--n_neighbors=7"]]
)
def test_options_may_have_dashes_or_underscores(
    cli: Runner, corpus: Path, tmp_path: Path, spelled: list[str]
) -> None:
    done = cli("train", "--train", corpus, "--model_dir", tmp_path / "M", "--json", *spelled)
    assert done.json["n_neighbors"] == 7


def test_a_job_of_the_toolkit_needs_no_paths(corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "train").mkdir()
    corpus.rename(tmp_path / "train" / "part-0.npy")
    environ = clean_environment(
        SM_CHANNEL_TRAIN=str(tmp_path / "train"),
        SM_MODEL_DIR=str(tmp_path / "model"),
        SM_OUTPUT_DATA_DIR=str(tmp_path / "output"),
        SM_HPS=json.dumps({"metric": '"euclidean"', "n_neighbors": "4", "sagemaker_program": "x"}),
    )
    # The toolkit passes the hyperparameters as arguments too, sorted by name.
    done = run_process(
        "train", "--metric", "euclidean", "--n_neighbors", "4", environ=environ, cwd=tmp_path
    )
    assert done.code == 0, done.err
    assert "rows=60;" in done.out
    report = json.loads((tmp_path / "output" / "report.json").read_text())
    assert (report["metric"], report["n_neighbors"]) == ("euclidean", 4)
    assert digest_of(tmp_path / "model")


def test_overwriting_has_to_be_asked_for(cli: Runner, corpus: Path, tmp_path: Path) -> None:
    train = ["train", "--train", str(corpus), "--model-dir", str(tmp_path / "M")]
    assert cli(*train).code == 0
    before = digest_of(tmp_path / "M")
    done = cli(*train, "--metric", "l2")
    assert done.code == 1
    assert done.err.startswith("error: [artifact-exists] ")
    assert digest_of(tmp_path / "M") == before
    for spelled in (["--overwrite"], ["--overwrite", "true"], ["--overwrite", "True"]):
        assert cli(*train, *spelled, "--metric", "l2").code == 0
    assert digest_of(tmp_path / "M") != before
    assert cli(*train, "--overwrite", "false").code == 1


def npy(path: Path, array: Any) -> Path:
    np.save(path, array, allow_pickle=True)
    return path


def truncated(path: Path) -> None:
    os.truncate(path, 700)


def with_value(value: float) -> Any:
    bad = X.copy()
    bad[4, 2] = value
    return bad


@pytest.mark.parametrize(
    ("name", "make", "options", "code", "words"),
    [
        ("x.npy", lambda p: npy(p, with_value(np.nan)), [], "array-not-finite", "row 4, column 2"),
        ("x.npy", lambda p: npy(p, with_value(np.inf)), [], "array-not-finite", "row 4, column 2"),
        ("x.npy", lambda p: npy(p, X * [[0]]), [], "array-zero-vector", "rows 0, 1, 2"),
        ("x.npy", lambda p: npy(p, X[0, 0]), [], None, "x.npy"),
        ("x.npy", lambda p: npy(p, np.zeros((2, 2, 2))), [], None, "x.npy"),
        ("x.npy", lambda p: npy(p, X[:0]), [], None, "0"),
        ("x.npy", lambda p: npy(p, X.astype(complex)), [], None, "complex"),
        ("x.npy", lambda p: npy(p, np.array([["a", "b"]])), [], None, "x.npy"),
        ("x.npy", lambda p: npy(p, np.array([{}], dtype=object)), [], None, "x.npy"),
        ("x.npy", lambda p: truncated(npy(p, X)), [], None, "x.npy"),
        ("x.csv", lambda p: p.write_text("1.0,2,3\n4,5,6\n7,8\n"), [], None, "line 3"),
        ("x.doc", lambda p: p.write_text("hello"), [], None, "x.doc"),
        ("x.npy", lambda p: None, [], "storage-missing", "x.npy"),
        ("x.npy", lambda p: npy(p, X), ["--ids", "none.txt"], "storage-missing", "none.txt"),
    ],
)
def test_a_corpus_that_cannot_be_is_refused_with_its_place(
    cli: Runner,
    tmp_path: Path,
    name: str,
    make: Any,
    options: list[str],
    code: str | None,
    words: str,
) -> None:
    make(tmp_path / name)
    before = sorted(tmp_path.iterdir())
    train = ["train", "--train", str(tmp_path / name), "--model-dir", str(tmp_path / "M"), *options]
    done = cli(*train, "--no-progress")
    assert done.code == 1
    assert done.out == ""
    (line,) = done.err.splitlines()
    assert line.startswith(f"error: [{code}] " if code else "error: [")
    assert "internal" not in line
    assert words in line
    assert sorted(tmp_path.iterdir()) == before
    assert cli(*train, "--json").json["error"]["message"] in line


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--metric", "cosin"], "metric-unknown", "cosin"),
        (["--n_neighbors", "0"], "n-neighbors-range", "0"),
        (["--n_neighbors", "61"], "n-neighbors-range", "61"),
        (["--n_neighbors", "ten"], "parameter-type", "ten"),
        (["--seed", "-1"], "seed-range", "-1"),
        (["--ids", "x.txt", "--id-column", "y"], "parameter-conflict", "x.txt"),
        (["--n-neighbours", "3"], "usage", "--n-neighbors"),
        (["extra"], "usage", "extra"),
    ],
)
def test_wrong_options_are_wrong_usage(
    cli: Runner, corpus: Path, tmp_path: Path, options: list[str], code: str, words: str
) -> None:
    done = cli(
        *("train", "--train", corpus, "--model-dir", tmp_path / "M", "--no-progress"), *options
    )
    assert done.code == 2
    last = done.err.splitlines()[-1]
    assert last.startswith(f"error: [{code}] ")
    assert words in last
    assert not (tmp_path / "M").exists()


def test_without_a_corpus_both_ways_to_give_it_are_named(cli: Runner) -> None:
    done = cli("train")
    assert done.code == 2
    assert "--train PATH_OR_S3" in done.err
    assert "SM_CHANNEL_TRAIN" in done.err


def test_an_unknown_hyperparameter_is_refused_with_the_nearest(
    cli: Runner, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SM_HPS", '{"metrics": "cosine"}')
    done = cli("train", "--train", corpus, "--model-dir", tmp_path / "M")
    assert done.code == 2
    assert "'metrics'. At SM_HPS. Did you mean 'metric'?" in done.err


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    with s3_server() as url:
        aws_client(url).create_bucket(Bucket="corpora")
        yield url


def test_a_corpus_may_lie_in_s3(
    cli: Runner, corpus: Path, tmp_path: Path, s3: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_endpoint(monkeypatch, s3)
    aws_client(s3).upload_file(str(corpus), "corpora", "train/corpus.npy")
    model = tmp_path / "M"
    done = cli("train", "--train", "s3://corpora/train/corpus.npy", "--model-dir", model, "--json")
    assert done.code == 0, done.err
    with open_artifact(model) as artifact:
        assert artifact.manifest.source["address"] == "s3://corpora/train/corpus.npy"
        np.testing.assert_array_equal(artifact.index.rows.slice(0, 60), X)


@pytest.mark.parametrize("address", ["s3://corpora/none.npy", "s3://no-such-bucket/x.npy"])
def test_a_missing_address_in_s3_is_named(
    cli: Runner, tmp_path: Path, s3: str, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    use_endpoint(monkeypatch, s3)
    done = cli("train", "--train", address, "--model-dir", tmp_path / "M")
    assert done.code == 1
    assert done.err.splitlines()[-1].startswith("error: [storage-missing] ")
    assert address in done.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("option", ["--model-dir", "--output-data-dir"])
def test_a_read_only_directory_is_found_before_the_corpus_is_read(
    cli: Runner, tmp_path: Path, option: str
) -> None:
    with mounted(tmp_path / "disk", "ro,size=1m") as disk:
        done = cli(
            *("train", "--train", tmp_path / "none.npy", "--model-dir", tmp_path / "M"),
            *(option, disk / "new"),
        )
        assert done.code == 1
        assert done.err.startswith("error: [storage-read-only] ")
        assert str(disk / "new") in done.err
    assert not (tmp_path / "M").exists()


def test_a_full_disk_leaves_nothing(cli: Runner, tmp_path: Path) -> None:
    np.save(tmp_path / "big.npy", np.random.default_rng(0).normal(size=(4000, 64)))
    with mounted(tmp_path / "disk", "size=1m") as disk:
        done = cli("train", "--train", tmp_path / "big.npy", "--model-dir", disk / "M")
        assert done.code == 1
        assert done.err.splitlines()[-1].startswith("error: [storage-full] ")
        assert list(disk.iterdir()) == []


def test_a_model_directory_may_be_a_mount_point(cli: Runner, corpus: Path, tmp_path: Path) -> None:
    with mounted(tmp_path / "model", "size=4m") as model:
        assert cli("train", "--train", corpus, "--model-dir", model).code == 0
        assert all(part.is_whole for part in verify(model))


def test_on_a_terminal_each_stage_has_a_bar(corpus: Path, tmp_path: Path) -> None:
    code, text = run_on_terminal("train", "--train", corpus, "--model-dir", tmp_path / "M")
    assert code == 0
    for words in ("profiling", "measuring", "writing", "100%", "rows=60;", "Try: kneighbors query"):
        assert words in text
    code, text = run_on_terminal(
        *("train", "--train", corpus, "--model-dir", tmp_path / "M2", "--no-progress")
    )
    assert code == 0
    assert "100%" not in text


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus that is busy long enough to be interrupted."""
    path = tmp_path_factory.mktemp("large") / "corpus.npy"
    np.save(path, np.random.default_rng(1).normal(size=(60_000, 32)).astype(np.float32))
    return path


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_training_and_nothing_is_left(
    large: Path, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    output = tmp_path / "O"
    process = start_process(
        *("train", "--train", large, "--model-dir", tmp_path / "M", "--output-data-dir", output)
    )
    assert process.stderr is not None
    # Whatever the first stage is, the work has begun when it is over.
    first = process.stderr.readline().decode()
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == code, (first, err)
    assert "Traceback" not in err.decode()
    assert out == b""
    assert list(tmp_path.iterdir()) == []


def test_killed_at_any_moment_the_old_artifact_is_there_or_the_new_one(
    cli: Runner, corpus: Path, large: Path, tmp_path: Path
) -> None:
    model = tmp_path / "M"
    train = ["train", "--model-dir", str(model), "--overwrite", "--no-progress"]
    assert cli(*train, "--train", str(corpus)).code == 0
    sizes = {60}
    moments = random.Random(7)
    began = time.monotonic()
    assert run_process(*train, "--train", large).code == 0
    whole = time.monotonic() - began
    for _ in range(3):
        assert cli(*train, "--train", str(corpus)).code == 0
        process = start_process(*train, "--train", large)
        # No wait for anything: the moment of the kill is what varies.
        time.sleep(moments.uniform(0.3, 1.0) * whole)
        process.kill()
        process.communicate(timeout=60)
        with open_artifact(model) as artifact:
            sizes.add(artifact.index.n_samples)
            assert artifact.index.n_samples in (60, 60_000)
        assert all(part.is_whole for part in verify(model))
    # What the dead left behind is removed by the next one.
    assert cli(*train, "--train", str(corpus)).code == 0
    assert {path.name for path in tmp_path.iterdir()} == {"M", "corpus.npy"}


def test_killed_at_any_moment_a_new_artifact_is_whole_or_absent(
    large: Path, tmp_path: Path
) -> None:
    moments = random.Random(11)
    for number in range(4):
        model, output = tmp_path / f"M{number}", tmp_path / f"O{number}"
        process = start_process(
            *("train", "--train", large, "--model-dir", model, "--output-data-dir", output)
        )
        time.sleep(moments.uniform(0.2, 0.9))
        process.kill()
        process.communicate(timeout=60)
        if model.exists():
            assert all(part.is_whole for part in verify(model))
        if (output / "report.json").exists():
            assert json.loads((output / "report.json").read_text())["rows"] == 60_000
            assert model.exists()
