"""The five lines of docs/how-to/bring-your-own.md make a recommender of a Parquet file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

PAGE = Path(__file__).parents[2] / "docs/how-to/bring-your-own.md"


def test_the_five_lines_recommend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    X = np.random.default_rng(0).standard_normal((60, 8))
    ids = [f"{'ab'[row % 2]}-{row}" for row in range(60)]
    columns = {"id": ids, "embedding": list(X), "colour": ["red", "blue"] * 30}
    ids[16], ids[5] = "a-17", "b-4"
    parquet.write_table(pa.table(columns), tmp_path / "mine.parquet")
    (code,) = re.findall(r"```text\n(import .*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    *lines, last = code.strip().splitlines()
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec("\n".join([*lines, f"found = {last}"]), names)  # noqa: S102
    found = names["found"]
    assert 10 == found.n_found
    assert not {"a-17", "b-4"} & set(found.ids)
    assert {"colour"} == set(found.items[0])
    assert "<table" in found._repr_html_()
