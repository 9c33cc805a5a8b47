"""The page on the format is enough to read an artifact by."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kneighbors.artifact import unpack
from support.artifact_second_reader import SecondReader

HERE = Path(__file__).parent


@pytest.fixture(params=["v1", "v1-head"])
def golden(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[SecondReader, dict[str, Any]]:
    unpack(HERE / f"{request.param}.tar.gz", tmp_path / "a")
    answers = json.loads((HERE / f"{request.param}.json").read_text(encoding="utf-8"))
    return SecondReader(tmp_path / "a"), answers


def test_everything_is_under_the_checksums(golden: tuple[SecondReader, dict[str, Any]]) -> None:
    reader, then = golden
    assert reader.digest == then["digest"]
    assert reader.check_blocks() > 3


def test_answers_are_the_same(golden: tuple[SecondReader, dict[str, Any]]) -> None:
    reader, then = golden
    for query, indices, distances in zip(
        then["queries"], then["indices"], then["distances"], strict=True
    ):
        rows, found = reader.nearest(np.array(query), then["n_neighbors"])
        scale = max(distances)
        np.testing.assert_allclose(found, distances, rtol=1e-9, atol=1e-7 * scale)
        # Ties are broken by rounding here, so equal distances may change places.
        assert sorted(rows) == sorted(indices)


def test_ids_lead_to_rows_and_back(golden: tuple[SecondReader, dict[str, Any]]) -> None:
    reader, then = golden
    for row, known in enumerate(then["ids"]):
        assert reader.id_at(row) == known
        assert reader.row_of(known) == row


def test_attributes_are_read(golden: tuple[SecondReader, dict[str, Any]]) -> None:
    reader, then = golden
    if "items" not in reader.parts:
        assert then["items"] == [{}] * then["n_neighbors"]
        return
    names = reader.items()["name"].to_pylist()
    assert [names[row] for row in then["indices"][0]] == [item["name"] for item in then["items"]]


def test_the_command_of_the_page_prints_the_digest() -> None:
    page = (HERE.parents[1] / "docs" / "reference" / "artifact-format.md").read_text("utf-8")
    (command,) = (block for block in page.split("```sh\n")[1:] if "sha256sum" in block)
    done = subprocess.run(
        ["bash", "-c", command.split("```")[0]],
        cwd=HERE / "v1", capture_output=True, text=True, check=True,
    )  # fmt: skip
    digest = json.loads((HERE / "v1" / "manifest.json").read_text())["digest"]
    assert done.stdout.split()[0] == digest
