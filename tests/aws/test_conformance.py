"""One packaged model answers alike on AWS's own stacks and on ours."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from aws.comparing import is_same, media_type
from aws.differences import DIFFERENCES, HOSTS
from aws.requests import BATCH, BY_NAME, CALLS, ONE, REFUSED, X, planted
from aws.servers import Answer, Host, gunicorn_stack, multi_model_server, own_server
from kneighbors.formats import NPY
from kneighbors.sagemaker.package import Packaged, package
from kneighbors.sagemaker.packaged import FRONTS, Front
from support.artifact_making import save_small
from support.wire_bodies import read_answer


@pytest.fixture(scope="module")
def packaged(tmp_path_factory: pytest.TempPathFactory) -> dict[Front, Packaged]:
    """Package one artifact for the stock front and for ours."""
    folder = tmp_path_factory.mktemp("packaged")
    save_small(folder / "model")
    return {
        front: package(folder / "model", folder / f"{front}.tar.gz", front=front)
        for front in FRONTS
    }


@pytest.fixture(scope="module")
def own(
    packaged: dict[Front, Packaged], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Host]:
    with own_server(packaged["stock"].path, tmp_path_factory.mktemp("own")) as host:
        yield host


@pytest.fixture(scope="module")
def expected(own: Host) -> dict[str, Answer]:
    return {call.name: _ask(own, call.name) for call in CALLS}


@pytest.fixture(scope="module", params=[name for name in HOSTS if name != "own"])
def host(
    request: pytest.FixtureRequest,
    packaged: dict[Front, Packaged],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Host]:
    name, folder = request.param, tmp_path_factory.mktemp(request.param)
    stock, ours = packaged["stock"], packaged["ours"]
    ways: dict[str, Callable[[], AbstractContextManager[Host]]] = {
        "front": lambda: gunicorn_stack(name, ours.path, ours.environment, folder),
        "gunicorn": lambda: gunicorn_stack(name, stock.path, stock.environment, folder),
        "mms": lambda: multi_model_server(stock.path, stock.environment, folder, multi=False),
        "mms-multi": lambda: multi_model_server(stock.path, stock.environment, folder, multi=True),
    }
    with ways[name]() as running:
        yield running


def _ask(host: Host, name: str) -> Answer:
    call = BY_NAME[name]
    return host.request(call.method, call.path, call.body, call.headers)


def _deviation(expected: Answer, actual: Answer) -> tuple[int, str] | None:
    """Return status and content type of an answer that is not as expected."""
    is_alike = (
        expected.status == actual.status
        and media_type(expected.content_type) == media_type(actual.content_type)
        and is_same(expected.body, actual.body, expected.content_type)
    )
    return None if is_alike else (actual.status, media_type(actual.content_type))


def test_there_are_at_least_forty_requests() -> None:
    assert len(CALLS) == len(BY_NAME)
    assert len(BY_NAME) >= 40


def test_every_request_is_answered_alike_but_for_the_listed_differences(
    host: Host, expected: dict[str, Answer]
) -> None:
    found = {name: _deviation(answer, _ask(host, name)) for name, answer in expected.items()}
    listed = {
        name: (difference.status, difference.content_type)
        for name, difference in DIFFERENCES[host.name].items()
    }
    assert listed == {name: what for name, what in found.items() if what is not None}


def test_our_own_server_answers_what_scikit_learn_finds(expected: dict[str, Answer]) -> None:
    oracle = NearestNeighbors(n_neighbors=10, metric="cosine", algorithm="brute").fit(X)
    for name, queries in (("npy vector", ONE[np.newaxis]), ("npy batch", BATCH)):
        distances, rows = oracle.kneighbors(queries.astype("f8"))
        answer = read_answer(expected[name].body, NPY)
        assert rows.tolist() == [found for _, found in answer]
        np.testing.assert_allclose([found for found, _ in answer], distances, atol=1e-12)


def test_our_own_server_refuses_with_a_code(expected: dict[str, Answer]) -> None:
    statuses = {call.name: expected[call.name].status for call in REFUSED}
    assert {} == {name: status for name, status in statuses.items() if not 400 <= status < 500}


def test_an_array_of_objects_is_not_unpickled(host: Host, tmp_path: Path) -> None:
    trap = tmp_path / "sprung"
    answer = host.request("POST", "/invocations", planted(str(trap)), {"Content-Type": NPY})
    assert answer.status >= 400
    assert not trap.exists()


def test_a_trap_would_spring_if_it_were_unpickled(tmp_path: Path) -> None:
    trap = tmp_path / "sprung"
    np.load(io.BytesIO(planted(str(trap))), allow_pickle=True)
    assert trap.exists()


def test_attributes_that_are_not_ours_come_back(own: Host) -> None:
    answer = _ask(own, "foreign attributes")
    header = "X-Amzn-SageMaker-Custom-Attributes"
    assert BY_NAME["foreign attributes"].headers[header] == answer.headers.get(header.lower())
