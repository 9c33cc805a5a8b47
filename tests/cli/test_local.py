"""``kneighbors local``: the plane started, used and ended from the command line."""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from kneighbors.local.logs import Logs
from kneighbors.local.records import Records
from kneighbors.local.root import running
from support.cli_run import COMMAND, Runner
from support.local_plane import PlaneProcess, clean_environment
from support.server_process import ROOT

GROUP = "/aws/sagemaker/TrainingJobs"
_WHO = """
import boto3, sys
client = boto3.client("sts", region_name="us-east-1", endpoint_url="https://sts.amazonaws.com")
print(client.get_caller_identity()["Arn"])
sys.exit(7)
"""
_ROLE = "arn:aws:sts::123456789012:assumed-role/KNeighborsLocal/kneighbors-local"
_WAITING = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(9))
print("waiting", flush=True)
time.sleep(60)
"""


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlaneProcess]:
    with PlaneProcess(tmp_path_factory.mktemp("plane") / "root") as up:
        yield up


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "src"))


def start(*arguments: str | Path) -> subprocess.Popen[str]:
    """Start a command as a process of its own."""
    environment = clean_environment() | {"PYTHONPATH": str(ROOT / "src")}
    return subprocess.Popen(
        [*COMMAND, "local", *map(str, arguments)],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_plane_goes_up_is_seen_and_goes_down(cli: Runner, tmp_path: Path) -> None:
    root = tmp_path / "root"
    up = cli("local", "up", "--root", root, "--json")
    try:
        assert (0, str(root)) == (up.code, up.json["root"])
        second = cli("local", "up", "--root", root)
        assert 1 == second.code
        assert "[local-already-up]" in second.err
        assert f"process {up.json['pid']} on {up.json['url']}." in second.err
        status = cli("local", "status", "--root", root, "--json").json
        assert (up.json["pid"], up.json["url"]) == (status["pid"], status["url"])
    finally:
        down = cli("local", "down", "--root", root)
    assert (0, None) == (down.code, running(root))
    assert f"Ended process {up.json['pid']}" in down.out
    again = cli("local", "down", "--root", root)
    assert (0, "") == (again.code, again.out)
    assert "No control plane is up" in again.err


def test_commands_that_need_a_plane_say_how_to_start_one(cli: Runner, tmp_path: Path) -> None:
    for command in ("status", "env"):
        outcome = cli("local", command, "--root", tmp_path)
        assert 1 == outcome.code
        assert "[local-not-up]" in outcome.err
        assert "kneighbors local up" in outcome.err


def test_a_plane_in_the_foreground_ends_with_its_terminal(tmp_path: Path) -> None:
    root = tmp_path / "root"
    process = start("up", "--foreground", "--root", root, "--json")
    assert process.stdout is not None
    try:
        told = json.loads(process.stdout.readline())
        assert process.pid == told["pid"]
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
        assert 0 == process.returncode
    finally:
        process.kill()
        process.communicate()
    assert running(root) is None


def test_an_image_that_is_no_pair_is_wrong_usage(cli: Runner, tmp_path: Path) -> None:
    outcome = cli("local", "up", "--root", tmp_path / "root", "--image", "xgboost")
    assert 2 == outcome.code
    assert "[image-not-a-pair]" in outcome.err


def test_a_program_runs_against_a_plane_that_is_started_for_it(tmp_path: Path) -> None:
    root = tmp_path / "root"
    process = start("run", "--root", root, "--", sys.executable, "-c", _WHO)
    out, err = process.communicate(timeout=120)
    assert (7, _ROLE) == (process.returncode, out.strip()), err
    assert running(root) is None


def test_a_program_uses_the_plane_that_is_up_and_leaves_it_up(plane: PlaneProcess) -> None:
    process = start("run", "--root", plane.root, "--", sys.executable, "-c", _WHO)
    out, err = process.communicate(timeout=60)
    assert (7, _ROLE) == (process.returncode, out.strip()), err
    assert running(plane.root) is not None


def test_options_after_the_program_are_the_programs(plane: PlaneProcess) -> None:
    script = "import sys; print(sys.argv[1:])"
    process = start("run", "--root", plane.root, sys.executable, "-c", script, "--root", "-h", "--")
    out, err = process.communicate(timeout=60)
    assert "['--root', '-h', '--']" == out.strip(), err


def test_a_signal_reaches_the_program_and_its_exit_code_comes_back(plane: PlaneProcess) -> None:
    process = start("run", "--root", plane.root, "--", sys.executable, "-c", _WAITING)
    assert process.stdout is not None
    assert "waiting\n" == process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert 9 == process.returncode


def test_a_program_that_a_signal_ends_has_the_exit_code_of_a_shell(plane: PlaneProcess) -> None:
    script = "import os; os.kill(os.getpid(), 9)"
    process = start("run", "--root", plane.root, "--", sys.executable, "-c", script)
    process.communicate(timeout=60)
    assert 137 == process.returncode


def test_a_program_that_is_missing_is_wrong_usage(cli: Runner, plane: PlaneProcess) -> None:
    outcome = cli("local", "run", "--root", plane.root, "--", "no-such-program")
    assert 2 == outcome.code
    assert "[local-program]" in outcome.err
    assert "no-such-program" in outcome.err


def test_the_variables_turn_a_shell(cli: Runner, plane: PlaneProcess) -> None:
    cli_out = cli("local", "env", "--root", plane.root).out
    environment = clean_environment() | {"AWS_PROFILE": "work"}
    script = f"unset AWS_PROFILE\n{cli_out}\n{shlex.quote(sys.executable)} -c {shlex.quote(_WHO)}"
    done = subprocess.run(
        ["sh", "-c", script], env=environment, capture_output=True, text=True, timeout=60
    )
    assert (7, _ROLE) == (done.returncode, done.stdout.strip()), done.stderr


def test_variables_that_would_lead_elsewhere_are_unset(
    cli: Runner, plane: PlaneProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "work")
    found = cli("local", "env", "--root", plane.root, "--json").json
    assert "AWS_PROFILE" in found["unset"]
    assert plane.url == found["set"]["AWS_ENDPOINT_URL"]
    assert "unset AWS_PROFILE\n" in cli("local", "env", "--root", plane.root).out


def test_the_root_can_be_given_by_a_variable(
    cli: Runner, plane: PlaneProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KNEIGHBORS_LOCAL_ROOT", str(plane.root))
    assert plane.url == cli("local", "status", "--json").json["url"]


def test_the_status_shows_buckets_and_jobs(cli: Runner, plane: PlaneProcess) -> None:
    plane.client("s3").create_bucket(Bucket="cellar")
    plane.client("s3").put_object(Bucket="cellar", Key="k", Body=bytes(1_500_000))
    with records_of(plane) as records:
        records.create("training-job", "shown", {"TrainingJobStatus": "Completed"})
    shown = cli("local", "status", "--root", plane.root).out
    line = next(line for line in shown.splitlines() if "cellar" in line)
    assert ["cellar", "1", "1.5", "MB"] == line.split()
    line = next(line for line in shown.splitlines() if "shown" in line)
    assert ["training", "job", "shown", "Completed"] == line.split()
    assert "In memory only" in shown


def test_the_log_of_a_job_is_printed(cli: Runner, plane: PlaneProcess) -> None:
    write(plane, "printed/algo-1-5", "first", "second")
    assert "first\nsecond\n" == cli("local", "logs", "--root", plane.root, "printed").out


def test_lines_of_several_hosts_say_whose_they_are(cli: Runner, plane: PlaneProcess) -> None:
    for host in ("algo-1", "algo-2"):
        write(plane, f"hosts/{host}-5", "fitted")
    shown = cli("local", "logs", "--root", plane.root, "hosts").out
    assert ["algo-1-5  fitted", "algo-2-5  fitted"] == sorted(shown.splitlines())


def test_a_name_without_a_log_is_refused(cli: Runner, plane: PlaneProcess) -> None:
    write(plane, "known/algo-1-5", "line")
    for name in ("unknown", "a b", "../x"):
        outcome = cli("local", "logs", "--root", plane.root, name)
        assert 1 == outcome.code
        assert "[local-no-log]" in outcome.err
        assert "known" in outcome.err


def test_a_log_is_followed_until_the_job_ends(plane: PlaneProcess) -> None:
    with records_of(plane) as records:
        records.create("training-job", "followed", {"TrainingJobStatus": "InProgress"})
        write(plane, "followed/algo-1-5", "before")
        process = start("logs", "--root", plane.root, "followed", "-f")
        assert process.stdout is not None
        try:
            assert "before\n" == process.stdout.readline()
            write(plane, "followed/algo-1-5", "while")
            assert "while\n" == process.stdout.readline()
            assert process.poll() is None
            write(plane, "followed/algo-1-5", "last")
            records.update("training-job", "followed", {"TrainingJobStatus": "Completed"})
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
            process.communicate()
    assert (0, "last\n", "") == (process.returncode, out, err)


def records_of(plane: PlaneProcess) -> closing[Records]:
    """Return the plane's records, opened beside it."""
    return closing(Records(plane.root / "state.sqlite"))


def write(plane: PlaneProcess, stream: str, *lines: str) -> None:
    with Logs(plane.root / "logs").writer(GROUP, stream) as writer:
        for line in lines:
            writer.write_line(line)
