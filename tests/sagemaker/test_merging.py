from __future__ import annotations

import json
import tarfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kneighbors.artifact import Manifest, open_artifact, verify
from kneighbors.errors import ArtifactError, ItemsRefused, ParameterRefused, StorageError
from kneighbors.sagemaker.merging import merge
from kneighbors.sagemaker.shards import Shard
from kneighbors.sagemaker.training import TrainingSettings, train, train_host
from kneighbors.search.rows import ArrayRows
from kneighbors.shards.rows import JoinedRows

# Enough rows, and a spectrum steep enough, for a head.
X = np.random.default_rng(1).normal(size=(20_000, 48)) / np.arange(1, 49) ** 2
X = X.astype(np.float32)
HOSTS = ("algo-1", "algo-2", "algo-9", "algo-10", "algo-11")

Fit = Callable[..., Path]


def write_part(path: Path, start: int, stop: int, ids: Any = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table(
        {
            "id": [f"wine-{row}" for row in range(start, stop)] if ids is None else ids,
            "v": pa.array(X[start:stop].tolist(), pa.list_(pa.float32())),
            "price": [float(row) for row in range(start, stop)],
        }
    )
    pq.write_table(table, path)


@pytest.fixture
def fit(tmp_path: Path) -> Fit:
    """Fit some rows as one of several hosts, and return the directory of its shard."""

    def fit(host: str, start: int, stop: int, hosts: tuple[str, ...] = HOSTS, **more: Any) -> Path:
        folder = tmp_path / "hosts" / host
        data = folder / "train"
        data.mkdir(parents=True)
        if start < stop:
            write_part(data / "part.parquet", start, stop, more.pop("ids", None))
        settings = {
            "train": str(data),
            "model_dir": folder / "model",
            "vector_column": "v",
            "id_column": "id",
            "shard": Shard(host=host, hosts=hosts, is_split=True),
            **more,
        }
        train_host(TrainingSettings(**settings))
        return folder / "model"

    return fit


def parts_of(path: Path) -> dict[str, str]:
    manifest = Manifest.from_bytes((path / "manifest.json").read_bytes())
    return {name: part.sha256 for name, part in manifest.parts.items()}


def test_shards_of_a_job_give_the_bytes_of_a_fit_over_all_rows(fit: Fit, tmp_path: Path) -> None:
    cuts = [0, 1000, 1000, 1001, 6000, 20_000]  # algo-2 was given nothing
    models = [
        fit(host, start, stop, n_neighbors=5)
        for host, (start, stop) in zip(HOSTS, pairwise(cuts), strict=True)
    ]
    assert (models[1] / "shard-algo-2" / "empty-shard.json").exists()
    # The service brings the directories of all hosts into one archive, sorted as texts are.
    with tarfile.open(tmp_path / "model.tar.gz", "w:gz") as archive:
        for model in sorted(models):
            archive.add(model, ".")
    manifest = merge([str(tmp_path / "model.tar.gz")], tmp_path / "M")

    write_part(tmp_path / "all.parquet", 0, 20_000)
    train(
        TrainingSettings(
            train=str(tmp_path / "all.parquet"),
            model_dir=tmp_path / "one",
            vector_column="v",
            id_column="id",
            n_neighbors=5,
        )
    )
    assert parts_of(tmp_path / "M") == parts_of(tmp_path / "one")
    assert "head" in parts_of(tmp_path / "M")
    assert all(part.is_whole for part in verify(tmp_path / "M"))
    assert manifest.source["n_neighbors"] == 5
    assert [one["rows"] for one in manifest.source["shards"]] == np.diff(cuts).tolist()
    assert manifest.source["n_files"] == 4
    with open_artifact(tmp_path / "M") as merged, open_artifact(tmp_path / "one") as whole:
        assert merged.manifest.plan == whole.manifest.plan
        answers = merged.index.kneighbors(X[:20], 7)
        for ours, theirs in zip(answers, whole.index.kneighbors(X[:20], 7), strict=True):
            assert ours.tolist() == theirs.tolist()
        assert merged.catalog.ids_of([5999]) == ["wine-5999"]
        assert merged.catalog.attributes_of([1000]) == [{"price": 1000.0}]


def test_directories_of_single_hosts_are_joined_in_the_order_of_hosts(
    fit: Fit, tmp_path: Path
) -> None:
    hosts = ("algo-2", "algo-10")
    late, early = fit("algo-10", 40, 60, hosts), fit("algo-2", 0, 40, hosts)
    merge([str(late / "shard-algo-10"), str(early)], tmp_path / "M")
    with open_artifact(tmp_path / "M") as merged:
        assert merged.catalog.ids_of([0, 59]) == ["wine-0", "wine-59"]


@pytest.mark.parametrize("ids", ["row", "integer"])
def test_artifacts_of_other_origin_are_joined_as_they_are_given(tmp_path: Path, ids: str) -> None:
    for name, start in (("a", 0), ("b", 30)):
        np.save(tmp_path / f"{name}.npy", X[start : start + 30])
        np.save(tmp_path / f"{name}-ids.npy", np.arange(start, start + 30) * 10)
        train(
            TrainingSettings(
                train=str(tmp_path / f"{name}.npy"),
                model_dir=tmp_path / name,
                ids=str(tmp_path / f"{name}-ids.npy") if ids == "integer" else None,
            )
        )
    merge([str(tmp_path / "b"), str(tmp_path / "a")], tmp_path / "M")
    with open_artifact(tmp_path / "M") as merged:
        assert merged.index.kneighbors(X[7:8], 1)[1].tolist() == [[37]]
        assert merged.catalog.ids_of([37]) == [70 if ids == "integer" else 37]


def test_more_neighbours_than_a_shard_has_rows_are_no_fault(fit: Fit, tmp_path: Path) -> None:
    hosts = HOSTS[:2]
    models = [
        fit("algo-1", 0, 3, hosts, n_neighbors=20),
        fit("algo-2", 3, 60, hosts, n_neighbors=20),
    ]
    assert merge([str(model) for model in models], tmp_path / "M").source["n_neighbors"] == 20


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"metric": "euclidean"}, "the metric cosine"),
        ({"n_neighbors": 3}, "the n_neighbors 10"),
        ({"seed": 1}, "the seed 0"),
        ({"columns": ()}, "the columns price"),
        ({"ids": list(range(30, 60))}, "the kind of ids string"),
    ],
)
def test_shards_that_were_fitted_differently_are_refused(
    fit: Fit, tmp_path: Path, more: dict[str, Any], message: str
) -> None:
    hosts = HOSTS[:2]
    models = [fit("algo-1", 0, 30, hosts), fit("algo-2", 30, 60, hosts, **more)]
    with pytest.raises(ArtifactError, match=message) as refused:
        merge([str(model) for model in models], tmp_path / "M")
    assert refused.value.code == "shards-differ"
    assert not (tmp_path / "M").exists()


def test_a_missing_and_a_doubled_host_are_refused(fit: Fit, tmp_path: Path) -> None:
    first = str(fit("algo-1", 0, 30, HOSTS[:2]))
    for given, count in (([first], "0 of algo-2"), ([first, first], "2 of algo-1")):
        with pytest.raises(ArtifactError, match=count) as refused:
            merge(given, tmp_path / "M")
        assert refused.value.code == "shards-incomplete"


def test_a_shard_that_is_given_twice_is_refused(tmp_path: Path) -> None:
    one = tmp_path / "one"
    np.save(tmp_path / "one.npy", X[:50])
    train(TrainingSettings(train=str(tmp_path / "one.npy"), model_dir=one))
    (tmp_path / "link").symlink_to(one)
    for other in (f"{one}/", str(tmp_path / "link")):
        with pytest.raises(ParameterRefused, match="every shard once"):
            merge([str(one), other], tmp_path / "M")
    assert not (tmp_path / "M").exists()


def test_an_archive_of_something_else_is_named(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    with tarfile.open(tmp_path / "x.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "x", "other")
    with pytest.raises(ArtifactError) as caught:
        merge([str(tmp_path / "x.tar.gz")], tmp_path / "M")
    assert ("artifact-unknown", str(tmp_path / "x.tar.gz")) == (
        caught.value.code,
        caught.value.where,
    )


def test_an_id_in_two_shards_is_named_with_its_rows(fit: Fit, tmp_path: Path) -> None:
    hosts = HOSTS[:2]
    models = [fit("algo-1", 0, 30, hosts), fit("algo-2", 29, 60, hosts)]
    with pytest.raises(ItemsRefused, match="wine-29") as refused:
        merge([str(model) for model in models], tmp_path / "M")
    assert refused.value.code == "ids-doubled"
    assert "30 to 60 are" in str(refused.value)


def test_shards_without_a_row_make_no_artifact(fit: Fit, tmp_path: Path) -> None:
    models = [fit(host, 0, 0, HOSTS[:2]) for host in HOSTS[:2]]
    with pytest.raises(ArtifactError) as refused:
        merge([str(model) for model in models], tmp_path / "M")
    assert refused.value.code == "shards-empty"


def test_a_damaged_shard_is_noticed_and_nothing_is_left(fit: Fit, tmp_path: Path) -> None:
    hosts = HOSTS[:2]
    models = [fit("algo-1", 0, 30, hosts), fit("algo-2", 30, 60, hosts)]
    vectors = models[1] / "shard-algo-2" / "vectors.npy"
    data = bytearray(vectors.read_bytes())
    data[-1] ^= 1
    vectors.write_bytes(data)
    with pytest.raises(ArtifactError) as refused:
        merge([str(model) for model in models], tmp_path / "M")
    assert refused.value.code == "artifact-damaged"
    assert {path.name for path in tmp_path.iterdir()} == {"hosts"}


@pytest.mark.parametrize(
    "document",
    [
        "{",
        "[]",
        '{"format": "kneighbors-empty-shard"}',
        "null",
        '{"format": "kneighbors-empty-shard", "version": 1, "host": "a", "hosts": ["a", 7], '
        '"metric": "cosine", "n_neighbors": 1}',
        '{"format": "kneighbors-empty-shard", "version": 1, "host": "a", "hosts": ["a"], '
        '"metric": "cosine", "n_neighbors": "x"}',
    ],
)
def test_an_empty_shard_of_another_form_is_refused(tmp_path: Path, document: str) -> None:
    (tmp_path / "shard-algo-1").mkdir()
    (tmp_path / "shard-algo-1" / "empty-shard.json").write_text(document)
    with pytest.raises(ArtifactError) as refused:
        merge([str(tmp_path)], tmp_path / "M")
    assert refused.value.code == "artifact-invalid"


def test_a_shard_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="nowhere") as refused:
        merge([str(tmp_path / "nowhere")], tmp_path / "M")
    assert refused.value.code == "storage-missing"


def test_labels_in_files_of_their_own_do_not_go_with_a_split_corpus(fit: Fit) -> None:
    with pytest.raises(ParameterRefused) as refused:
        fit("algo-1", 0, 30, id_column=None, items="items.csv")
    assert refused.value.code == "shard-labels"


def test_joined_rows_are_those_of_one_array() -> None:
    random = np.random.default_rng(5)
    A = random.normal(size=(50, 3))
    joined = JoinedRows([ArrayRows(A[:7]), ArrayRows(A[7:8]), ArrayRows(A[8:])])
    assert (joined.shape, joined.dtype) == ((50, 3), A.dtype)
    for _ in range(50):
        start, stop = sorted(random.integers(0, 51, 2).tolist())
        if start < stop:
            assert joined.slice(start, stop).tolist() == A[start:stop].tolist()
        rows = random.integers(0, 50, 20)
        assert joined.take(rows).tolist() == A[rows].tolist()


def test_where_all_hosts_have_all_rows_only_the_first_saves(tmp_path: Path) -> None:
    np.save(tmp_path / "c.npy", X[:30])
    lines: list[str] = []
    for host in ("algo-2", "algo-10"):
        settings = TrainingSettings(
            train=str(tmp_path / "c.npy"),
            model_dir=tmp_path / host,
            shard=Shard(host=host, hosts=("algo-2", "algo-10"), is_split=False),
        )
        report = train_host(settings, say=lines.append)
        assert (report is None) == (host == "algo-10")
    assert (tmp_path / "algo-2" / "manifest.json").exists()
    assert not (tmp_path / "algo-10").exists()
    assert lines == ["Every host has the whole corpus; algo-2 fits it, algo-10 does not."]


def test_the_place_among_hosts_comes_from_the_variables_of_the_toolkit(tmp_path: Path) -> None:
    environ = {
        "SM_CHANNEL_TRAIN": "/data",
        "SM_MODEL_DIR": "/model",
        "SM_HOSTS": json.dumps(["algo-1", "algo-10", "algo-2"]),
        "SM_CURRENT_HOST": "algo-10",
        "SM_INPUT_DATA_CONFIG": json.dumps({"train": {"S3DistributionType": "ShardedByS3Key"}}),
    }
    split = TrainingSettings.resolve({}, environ).shard
    assert split == Shard(host="algo-10", hosts=("algo-1", "algo-2", "algo-10"), is_split=True)
    # An address that every host reads for itself is not split between them.
    whole = TrainingSettings.resolve({"train": "s3://bucket/train/"}, environ).shard
    assert whole is None or not whole.is_split
