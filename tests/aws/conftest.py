"""Tests on AWS's own code: they run when their folder is named, as `make test-aws` does."""

from __future__ import annotations

from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave this folder out of runs that do not name it, and what is no test out of all runs.

    The tests need environments of their own; the programs beside them are for those, and would be
    run by being looked through for examples.
    """
    named = [Path(argument.partition("::")[0]).resolve() for argument in config.args]
    asked_for = any(HERE in (path, *path.parents) for path in named)
    is_program = collection_path.is_file() and not collection_path.name.startswith("test_")
    return True if is_program or not asked_for else None
