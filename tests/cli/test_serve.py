from __future__ import annotations

import io
import json
import os
import signal
import socket
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import numpy as np
import psutil
import pytest

from kneighbors.cli.container import container_settings
from kneighbors.errors import ParameterRefused
from kneighbors.items import Catalog
from kneighbors.server.settings import Settings
from support.cli_artifacts import make_corpus, save_artifact
from support.cli_run import Runner, clean_environment, run_process
from support.cli_server import Served, served

X = make_corpus()
CONTAINER = [sys.executable, "-c", "from kneighbors.cli import serve_container; serve_container()"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    path = save_artifact(tmp_path_factory.mktemp("served") / "M")
    with served(path, "--port", "0", "--workers", "1") as server:
        yield server


def npy(array: object) -> bytes:
    body = io.BytesIO()
    np.save(body, np.asarray(array))
    return body.getvalue()


def test_a_server_answers_pings_and_vectors(server: Served) -> None:
    assert server.request("GET", "/ping")[0] == 200
    status, body = server.request(
        "POST", "/invocations", npy(X[3]), Content_Type="application/x-npy"
    )
    assert status == 200
    answer = np.load(io.BytesIO(body))
    assert answer.shape == (2, 4)
    assert answer[:, 0].tolist() == [0.0, 3.0]


def test_an_artifact_and_its_server_give_one_answer(
    cli: Runner, server: Served, wines: Path, tmp_path: Path
) -> None:
    np_file = tmp_path / "q.npy"
    np.save(np_file, X[:5] + np.float32(0.25))
    for question in (
        [str(np_file), "-k", "3"],
        [str(np_file), "--radius", "0.3", "--items"],
        ["--id", "w10", "--id", "w3", "--exclude-self", "--columns", "name"],
        ["--id", "w10", "--exclude-id", "w11", "--radius", "0.5", "-k", "60"],
    ):
        here = cli("query", wines, *question)
        there = cli("query", server.url, *question)
        assert (here.code, there.code) == (0, 0), there.err
        assert there.json == here.json


def test_refusals_of_a_server_are_shown_as_they_are(cli: Runner, server: Served) -> None:
    done = cli("query", server.url, "--id", "w99")
    assert done.code == 1
    assert done.err.startswith("error: [id-unknown] ")
    assert cli("query", server.url, "--vector", "1,2", "--json").json["error"]["code"] == (
        "array-width"
    )


def test_a_server_that_is_not_there_is_named(cli: Runner) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    done = cli("query", f"http://127.0.0.1:{port}", "--vector", "1,2,3,4,5")
    assert done.code == 1
    assert done.err.startswith("error: [service-unreachable] ")
    assert str(port) in done.err


@pytest.mark.parametrize("ids", ["integers", "text"])
def test_ids_of_a_server_are_what_its_artifact_has(cli: Runner, tmp_path: Path, ids: str) -> None:
    numbers = range(100, 160)
    catalog = Catalog(60, list(numbers) if ids == "integers" else list(map(str, numbers)))
    path = save_artifact(tmp_path / "M", catalog)
    with served(path, "--port", "0", "--workers", "1") as server:
        question = ["--id", "107", "--exclude-id", "103", "-k", "5"]
        there = cli("query", server.url, *question)
        assert there.code == 0, there.err
        assert there.json == cli("query", path, *question).json
        assert there.json["predictions"][0]["ids"][0] == (107 if ids == "integers" else "107")


def test_a_server_knows_no_rows(cli: Runner) -> None:
    done = cli("query", "http://127.0.0.1:9", "--row", "7")
    assert done.code == 2
    assert "--id" in done.err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_server_with_zero(wines: Path, number: signal.Signals) -> None:
    with served(wines, "--port", "0", "--workers", "2") as server:
        assert server.stop(number) == 0


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs Linux's /proc")
def test_serving_vectors_loads_no_library_that_it_does_not_need(tmp_path: Path) -> None:
    # Attributes would need pyarrow, ids do not.
    path = save_artifact(tmp_path / "M", Catalog(60, [f"w{row}" for row in range(60)]))
    with served(path, "--port", "0", "--workers", "1") as server:
        server.request("POST", "/invocations", npy(X[3]), Content_Type="application/x-npy")
        family = [psutil.Process(server.process.pid)]
        family += family[0].children(recursive=True)
        assert len(family) == 2
        for process in family:
            mapped = Path(f"/proc/{process.pid}/maps").read_text()
            assert "numpy" in mapped
            for library in ("pyarrow", "sklearn", "scipy", "pandas"):
                assert f"/{library}/" not in mapped


def test_what_cannot_be_served_is_refused_at_once(cli: Runner, tmp_path: Path) -> None:
    done = run_process("serve", tmp_path / "none")
    assert done.code == 1
    assert done.err.startswith("error: [storage-missing] ")
    done = run_process("serve", tmp_path)
    assert done.code == 1
    assert done.err.startswith("error: [artifact-")


def test_a_taken_port_is_named(wines: Path, server: Served) -> None:
    done = run_process("serve", wines, "--port", str(server.port))
    assert done.code == 2
    assert done.err.startswith("error: [port-taken] ")


def test_every_setting_is_an_option_with_its_variable(cli: Runner) -> None:
    text = " ".join(cli("serve", "--help").out.split())
    for setting in fields(Settings):
        if setting.name != "model":
            name = f"--{setting.name.replace('_', '-')}"
            assert f"{name} " in text or f"{name}, " in text
            end = "]" if setting.default == "" else ";"
            assert f"[{setting.metadata['variable']}{end}" in text


def test_a_server_whose_tokens_are_of_no_use_does_not_start(
    cli: Runner, wines: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KNEIGHBORS_AUTH_TOKEN", "too-short")
    found = cli("serve", str(wines), "--port", "0")
    assert (2, True) == (found.code, "token-malformed" in found.err)
    assert "too-short" not in found.err + found.out


def test_a_query_brings_its_token(
    cli: Runner, wines: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = "a-token-of-a-client"
    with served(wines, "--port", "0", "--workers", "1", "--auth-token", token) as server:
        question = ("query", f"http://127.0.0.1:{server.port}", "--vector", "1,2,3,4,5")
        missing, wrong = cli(*question), cli(*question, "--token", token[::-1])
        right = cli(*question, "--token", token)
        monkeypatch.setenv("KNEIGHBORS_TOKEN", token)
        assert (0, right.json) == (right.code, cli(*question).json)
    for refused, code in ((missing, "token-missing"), (wrong, "token-unknown")):
        assert (1, True) == (refused.code, refused.err.startswith(f"error: [{code}] "))
        assert token not in refused.err


def test_a_token_on_the_command_line_gets_a_hint(cli: Runner, wines: Path) -> None:
    found = cli("serve", str(wines), "--auth-token", "short-but-secret", "--host", "no.such.")
    assert "KNEIGHBORS_AUTH_TOKEN" in found.err
    assert "short-but-secret" not in found.err + found.out


def test_a_setting_out_of_bounds_is_wrong_usage(cli: Runner, wines: Path) -> None:
    done = cli("serve", wines, "--port", "70000")
    assert done.code == 2
    assert done.err.startswith("error: [setting-range] ")


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A container's /opt/ml, somewhere else."""
    save_artifact(tmp_path / "ml" / "model")
    return tmp_path / "ml"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_container_serves_the_model_of_its_base_directory(base: Path) -> None:
    port = free_port()
    environ = clean_environment(
        SAGEMAKER_BASE_DIR=str(base),
        SAGEMAKER_BIND_TO_PORT=str(port),
        SAGEMAKER_MODEL_SERVER_WORKERS="1",
        # The tests' own machine, not all its addresses.
        KNEIGHBORS_HOST="127.0.0.1",
    )
    with served(environ=environ, command=CONTAINER) as server:
        assert server.port == port
        assert server.request("GET", "/ping")[0] == 200
        status, body = server.request(
            "POST", "/invocations", b'{"ids": ["w7"], "k": 1}', Content_Type="application/json"
        )
        assert (status, json.loads(body)["predictions"][0]["indices"]) == (200, [7])
        assert server.stop() == 0


def test_a_container_listens_on_all_addresses_unless_told_otherwise() -> None:
    found = container_settings({})
    assert (found.host, found.port, found.model) == ("0.0.0.0", 8080, "/opt/ml/model")
    assert container_settings({"KNEIGHBORS_HOST": "127.0.0.1"}).host == "127.0.0.1"
    assert container_settings({"KNEIGHBORS_MODEL": "/m"}).model == "/m"
    with pytest.raises(ParameterRefused):
        container_settings({"SAGEMAKER_BIND_TO_PORT": "http"})


def test_a_container_without_a_model_says_so(tmp_path: Path) -> None:
    environ = clean_environment(SAGEMAKER_BASE_DIR=str(tmp_path), KNEIGHBORS_HOST="127.0.0.1")
    done = run_process(environ=environ, command=CONTAINER)
    assert done.code == 1
    assert done.err.startswith("error: [storage-missing] ")
    assert str(tmp_path / "model") in done.err


def test_a_container_takes_no_arguments(base: Path) -> None:
    done = run_process("--port", "1", command=CONTAINER)
    assert (done.code, done.out) == (2, "")
    assert "error: [usage]" in done.err
    assert run_process("--help", command=CONTAINER).code == 0


def test_a_container_needs_neither_click_nor_rich(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\nsys.modules['click'] = sys.modules['rich'] = None\n"
    )
    environ = clean_environment(SAGEMAKER_BASE_DIR=str(tmp_path), KNEIGHBORS_HOST="127.0.0.1")
    environ["PYTHONPATH"] = os.pathsep.join([str(tmp_path), environ["PYTHONPATH"]])
    done = run_process(environ=environ, command=CONTAINER)
    assert done.err.startswith("error: [storage-missing] ")
