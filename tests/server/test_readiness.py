"""When the server says that it is ready, and what happens when it cannot be."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from kneighbors.artifact import pack
from kneighbors.errors import ArtifactError, ParameterRefused, StorageError
from kneighbors.server.run import listen, serve
from support.server_process import ROOT, ServerProcess, wait_for
from support.server_raw import connect, read_response

VECTOR = json.dumps([1.0] * 16).encode()


def answers(server: ServerProcess) -> bool:
    try:
        server.ping()
    except OSError:
        return False
    return True


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def test_ping_says_503_until_every_worker_has_answered_its_first_query(
    artifact: Path, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    port = free_port()
    with ServerProcess(
        tmp_path, artifact, ready=False, port=port, workers=2, gate=str(gate)
    ) as server:
        wait_for(lambda: answers(server), "the server to listen")
        for _ in range(6):  # both workers
            status, headers, body = server.request("GET", "/ping")
            assert (503, "1") == (status, headers["retry-after"])
            assert "not-ready" == json.loads(body)["error"]["code"]
            assert 503 == server.request("POST", "/invocations", VECTOR)[0]
        assert 0 == server.metric("kneighbors_ready")
        assert "" == server.out
        gate.touch()
        server.wait_until_ready()
        assert {200} == {server.ping() for _ in range(6)}
        assert 200 == server.request("POST", "/invocations", VECTOR)[0]
        assert 1 == server.metric("kneighbors_ready")


def test_one_line_says_where_it_serves(artifact: Path, tmp_path: Path) -> None:
    with ServerProcess(tmp_path, artifact, workers=2) as server:
        line = f"Serving wines on http://127.0.0.1:{server.port} (2 workers). Stop with Ctrl+C.\n"
        assert line == server.output()
        assert server.port > 0


def test_one_worker_is_no_plural(artifact: Path, tmp_path: Path) -> None:
    with ServerProcess(tmp_path, artifact, workers=1) as server:
        assert " (1 worker)." in server.out


@pytest.mark.parametrize("part", ["vectors-blocks.npy", "ids-text.npy"])
def test_a_damaged_part_keeps_ping_at_503_and_the_log_says_why(
    artifact: Path, tmp_path: Path, part: str
) -> None:
    damaged = tmp_path / "damaged"
    shutil.copytree(artifact, damaged)
    data = bytearray((damaged / part).read_bytes())
    data[-1] ^= 1
    (damaged / part).write_bytes(data)
    port = free_port()
    with ServerProcess(tmp_path, damaged, ready=False, port=port, workers=2) as server:
        wait_for(lambda: server.output().count("artifact-damaged") >= 2, "both workers to notice")
        for _ in range(6):
            status, _, body = server.request("GET", "/ping")
            assert 503 == status
            assert part not in body.decode()
        assert 503 == server.request("POST", "/invocations", VECTOR)[0]
        assert part in server.output()
        assert "Serving" not in server.out
        assert 0 == server.stop()
    assert "Traceback" not in server.output()


def test_a_block_that_is_found_damaged_later_ends_the_readiness(
    artifact: Path, tmp_path: Path
) -> None:
    damaged = tmp_path / "damaged"
    shutil.copytree(artifact, damaged)
    with (damaged / "vectors.npy").open("r+b") as file:
        file.seek(-1, 2)
        last = file.read(1)[0]
        file.seek(-1, 2)
        file.write(bytes([last ^ 1]))
    port = free_port()
    with ServerProcess(tmp_path, damaged, ready=False, port=port, workers=1) as server:
        wait_for(lambda: answers(server), "the server to listen")

        def is_found() -> bool:
            status, _, body = server.request(
                "POST", "/invocations", VECTOR, {"X-Amzn-SageMaker-Custom-Attributes": "k=400"}
            )
            assert status in (500, 503)
            return "artifact-damaged" in body.decode() or "artifact-damaged" in server.output()

        wait_for(is_found, "the damage to be found")
        assert 503 == server.ping()
        assert "vectors.npy" in server.output()


def test_a_tar_gz_is_served_and_leaves_nothing_behind(artifact: Path, tmp_path: Path) -> None:
    archive = tmp_path / "model.tar.gz"
    pack(artifact, archive)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    variables = {"TMPDIR": str(temporary)}
    with ServerProcess(tmp_path, archive, environment=variables, workers=2) as server:
        assert 200 == server.request("POST", "/invocations", VECTOR)[0]
        copies = list(temporary.rglob("vectors.npy"))
        assert 1 == len(copies)  # which the workers share
        assert 0 == server.stop()
    assert [] == list(temporary.iterdir())


def test_a_path_without_an_artifact_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(StorageError) as missing:
        serve(tmp_path / "nothing")
    assert "storage-missing" == missing.value.code
    with pytest.raises(ArtifactError) as unknown:
        serve(tmp_path)
    assert "artifact-unknown" == unknown.value.code
    text = tmp_path / "text.tar.gz"
    text.write_text("no archive")
    with pytest.raises(ArtifactError) as other:
        serve(text)
    assert ("artifact-unknown", str(text)) == (other.value.code, other.value.where)


def test_a_taken_port_is_refused_at_once(artifact: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ParameterRefused) as refused:
            serve(artifact, port=port)
        assert "port-taken" == refused.value.code
        assert str(port) in str(refused.value)


def test_a_port_of_a_server_that_has_just_stopped_is_free(artifact: Path, tmp_path: Path) -> None:
    with ServerProcess(tmp_path, artifact, workers=1) as first:
        with connect(first.port) as s:
            s.sendall(b"GET /ping HTTP/1.1\r\nHost: a\r\n\r\n")
            read_response(s)
            assert 0 == first.stop()
        with ServerProcess(tmp_path, artifact, workers=1, port=first.port) as second:
            assert 200 == second.ping()


@pytest.mark.parametrize("host", ["no.such.host.invalid", "203.0.113.7", "a..b"])
def test_an_address_that_is_not_ours_is_refused(host: str) -> None:
    with pytest.raises(ParameterRefused) as refused:
        listen(host, 0)
    assert "host-unknown" == refused.value.code


def test_ipv6_is_served(artifact: Path, tmp_path: Path) -> None:
    if not Path("/proc/net/if_inet6").exists() or "::1" not in _addresses():
        pytest.skip("this machine has no IPv6")
    with ServerProcess(tmp_path, artifact, host="::1", workers=1) as server:
        assert re.search(r"http://\[::1\]:\d+ ", server.out)
        with socket.create_connection(("::1", server.port), 5) as s:
            s.sendall(b"GET /ping HTTP/1.1\r\nHost: a\r\n\r\n")
            assert 200 == read_response(s).status


def _addresses() -> set[str]:
    try:
        listen("::1", 0).close()
    except ParameterRefused:
        return set()
    return {"::1"}


def test_listening_beyond_loopback_is_said_loudly(artifact: Path, tmp_path: Path) -> None:
    with ServerProcess(tmp_path, artifact, host="0.0.0.0", workers=1) as server:
        assert "LISTENING BEYOND THIS MACHINE" in server.output()
        assert 200 == server.ping()


def test_without_the_extra_one_line_says_how_to_get_it(artifact: Path) -> None:
    program = (
        "import sys; sys.modules['uvicorn'] = None\n"
        "from kneighbors.errors import MissingExtra\n"
        "from kneighbors.server.run import serve\n"
        f"try: serve({str(artifact)!r}, port=0)\n"
        "except MissingExtra as error: print(error.code, error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "extra-missing" in done.stdout, done.stderr
    assert "pip install 'kneighbors[serve]'" in done.stdout
