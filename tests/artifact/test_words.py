"""The vocabulary and the lists in an artifact."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kneighbors.artifact import open_artifact, pack, save, verify
from kneighbors.errors import ArtifactError, ItemsRefused
from kneighbors.items import Catalog
from kneighbors.items.lists import Lists
from kneighbors.items.vocabulary import Vocabulary
from kneighbors.search.index import ExactIndex
from kneighbors.search.rows import ArrayRows

X = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)
INDEX = ExactIndex.build(ArrayRows(X), "cosine")
CATALOG = Catalog(20, ids=[f"w{row}" for row in range(20)])
VOCABULARY = Vocabulary(["lime", "oak"], X[:2], [1.0, 2.5], {"limes": "lime"})
LISTS = Lists({"seen": [3, 1], "none": [], "Œuvres": range(20)})


def saved(path: Path, **options: Any) -> Path:
    save(path, INDEX, CATALOG, vocabulary=VOCABULARY, lists=LISTS, **options)
    return path


@pytest.mark.parametrize("packed", [False, True])
def test_they_come_back_as_they_were(tmp_path: Path, packed: bool) -> None:
    path = saved(tmp_path / "a")
    if packed:
        path = tmp_path / "a.tar.gz"
        pack(tmp_path / "a", path)
    with open_artifact(path) as artifact:
        assert artifact.vocabulary is not None
        assert artifact.vocabulary.terms == ("lime", "oak")
        assert artifact.vocabulary.synonyms == {"limes": "lime"}
        expected = VOCABULARY.vector_of(["limes", "oak"])
        assert np.array_equal(expected, artifact.vocabulary.vector_of(["limes", "oak"]))
        assert artifact.lists.names == LISTS.names
        assert artifact.lists.rows("seen").tolist() == [1, 3]
        assert artifact.lists.rows("none").tolist() == []
        assert artifact.catalog.rows_of(["w7"]).tolist() == [7]
    assert [report.faults for report in verify(path) if report.faults] == []


def test_without_them_there_are_none(tmp_path: Path) -> None:
    save(tmp_path / "a", INDEX)
    with open_artifact(tmp_path / "a") as artifact:
        assert artifact.vocabulary is None
        assert artifact.lists.names == ()


def test_a_vocabulary_of_another_width_is_not_saved(tmp_path: Path) -> None:
    with pytest.raises(ItemsRefused) as caught:
        save(tmp_path / "a", INDEX, vocabulary=Vocabulary(["a"], [[1.0, 2.0]]))
    assert caught.value.code == "vocabulary-width"
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("rows", [[20], [-1], [0, 10**12]])
def test_a_list_of_rows_that_are_not_there_is_not_saved(rows: list[int], tmp_path: Path) -> None:
    with pytest.raises(ItemsRefused) as caught:
        save(tmp_path / "a", INDEX, lists=Lists({"seen": rows}))
    assert (caught.value.code, caught.value.where) == ("row-unknown", "list 'seen'")


@pytest.mark.parametrize("name", ["vocabulary-vectors", "vocabulary-text", "lists-rows"])
def test_a_changed_byte_of_them_is_detected(name: str, tmp_path: Path) -> None:
    path = saved(tmp_path / "a")
    file = path / f"{name}.npy"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    with pytest.raises(ArtifactError) as caught:
        open_artifact(path)
    assert caught.value.code == "artifact-damaged"


@pytest.mark.parametrize(
    "name", ["vocabulary-weights", "vocabulary-synonyms", "lists-ends", "lists-rows"]
)
def test_they_are_whole_or_refused(name: str, tmp_path: Path) -> None:
    from kneighbors.artifact import Manifest, canonical

    path = saved(tmp_path / "a")
    fields = json.loads((path / "manifest.json").read_text())
    del fields["parts"][name]
    del fields["digest"]
    with pytest.raises(ArtifactError) as caught:
        Manifest.from_bytes(canonical.to_bytes(fields))
    assert caught.value.code == "artifact-invalid"


def test_neither_needs_pyarrow(tmp_path: Path) -> None:
    import subprocess
    import sys

    path = saved(tmp_path / "a")
    code = (
        "import sys; from kneighbors.artifact import open_artifact;"
        f"a = open_artifact({str(path)!r}); a.vocabulary.vector_of(['Lime']); a.lists.rows('seen');"
        "a.catalog.rows_of(['w3']); print('pyarrow' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
