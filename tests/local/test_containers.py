"""Process trees that stand in for containers."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from kneighbors.errors import ParameterRefused
from kneighbors.local.containers import OWN_MARK, Container
from kneighbors.local.images import Images, UnknownImage, parse_images
from kneighbors.local.plane import Plane
from kneighbors.local.running import Running, Task, end_left_overs
from support.local_bare import KeptLines, bare_plane
from support.server_process import wait_for


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[Plane]:
    plane = bare_plane(tmp_path)
    yield plane
    plane.records.close()
    plane.objects.blobs.close()


class Box:
    """A container and what it has printed."""

    def __init__(self, plane: Plane, *command: str, **options: Any) -> None:
        self.log = KeptLines()
        environment = options.pop("environment", {})
        home = plane.root / "home"
        self.container = Container(plane, home, command, environment, self.log, "algo-1", **options)
        self.container.start()

    def ended(self) -> tuple[int | None, list[str]]:
        """Return exit code and lines."""
        return self.container.wait(30), self.log.lines

    def wait_for(self, line: str) -> None:
        wait_for(lambda: line in self.log.lines, f"the line {line!r}")


def is_alive(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def test_output_and_exit_code_are_the_command_s(plane: Plane) -> None:
    seen: list[str] = []
    box = Box(plane, "sh", "-c", "echo out; echo err >&2; printf end; exit 7", on_line=seen.append)
    assert (7, ["out", "err", "end"]) == box.ended()
    assert ["out", "err", "end"] == seen
    assert 7 == box.container.poll()


def test_bytes_that_are_no_text_are_replaced(plane: Plane) -> None:
    box = Box(plane, "sh", "-c", r"printf 'a\377b\r\n'")
    assert (0, ["a\ufffdb"]) == box.ended()


def test_a_line_without_an_end_comes_in_pieces(plane: Plane) -> None:
    box = Box(plane, "sh", "-c", "head -c 700000 /dev/zero | tr '\\0' x; echo")
    code, lines = box.ended()
    assert (0, 700_000) == (code, sum(map(len, lines)))
    assert max(map(len, lines)) < 400_000


def test_a_command_that_is_not_there_says_so(plane: Plane) -> None:
    code, lines = Box(plane, "no-such-program").ended()
    assert code != 0
    assert ["Cannot run 'no-such-program': No such file or directory."] == lines


def test_a_container_sees_its_own_tree_and_not_the_machine_s_credentials(
    plane: Plane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "work")
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    own = {"OWN": "mine", "SAGEMAKER_BASE_DIR": "/elsewhere"}
    names = "SAGEMAKER_BASE_DIR AWS_ENDPOINT_URL AWS_PROFILE PYTHONPATH OWN HOME"
    script = f"for n in {names}; do eval echo \\$$n; done; pwd"
    _, lines = Box(plane, "sh", "-c", script, environment=own).ended()
    home = plane.root / "home"
    base = str(home / "opt/ml")
    assert [base, plane.url, "", "", "mine", str(home / "root"), base] == lines


def test_a_command_is_asked_to_end_before_it_is_killed(plane: Plane) -> None:
    script = (
        "import signal, sys, time; "
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(print('saved') or 5)); "
        "print('ready'); time.sleep(600)"
    )
    box = Box(plane, "python", "-c", script)
    box.wait_for("ready")
    assert 5 == box.container.stop(20)
    assert ["ready", "saved"] == box.log.lines


def test_a_command_that_has_hardly_started_can_be_ended(plane: Plane) -> None:
    for command in (("python", "-c", "import time; time.sleep(600)"), ("sh", "-c", "sleep 600")):
        for wait_s in (0.0, 0.02, 0.05, 0.1):
            box = Box(plane, *command)
            box.container.wait(wait_s)
            assert 143 == box.container.stop(20)


def test_what_a_shell_waits_for_is_asked_as_well(plane: Plane) -> None:
    script = (
        "import signal, sys, time; "
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(print('saved'))); "
        "print('ready'); time.sleep(600)"
    )
    box = Box(plane, "bash", "-c", f'python -c "{script}"; echo after')
    box.wait_for("ready")
    box.container.stop(20)
    assert ["ready", "saved"] == box.log.lines


def test_what_ignores_signals_is_killed_with_all_that_it_started(plane: Plane) -> None:
    script = (
        "import os, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
        "child = os.fork(); os.setsid() if not child else None; "
        "os.write(1, b'%d\\n' % os.getpid()); time.sleep(600)"
    )
    box = Box(plane, "python", "-c", script)
    wait_for(lambda: len(box.log.lines) == 2, "both processes")
    assert 137 == box.container.stop(0.2)
    assert [] == [pid for pid in map(int, box.log.lines) if is_alive(pid)]


def test_a_daemon_that_holds_the_output_open_does_not_keep_a_container_alive(plane: Plane) -> None:
    box = Box(plane, "sh", "-c", "setsid sleep 600 & echo $!; exit 3")
    code, lines = box.ended()
    assert 3 == code
    assert not is_alive(int(lines[0]))


def test_left_over_processes_of_a_root_are_ended(plane: Plane) -> None:
    box = Box(plane, "sh", "-c", "echo $$; exec sleep 600")
    wait_for(lambda: box.log.lines, "the process")
    mark = psutil.Process(int(box.log.lines[0])).environ()[OWN_MARK]
    assert mark
    os.kill(box.container.pid, signal.SIGSTOP)  # as if it were gone
    assert 2 == end_left_overs(plane.root)
    assert 137 == box.container.wait(10)
    assert 0 == end_left_overs(plane.root)


def test_a_live_thing_is_known_until_it_ends() -> None:
    running = Running()

    def supervise(task: Task) -> None:
        task.stop.wait(30)

    task = running.start("training-job", "wines", supervise)
    assert task is running.get("training-job", "wines")
    assert running.stop_all(10)
    assert task.is_closing
    assert running.get("training-job", "wines") is None


def test_an_image_is_a_command_by_the_first_pattern_that_fits() -> None:
    images = parse_images(["*scikit-learn:1.2*=/envs/old/bin/tool -v", "xg?oost=run it"])
    assert ["/envs/old/bin/tool", "-v", "train"] == images.command("scikit-learn:1.2-1", "train")
    assert ["run", "it", "serve"] == images.command("xgboost", "serve")
    ours = ["python", "-m", "kneighbors.cli.container", "serve"]
    assert ours == images.command("my/kneighbors:latest", "serve")


def test_an_image_that_nothing_stands_in_for_is_named() -> None:
    with pytest.raises(UnknownImage, match=r"pytorch:2\.9.*--image 'PATTERN=COMMAND'"):
        Images().command("pytorch:2.9", "train")


@pytest.mark.parametrize("option", ["nothing", "=command", "image=", "image='open"])
def test_what_is_no_pattern_and_command_is_refused(option: str) -> None:
    with pytest.raises(ParameterRefused) as caught:
        parse_images([option])
    assert "image-not-a-pair" == caught.value.code
