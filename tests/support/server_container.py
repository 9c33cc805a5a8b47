"""A container without a container: its entry point as a process, with an /opt/ml of its own."""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import sys
from pathlib import Path

from support.server_process import ROOT, ServerProcess

#: As docker/Dockerfile has it.
ENTRY_POINT = [sys.executable, "-m", "kneighbors.cli.container"]

#: Variables of whoever runs the tests that a container would heed.
_FOREIGN = ("SM_", "SAGEMAKER_", "KNEIGHBORS_", "AWS_")


def container_environment(base: Path, **variables: str) -> dict[str, str]:
    """Return the variables of a container whose /opt/ml is `base`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
    return {
        **kept,
        "PYTHONPATH": f"{ROOT / 'src'}",
        "SAGEMAKER_BASE_DIR": str(base),
        "SAGEMAKER_MODEL_SERVER_WORKERS": "1",
        # The tests' own machine, not all its addresses.
        "KNEIGHBORS_HOST": "127.0.0.1",
        **variables,
    }


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def run_container(base: Path, *arguments: str, **variables: str) -> tuple[int, str, str]:
    """Run a container that ends by itself; return its exit code, stdout and stderr."""
    done = subprocess.run(
        [*ENTRY_POINT, *arguments],
        env=container_environment(base, **variables),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


class Container(ServerProcess):
    """A container that serves.

    Parameters
    ----------
    folder : Path
        For its output.
    base : Path
        Its /opt/ml.
    ready : bool
        Whether to wait for the line that says so.
    **variables
        Beside the usual ones.
    """

    def __init__(self, folder: Path, base: Path, *, ready: bool = True, **variables: str) -> None:
        self._out, self._err = folder / "out.txt", folder / "err.txt"
        self.port = free_port()
        environ = container_environment(base, SAGEMAKER_BIND_TO_PORT=str(self.port), **variables)
        with self._out.open("w") as out, self._err.open("w") as err:
            self.process = subprocess.Popen(
                [*ENTRY_POINT, "serve"], stdout=out, stderr=err, env=environ, start_new_session=True
            )
        if ready:
            self.wait_until_ready()


def state_of(folder: Path) -> dict[str, tuple[int, int, str]]:
    """Return mode, time of change and SHA-256 of everything below a directory, itself included."""
    found = {}
    for path in (folder, *sorted(folder.rglob("*"))):
        about = path.stat()
        digest = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        found[str(path)] = (about.st_mode, about.st_mtime_ns, digest)
    return found
