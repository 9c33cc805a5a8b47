"""Artifacts of every version of the format open, are whole, and answer as they did."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kneighbors.artifact import Artifact, open_artifact, pack, unpack, verify

HERE = Path(__file__).parent

#: What the files were when they were made. Whoever has to change a line here has broken the
#: promise that old artifacts can be read.
DIGESTS = {
    "v1": "a9a52803fa4ca1b9f95508b4b10b6b2aab946fe3aeb30ac1ede24f552ee3ccf1",
    "v1-head": "18e5a73be151c7806f011aef481a46bb1c9286f38761796c1eb551d57ad46088",
}
FORMS = ["v1", "v1.tar.gz", "v1-head.tar.gz"]


def expected(name: str) -> dict[str, Any]:
    path = HERE / f"{name.removesuffix('.tar.gz')}.json"
    answers: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return answers


@pytest.mark.parametrize("name", FORMS)
def test_every_byte_is_what_was_written(name: str) -> None:
    assert all(report.is_whole for report in verify(HERE / name))
    with open_artifact(HERE / name) as artifact:
        assert artifact.manifest.digest == DIGESTS[name.removesuffix(".tar.gz")]


@pytest.mark.parametrize("name", FORMS)
def test_answers_are_those_of_its_day(name: str) -> None:
    then = expected(name)
    with open_artifact(HERE / name) as artifact:
        assert artifact.manifest.digest == then["digest"]
        assert artifact.index.plan["engine"] == then["engine"]
        check_neighbours(artifact, then)
        assert artifact.catalog.ids_of(range(artifact.index.n_samples)) == then["ids"]
        rows = np.arange(artifact.index.n_samples)
        assert artifact.catalog.rows_of(then["ids"]).tolist() == rows.tolist()
        found = artifact.catalog.attributes_of(then["indices"][0])
        assert [list(item.items()) for item in found] == [
            list(item.items()) for item in then["items"]
        ]


def check_neighbours(artifact: Artifact, then: dict[str, Any]) -> None:
    queries = np.array(then["queries"], artifact.index.rows.dtype)
    distances, indices = artifact.index.kneighbors(queries, then["n_neighbors"])
    assert indices.tolist() == then["indices"]
    # Another numpy may add in another order: an ulp or two.
    np.testing.assert_allclose(distances, then["distances"], rtol=1e-15, atol=1e-15)
    within = artifact.index.radius_neighbors(queries, then["radius"])
    assert [found.tolist() for found in within[1]] == then["radius_indices"]
    for found, distances_then in zip(within[0], then["radius_distances"], strict=True):
        np.testing.assert_allclose(found, distances_then, rtol=1e-15, atol=1e-15)


def test_both_forms_are_the_same_artifact(tmp_path: Path) -> None:
    unpack(HERE / "v1.tar.gz", tmp_path / "v1")
    for file in (HERE / "v1").iterdir():
        assert (tmp_path / "v1" / file.name).read_bytes() == file.read_bytes()
    pack(HERE / "v1", tmp_path / "again.tar.gz")
    assert all(report.is_whole for report in verify(tmp_path / "again.tar.gz"))


def test_the_golden_artifacts_cover_the_format() -> None:
    engines, id_types, dtypes = set(), set(), set()
    for name in ("v1", "v1-head.tar.gz"):
        with open_artifact(HERE / name) as artifact:
            engines.add(artifact.index.plan["engine"])
            id_types.add(artifact.manifest.id_type)
            dtypes.add(artifact.manifest.dtype)
    assert engines == {"product", "head"}
    assert id_types == {"string", "integer"}
    assert dtypes == {"float32", "float64"}
