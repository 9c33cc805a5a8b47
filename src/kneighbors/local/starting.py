"""A plane from its start to its end, in the process that it is."""

from __future__ import annotations

import ctypes
import errno
import logging
import os
import resource
import signal
import sqlite3
import threading
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from kneighbors.errors import LocalError
from kneighbors.local.blobs import Blobs
from kneighbors.local.dispatch import Dispatch
from kneighbors.local.images import parse_images
from kneighbors.local.invocation import invoke
from kneighbors.local.logs import Logs
from kneighbors.local.moto_front import MotoFront
from kneighbors.local.moto_inside import Inside, adopt_identity, load, warm
from kneighbors.local.moto_logs import MotoLogs
from kneighbors.local.moto_objects import MotoObjects
from kneighbors.local.objects import Objects
from kneighbors.local.operations import service
from kneighbors.local.plane import ACCOUNT, REGION, Plane
from kneighbors.local.records import Records
from kneighbors.local.root import (
    Settings,
    holding,
    new_settings,
    not_writable,
    read_settings,
    write_settings,
)
from kneighbors.local.running import Running, recover
from kneighbors.local.server import Server

LOG = logging.getLogger("kneighbors.local")

#: Modules that register operations; one that has a function ``resume(plane)`` brings back what was
#: up when the plane ended.
OPERATION_MODULES = (
    "kneighbors.local.tags",
    "kneighbors.local.training_jobs",
    "kneighbors.local.transform_jobs",
    "kneighbors.local.models",
    "kneighbors.local.endpoint_configs",
    "kneighbors.local.endpoints",
    "kneighbors.local.hosting",
)
#: Seconds that jobs and endpoints have to end when the plane does.
_GRACE_S = 25.0


class Started:
    """A plane that answers; `close` ends it.

    Parameters
    ----------
    root : Path
        Held by the caller.
    port : int, optional
        By default the one that the root had before, or a free one; 0 is a free one.
    images : iterable of str
        ``PATTERN=COMMAND`` each.

    Raises
    ------
    LocalError
        With code ``local-port-taken``, ``local-state-damaged`` or ``local-moto-version``.
    """

    def __init__(self, root: Path, port: int | None = None, images: Iterable[str] = ()) -> None:
        _raise_descriptor_limit()
        _give_memory_back()
        inside = load(ACCOUNT, REGION)
        before = read_settings(root)
        with ExitStack() as undo:
            blobs = _opened(root / "objects", lambda path: Blobs(path))
            undo.callback(blobs.close)
            records = _opened(root / "state.sqlite", Records)
            undo.callback(records.close)
            logs, objects = Logs(root / "logs"), Objects(blobs)
            view = MotoObjects(inside, blobs, ACCOUNT)
            objects.watcher = view.changed
            logs.watcher = MotoLogs(inside, logs, ACCOUNT, REGION).began
            self._server = _bound(port, before, inside.request_handler)
            undo.callback(self._server.server_close)
            self.settings = new_settings(f"http://127.0.0.1:{self._server.port}", before)
            keys = self.settings
            adopt_identity(
                inside,
                keys.role_arn,
                "kneighbors-local",
                (keys.access_key, keys.secret_key, keys.token),
            )
            self.plane = Plane(
                root=root,
                url=self.settings.url,
                records=records,
                objects=objects,
                logs=logs,
                images=parse_images(list(images)),
                running=Running(),
                access=keys.keys,
            )
            modules = [import_module(name) for name in OPERATION_MODULES]
            front = MotoFront(inside.app, view, blobs)
            self._server.app = Dispatch(self.plane, front, invoke, self.status)
            # What comes back may call the plane at once: it waits, since the port is bound already.
            recover(self.plane)
            for module in modules:
                if hasattr(module, "resume"):
                    module.resume(self.plane)
            write_settings(root, self.settings)
            self._undo = undo.pop_all()
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(_ENDED_S,), name="server", daemon=True
        )
        self._thread.start()
        threading.Thread(target=_warm, args=(inside,), name="warm", daemon=True).start()

    def status(self) -> dict[str, Any]:
        """Return what the plane holds, and what of it lives in memory only."""
        records = self.plane.records
        kinds = ("training-job", "transform-job", "model", "endpoint-config", "endpoint")
        return {
            "url": self.settings.url,
            "pid": os.getpid(),
            "root": str(self.plane.root),
            "resources": {
                kind: [_shown(name, document) for name, document in records.all(kind)]
                for kind in kinds
            },
            "buckets": [
                {"name": name, "objects": count, "bytes": size}
                for name, count, size in self.plane.objects.blobs.totals()
            ],
            "in_memory_only": list(IN_MEMORY_ONLY),
        }

    def close(self) -> None:
        """End jobs and endpoints, then stop to answer."""
        if not self.plane.running.stop_all(_GRACE_S):
            LOG.warning("some jobs or endpoints did not end in %s s", _GRACE_S)
        self._server.shutdown()
        self._thread.join()
        self._undo.close()


_M_MMAP_THRESHOLD = -3
#: How often the server looks whether it is to end.
_ENDED_S = 0.1
_STATUSES = ("TrainingJobStatus", "TransformJobStatus", "EndpointStatus")
#: What a restart loses.
IN_MEMORY_ONLY = (
    "S3: older versions of objects, ACLs, policies and settings of buckets, unfinished uploads",
    "IAM: users, roles and policies other than the plane's own role",
    "all services other than S3, SageMaker and its logs",
)


def run(
    root: Path,
    port: int | None,
    images: Iterable[str],
    ready: Callable[[Settings], None],
) -> None:
    """Be a plane until SIGTERM or SIGINT arrives."""
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    with holding(root):
        started = Started(root, port, images)
        try:
            ready(started.settings)
            ended.wait()
        finally:
            started.close()


def _shown(name: str, document: dict[str, Any]) -> dict[str, Any]:
    status = next((document[member] for member in _STATUSES if member in document), None)
    return {"name": name, "status": status}


def _opened(path: Path, opening: Callable[[Path], Any]) -> Any:
    try:
        return opening(path)
    except (sqlite3.OperationalError, OSError) as error:  # a full disk, say: nothing is damaged
        raise not_writable(path.parent, error) from error
    except sqlite3.DatabaseError as error:
        raise LocalError(
            "local-state-damaged",
            f"Expected the state of a control plane, but it cannot be read: {error}.",
            where=str(path),
            hint="Move it away to start with an empty one.",
        ) from error


def _bound(port: int | None, before: Settings | None, request_handler: Any) -> Server:
    remembered = 0 if before is None else before.port
    wanted = remembered if port is None else port
    try:
        return Server(wanted, None, request_handler)
    except OSError as error:
        if error.errno not in (errno.EADDRINUSE, errno.EACCES):
            raise
        raise LocalError(
            "local-port-taken",
            f"Expected a free port, but port {wanted} of 127.0.0.1 is "
            + ("taken." if error.errno == errno.EADDRINUSE else "forbidden."),
            where=f"127.0.0.1:{wanted}",
            hint="Give another with --port; --port 0 takes a free one.",
        ) from error


def _warm(inside: Inside) -> None:
    """Load what the first requests need, while the plane answers already."""
    service("sagemaker")
    warm(inside)


def _give_memory_back() -> None:
    """Have glibc return large blocks to the system, not keep them for each thread."""
    with suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, 1 << 20)


def _raise_descriptor_limit() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
