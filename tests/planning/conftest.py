from __future__ import annotations

import pytest

from support.cli_run import Runner


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Runner:
    return Runner(capsys)
