"""What the pages about reading say is what happens."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from kneighbors.corpus.sources import KINDS
from kneighbors.storage import settings
from support.project_docs import blocks

DOCS = Path(__file__).parents[2] / "docs"


def test_the_code_of_the_how_to_prints_what_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "page"}
    found = [b for b in blocks(DOCS / "how-to" / "read-your-data.md") if b.language == "python"]
    assert len(found) > 8
    for block in found:
        exec(compile("\n" * block.line + block.text, block.page, "exec"), names)  # noqa: S102
        assert capsys.readouterr().out == (block.output or "")


def test_the_reference_lists_every_kind_and_every_variable() -> None:
    text = (DOCS / "reference" / "corpus-formats.md").read_text("utf-8")
    source = Path(settings.__file__).read_text("utf-8")
    for name in [*KINDS, *set(re.findall(r'"(AWS_[A-Z0-9_]+)"', source)) - {"AWS_DEFAULT_PROFILE"}]:
        assert f"`{name}" in text, name
