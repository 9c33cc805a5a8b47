from __future__ import annotations

import tarfile
from pathlib import Path

import numpy as np
import pytest

from support.cli_artifacts import make_corpus
from support.cli_run import Runner
from support.storage_servers import aws_client, s3_server, use_endpoint

X = make_corpus()


@pytest.fixture
def halves(cli: Runner, tmp_path: Path) -> list[Path]:
    """Two artifacts with the halves of a corpus."""
    found = []
    for name, rows in (("a", X[:30]), ("b", X[30:])):
        np.save(tmp_path / f"{name}.npy", rows)
        model = tmp_path / name
        assert cli("train", "--train", tmp_path / f"{name}.npy", "--model-dir", model).code == 0
        found.append(model)
    return found


def test_two_artifacts_become_one(cli: Runner, halves: list[Path], tmp_path: Path) -> None:
    done = cli("merge", *halves, "--model-dir", tmp_path / "M")
    assert (done.code, done.out) == (0, "rows=60;\ndimensions=5;\nshards=2;\n")
    assert f"{halves[0]}: 30 rows" in done.err.splitlines()
    shown = cli("inspect", tmp_path / "M", "--verify", "--json").json
    assert (shown["n_samples"], shown["verified"]) == (60, True)
    (one,) = cli("query", tmp_path / "M", "--row", "45", "--json").json["predictions"]
    assert one["indices"][0] == 45


def test_json_is_one_document(cli: Runner, halves: list[Path], tmp_path: Path) -> None:
    done = cli("merge", *halves, "--model-dir", tmp_path / "M", "--json")
    assert (done.code, done.err) == (0, "")
    assert done.json == {
        "rows": 60,
        "dimensions": 5,
        "shards": 2,
        "metric": "cosine",
        "model_dir": str(tmp_path / "M"),
    }


def test_an_artifact_is_replaced_only_if_asked(
    cli: Runner, halves: list[Path], tmp_path: Path
) -> None:
    done = cli("merge", *halves, "--model-dir", halves[0])
    assert done.code == 1
    assert done.err.startswith("error: [artifact-exists] ")
    # A shard may be what is replaced: its rows are read until the new one is complete.
    assert cli("merge", *halves, "--model-dir", halves[0], "--overwrite").code == 0
    assert cli("inspect", halves[0], "--verify", "--json").json["n_samples"] == 60


def test_shards_that_differ_are_a_fault_of_the_data(
    cli: Runner, halves: list[Path], tmp_path: Path
) -> None:
    other: list[str | Path] = [
        "train",
        "--train",
        tmp_path / "b.npy",
        "--model-dir",
        tmp_path / "c",
        "--metric",
        "l2",
    ]
    assert cli(*other).code == 0
    done = cli("merge", halves[0], tmp_path / "c", "--model-dir", tmp_path / "M")
    assert done.code == 1
    assert done.err.startswith("error: [shards-differ] Expected the metric cosine")


def test_archives_may_lie_on_s3(
    cli: Runner, halves: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with s3_server() as url:
        use_endpoint(monkeypatch, url)
        client = aws_client(url)
        client.create_bucket(Bucket="models")
        for half in halves:
            with tarfile.open(tmp_path / "m.tar.gz", "w:gz") as archive:
                archive.add(half, ".")
            client.upload_file(str(tmp_path / "m.tar.gz"), "models", f"{half.name}/model.tar.gz")
        addresses = [f"s3://models/{half.name}/model.tar.gz" for half in halves]
        done = cli("merge", *addresses, "--model-dir", tmp_path / "M")
        assert done.code == 0, done.err
        assert "s3://models/a/model.tar.gz: 30 rows" in done.err.splitlines()


def test_no_shard_and_no_directory_are_wrong_usage(cli: Runner, tmp_path: Path) -> None:
    assert cli("merge", "--model-dir", tmp_path / "M").code == 2
    assert cli("merge", tmp_path).code == 2
