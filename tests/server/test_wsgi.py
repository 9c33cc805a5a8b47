"""Our front in a WSGI server answers as our own server does."""

from __future__ import annotations

import http.client
import io
import json
import os
import re
import signal
import subprocess
import sys
import wsgiref.validate
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kneighbors.artifact import save
from kneighbors.errors import ArtifactError
from kneighbors.formats import JSON, NPY
from kneighbors.sagemaker.model import Model
from kneighbors.search.index import ExactIndex
from kneighbors.search.rows import ArrayRows
from kneighbors.server import wsgi
from kneighbors.server.settings import Settings
from kneighbors.server.wsgi import Application
from support.hosted_scripts import hosted, model_folder
from support.server_process import ROOT, wait_for
from support.wire_bodies import npy_body
from support.wire_model import make_model

MODEL = make_model()
SETTINGS = Settings(max_body_bytes=2000, workers=2, threads=1)
APPLICATION = Application(MODEL, SETTINGS)
VECTOR = b"[1,2,3,4]"


def ask(
    application: Application, method: str, path: str, body: bytes = b"", **headers: Any
) -> tuple[int, dict[str, str], bytes]:
    """Call an application as a server that follows PEP 3333 to the letter."""
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": False,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        **({"CONTENT_LENGTH": str(len(body))} if body else {}),
        **headers,
    }
    started: list[Any] = []

    def start_response(status: str, fields: list[tuple[str, str]], *more: Any) -> Any:
        started[:] = [int(status.split()[0]), dict(fields)]
        return lambda data: None

    # The validator wants a content type even where there is no content.
    call = wsgiref.validate.validator(application) if method == "POST" and body else application
    answer = call(environ, start_response)
    try:
        data = b"".join(answer)
    finally:
        getattr(answer, "close", lambda: None)()
    status, fields = started
    return status, fields, data


def invoke(application: Application, body: bytes, **headers: str) -> tuple[int, Any, bytes]:
    return ask(application, "POST", "/invocations", body, **{"CONTENT_TYPE": JSON, **headers})


# An application by itself.


def test_a_query_is_answered_as_by_the_model() -> None:
    status, headers, body = invoke(APPLICATION, VECTOR)
    reply = MODEL.invoke(VECTOR, JSON)
    assert (200, reply.body) == (status, body)
    assert (JSON, str(len(body))) == (headers["Content-Type"], headers["Content-Length"])


def test_many_queries_are_answered_as_by_the_model() -> None:
    body = npy_body(np.random.default_rng(0).standard_normal((20, 4)))
    status, _, answer = invoke(APPLICATION, body, CONTENT_TYPE=NPY, HTTP_ACCEPT=NPY)
    assert (200, MODEL.invoke(body, NPY).body) == (status, answer)


@pytest.mark.parametrize("method", ["GET", "POST", "HEAD"])
def test_ping_is_200_and_empty(method: str) -> None:
    status, headers, body = ask(APPLICATION, method, "/ping")
    assert (200, b"", "0") == (status, body, headers["Content-Length"])


def test_batch_transform_is_told_how_to_call() -> None:
    status, _, body = ask(APPLICATION, "GET", "/execution-parameters")
    assert 200 == status
    assert {
        "MaxConcurrentTransforms": 2,
        "BatchStrategy": "MULTI_RECORD",
        "MaxPayloadInMB": 1,
    } == json.loads(body)


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("GET", "/invocations", 405, "POST"),
        ("HEAD", "/invocations", 405, "POST"),
        ("PUT", "/ping", 405, "GET, HEAD, POST"),
        ("POST", "/execution-parameters", 405, "GET, HEAD"),
        ("GET", "/", 404, None),
        ("GET", "/ping/", 404, None),
        ("POST", "/models", 404, None),
        ("GET", "", 404, None),
    ],
)
def test_other_methods_and_paths_are_refused(
    method: str, path: str, status: int, allow: str | None
) -> None:
    got, headers, _ = ask(APPLICATION, method, path)
    assert (status, allow) == (got, headers.get("Allow"))
    assert JSON == headers["Content-Type"]


def test_a_path_is_taken_as_it_was_written() -> None:
    assert 200 == ask(APPLICATION, "GET", "/ping", RAW_URI="/ping?a=b")[0]
    assert 404 == ask(APPLICATION, "GET", "/ping", RAW_URI="/%70ing")[0]


@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        (b"[1,", {}, 400, "body-json"),
        (b"[1,2]", {}, 400, "array-width"),
        (VECTOR, {"CONTENT_TYPE": "text/html"}, 415, "content-type-unsupported"),
        (VECTOR, {"HTTP_ACCEPT": "text/html"}, 406, "accept-unsupported"),
        (b"[" + b" " * 2000 + b"]", {}, 413, "body-too-large"),
        (VECTOR, {"HTTP_X_AMZN_SAGEMAKER_CUSTOM_ATTRIBUTES": "k=0"}, 400, "n-neighbors-range"),
        (b"", {}, 400, "body-empty"),
    ],
)
def test_a_clients_mistake_is_told_as_json(
    body: bytes, headers: dict[str, str], status: int, code: str
) -> None:
    got, fields, answer = invoke(APPLICATION, body, **headers)
    assert (status, code) == (got, json.loads(answer)["error"]["code"])
    assert JSON == fields["Content-Type"]


def test_a_body_without_a_length_is_read_to_its_end_and_no_further_than_allowed() -> None:
    chunked = {"wsgi.input_terminated": True, "CONTENT_TYPE": JSON}

    def send(body: bytes) -> int:
        environ = {**chunked, "wsgi.input": io.BytesIO(body)}
        return ask(APPLICATION, "POST", "/invocations", b"", **environ)[0]

    assert 200 == send(VECTOR)
    assert 413 == send(b"[" + b" " * 100_000)


def test_a_body_that_ends_early_is_refused() -> None:
    status, _, answer = ask(
        APPLICATION, "POST", "/invocations", b"", CONTENT_LENGTH="50", CONTENT_TYPE=JSON
    )
    assert (400, "request-framing") == (status, json.loads(answer)["error"]["code"])


def test_custom_attributes_are_heeded_and_what_is_not_ours_comes_back() -> None:
    attributes = {"HTTP_X_AMZN_SAGEMAKER_CUSTOM_ATTRIBUTES": "k=2;trace=1-5"}
    status, headers, body = invoke(APPLICATION, VECTOR, **attributes)
    assert (200, 2) == (status, len(json.loads(body)[0]))
    assert "trace=1-5" == headers["X-Amzn-SageMaker-Custom-Attributes"]


def test_a_request_keeps_its_id() -> None:
    assert "job-7" == invoke(APPLICATION, VECTOR, HTTP_X_REQUEST_ID="job-7")[1]["X-Request-Id"]
    assert 16 == len(invoke(APPLICATION, VECTOR, HTTP_X_REQUEST_ID="a b")[1]["X-Request-Id"])


def test_a_damaged_artifact_is_no_longer_healthy(tmp_path: Path) -> None:
    X = np.random.default_rng(1).standard_normal((20_000, 8)).astype(np.float32)
    save(tmp_path / "m", ExactIndex.build(ArrayRows(X), "cosine"))
    application = Application(Model.open(tmp_path / "m"), SETTINGS)
    with (tmp_path / "m" / "vectors.npy").open("r+b") as file:
        file.seek(-100, os.SEEK_END)
        file.write(b"\xff" * 4)
    query = json.dumps(X[-1].tolist()).encode()
    status, _, body = invoke(application, query)
    assert (500, "artifact-damaged") == (status, json.loads(body)["error"]["code"])
    assert str(tmp_path).encode() not in body
    assert 503 == ask(application, "GET", "/ping")[0]


def test_a_fault_tells_the_client_nothing() -> None:
    class Broken(Model):
        def read(self, *call: Any) -> Any:
            raise ZeroDivisionError("secret")

    application = Application(Broken(MODEL.index), SETTINGS)
    status, _, body = invoke(application, VECTOR)
    assert 500 == status
    assert b"secret" not in body
    assert 200 == ask(application, "GET", "/ping")[0]


def test_a_script_answers_with_its_own_status_and_headers(tmp_path: Path) -> None:
    script = """
def output_fn(prediction, accept, context):
    context.set_response_status(202)
    context.set_response_header(0, "X-Seen", "yes")
    context.set_response_header(0, "Connection", "close")
    return "x", "text/x"
def execution_parameters_fn(): return {"MaxPayloadInMB": 3}
"""
    application = Application(hosted(tmp_path, script), SETTINGS)
    status, headers, body = invoke(application, VECTOR)
    assert (202, b"x", "text/x") == (status, body, headers["Content-Type"])
    assert "yes" == headers["X-Seen"]
    assert "Connection" not in headers
    parameters = ask(application, "GET", "/execution-parameters")[2]
    assert {"MaxPayloadInMB": 3} == json.loads(parameters)


def test_what_a_script_raises_is_named(tmp_path: Path) -> None:
    application = Application(hosted(tmp_path, "def predict_fn(d, m): 1 / 0"), SETTINGS)
    status, _, body = invoke(application, VECTOR)
    error = json.loads(body)["error"]
    assert (500, "script-failed") == (status, error["code"])
    assert "ZeroDivisionError: division by zero" in error["message"]
    assert "Traceback" not in body.decode()


def test_importing_the_module_opens_nothing_and_needs_no_asgi_server() -> None:
    program = (
        "import sys, kneighbors.server.wsgi\n"
        "print({n.split('.')[0] for n in sys.modules} & "
        "{'starlette', 'uvicorn', 'gunicorn', 'flask', 'sklearn', 'pandas', 'pyarrow'} or 'none')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": str(ROOT / "src"), "SAGEMAKER_BASE_DIR": "/nonexistent"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "none" == done.stdout.strip()
    with pytest.raises(AttributeError):
        _ = wsgi.other


def test_a_model_that_cannot_be_opened_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError):
        wsgi.open_application({"KNEIGHBORS_MODEL": str(tmp_path)})


# In gunicorn, as the stock image starts it, but for the kind of its workers.


class Gunicorn:
    """gunicorn with our front, on a free port."""

    def __init__(self, folder: Path, base: Path) -> None:
        self.log = folder / "gunicorn.txt"
        variables = {
            **{name: text for name, text in os.environ.items() if not name.startswith("SAGEM")},
            "PYTHONPATH": str(ROOT / "src"),
            "SAGEMAKER_BASE_DIR": str(base),
            "SAGEMAKER_MODEL_SERVER_WORKERS": "2",
        }
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "gunicorn", "-k", "gthread", "-w", "2", "-b", "127.0.0.1:0",
                 "--no-control-socket", "kneighbors.server.wsgi:main"],
                env=variables, cwd=folder, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        self.port = 0

    def wait_until_listening(self) -> None:
        """Note the port."""

        def line() -> re.Match[str] | None:
            assert self.process.poll() is None, self.log.read_text()
            return re.search(r"Listening at: http://127\.0\.0\.1:(\d+)", self.log.read_text())

        self.port = int(wait_for(line, "gunicorn to listen")[1])

    def request(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, str | None, bytes]:
        """Return status, content type and body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return response.status, response.getheader("content-type"), response.read()
        finally:
            connection.close()


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return model_folder(tmp_path_factory.mktemp("front")).parent


@pytest.fixture(scope="module")
def front(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gunicorn]:
    running = Gunicorn(tmp_path_factory.mktemp("gunicorn"), base)
    try:
        running.wait_until_listening()
        yield running
    finally:
        running.process.send_signal(signal.SIGTERM)
        assert 0 == running.process.wait(30), running.log.read_text()


def test_the_first_ping_in_gunicorn_finds_the_model_open(front: Gunicorn) -> None:
    assert 200 == front.request("GET", "/ping")[0]


def test_the_answer_through_gunicorn_is_the_models(front: Gunicorn, base: Path) -> None:
    status, content_type, body = front.request(
        "POST", "/invocations", VECTOR, {"Content-Type": JSON, "Accept": NPY}
    )
    assert (200, NPY) == (status, content_type)
    assert Model.open(base / "model").invoke(VECTOR, JSON, NPY).body == body


def test_a_chunked_body_through_gunicorn_is_read(front: Gunicorn) -> None:
    chunks = iter([b"[1,2", b",3,4]"])
    status, _, body = front.request("POST", "/invocations", chunks, {"Content-Type": JSON})
    assert (200, 2) == (status, len(json.loads(body)))


def test_refusals_through_gunicorn_are_json(front: Gunicorn) -> None:
    for method, path, body, status in [
        ("POST", "/invocations", b"[1,", 400),
        ("GET", "/invocations", None, 405),
        ("GET", "/%70ing", None, 404),
        ("POST", "/invocations", b"x" * 7_000_000, 413),
    ]:
        got, content_type, answer = front.request(method, path, body, {"Content-Type": JSON})
        assert (status, JSON) == (got, content_type)
        assert json.loads(answer)["error"]["code"]


def test_a_model_that_cannot_be_opened_ends_gunicorn_with_one_line(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    running = Gunicorn(tmp_path, tmp_path)
    try:
        # 3 by the first worker; 1 if the second ends while gunicorn is already ending.
        assert running.process.wait(30) in {1, 3}
    finally:
        running.process.kill()
    text = running.log.read_text()
    assert "error: [artifact-" in text
    assert "Traceback" not in text.split("exited with code")[0]
