"""What Ray Serve keeps up is `kneighbors serve`; none of this needs Ray."""

from __future__ import annotations

import socket
from pathlib import Path
from urllib.request import urlopen

import pytest

from kneighbors.cluster.front import Front
from support.cli_artifacts import save_artifact


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def test_a_front_serves_until_it_is_deleted_and_is_ill_when_its_server_is_gone(
    tmp_path: Path,
) -> None:
    port = free_port()
    front = Front([str(save_artifact(tmp_path / "M")), "--port", str(port)], port)
    with urlopen(f"http://127.0.0.1:{port}/ping", timeout=10) as answer:
        assert answer.status == 200
    front.check_health()
    front.__del__()
    with pytest.raises(RuntimeError, match="to answer, got none"):
        front.check_health()


def test_a_front_whose_server_cannot_start_says_so(tmp_path: Path) -> None:
    port = free_port()
    with pytest.raises(RuntimeError, match="ended, or did not answer"):
        Front([str(tmp_path / "missing"), "--port", str(port)], port)
