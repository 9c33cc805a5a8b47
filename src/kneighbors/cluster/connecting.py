"""Reaching a cluster, or saying within a stated time that it cannot be reached."""

from __future__ import annotations

import os
import socket
import threading
from concurrent.futures import Future
from concurrent.futures import TimeoutError as Late
from typing import Any
from urllib.parse import urlsplit

from kneighbors.errors import ClusterError, missing_extra

#: Seconds that joining a cluster may take; on one machine it takes two or three.
CONNECT_S = 60.0
#: Seconds in which something must listen at an address, before anything else is tried.
_LISTEN_S = 5.0
#: A cluster of this process alone.
LOCAL = "local"


def ray_module() -> Any:
    """Return the module `ray`.

    Raises
    ------
    MissingExtra
        Where it is not installed.
    """
    try:
        import ray
    except ImportError as error:
        raise missing_extra("ray", "ray") from error
    return ray


def connect(address: str) -> Any:
    """Join a cluster, unless this process is in one already; return the module `ray`.

    Parameters
    ----------
    address : str
        ``auto`` for the cluster that this machine belongs to, ``host:port``, ``ray://host:port``,
        or ``local`` for a cluster of this machine alone that ends with the process.

    Raises
    ------
    ClusterError
        ``cluster-unreachable``, with what was tried and for how long; ``cluster-version`` where
        the cluster runs another version of Ray or Python.
    """
    ray = ray_module()
    if ray.is_initialized():
        return ray
    _check_listens(address)
    options: dict[str, Any] = {
        "namespace": "kneighbors",
        "log_to_driver": False,
        "configure_logging": False,
    }
    # Said nothing, Ray joins whatever cluster was started last on this machine.
    options["address"] = address
    if address == LOCAL:
        # Ray would otherwise listen on every interface.
        options |= {"_node_ip_address": "127.0.0.1", "include_dashboard": False}
    joined: Future[None] = Future()
    arguments = (ray, options, joined)
    threading.Thread(target=_join, args=arguments, name="kneighbors-ray", daemon=True).start()
    try:
        joined.result(CONNECT_S)
    except Late:
        raise _unreachable(address, f"no answer within {CONNECT_S:.0f} s") from None
    except (ConnectionError, RuntimeError, OSError, ValueError) as error:
        text = str(error).strip().splitlines()
        first = text[0] if text else type(error).__name__
        if "ersion mismatch" in str(error):
            raise ClusterError(
                "cluster-version",
                f"Expected a cluster with this version of Ray and Python, got: {first:.300}",
                where=address,
                hint="Install the cluster's versions here, or these there.",
            ) from None
        raise _unreachable(address, first) from None
    return ray


def _join(ray: Any, options: dict[str, Any], joined: Future[None]) -> None:
    try:
        ray.init(**options)
    except BaseException as error:
        joined.set_exception(error)
        return
    joined.set_result(None)
    if options["address"] == LOCAL:
        # Linux ends the processes of such a cluster with the thread that started them.
        threading.Event().wait()


def _check_listens(address: str) -> None:
    """Refuse soon what nobody listens at; Ray itself would try for minutes."""
    if address in {"auto", LOCAL}:
        return
    parts = urlsplit(address if "://" in address else f"//{address}")
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or not port or parts.scheme not in {"", "ray"}:
        raise ClusterError(
            "cluster-address",
            f"Expected auto, local, host:port or ray://host:port, got {address[:200]!r}.",
        )
    try:
        with socket.create_connection((host, port), timeout=_LISTEN_S):
            return
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise _unreachable(address, f"{reason}, tried for {_LISTEN_S:.0f} s") from None


def _unreachable(address: str, reason: str) -> ClusterError:
    return ClusterError(
        "cluster-unreachable",
        f"Expected a cluster that answers, got none: {reason:.300}.",
        where=address,
        hint="`ray status` says whether one is up; `ray start --head` starts one.",
    )
