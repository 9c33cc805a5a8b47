"""Tests on AWS's own code: they run when they are asked for by their folder, as `make test-aws` does."""

from __future__ import annotations

from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave this folder out of runs that do not name it: it needs environments of its own."""
    named = [Path(argument.partition("::")[0]).resolve() for argument in config.args]
    asked_for = any(HERE in (path, *path.parents) for path in named)
    return None if asked_for else True
