"""The client against a real HTTP server that answers from a real model."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kneighbors
from kneighbors.client import Client, Neighbors, ServiceAnswerError
from kneighbors.errors import ArrayRefused, KNeighborsError, ParameterRefused, ServiceError
from kneighbors.formats import Limits
from kneighbors.sagemaker.model import Model
from kneighbors.shards import open_sharded
from support import shards_making
from support.shards_losing import Losing
from support.wire_model import IDS, ITEMS, corpus, expected, make_model
from support.wire_server import Service, closed_port, serving

X = corpus()
Q = np.random.default_rng(5).standard_normal((7, 4))
SMALL_LIMITS = Limits(max_rows=3, max_answers=10, max_ids=400)


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with serving(make_model()) as running:
        yield running


@pytest.fixture
def client(service: Service) -> Iterator[Client]:
    with Client(service.url) as opened:
        service.requests.clear()
        service.connections.clear()
        yield opened


@pytest.mark.parametrize("dtype", ["f4", "f8", "f2", ">f8", "i4"])
def test_a_batch_gets_matrices(client: Client, dtype: str) -> None:
    queries = (Q * 3).astype(dtype)
    distances, indices = client.kneighbors(queries, n_neighbors=5)
    assert (distances.shape, distances.dtype.name) == ((7, 5), "float64")
    assert (indices.shape, indices.dtype.name) == ((7, 5), "int64")
    for q, found, rows in zip(queries, distances, indices, strict=True):
        true_distances, true_rows = expected(X, q, 5)
        assert true_rows == rows.tolist()
        np.testing.assert_allclose(true_distances, found, rtol=1e-12, atol=1e-14)


def test_a_lone_vector_gets_vectors(client: Client) -> None:
    distances, indices = client.kneighbors(Q[0].tolist(), 5)
    assert (distances.shape, indices.shape) == ((5,), (5,))
    assert expected(X, Q[0], 5)[1] == indices.tolist()


def test_without_a_number_the_server_decides(client: Client) -> None:
    assert client.kneighbors(Q)[0].shape == (7, 10)


def test_no_queries_need_no_request(client: Client, service: Service) -> None:
    distances, indices = client.kneighbors(np.empty((0, 4)), 5)
    assert (distances.shape, indices.shape) == ((0, 5), (0, 5))
    assert client.query(ids=[]) == []
    assert service.requests == []


@pytest.mark.parametrize("excluded", [["w00", "w05"], ["w00"] * 200, np.array(["w00"])])
def test_excluded_ids_are_no_answers(client: Client, excluded: Any, service: Service) -> None:
    _, indices = client.kneighbors(Q, 5, exclude_ids=excluded)
    rows = tuple({int(one[1:]) for one in excluded})
    assert [expected(X, q, 5, exclude=rows)[1] for q in Q] == indices.tolist()
    # A header has room for 1,024 characters; what is longer goes into a JSON body.
    as_json = service.requests[-1]["Content-Type"] == "application/json"
    assert as_json == (len(excluded) > 100)


@pytest.mark.parametrize("ids", [["a;b", "c,d%"], ["é\u2028", '"\\'], [";k=1"]])
def test_awkward_ids_survive_the_header(ids: list[str]) -> None:
    model = make_model(ids=[*ids, *IDS[len(ids) :]])
    with serving(model) as running, Client(running.url) as client:
        _, indices = client.kneighbors(Q, 4, exclude_ids=ids)
        assert running.requests[-1]["Content-Type"] == "application/x-npy"
    assert not np.isin(indices, range(len(ids))).any()


def test_too_few_left_is_an_error_for_matrices_and_an_answer_for_lists(client: Client) -> None:
    for excluded in (IDS[:3], IDS[:3] * 60):
        with pytest.raises(ServiceError, match=r"fewer|lengths") as caught:
            client.kneighbors(Q, 10, exclude_ids=excluded)
        assert caught.value.code == "accept-ragged"
    found = client.query(vectors=Q, n_neighbors=10, exclude_ids=IDS[:3])
    assert [(len(one), one.reason) for one in found] == [(9, "excluded")] * 7


def test_a_query_by_id_gets_ids_and_attributes(client: Client) -> None:
    first, second = client.query(
        ids=["w10", "w03"], n_neighbors=3, exclude_self=True, include_items=["name"]
    )
    assert isinstance(first, Neighbors)
    for own, one in ((10, first), (3, second)):
        true_distances, rows = expected(X, X[own], 3, exclude=(own,))
        assert rows == one.indices.tolist()
        assert [IDS[row] for row in rows] == one.ids
        assert [{"name": ITEMS["name"][row]} for row in rows] == one.items
        np.testing.assert_allclose(true_distances, one.distances, atol=1e-14)
        assert one.reason is None
        assert len(one) == 3
    (everything,) = client.query(ids=["w00"], n_neighbors=1, include_items=True)
    assert everything.items == [{"name": "Château n° 0", "price": 0.0}]


def test_a_radius_gets_lists_of_different_lengths(client: Client) -> None:
    found = client.query(vectors=Q, radius=0.5)
    assert [expected(X, q, 12, radius=0.5)[1] for q in Q] == [one.indices.tolist() for one in found]
    (lone,) = client.query(vectors=Q[0], radius=0.5, n_neighbors=12)
    assert lone.reason == "radius"
    assert lone.items is None


def test_either_ids_or_vectors_are_asked_for(client: Client) -> None:
    both: dict[str, Any] = {"ids": ["w00"], "vectors": Q}
    for wrong in ({}, both):
        with pytest.raises(ParameterRefused) as caught:
            client.query(**wrong)
        assert caught.value.code == "query-conflict"
    with pytest.raises(ParameterRefused):
        client.query(ids="w00")


@pytest.mark.parametrize("rows", [1, 2, 3, 100])
def test_a_batch_beyond_the_limits_is_sent_in_parts(service: Service, rows: int) -> None:
    service.requests.clear()
    with Client(service.url, max_rows=rows) as client:
        distances, indices = client.kneighbors(Q, 3)
        found = client.query(vectors=Q, n_neighbors=3)
    assert [expected(X, q, 3)[1] for q in Q] == indices.tolist()
    assert indices.tolist() == [one.indices.tolist() for one in found]
    assert distances.tolist() == [one.distances.tolist() for one in found]
    assert len(service.requests) == 2 * -(-7 // rows)


def test_no_request_is_larger_than_the_limit(service: Service) -> None:
    service.requests.clear()
    queries = np.random.default_rng(1).standard_normal((1_000, 4))
    with Client(service.url, max_body_bytes=10_000) as client:
        distances, _ = client.kneighbors(queries, 2)
        client.query(vectors=queries[:300], n_neighbors=2)
        client.query(ids=IDS * 100, n_neighbors=2)
    assert len(distances) == 1_000
    assert max(one["bytes"] for one in service.requests) <= 10_000
    assert 10 < len(service.requests) < 60


def test_a_part_that_the_server_finds_too_large_is_halved() -> None:
    with serving(make_model(limits=SMALL_LIMITS)) as running, Client(running.url) as client:
        _, indices = client.kneighbors(Q, 4)
        found = client.query(ids=IDS, n_neighbors=4)
        assert [expected(X, q, 4)[1] for q in Q] == indices.tolist()
        assert [one.ids[0] for one in found][:10] == IDS[:10]
        with pytest.raises(ServiceError) as caught:
            client.kneighbors(Q[0], 11)  # one query alone cannot be halved
        assert caught.value.code == "answer-too-large"


def test_a_refusal_has_code_message_place_and_status(client: Client) -> None:
    with pytest.raises(ServiceAnswerError, match="Q has 3 features") as caught:
        client.kneighbors(Q[:, :3])
    error = caught.value
    assert (error.code, error.status, error.where) == ("array-width", 400, None)
    with pytest.raises(ServiceAnswerError) as caught:
        client.query(ids=["w00", "w99"])
    assert (caught.value.code, caught.value.where) == ("id-unknown", "position 1 of the ids")
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (str(copy), copy.status) == (str(caught.value), 400)


def test_a_refusal_of_a_later_part_says_where_it_counts_from(service: Service) -> None:
    with Client(service.url, max_rows=5) as client, pytest.raises(ServiceError) as caught:
        client.query(ids=[*IDS, "nobody"])
    assert caught.value.where == "position 2 of the ids, counted from query 10"


@pytest.mark.parametrize(
    ("queries", "code"),
    [
        ([[1, 2, 3, float("nan")]], "array-not-finite"),
        ([[1, 2, 3, 4], [1, 2]], "array-ragged"),
        ([["a", "b"]], "array-dtype"),
        (np.ones((1, 1, 4)), "array-shape"),
        (5, "array-shape"),
        (np.ones((2, 4), complex), "array-dtype"),
        ([], "array-empty"),
    ],
    ids=["nan", "ragged", "text", "3-d", "0-d", "complex", "empty"],
)
def test_what_is_no_matrix_is_refused_unsent(
    client: Client, service: Service, queries: Any, code: str
) -> None:
    with pytest.raises(ArrayRefused) as caught:
        client.kneighbors(queries)
    assert caught.value.code == code
    assert service.requests == []


def test_ping_tells_whether_the_service_is_there(client: Client) -> None:
    assert client.ping()
    with Client(f"http://127.0.0.1:{closed_port()}") as nobody:
        assert not nobody.ping()


@pytest.mark.parametrize("tail", ["", "/", "/invocations", "/invocations/"])
def test_the_address_may_have_a_path(tail: str) -> None:
    with (
        serving(make_model(), prefix="/team/wines") as running,
        Client(running.url + tail) as client,
    ):
        assert client.ping()
        client.kneighbors(Q)
        assert running.requests[0]["path"] == "/team/wines/invocations"
        assert running.url == client.url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "127.0.0.1:8080",
        "ftp://x",
        "http://",
        "http://x?y=1",
        "http://u:p@x",
        "http://x:99999",
        5,
    ],
)
def test_an_address_that_is_none_is_refused(url: Any) -> None:
    with pytest.raises(ParameterRefused) as caught:
        Client(url)
    assert caught.value.code == "url-malformed"


@pytest.mark.parametrize("timeouts", [{"timeout": 0}, {"connect_timeout": -1}, {"timeout": "x"}])
def test_a_timeout_is_a_positive_number(timeouts: dict[str, Any]) -> None:
    with pytest.raises(ParameterRefused) as caught:
        Client("http://x", **timeouts)
    assert caught.value.code == "timeout-range"


def test_headers_go_with_every_request(service: Service) -> None:
    with Client(service.url, headers={"Authorization": "Bearer abc"}) as client:
        client.kneighbors(Q)
    assert service.requests[-1]["Authorization"] == "Bearer abc"


@pytest.mark.parametrize("name", ["X-Token", "X Token", "", "X:"])
def test_a_header_that_would_break_the_request_is_refused_unshown(name: str) -> None:
    value = "geheim\r\nX-Other: 1" if name == "X-Token" else "geheim"
    with pytest.raises(ParameterRefused) as caught:
        Client("http://x", headers={name: value})
    assert caught.value.code == "header-malformed"
    assert "geheim" not in str(caught.value)


def test_connections_are_kept_and_shared_by_threads(client: Client, service: Service) -> None:
    for _ in range(20):
        client.kneighbors(Q, 3)
    assert len(service.connections) == 1
    truth = [expected(X, q, 3)[1] for q in Q]
    wrong: list[Any] = []

    def ask() -> None:
        for number in range(20):
            _, indices = client.kneighbors(np.roll(Q, number, axis=0), 3)
            if np.roll(truth, number, axis=0).tolist() != indices.tolist():
                wrong.append(indices)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len(service.requests) == 20 + 8 * 20
    assert len(service.connections) <= 9


def test_the_client_is_a_public_name() -> None:
    assert kneighbors.Client is Client


def test_without_urllib3_the_error_says_how_to_install_it() -> None:
    program = """
import sys
sys.modules["urllib3"] = None
from kneighbors import Client
from kneighbors.errors import MissingExtra
try:
    Client("http://127.0.0.1:8080")
except MissingExtra as error:
    assert "kneighbors[client]" in str(error)
else:
    raise SystemExit("not refused")
"""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_every_error_of_the_client_is_one_of_ours(client: Client) -> None:
    for document in ({"n_neighbors": 0}, {"n_neighbors": 13}, {"radius": -1.0}):
        with pytest.raises(KNeighborsError):
            client.query(ids=["w00"], **document)
    assert json.dumps(client.query(ids=["w00"])[0].ids)


def test_a_query_by_example_is_answered_as_the_model_answers_it(
    client: Client, service: Service
) -> None:
    vector = np.array([0.5, 1.0, 0.0, -1.0], dtype="f4")
    found = client.recommend(
        like={"w03": 2.0, "w04": 1.0},
        dislike=["w07", vector],
        n_neighbors=4,
        filter={"price": {"lt": 9}},
        diversity=0.2,
        explain=True,
        include_items=["name"],
    )
    like = [{"id": "w03", "weight": 2.0}, {"id": "w04"}]
    body = {"like": like, "dislike": ["w07", vector.tolist()], "k": 4, "explain": True}
    body |= {"filter": {"price": {"lt": 9}}, "diversity": 0.2, "include_items": ["name"]}
    reply = make_model().invoke(json.dumps(body).encode(), "application/json")
    (told,) = json.loads(reply.body)["predictions"]
    assert (told["ids"], told["distances"]) == (found.ids, found.distances.tolist())
    assert (told["items"], told["explanations"]) == (found.items, found.explanations)
    assert len(service.requests) == 1


def test_why_a_query_by_example_finds_less_comes_back(client: Client) -> None:
    found = client.recommend(like=["w03"], filter={"price": {"lt": 0}}, n_neighbors=2)
    assert (0, "filter") == (found.n_found, found.reason)
    assert found.detail
    alone = client.recommend(like=["w03"], exclude_self=False, include_ids=["w03"], n_neighbors=2)
    assert (["w03"], "included") == (alone.ids, alone.reason)


def test_what_no_server_would_take_is_not_sent(client: Client, service: Service) -> None:
    for like in ({"w03": -1.0}, "w03", ["w" * 2000]):
        with pytest.raises(KNeighborsError):
            client.recommend(like=like)
    assert service.requests == []


def test_answers_say_which_rows_they_lack(tmp_path: Path) -> None:
    rows = shards_making.corpus()
    shards_making.write(tmp_path / "M", rows)
    executor = Losing(tmp_path / "M")
    model = Model.of_artifact(open_sharded(tmp_path / "M", executor=executor))
    executor.lost = {1}
    with serving(model) as running, Client(running.url) as client:
        (found,) = client.query(vectors=rows[300], n_neighbors=3, allow_partial=True)
        assert found.missing_rows == [(240, 479)]
        with pytest.raises(ServiceAnswerError) as caught:
            client.query(vectors=rows[300], n_neighbors=3)
        assert caught.value.code == "shard-unavailable"
        executor.lost = set()
        (found,) = client.query(vectors=rows[300], n_neighbors=3, allow_partial=True)
        assert found.missing_rows is None
