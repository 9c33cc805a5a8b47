"""Answers while nobody holds some shards: the rest, marked as such, for whoever allows it."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kneighbors.errors import BodyRefused, ClusterError
from kneighbors.formats import JSON, JSONLINES, NPY
from kneighbors.sagemaker.model import Model
from kneighbors.sagemaker.query import Query
from kneighbors.server.joining import find_each
from kneighbors.server.streaming import stream_of
from kneighbors.shards import open_sharded
from support import shards_making as making
from support.shards_losing import Losing

X = making.corpus()
#: Rows of the five shards.
FIRST = (0, 240, 480, 720, 960)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("partial") / "M"
    making.write(path, X, items={"row": list(range(len(X)))})
    return path


@pytest.fixture
def executor(path: Path) -> Losing:
    return Losing(path)


@pytest.fixture
def model(path: Path, executor: Losing) -> Iterator[Model]:
    artifact = open_sharded(path, executor=executor)
    yield Model.of_artifact(artifact)
    artifact.close()


def of(model: Model, rows: Sequence[int], *, accept: str = JSON, **parameters: Any) -> Query:
    body = {"instances": X[list(rows)].tolist(), **parameters}
    return model.read(json.dumps(body).encode(), JSON, accept)


def told(model: Model, rows: Sequence[int], **parameters: Any) -> Any:
    query = of(model, rows, **parameters)
    (found,) = model.find([query])
    reply = model.write(query, found)
    return json.loads(reply.body)["predictions"], dict(reply.headers)


def rest(lost: Sequence[int], query: int, k: int) -> list[int]:
    """Return the nearest of the rows that are left, by a scan."""
    left = np.concatenate([np.arange(FIRST[s], FIRST[s] + 240) for s in range(5) if s not in lost])
    distances = np.linalg.norm(X[left].astype(np.float64) - X[query], axis=1)
    order = np.lexsort((left, distances))[:k]
    return [int(row) for row in left[order]]


def test_a_request_that_allows_it_is_answered_from_the_rest(model: Model, executor: Losing) -> None:
    executor.lost = {1}
    (prediction,), headers = told(model, [300], k=20, allow_partial=True)
    assert rest([1], 300, 20) == prediction["indices"]
    assert [[240, 479]] == prediction["missing_rows"]
    assert {"X-Kneighbors-Partial": "240-479"} == headers


def test_without_it_the_refusal_names_the_rows(model: Model, executor: Losing) -> None:
    executor.lost = {1}
    with pytest.raises(ClusterError) as caught:
        told(model, [300], k=20)
    assert "shard-unavailable" == caught.value.code
    assert "240 to 479" in caught.value.message


def test_only_queries_that_may_lack_something_are_marked(tmp_path: Path) -> None:
    apart = X + (np.arange(1200) // 240)[:, np.newaxis].astype(np.float32) * 100
    making.write(tmp_path / "M", apart)
    executor = Losing(tmp_path / "M")
    executor.lost = {4}
    index: Any = open_sharded(tmp_path / "M", executor=executor).index
    partial = index.partial()
    distances, rows = partial.kneighbors(apart[[100, 1000]], 5)
    assert [[], [(960, 1199)]] == partial.missing
    whole = making.whole(apart).kneighbors(apart[[100]], 5)
    assert (whole[0][0].tolist(), whole[1][0].tolist()) == (distances[0].tolist(), rows[0].tolist())
    assert 4 in executor.asked


def test_a_shard_of_which_a_filter_leaves_nothing_is_not_missed(
    model: Model, executor: Losing
) -> None:
    executor.lost = {1}
    wanted = {"row": {"lt": 240}}
    (prediction,), headers = told(model, [300], k=5, filter=wanted, allow_partial=True)
    assert "missing_rows" not in prediction
    assert {} == headers


def test_ranges_that_touch_are_one(model: Model, executor: Losing) -> None:
    executor.lost = {0, 1, 3}
    (prediction,), headers = told(model, [5], k=300, allow_partial=True)
    assert [[0, 479], [720, 959]] == prediction["missing_rows"]
    assert "0-479, 720-959" == headers["X-Kneighbors-Partial"]


def test_too_few_rows_that_are_left_have_their_reason(model: Model, executor: Losing) -> None:
    executor.lost = {0, 1, 3}
    (prediction,), _ = told(model, [5], k=1000, allow_partial=True)
    assert (480, "unavailable") == (prediction["n_found"], prediction["reason"])
    query = of(model, [5], k=1000, allow_partial=True, accept=NPY)
    with pytest.raises(BodyRefused) as caught:
        model.write(query, model.find([query])[0])
    assert "accept-ragged" == caught.value.code


def test_where_nobody_holds_anything_it_is_a_refusal(model: Model, executor: Losing) -> None:
    executor.lost = {0, 1, 2, 3, 4}
    with pytest.raises(ClusterError) as caught:
        told(model, [5], k=2, allow_partial=True)
    assert "shard-unavailable" == caught.value.code


@pytest.mark.parametrize(
    "parameters",
    [
        {"radius": 4.0},
        {"radius": 4.0, "k": 5},
        {"k": 5, "group_by": "row"},
        {"k": 5, "diversity": 0.5},
        {"k": 5, "fold_within": 0.1},
        {"k": 5, "min_distance": 0.1},
        {"k": 5, "exclude_ids": [310]},
    ],
)
def test_every_way_of_asking_says_what_is_missing(
    model: Model, executor: Losing, parameters: Any
) -> None:
    executor.lost = {1}
    predictions, _ = told(model, [300, 310], allow_partial=True, **parameters)
    assert [[[240, 479]]] * 2 == [one["missing_rows"] for one in predictions]
    assert not any(240 <= row < 480 for one in predictions for row in one["indices"])


def test_arrays_say_it_in_the_header(model: Model, executor: Losing) -> None:
    executor.lost = {1}
    data = io.BytesIO()
    np.save(data, X[300:302])
    reply = model.invoke(data.getvalue(), NPY, NPY, "k=3;allow_partial=true")
    assert (("X-Kneighbors-Partial", "240-479"),) == reply.headers
    assert rest([1], 300, 3) == np.load(io.BytesIO(reply.body))[1][0].tolist()


def test_strict_and_partial_requests_of_one_batch_each_get_what_they_asked(
    model: Model, executor: Losing
) -> None:
    executor.lost = {1}
    queries = [
        of(model, [300], k=5),
        of(model, [301], k=5, allow_partial=True),
        of(model, [302], k=5),
        of(model, [303, 304], k=5, allow_partial=True),
    ]
    found: list[Any] = find_each(model, queries)
    assert ["shard-unavailable"] * 2 == [found[place].code for place in (0, 2)]
    for place, rows in ((1, [301]), (3, [303, 304])):
        assert [rest([1], row, 5) for row in rows] == found[place].indices.tolist()
        assert [[(240, 479)]] * len(rows) == found[place].missing
    executor.lost = set()
    whole: list[Any] = find_each(model, queries)
    assert [None] * 4 == [one.missing for one in whole]
    expected = [making.whole(X).kneighbors(query.vectors, 5)[1].tolist() for query in queries]
    assert expected == [one.indices.tolist() for one in whole]


def test_a_lost_shard_costs_a_batch_two_searches_and_not_one_of_each_half(
    model: Model, executor: Losing
) -> None:
    executor.lost = {1}
    queries = [of(model, [row], k=5) for row in range(300, 316)]
    # One that asks for rows of another shard alone is no worse off than before.
    queries.append(of(model, [20], k=5, filter={"row": {"lt": 240}}))
    executor.asked.clear()
    *refused, answered = find_each(model, queries)
    assert ["shard-unavailable"] * 16 == [getattr(one, "code", None) for one in refused]
    assert not isinstance(answered, BaseException)
    assert not any(answered.missing or [])
    reply = model.write(queries[-1], answered)
    assert ("missing_rows" in reply.body.decode(), reply.headers) == (False, ())
    # Five shards, asked by those without a filter and by the one with; that twice.
    assert len(executor.asked) <= 4 * 5


def test_the_pieces_of_a_request_keep_what_is_missing(model: Model, executor: Losing) -> None:
    from kneighbors.server.joining import joined

    executor.lost = {1}
    query = of(model, [300, 301, 302], k=5, allow_partial=True)
    pieces = [model.find([query.part(slice(n, n + 1))])[0] for n in range(3)]
    pieces[0] = model.find([of(model, [300], k=5, filter={"row": {"lt": 99}})])[0]
    assert [[], [(240, 479)], [(240, 479)]] == joined(pieces).missing


def test_what_may_lack_something_is_not_streamed(model: Model) -> None:
    rows = [*range(200)]
    streamed = of(model, rows, k=5, accept=JSONLINES)
    assert stream_of(model, streamed, 10) is not None
    assert stream_of(model, of(model, rows, k=5, allow_partial=True, accept=JSONLINES), 10) is None


def test_on_one_machine_it_changes_nothing(path: Path) -> None:
    body = json.dumps({"instances": X[:3].tolist(), "k": 4}).encode()
    for one in (Model.open(path), Model(making.whole(X))):
        plain = one.invoke(body, JSON)
        allowed = one.invoke(body, JSON, None, "allow_partial=true")
        assert (plain.body, plain.headers) == (allowed.body, allowed.headers)
