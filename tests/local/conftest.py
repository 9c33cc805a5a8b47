"""A control plane in a process of its own, for the tests of everything that it hosts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support import local_echo
from support.local_hosting import HostingPlane
from support.local_plane import PlaneProcess


@pytest.fixture(scope="session")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlaneProcess]:
    """A plane that is up, with an image ``echo`` and little patience; all tests share it."""
    root = tmp_path_factory.mktemp("plane") / "root"
    echo = f"echo=python {local_echo.__file__}"
    variables = {"KNEIGHBORS_LOCAL_STOP_GRACE_S": "2"}
    with PlaneProcess(root, "--image", echo, environment=variables) as up:
        yield up


@pytest.fixture(scope="session")
def hosting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostingPlane]:
    """A plane for endpoints, whose limits are short; all tests share it."""
    limits = {"INVOCATION_TIMEOUT_S": "2", "STREAM_TIMEOUT_S": "2", "STARTUP_TIMEOUT_S": "4"}
    limits |= {"SERVERLESS_IDLE_S": "1", "WATCH_S": "0.1", "PING_S": "0.2"}
    variables = {f"KNEIGHBORS_LOCAL_{name}": value for name, value in limits.items()}
    with HostingPlane(tmp_path_factory.mktemp("hosting") / "root", **variables) as up:
        yield up


@pytest.fixture(autouse=True)
def _no_endpoint_outlives_its_test(request: pytest.FixtureRequest) -> Iterator[None]:
    """Delete what a test brought up: an idle endpoint is pinged, and that takes time of others."""
    if "hosting" not in request.fixturenames:
        yield
        return
    hosting = request.getfixturevalue("hosting")
    kept = len(hosting.endpoints)
    yield
    hosting.delete_endpoints(kept)
