from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
from pyarrow import parquet

from support import shards_making as making
from support.cli_run import COMMAND, Runner, clean_environment

X = making.corpus(600)


@pytest.fixture
def model(cli: Runner, tmp_path: Path) -> Path:
    """An artifact in shards, of a corpus in a file."""
    np.save(tmp_path / "X.npy", X)
    options = ("--metric", "euclidean", "--shards", "3", "--model-dir", tmp_path / "M")
    done = cli("train", "--train", tmp_path / "X.npy", *options)
    assert done.code == 0, done.err
    assert "shards=3;" in done.out.splitlines()
    return tmp_path / "M"


def test_a_corpus_is_joined_with_itself(cli: Runner, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = cli("join", "--model", model, "--output", out, "-k", "2", "--json")
    assert (done.code, done.err) == (0, "")
    assert (600, 1, 0) == tuple(done.json[name] for name in ("queries", "parts", "parts_kept"))
    exclude = [np.array([row]) for row in range(600)]
    expected = making.whole(X).kneighbors(X, 2, exclude=exclude)[1]
    assert expected.tolist() == parquet.read_table(out)["rows"].to_pylist()
    again = cli("join", "--model", model, "--output", out, "-k", "2")
    assert (1, "error: [join-exists]") == (again.code, again.err[:20])
    assert (
        "(1 of them before)"
        in cli("join", "--model", model, "--output", out, "-k", "2", "--resume").out
    )


def test_a_dry_run_says_what_it_will_take_and_writes_nothing(
    cli: Runner, model: Path, tmp_path: Path
) -> None:
    options = ("--model", model, "--output", tmp_path / "out", "--rows-per-part", "250")
    done = cli("join", *options, "--dry-run")
    assert "queries     600, 10 neighbours each" in done.out.splitlines()
    assert "parts       3 of 250 queries" in done.out.splitlines()
    document = cli("join", *options, "--dry-run", "--json").json
    assert (600, 3, 256) == tuple(document[name] for name in ("queries", "parts", "sampled"))
    assert not (tmp_path / "out").exists()


def test_the_system_holds_a_join_to_its_memory(model: Path, tmp_path: Path) -> None:
    call = [*COMMAND, "join", "--model", str(model), "--output", str(tmp_path / "out")]
    done = subprocess.run(
        [*call, "--memory-limit", "8MiB", "--no-progress"],
        env=clean_environment(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1"),
        capture_output=True,
        text=True,
    )
    assert (2, "error: [join-memory]") == (done.returncode, done.stderr[:20])


def test_a_limit_that_is_enough_is_not_used_up_by_what_arrow_reserves(
    model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    done = subprocess.run(
        [*COMMAND, "join", "--model", str(model), "--output", str(out), "--memory-limit", "512MiB"],
        env=clean_environment(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1"),
        capture_output=True,
        text=True,
    )
    assert (0, True) == (done.returncode, out.exists()), done.stderr


@pytest.mark.parametrize(
    ("options", "code", "exit_code"),
    [
        (["--filter", "{"], "parameter-type", 2),
        (["--memory-limit", "much"], "parameter-type", 2),
        (["--threads", "0"], "parameter-range", 2),
        (["-k", "601"], "n-neighbors-range", 2),
        (["--filter", "{}"], "items-missing", 1),
    ],
)
def test_what_cannot_be_asked_is_refused(
    cli: Runner, model: Path, tmp_path: Path, options: list[str], code: str, exit_code: int
) -> None:
    done = cli("join", "--model", model, "--output", tmp_path / "out", *options)
    assert (exit_code, f"error: [{code}]") == (done.code, done.err[: len(code) + 9])
    assert not (tmp_path / "out").exists()


def test_shards_are_inspected_and_made_again(cli: Runner, model: Path, tmp_path: Path) -> None:
    shown = cli("inspect", model, "--verify", "--json").json
    assert ("kneighbors-shards", True, 3) == (
        shown["format"],
        shown["verified"],
        len(shown["parts"]),
    )
    lost = sorted(model.glob("shard-*"))[1]
    for file in lost.iterdir():
        file.unlink()
    lost.rmdir()
    assert "error: [shards-incomplete]" in cli("query", model, "--row", "3").err
    options = ("--metric", "euclidean", "--model-dir", model)
    done = cli("train", "--train", tmp_path / "X.npy", *options, "--shard", "1")
    assert (0, f"shard={lost};\n") == (done.code, done.out)
    (one,) = cli("query", model, "--row", "250", "-k", "1", "--json").json["predictions"]
    assert [250] == one["indices"]


def test_one_way_of_cutting_is_asked_for(cli: Runner, tmp_path: Path) -> None:
    options = ("--train", tmp_path / "X.npy", "--model-dir", tmp_path / "M")
    assert 2 == cli("train", *options, "--shards", "2", "--shard", "1").code
