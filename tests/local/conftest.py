"""A control plane in a process of its own, for the tests of everything that it hosts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.local_plane import PlaneProcess


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlaneProcess]:
    """A plane that is up; the tests of a module share it."""
    with PlaneProcess(tmp_path_factory.mktemp("plane") / "root") as up:
        yield up
