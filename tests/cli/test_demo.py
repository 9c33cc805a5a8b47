from __future__ import annotations

import re
import signal
from pathlib import Path

import numpy as np
import psutil
import pytest

from kneighbors.artifact import verify
from kneighbors.cli import demo
from kneighbors.cli.demo_server import DemoServer
from kneighbors.errors import ServiceError
from support.cli_artifacts import make_corpus, save_artifact
from support.cli_run import Runner, clean_environment, run_process, start_process


def test_the_demo_does_the_whole_job_and_leaves_nothing(tmp_path: Path) -> None:
    environ = clean_environment(TMPDIR=str(tmp_path))
    done = run_process("demo", "--n", "1500", environ=environ)
    assert (done.code, done.err) == (0, "")
    stages = [
        "generating 1,500 wines",
        "fitting",
        "saving",
        "starting a server",
        "asking scikit-learn",
        "timing",
    ]
    for stage in stages:
        assert re.search(rf"^{stage} +[0-9.]+ s   ", done.out, flags=re.MULTILINE)
    nested = re.search(r"^\[\[([0-9. ]+)\]\n \[([0-9 ]+)\]\]$", done.out, flags=re.MULTILINE)
    assert nested
    assert len(nested[1].split()) == len(nested[2].split()) == 10
    # The table has the same rows as the array, with their names.
    for row in nested[2].split():
        assert re.search(rf"^ *[0-9]+ +[0-9.]+ +{row} +\S+", done.out, flags=re.MULTILINE)
    last = done.out.splitlines()[-2:]
    assert re.fullmatch(
        r"The ten rows and their distances are scikit-learn's own, and they came [0-9]+ times "
        r"faster, [0-9]+ times over HTTP\.",
        last[0],
    )
    assert "31 more queries" in last[1]
    assert list(tmp_path.iterdir()) == []


def test_the_artifact_can_be_kept(
    cli: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "_TIMING_BUDGET_S", 0.0)
    done = cli("demo", "--n", "300", "--keep", tmp_path / "wines")
    assert done.code == 0
    assert "medians of 3 single queries" in done.out
    assert done.out.splitlines()[-1] == f"Kept. Try: kneighbors serve {tmp_path / 'wines'}"
    assert all(part.is_whole for part in verify(tmp_path / "wines"))


def test_an_answer_that_is_not_scikit_learns_ends_with_one(
    cli: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "_TIMING_BUDGET_S", 0.0)
    honest = demo._scikit_learn
    # scikit-learn on rows in another order finds the same distances at other rows.
    monkeypatch.setattr(demo, "_scikit_learn", lambda X: honest(X[::-1]))
    done = cli("demo", "--n", "300")
    assert done.code == 1
    assert "The answers are not scikit-learn's:" in done.out
    assert re.search(r"query 0, rank 0: row [0-9]+ here, row [0-9]+ in scikit-learn", done.out)
    assert "times faster" not in done.out


def test_a_directory_that_is_taken_is_refused(cli: Runner, tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("mine")
    done = cli("demo", "--n", "300", "--keep", tmp_path)
    assert done.code == 1
    assert done.err.startswith("error: [storage-exists] ")
    assert (tmp_path / "note.txt").read_text() == "mine"


@pytest.mark.parametrize("n", ["9", "many"])
def test_a_number_of_wines_that_cannot_be_is_wrong_usage(cli: Runner, n: str) -> None:
    assert cli("demo", "--n", n).code == 2


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_interrupted_the_demo_ends_its_server_and_removes_its_files(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    environ = clean_environment(TMPDIR=str(tmp_path))
    process = start_process("demo", "--n", "300", environ=environ)
    assert process.stdout is not None
    family: list[psutil.Process] = []
    for line in process.stdout:
        if line.startswith(b"starting a server"):
            family = psutil.Process(process.pid).children(recursive=True)
            process.send_signal(number)
            break
    process.communicate(timeout=60)
    assert process.returncode == code
    assert family
    assert psutil.wait_procs(family, timeout=10)[1] == []
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_does_not_start_says_why(tmp_path: Path) -> None:
    with pytest.raises(ServiceError) as caught, DemoServer(tmp_path / "none"):
        pass
    assert "it ended with exit code 1" in str(caught.value)
    assert "storage-missing" in str(caught.value)


def test_a_prediction_is_what_the_sdk_would_get(tmp_path: Path) -> None:
    X = make_corpus()
    with DemoServer(save_artifact(tmp_path / "M")) as server:
        one, some = server.predict(X[3]), server.predict(X[:4])
        assert one.shape == (2, 4)
        assert one.dtype == np.float64
        assert some.shape == (2, 4, 4)
        np.testing.assert_array_equal(some[:, 3], one)
        with pytest.raises(ServiceError, match="Expected 200, got 400"):
            server.predict(X[0, :2])
