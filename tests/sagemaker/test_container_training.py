from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kneighbors.artifact import open_artifact
from kneighbors.errors import ParameterRefused
from kneighbors.sagemaker.container_training import run
from kneighbors.sagemaker.job import Job
from kneighbors.sagemaker.job_variables import variables_of
from kneighbors.sagemaker.merging import merge
from support.cli_disks import mounted
from support.training_jobs import JobTree

X = np.random.default_rng(4).normal(size=(60, 5)).astype(np.float32)


@pytest.fixture
def tree(tmp_path: Path) -> JobTree:
    return JobTree(tmp_path / "ml")


def train(tree: JobTree) -> int:
    """Train in this process."""
    return run({"SAGEMAKER_BASE_DIR": str(tree.base)})


def test_a_job_without_a_script_fits_its_channel(
    tree: JobTree, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(tree.channel("train") / "part-0.npy", X)
    # The one is written as SDK v2 does, the other as v3.
    tree.hyperparameters(metric='"euclidean"', n_neighbors="4", sagemaker_job_name='"j"')
    assert train(tree) == 0
    assert "rows=60;" in capsys.readouterr().out.splitlines()
    assert (tree.output / "success").read_bytes() == b""
    assert sorted(path.name for path in (tree.output / "data").iterdir()) == [
        "distances.svg",
        "report.json",
    ]
    with open_artifact(tree.model) as artifact:
        assert artifact.manifest.metric == "euclidean"
        assert artifact.manifest.source["n_neighbors"] == 4


def test_several_files_of_the_channel_training_are_one_corpus(tree: JobTree) -> None:
    folder = tree.channel("training")
    for number in range(3):
        table = pa.table({"v": X[number * 20 : number * 20 + 20].tolist()})
        pq.write_table(table, folder / f"part-{number}.parquet")
    assert train(tree) == 0
    with open_artifact(tree.model) as artifact:
        assert artifact.manifest.n_samples == 60


def test_ids_and_items_may_have_channels_of_their_own(tree: JobTree) -> None:
    np.save(tree.channel("train") / "X.npy", X)
    (tree.channel("ids") / "ids.txt").write_text("".join(f"w{row}\n" for row in range(60)))
    pq.write_table(pa.table({"price": list(range(60))}), tree.channel("items") / "i.parquet")
    assert train(tree) == 0
    with open_artifact(tree.model) as artifact:
        assert artifact.catalog.ids_of([7]) == ["w7"]
        assert artifact.catalog.attributes_of([7]) == [{"price": 7}]


def test_a_fastfile_channel_is_read_where_it_lies(tree: JobTree, tmp_path: Path) -> None:
    folder = tree.channel("train", mode="FastFile")
    with mounted(folder, "size=1m"):
        np.save(folder / "X.npy", X)
        with read_only(folder):
            done = tree.run(tree.environ(TMPDIR=str(tmp_path)))
            assert done.code == 0, done.err
            assert [path.name for path in folder.iterdir()] == ["X.npy"]
    assert {path.name for path in tmp_path.iterdir()} == {"ml"}


@contextmanager
def read_only(path: Path) -> Iterator[None]:
    """Make a mount read-only for as long as it takes."""
    subprocess.run(["mount", "-o", "remount,ro", str(path)], check=True)
    try:
        yield
    finally:
        subprocess.run(["mount", "-o", "remount,rw", str(path)], check=True)


def failed(tree: JobTree) -> str:
    """Train, and return the reason of the failure, which is one short line."""
    assert train(tree) == 1
    assert not (tree.output / "success").exists()
    failure = tree.failure
    assert "\n" not in failure
    assert len(failure) <= 1024
    return failure


def test_a_pipe_is_refused_by_name(tree: JobTree) -> None:
    tree.channel("train", mode="Pipe")
    assert failed(tree).startswith("[channel-mode] Expected the channel 'train'")


def test_a_job_without_a_corpus_is_refused(tree: JobTree) -> None:
    tree.channel("validation")
    assert failed(tree).startswith("[channel-missing] ")


def test_a_corpus_may_be_named_by_a_hyperparameter(tree: JobTree, tmp_path: Path) -> None:
    np.save(tmp_path / "X.npy", X)
    tree.hyperparameters(train=str(tmp_path / "X.npy"))
    assert train(tree) == 0


def test_two_files_of_ids_are_refused(tree: JobTree) -> None:
    np.save(tree.channel("train") / "X.npy", X)
    folder = tree.channel("ids")
    (folder / "a.txt").touch()
    (folder / "b.txt").touch()
    assert failed(tree).startswith("[channel-files] Expected one file in the channel 'ids', got 2.")


@pytest.mark.parametrize(
    ("hyperparameters", "code"),
    [
        ({"metric": "manhattan"}, "metric-unknown"),
        ({"n_neighbors": "many"}, "parameter-type"),
        ({"neighbours": "4"}, "hyperparameter-unknown"),
        ({"vector_column": "x" * 5000}, "corpus-columns"),
    ],
)
def test_a_wrong_hyperparameter_is_the_reason(
    tree: JobTree, hyperparameters: dict[str, str], code: str
) -> None:
    np.save(tree.channel("train") / "X.npy", X)
    tree.hyperparameters(**hyperparameters)
    assert failed(tree).startswith(f"[{code}] ")
    assert not any(tree.model.iterdir())


@pytest.mark.parametrize("name", ["hyperparameters", "inputdataconfig", "resourceconfig"])
@pytest.mark.parametrize("text", ["{", "[1]", "\x00"])
def test_a_configuration_that_is_none_is_named(tree: JobTree, name: str, text: str) -> None:
    (tree.config / f"{name}.json").write_text(text)
    failure = failed(tree)
    assert failure.startswith("[job-config] ")
    assert f"{name}.json" in failure


def test_a_fault_of_ours_has_its_traceback_in_the_log_only(
    tree: JobTree, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(environ: Any) -> Job:
        raise RuntimeError("a bug")

    monkeypatch.setattr(Job, "read", broken)
    assert failed(tree) == "[internal] RuntimeError: a bug."
    assert "Traceback" in capsys.readouterr().err


def test_a_stopped_job_has_not_failed(tree: JobTree) -> None:
    rows = "\n".join(",".join(["0.5"] * 300) for _ in range(40_000))
    (tree.channel("train") / "x.csv").write_text(rows)
    process = tree.start()
    try:
        assert process.stdout is not None
        # It is reading, or will be.
        process.send_signal(signal.SIGTERM)
        code = process.wait(30)
    finally:
        process.kill()
        process.communicate()
    # Python itself may not have come to set a handler.
    assert code in (143, -signal.SIGTERM)
    assert not (tree.output / "failure").exists()
    assert not any(tree.model.iterdir())


def test_hosts_with_shards_of_their_own_make_one_artifact(tmp_path: Path) -> None:
    hosts = ["algo-1", "algo-2", "algo-3"]
    parts = {"algo-1": X[:40], "algo-3": X[40:]}
    for host in hosts:
        tree = JobTree(tmp_path / host)
        tree.hosts(host, hosts)
        folder = tree.channel("train", split=True)
        if host in parts:
            np.save(folder / "part.npy", parts[host])
        assert train(tree) == 0
        assert [path.name for path in tree.model.iterdir()] == [f"shard-{host}"]
    merge([str(tmp_path / host / "model") for host in hosts], tmp_path / "M")
    with open_artifact(tmp_path / "M") as artifact:
        assert artifact.index.kneighbors(X[50:51], 1)[1].tolist() == [[50]]
        shards = artifact.manifest.source["shards"]
        assert [(one["host"], one["rows"]) for one in shards] == [
            ("algo-1", 40),
            ("algo-2", 0),
            ("algo-3", 20),
        ]


def test_of_hosts_with_the_same_corpus_the_first_saves(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for host in ("algo-1", "algo-2"):
        tree = JobTree(tmp_path / host)
        tree.hosts(host, ["algo-1", "algo-2"])
        np.save(tree.channel("train") / "X.npy", X)
        assert train(tree) == 0
        assert (tree.model / "manifest.json").exists() == (host == "algo-1")
        assert (tree.output / "success").exists()
    assert "algo-1 fits it, algo-2 does not" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("document", "present", "expected"),
    [
        (None, False, None),
        (None, True, "checkpoints"),
        ({"S3Uri": "s3://b/c"}, False, "checkpoints"),
        ({"S3Uri": "s3://b/c", "LocalPath": "/opt/ml/checkpoints/"}, True, "checkpoints"),
        ({"S3Uri": "s3://b/c", "LocalPath": "/opt/ml/kept/here"}, True, "kept/here"),
        ({"S3Uri": "s3://b/c", "LocalPath": "/elsewhere"}, True, "checkpoints"),
    ],
)
def test_checkpoints_are_where_the_job_says(
    tree: JobTree, document: dict[str, str] | None, present: bool, expected: str | None
) -> None:
    if document is not None:
        tree.write("checkpointconfig", document)
    if present:
        (tree.base / "checkpoints").mkdir()
    found = Job.read({"SAGEMAKER_BASE_DIR": str(tree.base)}).checkpoint_dir
    assert found == (None if expected is None else tree.base / expected)


def test_a_host_that_is_none_of_the_hosts_is_refused(tree: JobTree) -> None:
    tree.hosts("algo-9", ["algo-1"])
    with pytest.raises(ParameterRefused) as refused:
        Job.read({"SAGEMAKER_BASE_DIR": str(tree.base)})
    assert refused.value.code == "job-config"


def test_an_instance_group_without_a_name_is_refused(tree: JobTree) -> None:
    tree.write(
        "resourceconfig", {"current_host": "a", "hosts": ["a"], "instance_groups": [{"hosts": []}]}
    )
    assert failed(tree).startswith("[job-config] ")


def test_a_job_that_says_nothing_runs_on_one_host(tmp_path: Path) -> None:
    job = Job.read({"SAGEMAKER_BASE_DIR": str(tmp_path)})
    assert (job.hosts, job.current_host, job.program, job.channels) == (
        ["algo-1"],
        "algo-1",
        None,
        {},
    )
    assert json.loads(variables_of(job)["SM_HPS"]) == {}


def test_the_script_that_comes_with_the_package_leaves_shards_too(tmp_path: Path) -> None:
    tree = JobTree(tmp_path / "ml")
    tree.hosts("algo-2", ["algo-1", "algo-2"])
    np.save(tree.channel("train", split=True) / "part.npy", X)
    script = files("kneighbors.sagemaker") / "entry_point" / "sklearn_nearest_neighbors.py"
    archive = tree.script(script.read_text())
    tree.hyperparameters(
        sagemaker_program="script.py",
        sagemaker_submit_directory=str(archive),
        n_neighbors="4",
        checkpoint_dir=str(tmp_path / "kept"),
    )
    done = tree.run()
    assert done.code == 0, done.err
    assert "rows=60;" in done.out.splitlines()
    assert [path.name for path in tree.model.iterdir()] == ["shard-algo-2"]
    assert [path.name for path in (tmp_path / "kept" / "shard-algo-2").iterdir()] == ["index"]
