from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kneighbors.artifact import Manifest, open_artifact
from kneighbors.sagemaker.training import TrainingSettings, train
from support import training_killing
from support.cli_disks import mounted
from support.cli_run import clean_environment
from support.training_jobs import JobTree

X = np.random.default_rng(2).normal(size=(240, 12)).astype(np.float32)
CORPUS, INDEX = "checkpoint corpus: taken up", "checkpoint index: taken up"

Fit = Callable[..., list[str]]


def write_corpus(folder: Path, dtype: pa.DataType | None = None) -> None:
    """Write a corpus of two files, which has to be converted."""
    for name, start, stop in (("a.parquet", 0, 150), ("b.parquet", 150, 240)):
        table = pa.table(
            {
                "id": [f"w{row}" for row in range(start, stop)],
                "v": pa.array(X[start:stop].tolist(), pa.list_(dtype or pa.float32())),
                "name": pa.array([f"n{row % 7}" for row in range(start, stop)]).dictionary_encode(),
            }
        )
        pq.write_table(table, folder / name)


def parts_of(path: Path) -> dict[str, str]:
    manifest = Manifest.from_bytes((path / "manifest.json").read_bytes())
    return {name: part.sha256 for name, part in manifest.parts.items()}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    write_corpus(tmp_path / "data")
    return tmp_path / "data"


@pytest.fixture
def fit(data: Path, tmp_path: Path) -> Fit:
    """Fit with checkpoints, and return the lines about them."""

    def fit(**more: Any) -> list[str]:
        lines: list[str] = []
        settings = {
            "train": str(data),
            "model_dir": tmp_path / "M",
            "checkpoint_dir": tmp_path / "C",
            "overwrite": True,
            **more,
        }
        train(TrainingSettings(**settings), say=lines.append)
        return lines

    return fit


def test_a_second_run_takes_up_every_stage_and_ends_with_the_same_bytes(
    fit: Fit, tmp_path: Path
) -> None:
    train(TrainingSettings(train=str(tmp_path / "data"), model_dir=tmp_path / "plain"))
    assert fit() == []
    first = parts_of(tmp_path / "M")
    assert first == parts_of(tmp_path / "plain")
    assert fit() == [CORPUS, INDEX]
    assert parts_of(tmp_path / "M") == first
    with open_artifact(tmp_path / "M") as resumed, open_artifact(tmp_path / "plain") as plain:
        assert resumed.manifest.plan == plain.manifest.plan
        assert resumed.manifest.source == plain.manifest.source
        assert resumed.catalog.ids_of([239]) == ["w239"]
        table = resumed.catalog.table
        assert table is not None
        assert table.equals(plain.catalog.table)


def test_the_same_bytes_at_another_path_are_the_same_input(
    fit: Fit, data: Path, tmp_path: Path
) -> None:
    fit()
    data.rename(tmp_path / "moved")
    assert fit(train=str(tmp_path / "moved")) == [CORPUS, INDEX]
    with open_artifact(tmp_path / "M") as artifact:
        assert artifact.manifest.source["files"][0]["name"] == str(tmp_path / "moved/a.parquet")


def test_a_changed_corpus_is_read_anew(fit: Fit, data: Path) -> None:
    fit()
    X[3, 3] += 1
    write_corpus(data)
    X[3, 3] -= 1
    other = "passed over, being of another input or version"
    assert fit() == [f"checkpoint corpus: {other}", f"checkpoint index: {other}"]
    assert fit() == [CORPUS, INDEX]


@pytest.mark.parametrize(
    ("more", "taken"),
    [
        ({"metric": "euclidean"}, [CORPUS]),
        ({"seed": 1}, [CORPUS]),
        ({"vector_column": "v"}, []),
        ({"n_neighbors": 3}, [CORPUS, INDEX]),
    ],
)
def test_a_stage_depends_on_the_settings_that_it_uses(
    fit: Fit, tmp_path: Path, more: dict[str, Any], taken: list[str]
) -> None:
    fit()
    assert [line for line in fit(**more) if line.endswith("taken up")] == taken
    resumed = parts_of(tmp_path / "M")
    fit(**more, checkpoint_dir=None)
    assert parts_of(tmp_path / "M") == resumed


def test_a_checkpoint_of_another_version_is_passed_over(
    fit: Fit, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit()
    monkeypatch.setattr("kneighbors.sagemaker.checkpoints.__version__", "0.0.1")
    assert all("another input or version" in line for line in fit())


def test_damage_anywhere_in_a_checkpoint_is_noticed(fit: Fit, tmp_path: Path) -> None:
    fit()
    whole = parts_of(tmp_path / "M")
    files = [path for path in (tmp_path / "C").rglob("*") if path.is_file()]
    assert len(files) == 6
    for path in files:
        before = path.read_bytes()
        for damaged in (before[:-1], before[:-1] + bytes([before[-1] ^ 1])):
            path.write_bytes(damaged)
            lines = fit()
            stage = path.parent.name
            assert f"checkpoint {stage}: passed over, being damaged" in "\n".join(lines), path
            assert parts_of(tmp_path / "M") == whole
            # It was kept anew, and is whole again.
            assert path.read_bytes() == before
        path.unlink()
        assert "being damaged" in "\n".join(fit())


def test_a_mapped_corpus_is_not_copied(fit: Fit, tmp_path: Path) -> None:
    np.save(tmp_path / "X.npy", X)
    assert fit(train=str(tmp_path / "X.npy")) == []
    assert [path.name for path in (tmp_path / "C").iterdir()] == ["index"]
    assert fit(train=str(tmp_path / "X.npy")) == [INDEX]


def test_a_full_disk_costs_the_checkpoint_and_not_the_model(fit: Fit, tmp_path: Path) -> None:
    with mounted(tmp_path / "small", "size=12k") as small:
        lines = fit(checkpoint_dir=small)
        assert [line.partition(" [")[0] for line in lines] == ["checkpoint corpus: not kept."]
        assert "[storage-full]" in lines[0]
        assert (tmp_path / "M" / "manifest.json").exists()
        assert {path.name for path in small.iterdir()} <= {"index"}


def test_what_a_killed_run_had_begun_is_removed(fit: Fit, tmp_path: Path) -> None:
    (tmp_path / "C" / ".kneighbors-0123456789abcdef").mkdir(parents=True)
    fit()
    assert sorted(path.name for path in (tmp_path / "C").iterdir()) == ["corpus", "index"]


# Signals ----------------------------------------------------------------------------------------


def interrupted(folder: Path, number: int, points: list[str]) -> list[dict[str, Any]]:
    tree = JobTree(folder / "tree")
    write_corpus(tree.channel("train"))
    tree.write("checkpointconfig", {"S3Uri": "s3://b/c", "LocalPath": "/opt/ml/checkpoints"})
    (tree.base / "checkpoints").mkdir()
    done = subprocess.run(
        [sys.executable, training_killing.__file__, str(folder), str(number), *points],
        capture_output=True,
        text=True,
        env=clean_environment(OPENBLAS_NUM_THREADS="1"),
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def taken_up(result: dict[str, Any]) -> list[str]:
    return [line for line in result["log"] if line.endswith("taken up")]


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (
            signal.SIGTERM,
            {
                "read_corpus": [],
                "keep:1": [],
                "profile_corpus": [CORPUS],
                "keep:2": [CORPUS],
                "probe_index": [CORPUS, INDEX],
            },
        ),
        (signal.SIGKILL, {"keep:1": [], "keep:2": [CORPUS]}),
    ],
)
def test_a_run_that_was_ended_at_any_stage_is_gone_on_with(
    tmp_path: Path, number: int, expected: dict[str, list[str]]
) -> None:
    undisturbed, *results = interrupted(tmp_path, number, ["never", *expected])
    assert (undisturbed["first"], undisturbed["second"]) == (0, 0)
    for result, stages in zip(results, expected.values(), strict=True):
        assert result["first"] == (143 if number == signal.SIGTERM else -signal.SIGKILL), result
        assert not result["failure"]
        assert result["second"] == 0
        assert taken_up(result) == stages, result["point"]
        assert result["parts"] == undisturbed["parts"], result["point"]
        # The model is saved before anything is measured.
        left = undisturbed["parts"] if result["point"] == "probe_index" else None
        assert result["left"] == left


@pytest.mark.slow
def test_a_run_that_was_killed_in_any_write_is_gone_on_with(tmp_path: Path) -> None:
    points = ["never", *(f"write:{number}" for number in range(1, 60, 2))]
    undisturbed, *results = interrupted(tmp_path, signal.SIGKILL, points)
    killed = [result for result in results if result["first"] == -signal.SIGKILL]
    assert len(killed) > 10
    for result in results:
        assert result["second"] == 0
        assert result["parts"] == undisturbed["parts"], result["point"]
        assert not any(".kneighbors-" in name for name in result["checkpoints"])
    assert {tuple(taken_up(result)) for result in killed} == {(), (CORPUS,), (CORPUS, INDEX)}
