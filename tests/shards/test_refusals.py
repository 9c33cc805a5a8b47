"""What shards are refused for, and that nothing is lost by it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kneighbors.artifact import canonical, open_artifact
from kneighbors.errors import KNeighborsError
from kneighbors.items import Catalog
from kneighbors.search.rows import ArrayRows
from kneighbors.shards import (
    ShardPlan,
    open_saved,
    open_sharded,
    publish_shards,
    verify_saved,
    write_shard,
)
from kneighbors.shards.rows import SomeRows
from kneighbors.shards.unique import refuse_doubled
from kneighbors.shards.writing import read_entry
from support import shards_making as making


@pytest.fixture
def path(tmp_path: Path) -> Path:
    making.write(tmp_path / "M", making.corpus())
    return tmp_path / "M"


def refused(path: Path) -> str:
    with pytest.raises(KNeighborsError) as caught:
        open_sharded(path)
    return caught.value.code


def changed(path: Path, change: Any) -> None:
    """Write a ``shards.json`` anew, with a right digest."""
    fields = json.loads((path / "shards.json").read_bytes())
    change(fields)
    del fields["digest"]
    (path / "shards.json").write_bytes(canonical.to_bytes(fields))


def folders(path: Path) -> list[Path]:
    return sorted(path.glob("shard-*"))


def test_a_shard_that_is_missing_is_named(path: Path) -> None:
    shutil.rmtree(folders(path)[3])
    assert "shards-incomplete" == refused(path)


def test_a_shard_of_another_fit_is_refused(path: Path, tmp_path: Path) -> None:
    making.write(tmp_path / "N", making.corpus(seed=1), "cosine")
    shutil.rmtree(folders(path)[1])
    shutil.copytree(
        folders(tmp_path / "N")[1], folders(path)[0].with_name(folders(path)[0].name[:-1] + "1")
    )
    assert "shards-generation" == refused(path)


def test_two_shards_that_changed_places_are_refused(path: Path) -> None:
    one, other = folders(path)[:2]
    one.rename(path / "away")
    other.rename(one)
    (path / "away").rename(other)
    assert "shards-generation" == refused(path)


def test_an_ordinary_artifact_in_the_place_of_a_shard_is_refused(path: Path) -> None:
    from kneighbors import NearestNeighbors

    shutil.rmtree(folders(path)[0])
    name = json.loads((path / "shards.json").read_bytes())["shards"][0]["folder"]
    NearestNeighbors().fit(making.corpus()[:240]).save(path / name)
    assert "artifact-invalid" == refused(path)


@pytest.mark.parametrize(("first", "rows"), [(100, 240), (240, 100), (300, 240)])
def test_ranges_that_overlap_or_leave_rows_out_are_refused(
    path: Path, first: int, rows: int
) -> None:
    changed(path, lambda fields: fields["shards"][1].update(first_row=first, rows=rows))
    assert "shards-overlap" == refused(path)


def test_shards_of_another_model_are_refused(path: Path) -> None:
    changed(path, lambda fields: fields.update(metric="cosine"))
    assert "shards-differ" == refused(path)


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("artifact-newer", {"format_version": 2}),
        ("artifact-newer", {"requires": ["more"]}),
        ("artifact-unknown", {"format": "kneighbors-artifact"}),
        ("artifact-invalid", {"shards": []}),
        ("artifact-invalid", {"shards": [{}]}),
        ("artifact-invalid", {"metric": 3}),
        ("artifact-invalid", {"dtype": "float16"}),
    ],
)
def test_fields_that_are_not_understood_are_refused(path: Path, code: str, change: Any) -> None:
    changed(path, lambda fields: fields.update(change))
    assert code == refused(path)


def test_every_changed_byte_of_the_manifest_is_detected(path: Path) -> None:
    data = (path / "shards.json").read_bytes()
    random = np.random.default_rng(0)
    for place in random.integers(0, len(data), 60).tolist():
        damaged = bytearray(data)
        damaged[place] ^= 1 << int(random.integers(8))
        (path / "shards.json").write_bytes(damaged)
        with pytest.raises(KNeighborsError):
            open_sharded(path)


def test_a_changed_byte_of_a_shard_is_detected(path: Path) -> None:
    vectors = folders(path)[2] / "vectors.npy"
    data = bytearray(vectors.read_bytes())
    data[-5] ^= 4
    vectors.write_bytes(data)
    faulty = [report.name for report in verify_saved(path) if not report.is_whole]
    assert [f"{folders(path)[2].name}/vectors"] == faulty


def test_what_wants_one_artifact_says_that_these_are_shards(path: Path) -> None:
    with pytest.raises(KNeighborsError) as caught:
        open_artifact(path)
    assert "shards-unsupported" == caught.value.code
    with open_saved(path) as artifact, pytest.raises(KNeighborsError) as caught:
        artifact.index.parts()
    assert "shards-unsupported" == caught.value.code
    with pytest.raises(KNeighborsError) as caught:
        open_saved(path, require_signature="keys.pem")
    assert "shards-unsupported" == caught.value.code


@pytest.mark.parametrize("ids", [list(range(1200)), [f"w{row}" for row in range(1200)]])
@pytest.mark.parametrize("at_once", [100, 1 << 20])
def test_an_id_in_two_shards_is_refused_with_its_rows(
    tmp_path: Path, ids: list[Any], at_once: int
) -> None:
    making.write(tmp_path / "M", making.corpus(), ids=ids)
    entries = [read_entry(folder) for folder in folders(tmp_path / "M")]
    refuse_doubled(entries, tmp_path / "M", at_once=at_once)
    with pytest.raises(ValueError, match="2 times"):
        making.write(tmp_path / "N", making.corpus(), ids=[*ids[:1100], ids[250], *ids[1101:]])
    assert not (tmp_path / "N" / "shards.json").exists()


def test_ids_of_two_kinds_are_refused(tmp_path: Path) -> None:
    X = making.corpus()
    plan = making.plan_of(X, "euclidean", 2)
    for number, ids in enumerate([None, list(range(600))]):
        rows = SomeRows(ArrayRows(X), *plan.rows_of(number))
        write_shard(plan, number, rows, Catalog(600, ids), tmp_path / "M")
    with pytest.raises(ValueError, match="Expected ids of one kind"):
        publish_shards(plan, tmp_path / "M")


def test_a_shard_is_written_of_the_rows_of_its_plan_alone(tmp_path: Path) -> None:
    X = making.corpus()
    plan = making.plan_of(X, "euclidean")
    with pytest.raises(KNeighborsError) as caught:
        write_shard(plan, 0, ArrayRows(X), None, tmp_path)
    assert "shards-differ" == caught.value.code
    with pytest.raises(KNeighborsError) as caught:
        publish_shards(plan, tmp_path)
    assert "shards-incomplete" == caught.value.code


@pytest.mark.parametrize("wanted", [{"n_shards": 0}, {"n_shards": 11}, {"rows_per_shard": 0}])
def test_as_many_shards_as_there_cannot_be_are_refused(wanted: dict[str, int]) -> None:
    with pytest.raises(KNeighborsError) as caught:
        ShardPlan.even("cosine", (10, 2), "float32", **wanted)  # type: ignore[arg-type]
    assert "shards-number" == caught.value.code


def test_the_same_plan_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        making.write(tmp_path / name, making.corpus(), ids=list(range(1200)))
    files = sorted(p.relative_to(tmp_path / "one") for p in (tmp_path / "one").rglob("*.*"))
    assert len(files) > 20
    for file in files:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
