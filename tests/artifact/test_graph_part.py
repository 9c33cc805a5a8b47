"""A graph in an artifact: opened as it lies, bound to its vectors, checked before it is used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kneighbors.artifact import open_artifact, save, verify
from kneighbors.artifact.npy import build_header
from kneighbors.errors import ArtifactError
from kneighbors.search.graph import GraphIndex
from support.artifact_making import forge, forge_file
from support.graphs import embeddings, graph

X = embeddings(1000)
INDEX = graph(X)
Q = embeddings(20, seed=4)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    save(tmp_path / "M", INDEX)
    return tmp_path / "M"


def code_of(path: Path) -> str:
    with pytest.raises(ArtifactError) as caught:
        open_artifact(path)
    return caught.value.code


def test_it_answers_as_it_did(path: Path) -> None:
    with open_artifact(path) as artifact:
        assert isinstance(artifact.index, GraphIndex)
        found = artifact.index.kneighbors(Q, 7)
    expected = INDEX.kneighbors(Q, 7)
    np.testing.assert_array_equal(found[1], expected[1])
    np.testing.assert_array_equal(found[0], expected[0])


def test_it_is_used_where_it_is_mapped(path: Path) -> None:
    import faiss

    with open_artifact(path) as artifact:
        index = artifact.index
        assert isinstance(index, GraphIndex)
        found = index.searcher._graph
        assert not found.hnsw.neighbors.is_owned
        storage: Any = faiss.downcast_index(found.storage)
        assert not storage.codes.is_owned


def test_it_can_be_saved_again(path: Path, tmp_path: Path) -> None:
    with open_artifact(path) as artifact:
        save(tmp_path / "N", artifact.index)
    names = ["graph.npy", "graph-order.npy", "graph-centre.npy", "vectors.npy", "head.npy"]
    for name in names:
        if (path / name).exists():
            assert (tmp_path / "N" / name).read_bytes() == (path / name).read_bytes()


def test_the_graph_of_other_vectors_is_refused(path: Path, tmp_path: Path) -> None:
    save(tmp_path / "other", graph(embeddings(1000, seed=7)))
    data = (tmp_path / "other" / "graph.npy").read_bytes()
    if len(data) != (path / "graph.npy").stat().st_size:
        code = build_header("|u1", (len(data) - 128,))
        assert data.startswith(code)
    forge_file(path, "graph", data, shape=[len(data) - 128])
    assert code_of(path) == "graph-mismatch"


def test_a_changed_byte_is_detected(path: Path) -> None:
    right = (path / "graph.npy").read_bytes()
    random = np.random.default_rng(0)
    for place in random.integers(len(right), size=24).tolist():
        data = bytearray(right)
        data[place] ^= 1 << int(random.integers(8))
        (path / "graph.npy").write_bytes(data)
        assert code_of(path) == "artifact-damaged"
    (path / "graph.npy").write_bytes(right[:-1])
    assert code_of(path) == "artifact-damaged"
    assert [report.name for report in verify(path) if not report.is_whole] == ["graph"]


def test_a_signed_graph_that_leads_astray_is_refused(path: Path) -> None:
    right = (path / "graph.npy").read_bytes()
    # The first of the counts that FAISS would allocate by: that of the levels' probabilities.
    place = 128 + 64 + 4 + 33
    data = right[:place] + b"\xff" * 7 + b"\x7f" + right[place + 8 :]
    forge_file(path, "graph", data)
    assert code_of(path) == "artifact-invalid"


@pytest.mark.parametrize(
    ("name", "value"),
    [("M", 9), ("M", None), ("codes", "pq"), ("ef_search", 0), ("exponent", "x"), ("exact", {})],
)
def test_a_plan_that_does_not_fit_is_refused(path: Path, name: str, value: object) -> None:
    forge(path, lambda fields: fields["plan"].update({name: value}))
    assert code_of(path) == "artifact-invalid"


def test_a_missing_graph_is_refused(path: Path) -> None:
    (path / "graph.npy").unlink()
    assert code_of(path) == "artifact-incomplete"
    forge(path, lambda fields: fields["parts"].pop("graph"))
    assert code_of(path) == "artifact-invalid"
