"""A small artifact that has every kind of part, and everything that can be asked of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kneighbors.artifact import Artifact, save
from kneighbors.items.lists import Lists
from kneighbors.items.vocabulary import Vocabulary
from kneighbors.search.building import Sizes, build_stages
from kneighbors.search.graph import GraphIndex
from kneighbors.search.graph_building import build_graph
from kneighbors.search.index import ExactIndex
from kneighbors.search.progress import ignore
from kneighbors.search.rows import ArrayRows
from kneighbors.search.sample import Sample
from support import artifact_making as making

N_SAMPLES, N_FEATURES = 400, 24

#: What an index of all stages is saved as, and a graph over it.
INDEX_PARTS = {
    *("head", "basis", "centre", "codes", "code_basis", "code_scale", "fine", "fine_basis"),
    *("factors", "graph", "graph-centre", "graph-order"),
}


def staged() -> ExactIndex:
    """Return an index with every stage, which so small a corpus would not be given."""
    rows = ArrayRows(making.corpus(N_SAMPLES, N_FEATURES))
    sample = Sample.of(rows, "cosine", 0, np.random.default_rng(0))
    sizes = Sizes(head=4, codes=6, fine=8)
    bounds = build_stages(sample.frame, sample.basis, sizes, sample.Z, rows, ignore)
    plan = {"engine": "head", "head_size": 4, "code_size": 6, "fine_size": 8, "exponent": 0}
    return ExactIndex(rows, bounds, {**plan, "fallback": "product"})


def save_whole(path: Path, *, seed: int = 0) -> None:
    """Save a graph over all stages, text ids, attributes, a vocabulary and lists."""
    index = build_graph(staged(), M=4, ef_construction=16, ef_search=32, random_state=seed)
    X = making.corpus(N_SAMPLES, N_FEATURES)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kneighbors.artifact.writer.BLOCK_BYTES", 4096)
        save(
            path,
            index,
            making.catalog("string", n_samples=N_SAMPLES),
            vocabulary=Vocabulary(["lime", "oak"], X[:2], [1.0, 2.5], {"limes": "lime"}),
            lists=Lists({"seen": [3, 1], "all": range(N_SAMPLES)}),
        )


def everything(artifact: Artifact) -> tuple[Any, ...]:
    """Ask for everything, so that every stage answers and every byte is read."""
    index = artifact.index
    assert isinstance(index, GraphIndex)
    Q = making.corpus(6, N_FEATURES, seed=1)
    found = [index.kneighbors(Q, 3), index.exact.kneighbors(Q[:1], 5), index.exact.kneighbors(Q, 5)]
    assert artifact.vocabulary is not None
    return (
        *making.answers(artifact),
        *(part.tobytes() for pair in found for part in pair),
        artifact.vocabulary.vector_of(["limes", "oak"]).tobytes(),
        artifact.vocabulary.synonyms,
        {name: artifact.lists.rows(name).tolist() for name in artifact.lists.names},
    )
