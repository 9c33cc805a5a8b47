"""A plane that programs share, from the first of them to the last."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from kneighbors.local.process import end_plane, start_plane
from kneighbors.local.programs import plane_for_program
from kneighbors.local.root import made_root, running
from support.local_plane import clean_environment
from support.server_process import ROOT, wait_for


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "src"))
    root = made_root(tmp_path / "root")
    yield root
    end_plane(root)


def test_a_plane_ends_with_the_last_of_its_programs(root: Path) -> None:
    first, second = plane_for_program(root), plane_for_program(root)
    started = first.__enter__()
    assert started == second.__enter__()
    first.__exit__(None, None, None)
    assert started == running(root)
    second.__exit__(None, None, None)
    assert running(root) is None


def test_programs_that_begin_at_once_share_a_plane(root: Path) -> None:
    met, seen = threading.Barrier(3), []

    def program() -> None:
        with plane_for_program(root) as settings:
            seen.append(settings)
            met.wait(60)

    threads = [threading.Thread(target=program) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert (3, 1) == (len(seen), len(set(seen)))
    assert running(root) is None


def test_a_plane_that_took_the_place_of_a_programs_stays(root: Path) -> None:
    with plane_for_program(root):
        end_plane(root)
        other = start_plane(root)
    assert other == running(root)


def test_a_plane_whose_starter_is_interrupted_does_not_come_up(root: Path) -> None:
    command = [sys.executable, "-m", "kneighbors", "local", "run", "--root", str(root)]
    starter = subprocess.Popen(
        [*command, "--", "sleep", "60"],
        env=clean_environment() | {"PYTHONPATH": str(ROOT / "src")},
        stderr=subprocess.DEVNULL,
    )
    # Held as soon as there is a plane, before it answers.
    wait_for(lambda: (root / "lock").read_bytes(), "the plane to begin")
    begun = int((root / "lock").read_bytes())
    starter.send_signal(signal.SIGINT)
    assert 130 == starter.wait(60)
    assert running(root) is None
    assert not Path(f"/proc/{begun}").exists()


def test_a_root_may_have_a_name_that_the_locale_cannot_say(tmp_path: Path) -> None:
    root = tmp_path / "wein höhle €"
    done = subprocess.run(
        [sys.executable, "-m", "kneighbors", "local", "run", "--root", str(root), "--", "true"],
        env=clean_environment()
        | {"PYTHONPATH": str(ROOT / "src"), "LC_ALL": "C"}
        | {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        capture_output=True,
    )
    assert (0, b"") == (done.returncode, done.stderr)
