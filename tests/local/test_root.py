"""A root: held by one plane, remembered, and refused with a reason where it cannot be had."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from kneighbors.errors import LocalError
from kneighbors.local.process import end_plane, is_healthy, start_plane
from kneighbors.local.root import (
    demand_running,
    holding,
    made_root,
    new_settings,
    read_settings,
    running,
    write_settings,
)
from support.cli_disks import mounted
from support.local_plane import PlaneProcess


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2] / "src"))


def refused(root: Path, port: int | None = None) -> LocalError:
    with pytest.raises(LocalError) as error:
        start_plane(root, port)
    return error.value


def test_a_second_plane_is_refused_and_told_of_the_first(plane: PlaneProcess) -> None:
    error = refused(plane.root)
    assert "local-already-up" == error.code
    assert f"process {plane.process.pid} on {plane.url}" in error.message
    assert plane.client("s3").list_buckets()["Buckets"] is not None


def test_address_and_keys_are_the_same_after_a_crash(plane: PlaneProcess) -> None:
    before = dict(plane.settings)
    plane.restart()
    assert before | {"pid": plane.process.pid} == plane.settings


def test_the_keys_are_for_their_owner_only(plane: PlaneProcess) -> None:
    assert 0o600 == (plane.root / "plane.json").stat().st_mode & 0o777


def test_a_plane_that_was_killed_is_not_up(tmp_path: Path) -> None:
    with PlaneProcess(tmp_path / "root") as plane:
        assert running(plane.root) is not None
        plane.kill()
        assert running(plane.root) is None
        with pytest.raises(LocalError, match="kneighbors local up") as error:
            demand_running(plane.root)
        assert "local-not-up" == error.value.code


def test_a_port_that_is_taken_is_refused(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        error = refused(made_root(tmp_path / "root"), port)
    assert "local-port-taken" == error.code
    assert f"127.0.0.1:{port}" in str(error)
    assert running(tmp_path / "root") is None


def test_a_damaged_state_is_refused_and_left_alone(tmp_path: Path) -> None:
    root = made_root(tmp_path / "root")
    damaged = b"this is no database, and long enough to be sure of it" * 40
    (root / "state.sqlite").write_bytes(damaged)
    error = refused(root)
    assert "local-state-damaged" == error.code
    assert "state.sqlite" in str(error)
    assert damaged == (root / "state.sqlite").read_bytes()


def test_settings_that_are_damaged_are_made_anew(tmp_path: Path) -> None:
    root = made_root(tmp_path / "root")
    (root / "plane.json").write_text('{"url": "http')
    assert read_settings(root) is None
    write_settings(root, new_settings("http://127.0.0.1:1", None))
    found = read_settings(root)
    assert found is not None
    assert ("http://127.0.0.1:1", os.getpid()) == (found.url, found.pid)
    assert re.fullmatch(r"ASIA[A-Z2-7]{16}", found.access_key)


def test_a_root_that_cannot_be_written_to_is_refused(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "ro") as disk, pytest.raises(LocalError) as error:
        made_root(disk / "root")
    assert "local-root-not-writable" == error.value.code


def test_a_file_in_place_of_a_root_is_refused(tmp_path: Path) -> None:
    (tmp_path / "root").write_text("")
    with pytest.raises(LocalError) as error:
        made_root(tmp_path / "root")
    assert "local-root-not-writable" == error.value.code


def test_a_root_that_is_held_is_free_again_when_its_holder_ends(tmp_path: Path) -> None:
    root = made_root(tmp_path / "root")
    with holding(root), pytest.raises(LocalError, match="one is up"), holding(root):
        pass
    with holding(root):
        pass


def test_a_plane_starts_in_the_background_and_ends(tmp_path: Path) -> None:
    root = made_root(tmp_path / "root")
    settings = start_plane(root)
    try:
        assert is_healthy(settings)
        assert settings == running(root)
        alive = subprocess.run(
            [sys.executable, "-c", "import os,sys; os.kill(int(sys.argv[1]), 0)", str(settings.pid)]
        )
        assert 0 == alive.returncode
    finally:
        ended = end_plane(root)
    assert settings == ended
    assert running(root) is None
    assert end_plane(root) is None
    assert not is_healthy(settings)
