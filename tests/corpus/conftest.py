from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def csv(tmp_path: Path) -> Callable[[str | bytes], Path]:
    """Write a CSV file and return its path."""

    def write(text: str | bytes) -> Path:
        path = tmp_path / "wines.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write
