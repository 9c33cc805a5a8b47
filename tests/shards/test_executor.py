"""What every executor does, wherever its shards are opened."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kneighbors.artifact import Artifact
from kneighbors.errors import ArtifactError, ParameterRefused
from kneighbors.shards import Executor, LocalExecutor, Nearest, TakeRows, Within
from kneighbors.shards.index import ShardedIndex
from kneighbors.shards.member import open_shard
from kneighbors.shards.opening import read_manifest
from support import shards_making as making

MakeExecutor = Callable[[Path], Executor]


def shards_at(path: Path) -> list[Artifact]:
    manifest = read_manifest(path)
    return [open_shard(path / one.folder, one, manifest) for one in manifest.shards]


def one_thread(path: Path) -> Executor:
    return LocalExecutor(shards_at(path))


def three_threads(path: Path) -> Executor:
    return LocalExecutor(shards_at(path), threads=3)


#: Whoever has another executor adds what makes it.
EXECUTORS: dict[str, MakeExecutor] = {"one thread": one_thread, "three threads": three_threads}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("executor") / "M"
    making.write(path, making.corpus())
    return path


@pytest.fixture(params=sorted(EXECUTORS))
def executor(request: pytest.FixtureRequest, path: Path) -> Iterator[Executor]:
    made = EXECUTORS[request.param](path)
    yield made
    made.close()


@dataclass(frozen=True)
class Failing:
    """A task that refuses."""

    def __call__(self, artifact: Artifact) -> Any:
        raise ArtifactError("artifact-damaged", "Expected the bytes that were saved.")


def test_a_task_is_done_with_the_shard_of_its_number(executor: Executor) -> None:
    X = making.corpus()
    taken = [executor.submit(shard, TakeRows(np.array([1]))) for shard in range(5)]
    actual = np.concatenate([future.result(60) for future in taken])
    np.testing.assert_array_equal(X[1::240], actual)


def test_rows_of_answers_are_those_of_the_shard(executor: Executor) -> None:
    Q = making.corpus()[:3]
    distances, rows = executor.submit(0, Nearest(Q, 1)).result(60)
    assert ([[0.0]] * 3, [[0], [1], [2]]) == (distances.tolist(), rows.tolist())
    near, found = executor.submit(0, Within(Q, 0.0)).result(60)
    assert ([[0.0]] * 3, [[0], [1], [2]]) == (
        [n.tolist() for n in near],
        [f.tolist() for f in found],
    )


def test_what_a_task_refuses_is_raised_and_the_executor_goes_on(executor: Executor) -> None:
    with pytest.raises(ArtifactError) as caught:
        executor.submit(2, Failing()).result(60)
    assert "artifact-damaged" == caught.value.code
    assert (1, 12) == executor.submit(2, TakeRows(np.array([0]))).result(60).shape


def test_an_index_over_it_answers_as_one_index(executor: Executor, path: Path) -> None:
    X = making.corpus()
    manifest = read_manifest(path)
    index = ShardedIndex(making.whole(X).rows, "euclidean", {}, manifest.shards, executor)
    expected = making.whole(X).kneighbors(X[::30], 9)
    actual = index.kneighbors(X[::30], 9)
    np.testing.assert_array_equal(expected[0], actual[0])
    np.testing.assert_array_equal(expected[1], actual[1])


def test_it_says_how_many_tasks_are_worth_having_under_way(executor: Executor) -> None:
    assert 1 <= executor.slots <= 5


def test_no_thread_at_all_is_refused(path: Path) -> None:
    with pytest.raises(ParameterRefused) as caught:
        LocalExecutor(shards_at(path), threads=0)
    assert "parameter-range" == caught.value.code
