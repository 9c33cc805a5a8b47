"""Small artifacts to publish, and an account of S3."""

from __future__ import annotations

from pathlib import Path

import pytest

from kneighbors.artifact import save
from support import artifact_making as making


@pytest.fixture(scope="session")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Give three artifacts of one shape, with other vectors each."""
    folder = tmp_path_factory.mktemp("artifacts")
    for seed in range(3):
        save(folder / str(seed), making.index(seed=seed), making.catalog())
    return [folder / str(seed) for seed in range(3)]
