"""Ways to host one packaged model: AWS's own stacks, ours within them, and ours alone."""

from __future__ import annotations

import contextlib
import http.client
import os
import random
import signal
import socket
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from aws.environments import ROOT, STOCK, overlay, plain_variables
from support.server_process import wait_for

#: AWS gives a container eight minutes; all that is slow here is pip and Java.
START_S = 120.0
MODEL_NAME = "knn"


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    content_type: str
    body: bytes
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Host:
    """A server that answers.

    Parameters
    ----------
    name : str
        One of `HOSTS`.
    port : int
    log : Path
        What its processes write.
    invocations : str
        Where queries go.
    pid : int
        Of the process that was started.
    start_s : float
        Seconds from its start to the first ping that found it ready.
    """

    name: str
    port: int
    log: Path
    invocations: str = "/invocations"
    pid: int = 0
    start_s: float = 0.0

    def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 60,
    ) -> Answer:
        """Send a request over a connection of its own."""
        path = self.invocations if path == "/invocations" else path
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout_s)
        try:
            connection.request(method, path, body, dict(headers or {}))
            response = connection.getresponse()
            fields = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, fields.get("content-type", ""), response.read(), fields)
        finally:
            connection.close()


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def free_short_port() -> int:
    """Return a port of four digits that nothing listens on: AWS's server takes no longer ones."""
    for port in random.sample(range(2000, 9000), 100):
        with socket.socket() as s, contextlib.suppress(OSError):
            s.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")


def unpacked(archive: Path, folder: Path) -> Path:
    """Unpack a model as the platform does, before a container starts; return the model's folder."""
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    return folder


def rerooted(environment: Mapping[str, str], base: Path) -> dict[str, str]:
    """Return a container's variables with another folder in place of /opt/ml."""
    return {name: value.replace("/opt/ml", str(base)) for name, value in environment.items()}


@contextmanager
def running(
    name: str,
    command: Sequence[str],
    environment: Mapping[str, str],
    folder: Path,
    port: int,
    is_ready: Callable[[Host], bool],
    invocations: str = "/invocations",
) -> Iterator[Host]:
    """Run a server in a process group of its own, and end the whole group afterwards."""
    host = Host(name, port, folder / "log.txt", invocations)
    began = time.monotonic()
    with host.log.open("wb") as log:
        process = subprocess.Popen(
            list(command), env=dict(environment), cwd=folder, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def answers() -> bool:
        assert process.poll() is None, f"{name} ended: {host.log.read_text('utf-8', 'replace')}"
        try:
            return is_ready(host)
        except (OSError, http.client.HTTPException):
            return False

    try:
        wait_for(answers, f"{name}, which says: {host.log}", START_S)
        yield replace(host, pid=process.pid, start_s=time.monotonic() - began)
    finally:
        end_group(process)


def end_group(process: subprocess.Popen[bytes]) -> None:
    """End a process and all it has started: some leave their children behind."""
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(20)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def pings(host: Host) -> bool:
    """Tell whether /ping says that the server is ready."""
    return host.request("GET", "/ping", timeout_s=START_S).status == 200


# The ways.


@contextmanager
def gunicorn_stack(
    name: str, archive: Path, environment: Mapping[str, str], folder: Path, workers: int = 2
) -> Iterator[Host]:
    """Start what ``serve`` starts in the stock image: gunicorn with gevent, without nginx."""
    binaries = overlay("containers", folder)
    _listen_on_this_machine_only(binaries / "gunicorn")
    base, port = folder / "opt/ml", free_port()
    unpacked(archive, base / "model")
    variables = {
        "SAGEMAKER_SERVING_MODULE": "stock_serving:main",
        **rerooted(environment, base),
        "SAGEMAKER_BASE_DIR": str(base),
        "SAGEMAKER_BIND_TO_PORT": str(port),
        "SAGEMAKER_MODEL_SERVER_WORKERS": str(workers),
        "SAGEMAKER_USE_NGINX": "false",
        "PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION": "python",
        "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}",
        # A container without a network: what is not there is not fetched.
        "PIP_NO_INDEX": "1",
        "PIP_NO_BUILD_ISOLATION": "0",
    }
    ahead = [str(STOCK), variables.get("PYTHONPATH", "")]
    variables["PYTHONPATH"] = os.pathsep.join(part for part in ahead if part)
    command = [str(binaries / "serve")]
    with running(name, command, plain_variables() | variables, folder, port, pings) as host:
        yield host


def _listen_on_this_machine_only(gunicorn: Path) -> None:
    first, rest = gunicorn.read_text().split("\n", 1)
    local = "import sys\nsys.argv = [a.replace('0.0.0.0:', '127.0.0.1:') for a in sys.argv]\n"
    gunicorn.write_text(f"{first}\n{local}{rest}")


@contextmanager
def multi_model_server(
    archive: Path, environment: Mapping[str, str], folder: Path, *, multi: bool
) -> Iterator[Host]:
    """Start AWS's multi-model-server, with the settings that its toolkit would write."""
    binaries = overlay("inference", folder)
    port, management = free_short_port(), free_short_port()
    model = unpacked(archive, folder / "opt/ml" / ("models/one/model" if multi else "model"))
    settings = {
        "default_service_handler": "sagemaker_inference.default_handler_service:handle",
        "default_workers_per_model": 2,
        "inference_address": f"http://127.0.0.1:{port}",
        "management_address": f"http://127.0.0.1:{port if multi else management}",
        "decode_input_request": "false",
        "enable_envvars_config": "true",
        "max_request_size": 6291456,
        "vmargs": "-XX:-UseContainerSupport -Xmx256m",
    }
    config = folder / "mms.properties"
    config.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    command = [
        *(str(binaries / "multi-model-server"), "--start", "--foreground"),
        *("--model-store", "/", "--mms-config", str(config)),
    ]
    if not multi:
        command += ["--models", f"{MODEL_NAME}={model}"]
    scratch = folder / "tmp"
    scratch.mkdir()
    variables = {
        **rerooted(environment, folder / "opt/ml"),
        "SAGEMAKER_BASE_DIR": str(folder / "opt/ml"),
        "SAGEMAKER_MULTI_MODEL": str(multi).lower(),
        "PYTHONPATH": str(model / "code"),
        "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}",
        # Its pid file and its sockets.
        "TEMP": str(scratch),
        "TMPDIR": str(scratch),
    }
    name = "mms-multi" if multi else "mms"
    where = f"/models/{MODEL_NAME}/invoke" if multi else "/invocations"
    everything = plain_variables() | variables
    with running(name, command, everything, folder, port, pings, where) as host:
        if multi:
            query = (
                f"/models?model_name={MODEL_NAME}&url={model}&initial_workers=2&synchronous=true"
            )
            added = host.request("POST", query, timeout_s=START_S)
            assert added.status == 200, (added, host.log.read_text("utf-8", "replace"))
        yield host


@contextmanager
def own_server(archive: Path, folder: Path, workers: int = 2) -> Iterator[Host]:
    """Start what ``serve`` starts in a container of ours."""
    base, port = folder / "opt/ml", free_port()
    unpacked(archive, base / "model")
    variables = {
        "SAGEMAKER_BASE_DIR": str(base),
        "SAGEMAKER_BIND_TO_PORT": str(port),
        "SAGEMAKER_MODEL_SERVER_WORKERS": str(workers),
        "KNEIGHBORS_HOST": "127.0.0.1",
        "PYTHONPATH": str(ROOT / "src"),
    }
    command = [sys.executable, "-m", "kneighbors.cli.container", "serve"]
    with running("own", command, plain_variables() | variables, folder, port, pings) as host:
        yield host
