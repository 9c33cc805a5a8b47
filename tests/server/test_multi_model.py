"""Several models in one server: loading, asking, unloading, and whoever tries to get out."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from kneighbors.artifact import save
from kneighbors.search.index import ExactIndex
from kneighbors.search.rows import ArrayRows
from kneighbors.server.memory import available_memory, memory_of
from kneighbors.server.model_routes import MODEL_ROUTES
from kneighbors.server.openapi import document
from kneighbors.server.settings import Settings
from support.server_process import ServerProcess, wait_for
from support.server_raw import exchange

N_MODELS = 4
VECTOR = json.dumps([1.0] * 8).encode()
ONE = {"X-Amzn-SageMaker-Custom-Attributes": "k=1"}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory of models; the nearest row of model n to `VECTOR` is row n."""
    root = tmp_path_factory.mktemp("store") / "models"
    for number in range(N_MODELS):
        X = np.random.default_rng(number).standard_normal((300, 8)).astype(np.float32)
        X[number] = 1.0
        (root / f"m{number}").mkdir(parents=True)
        save(root / f"m{number}" / "model", ExactIndex.build(ArrayRows(X), "euclidean"))
    return root


@pytest.fixture(scope="module")
def shared(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("multi")
    settings: dict[str, Any] = {"workers": 2, "multi_model": "true", "answer_timeout_s": 10.0}
    with ServerProcess(folder, store, log_level="info", **settings) as running:
        yield running
        assert running.stop() == 0, running.output()
        assert "Traceback" not in running.output()


@pytest.fixture
def server(shared: ServerProcess) -> Iterator[ServerProcess]:
    yield shared
    for name in loaded(shared):
        assert 200 == shared.request("DELETE", f"/models/{quote(name, safe='')}")[0]


def error_code(body: bytes) -> str:
    return str(json.loads(body)["error"]["code"])


def load(server: ServerProcess, name: object, url: object) -> tuple[int, str]:
    """Return the status, and the code of the error if there is one."""
    body = json.dumps({"model_name": name, "url": str(url) if isinstance(url, Path) else url})
    status, _, answer = server.request("POST", "/models", body.encode())
    return status, "" if status == 200 else error_code(answer)


def unload(server: ServerProcess, name: str) -> int:
    return server.request("DELETE", f"/models/{quote(name, safe='')}")[0]


def ask(server: ServerProcess, name: str) -> int:
    """Return the row that a model answers with, or minus the status."""
    path = f"/models/{quote(name, safe='')}/invoke"
    status, _, body = server.request("POST", path, VECTOR, ONE)
    return int(json.loads(body)[1][0]) if status == 200 else -status


def loaded(server: ServerProcess) -> list[str]:
    _, _, body = server.request("GET", "/models?limit=1000")
    return sorted(one["modelName"] for one in json.loads(body)["models"])


def mapped(server: ServerProcess, path: Path) -> list[str]:
    """Return what the workers have mapped, or open, below a path."""
    found = []
    for pid in server.workers():
        maps = Path(f"/proc/{pid}/maps").read_text().splitlines()
        found += [line for line in maps if str(path) in line]
        found += [
            target
            for one in Path(f"/proc/{pid}/fd").iterdir()
            if one.is_symlink() and str(path) in (target := os.readlink(one))  # noqa: PTH115
        ]
    return found


# The life of a model


def test_without_a_model_the_server_is_ready_and_says_what_to_ask(server: ServerProcess) -> None:
    assert 200 == server.ping()
    assert [] == loaded(server)
    status, _, body = server.request("POST", "/invocations", VECTOR)
    assert (404, "model-unnamed") == (status, error_code(body))
    assert 200 == server.request("GET", "/execution-parameters")[0]


def test_a_model_is_loaded_asked_described_and_unloaded(server: ServerProcess, store: Path) -> None:
    url = f"{store}/m1/model"
    assert (200, "") == load(server, "wines", url)
    described = {"modelName": "wines", "modelUrl": url}
    assert described == json.loads(server.request("GET", "/models/wines")[2])
    assert [described] == json.loads(server.request("GET", "/models")[2])["models"]
    # Connections are shared out, so both workers are asked.
    assert [1] * 8 == [ask(server, "wines") for _ in range(8)]
    assert 2 == server.metric("kneighbors_models_open")
    assert mapped(server, store / "m1")
    assert 200 == unload(server, "wines")
    assert [] == mapped(server, store / "m1")
    assert 0 == server.metric("kneighbors_models_open")
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/invoke")):
        status, _, body = server.request(method, f"/models/wines{path}", b"")
        assert (404, "model-unknown") == (status, error_code(body))


def test_two_models_are_asked_apart_and_one_has_two_names(
    server: ServerProcess, store: Path
) -> None:
    for name, number in (("a", 0), ("b", 3), ("again", 3)):
        assert (200, "") == load(server, name, store / f"m{number}" / "model")
    for _ in range(4):
        assert [0, 3, 3] == [ask(server, name) for name in ("a", "b", "again")]
    assert 200 == unload(server, "b")
    assert 3 == ask(server, "again")


def test_a_name_that_is_taken_is_refused_until_it_is_free(
    server: ServerProcess, store: Path
) -> None:
    for number in (0, 2):
        assert (200, "") == load(server, "one", store / f"m{number}" / "model")
        assert (409, "model-loaded") == load(server, "one", store / "m1" / "model")
        assert [number] * 4 == [ask(server, "one") for _ in range(4)]
        assert 200 == unload(server, "one")


def test_sagemakers_own_path_means_the_directory_of_models(server: ServerProcess) -> None:
    assert (200, "") == load(server, "a", "/opt/ml/models/m2/model")
    assert 2 == ask(server, "a")


def test_an_error_of_a_request_is_that_of_a_single_model(
    server: ServerProcess, store: Path
) -> None:
    load(server, "a", store / "m0" / "model")
    status, _, body = server.request("POST", "/models/a/invoke", b"[1, 2]")
    assert (400, "array-width") == (status, error_code(body))
    assert 200 == unload(server, "a")
    assert [] == mapped(server, store / "m0")


def test_lists_come_in_pages_in_a_fixed_order(server: ServerProcess, store: Path) -> None:
    names = [f"model-{number}" for number in range(7)]
    for name in names:
        assert (200, "") == load(server, name, store / "m0" / "model")
    found, token, pages = [], "", 0
    while pages == 0 or token:
        query = f"?limit=3&next_page_token={token}" if token else "?limit=3"
        page = json.loads(server.request("GET", f"/models{query}")[2])
        found += [one["modelName"] for one in page["models"]]
        token, pages = page.get("nextPageToken", ""), pages + 1
    assert (names, 3) == (sorted(found), pages)


@pytest.mark.parametrize(
    "query",
    [
        *("limit=0", "limit=-1", "limit=1001", "limit=1e2", "limit=", "limit=99999999999999"),
        *("next_page_token=x", "next_page_token=../../etc", "next_page_token=", "limit=%00"),
    ],
)
def test_a_page_that_cannot_be_is_refused(server: ServerProcess, query: str) -> None:
    status, _, body = server.request("GET", f"/models?{query}")
    assert (400, "model-page") == (status, error_code(body))


# What is hostile

NAMES = [
    *("..", ".", "../../etc/passwd", "a/b", "/", "a b", "%2F", "%", "%zz", "model", "invoke"),
    *("\u00e9", "e\u0301", "\u202ename", "\U0001f377", "a\nb", "\0", "a\0b", "\x7f", "CON", "-rf"),
    *("a" * 1024, "'; --", "<script>", "{name}", "lock", "*"),
]


@pytest.mark.parametrize("name", NAMES, ids=lambda name: ascii(name)[:20])
def test_a_name_is_a_key_and_never_a_path(server: ServerProcess, store: Path, name: str) -> None:
    before = sorted(store.rglob("*"))
    assert (200, "") == load(server, name, store / "m3" / "model")
    assert [name] == loaded(server)
    assert [3, 3] == [ask(server, name), ask(server, name)]
    shown = server.request("GET", f"/models/{quote(name, safe='')}")[2]
    assert name == json.loads(shown)["modelName"]
    assert 200 == unload(server, name)
    assert before == sorted(store.rglob("*"))


def test_names_that_look_alike_are_different(server: ServerProcess, store: Path) -> None:
    assert (200, "") == load(server, "\u00e9", store / "m0" / "model")
    assert (200, "") == load(server, "e\u0301", store / "m1" / "model")
    assert [0, 1, -404] == [ask(server, name) for name in ("\u00e9", "e\u0301", "e")]


@pytest.mark.parametrize("name", ["", "a" * 1025, "\u00e9" * 513, "\ud800", None, 7, ["a"], {}])
def test_a_name_that_is_none_is_refused(server: ServerProcess, store: Path, name: object) -> None:
    assert (400, "model-name") == load(server, name, store / "m0" / "model")


@pytest.mark.parametrize("path", ["/models/%ff", "/models/%C3%28/invoke", "/models/" + "a" * 1025])
def test_a_path_with_a_name_that_is_none_is_refused(server: ServerProcess, path: str) -> None:
    status, _, body = server.request("POST" if path.endswith("invoke") else "GET", path)
    assert (400, "model-name") == (status, error_code(body))


@pytest.mark.parametrize(
    "path",
    ["/models/", "/models//invoke", "/models/a/b", "/models/a/invoke/", "/models/a/b/invoke"],
)
def test_a_path_that_is_none_of_these_is_unknown(server: ServerProcess, path: str) -> None:
    status, _, body = server.request("POST", path, b"")
    assert (404, "path-unknown") == (status, error_code(body))


def test_a_url_leads_below_the_models_directory_and_nowhere_else(
    server: ServerProcess, store: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    shutil.copytree(store / "m0", outside)
    (store / "link").symlink_to(outside)
    (store / "mixed").mkdir()
    shutil.copytree(store / "m0" / "model", store / "mixed" / "model")
    (store / "mixed" / "model" / "more").symlink_to("/etc")
    (store / "within").symlink_to(store / "m2")
    (store / "loop").symlink_to(store / "loop")
    urls: list[object] = [
        *(outside / "model", store / "link" / "model", store, f"{store}/../outside", "/", "/etc"),
        *(f"{store}/m0/../../outside/model", f"{store}-evil/model", "m0/model", "", "."),
        *(f"file://{store}/m0/model", "s3://bucket/model", "\0", f"{store}/m0\0", "a" * 5000),
        *("/opt/ml/models/../../../etc", "/opt/ml/models//etc", "~", None, 7, ["x"], {"a": 1}),
        *(store / "mixed" / "model", store / "loop"),
    ]
    try:
        for url in urls:
            assert (400, "model-url") == load(server, "a", url), url
        assert (200, "") == load(server, "a", store / "within" / "model")
        assert 2 == ask(server, "a")
    finally:
        for one in ("link", "within", "loop"):
            (store / one).unlink()
        shutil.rmtree(store / "mixed")


@pytest.mark.parametrize("url", ["none/model", "m0/nothing", "m0/model/manifest.json"])
def test_a_url_with_nothing_there_is_404(server: ServerProcess, store: Path, url: str) -> None:
    assert (404, "model-missing") == load(server, "a", store / url)
    assert [] == loaded(server)


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"null", b'"a"', b"{", b"\xff", b"[" * 100_000, b"{}", b'{"url": "/"}']
)
def test_a_body_that_names_no_model_is_refused(server: ServerProcess, body: bytes) -> None:
    status, _, answer = server.request("POST", "/models", body)
    assert 400 == status
    assert error_code(answer) in ("model-request", "model-name")


def test_a_damaged_model_is_refused_and_the_others_go_on(
    server: ServerProcess, store: Path
) -> None:
    shutil.copytree(store / "m0", store / "bad")
    try:
        part = store / "bad" / "model" / "vectors-blocks.npy"
        data = bytearray(part.read_bytes())
        data[-1] ^= 1
        part.write_bytes(data)
        assert (200, "") == load(server, "good", store / "m1" / "model")
        assert (500, "model-failed") == load(server, "bad", store / "bad" / "model")
        (store / "bad" / "model" / "manifest.json").write_text("{}")
        assert (500, "model-failed") == load(server, "bad", store / "bad" / "model")
        assert "artifact-" in server.output()
        assert ["good"] == loaded(server)
        assert [] == mapped(server, store / "bad")
        assert {200} == {server.ping() for _ in range(4)}
        assert 1 == ask(server, "good")
    finally:
        shutil.rmtree(store / "bad")


def test_models_do_not_make_the_metrics_grow(server: ServerProcess, store: Path) -> None:
    def samples() -> int:
        return server.request("GET", "/metrics")[2].count(b"\n")

    def use(name: str) -> None:
        load(server, name, store / "m0" / "model")
        ask(server, name)
        ask(server, name + "?")
        unload(server, name)

    use("first")
    samples()  # which is a request as well, and counted from the next time on
    before = samples()
    for number in range(10):
        use(f"model-{number}")
    assert before == samples()
    assert 10 <= server.metric('kneighbors_requests_total{route="model-invoke",status="200"}')


def test_a_wrong_method_gets_405(server: ServerProcess) -> None:
    for path, allowed in (
        ("/models", "GET, HEAD, POST"),
        ("/models/a", "DELETE, GET, HEAD"),
        ("/models/a/invoke", "POST"),
    ):
        status, headers, _ = server.request("PATCH", path)
        assert (405, allowed) == (status, headers["allow"])


def test_the_answer_to_head_has_no_body(server: ServerProcess) -> None:
    (response,) = exchange(
        server.port, b"GET /models HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    )
    status, headers, body = server.request("HEAD", "/models")
    assert (200, b"") == (status, body)
    assert response.headers["content-length"] == headers["content-length"]


def test_the_document_describes_the_paths_of_several_models(
    server: ServerProcess, store: Path
) -> None:
    spec = json.loads(server.request("GET", "/openapi.json")[2])
    OpenAPIV31SpecValidator(spec).validate()
    paths = {
        (path, method.upper())
        for path, its in spec["paths"].items()
        for method in its
        if path.startswith("/models") and method != "parameters"
    }
    expected = {
        (route.path.replace("{name}", "{model_name}"), method)
        for route in MODEL_ROUTES
        for method in (route.methods or set()) - {"HEAD"}
    }
    assert expected == paths
    assert {404, 409, 507, 400, 500} <= set(map(int, spec["paths"]["/models"]["post"]["responses"]))
    assert "404" in spec["paths"]["/invocations"]["post"]["responses"]
    assert "404" not in spec["paths"]["/ping"]["get"]["responses"]


# Several at a time


def test_of_several_loads_of_one_name_one_is_done(server: ServerProcess, store: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        tried = [pool.submit(load, server, "one", store / "m1" / "model") for _ in range(8)]
        statuses = sorted(one.result()[0] for one in tried)
        assert [200] + [409] * 7 == statuses
        gone = [pool.submit(unload, server, "one") for _ in range(8)]
        assert [200] + [404] * 7 == sorted(one.result() for one in gone)
    assert [] == mapped(server, store / "m1")


def test_models_are_loaded_asked_and_unloaded_at_once(server: ServerProcess, store: Path) -> None:
    assert (200, "") == load(server, "steady", store / "m0" / "model")
    stop = threading.Event()

    def steady() -> int:
        count = 0
        while not stop.is_set():
            assert 0 == ask(server, "steady")
            count += 1
        return count

    def comes_and_goes(number: int) -> None:
        name = f"guest-{number}"
        for _ in range(8):
            assert (200, "") == load(server, name, store / f"m{number}" / "model")
            # What is loaded by one worker is there for every other one.
            assert [number] * 3 == [ask(server, name) for _ in range(3)]
            assert 200 == unload(server, name)
            assert -404 == ask(server, name)

    def asks_in_vain() -> set[int]:
        found = set()
        while not stop.is_set():
            found.add(ask(server, "guest-1"))
        return found

    with ThreadPoolExecutor(8) as pool:
        background = pool.submit(steady), pool.submit(asks_in_vain)
        try:
            for guest in [pool.submit(comes_and_goes, number) for number in (1, 2, 3)]:
                guest.result()
        finally:
            stop.set()
        assert background[0].result() > 0
        assert background[1].result() <= {1, -404}
    assert ["steady"] == loaded(server)
    for number in (1, 2, 3):
        assert [] == mapped(server, store / f"m{number}")


def test_a_worker_that_dies_holds_nothing_and_its_successor_knows_all(
    store: Path, tmp_path: Path
) -> None:
    with ServerProcess(tmp_path, store, workers=2, multi_model="true") as server:
        assert (200, "") == load(server, "a", store / "m1" / "model")
        assert [1] * 6 == [ask(server, "a") for _ in range(6)]
        before = server.workers()
        os.kill(before[0], signal.SIGKILL)
        wait_for(lambda: len(set(server.workers()) - set(before)) == 1, "another worker")
        wait_for(lambda: server.metric("kneighbors_workers_ready") == 2, "it to be ready")
        assert [1] * 6 == [ask(server, "a") for _ in range(6)]
        assert 200 == unload(server, "a")
        assert [] == mapped(server, store)
        assert 0 == server.stop()


SCRIPT = """
import pathlib, time

def model_fn(model_dir):
    return float(pathlib.Path(model_dir, "seconds.txt").read_text())

def transform_fn(model, body, content_type, accept):
    time.sleep(model)
    return body, "text/plain"
"""


@pytest.fixture
def slow(tmp_path: Path) -> Path:
    """A model that a script answers for: after one second, with the request."""
    folder = tmp_path / "models" / "slow" / "model"
    (folder / "code").mkdir(parents=True)
    (folder / "code" / "inference.py").write_text(SCRIPT)
    (folder / "seconds.txt").write_text("1")
    return folder


def test_a_model_that_is_unloaded_answers_what_is_in_flight_first(
    slow: Path, tmp_path: Path
) -> None:
    (slow / "seconds.txt").write_text("2")
    settings: dict[str, Any] = {"workers": 2, "multi_model": "true", "environ": {}}
    with (
        ServerProcess(tmp_path, tmp_path / "models", **settings) as server,
        ThreadPoolExecutor(5) as pool,
    ):
        assert (200, "") == load(server, "a", slow)
        asked = [
            pool.submit(server.request, "POST", "/models/a/invoke", b"hello") for _ in range(4)
        ]
        wait_for(lambda: server.metric("kneighbors_in_flight") == 5, "them to be in flight")
        wait_for(lambda: server.metric("kneighbors_models_open") == 2, "both to have it open")
        gone = pool.submit(unload, server, "a")
        wait_for(lambda: server.request("GET", "/models/a")[0] == 404, "the model to be gone")
        assert -404 == ask(server, "a")
        assert not any(one.done() for one in asked)
        assert [(200, b"hello")] * 4 == [one.result()[::2] for one in asked]
        assert 200 == gone.result()
        assert 0 == server.stop()
        assert "Traceback" not in server.output()


def test_a_model_that_is_busy_for_too_long_is_gone_for_new_requests_and_freed_later(
    slow: Path, tmp_path: Path
) -> None:
    (slow / "seconds.txt").write_text("2")
    settings: dict[str, Any] = {
        **{"workers": 1, "multi_model": "true", "environ": {}},
        "answer_timeout_s": 0.5,
    }
    with ServerProcess(tmp_path, tmp_path / "models", **settings) as server:
        assert (200, "") == load(server, "a", slow)
        status, _, body = server.request("POST", "/models/a/invoke", b"hello")
        assert (503, "answer-timeout") == (status, error_code(body))
        # The client has been told, but the script goes on.
        status, _, body = server.request("DELETE", "/models/a")
        assert (503, "model-busy") == (status, error_code(body))
        assert -404 == ask(server, "a")
        assert (200, "") == load(server, "a", slow)
        assert 200 == unload(server, "a")
        assert 0 == server.stop()


# Memory


def test_a_model_costs_what_is_resident_and_not_its_vectors(store: Path, tmp_path: Path) -> None:
    folder = store / "m0" / "model"
    resident = sum(one.stat().st_size for one in folder.glob("*.npy") if one.name != "vectors.npy")
    assert resident == memory_of(folder, 2) == memory_of(folder, 8)
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "inference.py").write_text("x" * 100)
    assert 300 == memory_of(tmp_path, 3)  # whatever a script makes of it, in each worker
    assert 1 << 20 < available_memory() < 1 << 50


def test_a_model_that_does_not_fit_gets_507_until_another_is_unloaded(
    store: Path, tmp_path: Path
) -> None:
    cost = memory_of(store / "m0" / "model", 2)
    settings: dict[str, Any] = {
        "workers": 2,
        "multi_model": "true",
        "model_memory_bytes": 2 * cost + 100,
    }
    with ServerProcess(tmp_path, store, **settings) as server:
        assert (200, "") == load(server, "a", store / "m0" / "model")
        assert (200, "") == load(server, "b", store / "m1" / "model")
        assert (507, "models-full") == load(server, "c", store / "m2" / "model")
        assert ["a", "b"] == loaded(server)
        assert 200 == unload(server, "a")
        assert (200, "") == load(server, "c", store / "m2" / "model")
        assert 2 == ask(server, "c")
        assert 0 == server.stop()
        assert "Traceback" not in server.output()


def test_told_to_the_server_unloads_what_was_not_used_for_longest(
    store: Path, tmp_path: Path
) -> None:
    cost = memory_of(store / "m0" / "model", 2)
    settings: dict[str, Any] = {
        **{"workers": 2, "multi_model": "true", "when_full": "unload"},
        "model_memory_bytes": 2 * cost + 100,
    }
    with ServerProcess(tmp_path, store, **settings) as server:
        assert (200, "") == load(server, "a", store / "m0" / "model")
        assert (200, "") == load(server, "b", store / "m1" / "model")
        assert 0 == ask(server, "a")
        assert (200, "") == load(server, "c", store / "m2" / "model")
        assert ["a", "c"] == loaded(server)
        assert [] == mapped(server, store / "m1")
        assert [0, -404, 2] == [ask(server, name) for name in "abc"]
        assert 0 == server.stop()


def test_a_model_larger_than_all_memory_unloads_nothing(store: Path, tmp_path: Path) -> None:
    cost = memory_of(store / "m0" / "model", 1)
    (store / "big").mkdir()
    try:
        (store / "big" / "inference.py").write_text("x" * (3 * cost))
        settings: dict[str, Any] = {
            **{"workers": 1, "multi_model": "true", "when_full": "unload"},
            "model_memory_bytes": 2 * cost,
        }
        with ServerProcess(tmp_path, store, **settings) as server:
            assert (200, "") == load(server, "a", store / "m0" / "model")
            assert (507, "models-full") == load(server, "b", store / "big")
            assert ["a"] == loaded(server)
    finally:
        shutil.rmtree(store / "big")


@pytest.mark.slow
def test_a_thousand_models_come_and_go_in_bounded_memory(store: Path, tmp_path: Path) -> None:
    cost = memory_of(store / "m0" / "model", 2)
    settings: dict[str, Any] = {
        **{"workers": 2, "multi_model": "true", "when_full": "unload"},
        "model_memory_bytes": 20 * cost,
    }
    with ServerProcess(tmp_path, store, **settings) as server:
        for number in range(1000):
            name = f"model-{number}"
            assert (200, "") == load(server, name, store / f"m{number % N_MODELS}" / "model")
            assert number % N_MODELS == ask(server, name)
        assert 20 == len(loaded(server))
        for pid in server.workers():
            assert len(list(Path(f"/proc/{pid}/fd").iterdir())) < 400
        assert 0 == server.stop()
        assert "Traceback" not in server.output()


def test_settings_of_one_model_leave_the_paths_of_many_unknown(artifact: Path) -> None:
    assert "/models" not in document(Settings(model=str(artifact)))["paths"]
