"""Training in shards from files, a range of rows at a time."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from kneighbors.errors import KNeighborsError
from kneighbors.sagemaker import sharding
from kneighbors.sagemaker.settings import TrainingSettings
from kneighbors.sagemaker.training import train
from kneighbors.shards import open_saved
from support import shards_making as making
from support.cli_run import Runner


def table(X: Any) -> pa.Table:
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(X.ravel()), X.shape[1])
    ids = [f"w{row}" for row in range(len(X))]
    return pa.table({"id": ids, "vector": vectors, "price": np.arange(len(X)) % 97})


def written(folder: Path, kind: str) -> TrainingSettings:
    X = making.corpus()
    more: dict[str, Any] = {}
    if kind == "npy":
        np.save(folder / "X.npy", X)
        parquet.write_table(table(X).drop_columns("vector"), folder / "items.parquet")
        more = {"items": str(folder / "items.parquet"), "id_column": "id"}
        source = folder / "X.npy"
    elif kind == "csv":
        source = folder / "X.csv"
        lines = [",".join(map(str, [f"w{n}", n % 97, *row])) for n, row in enumerate(X.tolist())]
        head = ",".join(["id", "price", *(f"d{n}" for n in range(12))])
        source.write_text("\n".join([head, *lines]) + "\n")
    else:
        source = folder / "X"
        source.mkdir()
        whole = table(X)
        parquet.write_table(whole.slice(0, 500), source / "a.parquet", row_group_size=130)
        parquet.write_table(whole.slice(500), source / "b.parquet", row_group_size=170)
    return TrainingSettings(train=str(source), model_dir=folder / "M", metric="euclidean", **more)


@pytest.mark.parametrize("kind", ["npy", "parquet", "csv"])
def test_shards_hold_what_one_artifact_holds(tmp_path: Path, kind: str) -> None:
    from dataclasses import replace

    settings = written(tmp_path, kind)
    sharding.train_sharded(settings, n_shards=4)
    train(replace(settings, model_dir=tmp_path / "U"))
    with open_saved(tmp_path / "M") as shards, open_saved(tmp_path / "U") as one:
        Q = one.index.rows.slice(0, 1200)
        np.testing.assert_array_equal(Q, shards.index.rows.slice(0, 1200))
        expected, actual = one.index.kneighbors(Q, 3), shards.index.kneighbors(Q, 3)
        np.testing.assert_array_equal(expected[1], actual[1])
        np.testing.assert_array_equal(expected[0], actual[0])
        rows = [0, 499, 500, 1199]
        assert one.catalog.ids_of(rows) == shards.catalog.ids_of(rows)
        assert one.catalog.attributes_of(rows) == shards.catalog.attributes_of(rows)


def test_a_shard_that_is_missing_is_made_again_with_the_same_bytes(tmp_path: Path) -> None:
    settings = written(tmp_path, "parquet")
    report = sharding.train_sharded(settings, rows_per_shard=500)
    lost = tmp_path / "M" / report.manifest.shards[1].folder
    before = {path.name: path.read_bytes() for path in lost.iterdir()}
    shutil.rmtree(lost)
    assert lost == sharding.rebuild_shard(settings, 1)
    assert before == {path.name: path.read_bytes() for path in lost.iterdir()}
    with pytest.raises(KNeighborsError) as caught:
        sharding.rebuild_shard(settings, 1)
    assert "artifact-exists" == caught.value.code


def test_another_corpus_does_not_make_a_shard_again(tmp_path: Path) -> None:
    from dataclasses import replace

    settings = written(tmp_path, "npy")
    report = sharding.train_sharded(settings, n_shards=3)
    shutil.rmtree(tmp_path / "M" / report.manifest.shards[1].folder)
    X = making.corpus()
    X[500] = 0
    np.save(tmp_path / "X.npy", X)
    with pytest.raises(KNeighborsError) as caught:
        sharding.rebuild_shard(settings, 1)
    assert "shards-differ" == caught.value.code
    with pytest.raises(KNeighborsError) as caught:
        sharding.rebuild_shard(replace(settings, metric="cosine"), 1)
    assert "shards-differ" == caught.value.code


def test_a_run_that_was_ended_goes_on_behind_the_shards_that_are_done(tmp_path: Path) -> None:
    settings = written(tmp_path, "npy")
    told: list[str] = []

    def two_of_them(plan: Any, target: Path) -> None:
        for number in range(2):
            sharding.write_planned(settings, plan, number, target)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sharding.train_sharded(settings, n_shards=4, build=two_of_them)
    with pytest.raises(KNeighborsError):
        open_saved(tmp_path / "M")
    report = sharding.train_sharded(settings, say=told.append, n_shards=4)
    assert 2 == report.kept
    assert told[0].startswith("Going on with the shards of ")
    open_saved(tmp_path / "M").close()


def test_shards_are_replaced_only_when_asked_and_then_whole(tmp_path: Path) -> None:
    from dataclasses import replace

    settings = written(tmp_path, "npy")
    first = sharding.train_sharded(settings, n_shards=4).manifest
    with pytest.raises(KNeighborsError) as caught:
        sharding.train_sharded(settings, n_shards=2)
    assert "artifact-exists" == caught.value.code
    again = replace(settings, overwrite=True)
    second = sharding.train_sharded(again, n_shards=2).manifest
    assert first.generation != second.generation
    names = {"shards.json", *(shard.folder for shard in second.shards)}
    assert names == {path.name for path in (tmp_path / "M").iterdir()}
    (tmp_path / "M" / "notes.txt").write_text("mine")
    with pytest.raises(KNeighborsError) as caught:
        sharding.train_sharded(again, n_shards=2)
    assert "storage-exists" == caught.value.code


@pytest.mark.parametrize(
    "settings",
    [{"algorithm": "hnsw"}, {"target_recall": 0.9}, {"lists": (("a", "b"),)}],
)
def test_what_shards_have_not_is_refused(tmp_path: Path, settings: dict[str, Any]) -> None:
    from dataclasses import replace

    with pytest.raises(KNeighborsError) as caught:
        sharding.train_sharded(replace(written(tmp_path, "npy"), **settings), n_shards=2)
    assert "shards-unsupported" == caught.value.code


def test_a_bad_row_is_named_with_its_shard(tmp_path: Path) -> None:
    settings = written(tmp_path, "npy")
    X = making.corpus()
    X[700, 3] = np.nan
    np.save(tmp_path / "X.npy", X)
    with pytest.raises(KNeighborsError) as caught:
        sharding.train_sharded(settings, n_shards=4)
    assert "array-not-finite" == caught.value.code
    assert "shard 2, whose rows begin with 600: row 100, column 3" == caught.value.where


def test_an_address_of_s3_is_no_folder_of_that_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = written(tmp_path, "npy")
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    done = Runner(capsys)(
        *("train", "--train", str(settings.train), "--shards", "2", "--model-dir", "s3://wines/M")
    )
    assert (1, True) == (done.code, "[storage-not-local]" in done.err)
    assert "kneighbors publish" in done.err
    assert before == sorted(tmp_path.iterdir())
