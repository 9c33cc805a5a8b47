from __future__ import annotations

import os
from pathlib import Path

import pytest

from support.cli_artifacts import save_artifact
from support.cli_run import Runner


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Runner:
    for name in list(os.environ):
        if name.startswith(("SM_", "KNEIGHBORS_")):
            monkeypatch.delenv(name)
    return Runner(capsys)


@pytest.fixture(scope="session")
def wines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An artifact with text ids and attributes; not to be written to."""
    return save_artifact(tmp_path_factory.mktemp("artifact") / "wines")
