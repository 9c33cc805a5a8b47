"""docs/reference/cli.md holds the help of every command, word by word.

``KNEIGHBORS_UPDATE_REFERENCE=1 pytest tests/cli/test_reference.py`` writes it anew.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import pytest

from kneighbors.cli.app import COMMANDS
from kneighbors.sagemaker.settings import OPTIONS
from support.cli_run import Runner

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "cli.md"
UPDATE = os.environ.get("KNEIGHBORS_UPDATE_REFERENCE") == "1"
CALLS = [
    "kneighbors --help",
    *(f"kneighbors {name} --help" for name in COMMANDS),
    *(f"kneighbors local {name} --help" for name in ("up", "run", "env", "status", "logs", "down")),
    "serve --help",
    "train --help",
]


def block(call: str, text: str) -> str:
    return f"```text\n$ {call}\n{text.rstrip()}\n```"


def helped(cli: Runner, call: str) -> str:
    if call.startswith("kneighbors "):
        return cli(*call.split()[1:]).out
    from kneighbors.cli.container import run

    assert run(call.split()) == 0
    return cli.written()


@pytest.mark.parametrize("call", CALLS)
def test_the_page_holds_the_help_word_by_word(
    cli: Runner, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    monkeypatch.setenv("COLUMNS", "90")
    wanted = block(call, helped(cli, call))
    page = PAGE.read_text(encoding="utf-8")
    if UPDATE:
        page = re.sub(
            rf"```text\n\$ {re.escape(call)}\n.*?```", lambda _: wanted, page, flags=re.DOTALL
        )
        PAGE.write_text(page, encoding="utf-8")
    assert wanted in page


def test_the_page_explains_every_exit_code() -> None:
    from kneighbors.cli import failures

    page = PAGE.read_text(encoding="utf-8")
    codes = [value for name, value in vars(failures).items() if name.startswith("EXIT_")]
    assert len(codes) == 6
    for code in codes:
        assert f"| {code} |" in page


def test_the_page_on_training_explains_every_metric_and_every_option(
    cli: Runner, tmp_path: Path
) -> None:
    np.save(tmp_path / "corpus.npy", np.eye(3))
    done = cli("train", "--train", tmp_path / "corpus.npy", "--model-dir", tmp_path / "M")
    page = (PAGE.parents[1] / "how-to" / "train.md").read_text(encoding="utf-8")
    metrics = [line.partition("=")[0] for line in done.out.splitlines()]
    assert len(metrics) == 19
    for name in metrics:
        assert f"`{name}`" in page
    helped = cli("train", "--help").out
    for name in OPTIONS:
        assert f"--{name.replace('_', '-')}" in helped
        assert f"--{name.replace('_', '-')}" in page or f"--{name}" in page
