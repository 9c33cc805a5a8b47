"""What was saved is what is opened: every metric, dtype, engine and kind of id."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from kneighbors import __version__
from kneighbors.artifact import Manifest, open_artifact, save, verify
from kneighbors.errors import ItemsRefused, ParameterRefused
from kneighbors.items import Catalog
from kneighbors.search.index import ExactIndex
from kneighbors.search.rows import ArrayRows
from support import artifact_making as making


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("metric", making.METRIC_NAMES)
@pytest.mark.parametrize("shape", [(200, 16), (12_000, 64), (1, 1), (7, 3)])
def test_answers_are_the_same_after_opening(
    tmp_path: Path, metric: str, dtype: str, shape: tuple[int, int]
) -> None:
    index = making.index(metric, *shape, dtype)
    saved = save(tmp_path / "a", index)
    Q = making.corpus(9, shape[1], dtype, seed=1)
    k = min(5, shape[0])
    with open_artifact(tmp_path / "a") as artifact:
        assert artifact.manifest == saved
        assert artifact.index.plan == index.plan
        assert artifact.index.rows.dtype == dtype
        for expected, found in zip(
            index.kneighbors(Q, k), artifact.index.kneighbors(Q, k), strict=True
        ):
            np.testing.assert_array_equal(expected, found)
    engines = {(200, 16): "product", (12_000, 64): "head"}
    assert index.plan["engine"] == engines.get(shape, "product")


@pytest.mark.parametrize("items", [True, False])
@pytest.mark.parametrize("id_type", making.ID_TYPES)
def test_ids_and_items_are_the_same_after_opening(
    tmp_path: Path, id_type: str, items: bool
) -> None:
    catalog = making.catalog(id_type, items)
    save(tmp_path / "a", making.index(), catalog)
    rows = np.arange(200)[::-1]
    with open_artifact(tmp_path / "a") as artifact:
        found = artifact.catalog
        assert (found.id_type, found.has_items, found.n_samples) == (id_type, items, 200)
        assert found.ids_of(rows) == catalog.ids_of(rows)
        assert found.rows_of(catalog.ids_of(rows)).tolist() == rows.tolist()
        assert found.attributes_of(rows) == catalog.attributes_of(rows)
        assert found.schema == catalog.schema
        assert (found.table is not None) == items


def test_an_opened_artifact_can_be_saved_elsewhere_and_over_itself(tmp_path: Path) -> None:
    making.save_small(tmp_path / "a")
    with open_artifact(tmp_path / "a") as artifact:
        expected = making.answers(artifact)
        save(tmp_path / "b", artifact.index, artifact.catalog)
        save(tmp_path / "a", artifact.index, artifact.catalog, overwrite=True)
        assert making.answers(artifact) == expected
    for name in ("a", "b"):
        with open_artifact(tmp_path / name) as artifact:
            assert making.answers(artifact) == expected


def test_the_manifest_says_what_was_saved(tmp_path: Path) -> None:
    source = {"address": "s3://wines/train", "rows": [1, 2], "nested": {"ü": None, "x": 1e-5}}
    manifest = save(tmp_path / "a", making.index(), making.catalog(), source=source)
    assert manifest.source == source
    assert (manifest.metric, manifest.dtype, manifest.id_type) == ("cosine", "float32", "string")
    assert (manifest.n_samples, manifest.n_features) == (200, 16)
    assert manifest.plan == making.index().plan
    assert manifest.writer == {"kneighbors": __version__, "numpy": np.__version__}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", manifest.created)
    text = (tmp_path / "a" / "manifest.json").read_bytes()
    assert Manifest.from_bytes(text) == manifest
    assert manifest.to_bytes() == text
    assert json.loads(text)["digest"] == manifest.digest
    assert {file.name for file in (tmp_path / "a").iterdir()} == {
        "manifest.json",
        *(part.file for part in manifest.parts.values()),
    }
    for part in manifest.parts.values():
        assert (tmp_path / "a" / part.file).stat().st_size == part.bytes
    assert manifest.total_bytes == sum(part.bytes for part in manifest.parts.values())


def test_parts_are_files_that_numpy_reads(tmp_path: Path) -> None:
    making.save_small(tmp_path / "a")
    np.testing.assert_array_equal(np.load(tmp_path / "a" / "vectors.npy"), making.corpus())
    for name, part in making.catalog().parts().items():
        np.testing.assert_array_equal(np.load(tmp_path / "a" / f"{name}.npy"), part)


def test_the_same_index_gives_the_same_parts(tmp_path: Path) -> None:
    one, other = (save(tmp_path / name, making.index(), making.catalog()) for name in "ab")
    assert one.parts == other.parts


def test_a_corpus_in_a_file_is_streamed_in_slabs(tmp_path: Path) -> None:
    np.save(tmp_path / "X.npy", np.ones((5000, 600), np.float32))
    index = ExactIndex.build(ArrayRows(np.load(tmp_path / "X.npy", mmap_mode="r")), "euclidean")
    longest = 0

    class Watched(ArrayRows):
        def slice(self, start: int, stop: int) -> Any:
            nonlocal longest
            longest = max(longest, stop - start)
            return super().slice(start, stop)

    index.rows = Watched(index.rows.X)  # type: ignore[attr-defined]
    calls: list[tuple[str, int, int]] = []
    save(tmp_path / "a", index, progress=lambda *call: calls.append(call))
    assert longest * 600 * 4 <= 1 << 23
    assert calls[-1] == ("writing", 5000, 5000)
    assert [done for _, done, _ in calls] == sorted(done for _, done, _ in calls)
    assert all(report.is_whole for report in verify(tmp_path / "a"))


def test_items_of_several_batches_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kneighbors.artifact.table.ROWS_OF_BATCH", 64)
    coded = [
        pa.array(["a", "b"] * 50).dictionary_encode(),
        pa.array(["c"] * 100).dictionary_encode(),
    ]
    table = pa.table({"n": np.arange(200), "coded": pa.chunked_array(coded)})
    save(tmp_path / "a", making.index(), Catalog(200, table=table))
    with open_artifact(tmp_path / "a") as artifact:
        assert artifact.catalog.attributes_of([0, 63, 64, 99, 100, 199]) == [
            {"n": 0, "coded": "a"}, {"n": 63, "coded": "b"}, {"n": 64, "coded": "a"},
            {"n": 99, "coded": "b"}, {"n": 100, "coded": "c"}, {"n": 199, "coded": "c"},
        ]  # fmt: skip
        assert artifact.catalog.schema is not None
        assert pa.types.is_dictionary(artifact.catalog.schema.field("coded").type)


def test_a_catalogue_of_another_length_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ItemsRefused, match="Expected a catalogue of 200 rows, got one of 3"):
        save(tmp_path / "a", making.index(), Catalog(3))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "source",
    [{"x": object()}, {"x": float("nan")}, {"x": b"bytes"}, {"x": "y" * 600_000}, {"x": {1, 2}}],
    ids=["object", "nan", "bytes", "long", "set"],
)
def test_a_source_that_is_no_json_is_refused(tmp_path: Path, source: Any) -> None:
    with pytest.raises(ParameterRefused) as caught:
        save(tmp_path / "a", making.index(), source=source)
    assert caught.value.code == "artifact-source"
    assert list(tmp_path.iterdir()) == []


def test_keys_of_a_source_that_are_numbers_become_text(tmp_path: Path) -> None:
    source: Any = {9: 1, 10: (2,)}
    assert save(tmp_path / "a", making.index(), source=source).source == {"9": 1, "10": [2]}


@pytest.mark.parametrize("path", ["", "a\0b", 7, None, b"bytes", "/"])
def test_what_is_no_path_is_refused(path: Any) -> None:
    with pytest.raises(ParameterRefused) as caught:
        save(path, making.index())
    assert caught.value.code == "artifact-path"


@pytest.mark.parametrize("name", ["two words", "-rf", "line\nbreak", "ünï", "x" * 255, "%s{0}"])
def test_odd_names_are_paths_like_others(tmp_path: Path, name: str) -> None:
    making.save_small(tmp_path / name)
    making.save_small(tmp_path / name, overwrite=True)
    with open_artifact(tmp_path / name) as artifact:
        assert artifact.catalog.ids_of([0]) == ["wine-0000"]
    assert [file.name for file in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["vectors", "ids", "Head", "a/b", "../x"])
def test_parts_of_an_index_keep_to_their_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    index = making.index()
    monkeypatch.setattr(ExactIndex, "parts", lambda self: {name: np.zeros(3)})
    with pytest.raises(ValueError, match="cannot be called"):
        save(tmp_path / "a", index)
    assert list(tmp_path.iterdir()) == []
