"""What the tests of faults begin with."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.faults_operations import make_pristine


@pytest.fixture(scope="session")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with everything that the operations on files need."""
    return make_pristine(tmp_path_factory.mktemp("pristine") / "folder")
