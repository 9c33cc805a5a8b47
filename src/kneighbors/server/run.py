"""Serving an artifact with several processes, from the command to the exit code."""

from __future__ import annotations

import errno
import gc
import ipaddress
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from kneighbors.errors import ParameterRefused, missing_extra
from kneighbors.server import logs
from kneighbors.server.board import Board, Slot
from kneighbors.server.cores import set_blas_threads
from kneighbors.server.logs import LOG
from kneighbors.server.opening import check_model, opener_of, room_for
from kneighbors.server.settings import Settings
from kneighbors.server.telemetry import NUMBERS

if TYPE_CHECKING:
    from kneighbors.server.app import Application
    from kneighbors.server.processes import AppMaker, Serving
    from kneighbors.server.registry import Registry

_BACKLOG = 2048
_SPARE_FILES = 256  # descriptors of a worker that are no connections


def serve(
    path: str | os.PathLike[str] | None = None,
    *,
    settings: Settings | None = None,
    environ: Mapping[str, str] | None = None,
    announce: Callable[[str], None] | None = None,
    **given: Any,
) -> int:
    """Serve an artifact until SIGTERM or SIGINT.

    Parameters
    ----------
    path : str or path, optional
        The artifact, a directory or a ``.tar.gz``; by default what the settings say.
    settings : Settings, optional
        By default from the environment, with what is given before it.
    environ : mapping of str to str, optional
        A container's variables. Given, the model may be a user's script, which is then run.
    announce : callable, optional
        Told one line when every worker has answered its first query; by default it is printed.
    **given
        Single settings, such as ``host``, ``port`` and ``workers``; None means not given.

    Returns
    -------
    int
        Exit code: 0 after a signal, when all that was in flight has been answered; 1 in a
        container whose model cannot be loaded.

    Raises
    ------
    ParameterRefused
        A setting is out of bounds; ``port-taken``, ``port-forbidden`` or ``host-unknown``.
    StorageError, ArtifactError
        There is no artifact. A part that is damaged is noticed later, by the workers: then
        ``/ping`` goes on saying 503 and the log says why; in a container the server ends.
    MissingExtra
        The extra ``serve`` is not installed.

    Notes
    -----
    Must be called in the main thread, of a process that has not used a BLAS yet and has no other
    threads: it forks.
    """
    if path is not None:
        given["model"] = os.fspath(path)
    if settings is None:
        settings = Settings.from_environment(**given)
    elif given:
        raise TypeError("give either settings, or single ones")
    check_model(settings, environ)
    with room_for(settings, environ) as room:
        registry = _registry(settings, room)

        def make_app(settings: Settings, slot: Slot) -> Application:
            from kneighbors.server.app import create_app

            opener = opener_of(settings, room, environ=environ)
            return create_app(
                settings, slot=slot, opener=opener, environ=environ, registry=registry
            )

        # A container that never becomes healthy had better end: whoever started it waits.
        must_open = environ is not None and settings.multi_model != "true"
        return serve_app(make_app, settings, announce=announce, must_open=must_open)


def _registry(settings: Settings, room: Path | None) -> Registry | None:
    """Return what the workers know of several models, if there are; made before they fork."""
    if settings.multi_model != "true" or room is None:
        return None
    from kneighbors.server.registry import Registry

    return Registry(room / "models", settings.worker_count)


def serve_app(
    make_app: AppMaker,
    settings: Settings,
    *,
    announce: Callable[[str], None] | None = None,
    must_open: bool = False,
) -> int:
    """Serve any ASGI application by the same processes and the same protocol as `serve`.

    Parameters
    ----------
    make_app : callable
        ``(settings, slot) -> ASGI application``; called in each worker.
    settings : Settings
    announce : callable, optional
        As of `serve`.
    must_open : bool, default=False
        Whether a model that cannot be loaded ends the server, with 1.
    """
    owner = os.getpid()
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        for number in before:  # until the arbiter takes them
            signal.signal(number, lambda number, frame: sys.exit(0))
        _run(make_app, settings, announce or _print, must_open=must_open)
    except SystemExit as end:
        if os.getpid() == owner:
            return _exit_code(end)
        # A worker is a copy of this process: what the caller does next is not for it.
        _leave(_exit_code(end))
    except BaseException:
        if os.getpid() == owner:
            raise
        LOG.exception("a worker failed")
        _leave(1)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _run(
    make_app: AppMaker, settings: Settings, announce: Callable[[str], None], *, must_open: bool
) -> NoReturn:
    """Listen, fork and wait; ends by SystemExit."""
    logs.set_up(settings.log_level, settings.log_format)
    check_protection(settings)
    with listen(settings.host, settings.port) as listener:
        url = _url(listener, "https" if settings.tls_certificate else "http")
        _warn_beyond_loopback(listener, url, settings)
        _raise_file_limit(settings.max_connections * (2 if settings.tls_certificate else 1))

        def on_ready() -> None:
            workers = settings.worker_count
            many = "1 worker" if workers == 1 else f"{workers} workers"
            name = Path(settings.model).name or settings.model
            announce(f"Serving {name} on {url} ({many}). Stop with Ctrl+C.")

        with _uncollected():
            _import_all()
            serving = _serving(make_app, settings, on_ready, must_open=must_open)
        from kneighbors.server.processes import ServingApplication

        ServingApplication(serving, listener).run()
    raise AssertionError("unreachable: the arbiter ends by SystemExit")


@contextmanager
def _uncollected() -> Iterator[None]:
    """Collect no garbage, of which importing makes little, and keep what is made for good.

    So it stays shared with the workers as long as nobody writes to it.
    """
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        gc.enable()


def _serving(
    make_app: AppMaker, settings: Settings, on_ready: Callable[[], None], *, must_open: bool
) -> Serving:
    """Return what the workers will do, with all that they share."""
    from kneighbors.artifact.memfile import never_map
    from kneighbors.server.processes import Serving

    # Here, so that the workers have one copy among them of what they open.
    never_map()
    board = Board(settings.worker_count, NUMBERS, must_open=must_open)

    # Here rather than in the workers: told so, a fresh OpenBLAS starts as many threads as there
    # are cores, and then uses some of them.
    set_blas_threads(settings.blas_thread_count)
    return Serving(make_app, settings, board, on_ready)


def _import_all() -> None:
    """Import before the fork what workers need, once for all of them."""
    try:
        for name in ("httptools", "uvicorn.server", "gunicorn.arbiter", "starlette.applications"):
            import_module(name)
    except ModuleNotFoundError as error:
        raise missing_extra((error.name or "uvicorn").partition(".")[0], "serve") from error
    with suppress(ImportError):
        import_module("uvloop")
    for name in ("server.app", "artifact.reader", "sagemaker.model"):
        import_module(f"kneighbors.{name}")


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Raises
    ------
    ParameterRefused
        With code ``port-taken``, ``port-forbidden`` or ``host-unknown``.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (socket.gaierror, UnicodeError) as error:
        raise _unknown_host(host) from error
    bound = socket.socket(family, kind, protocol)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        # Of two programs that have bound one port, only one can listen: find out now.
        bound.listen(_BACKLOG)
    except OSError as error:
        bound.close()
        raise _refused_address(error, host, port) from error
    return bound


def _unknown_host(host: str) -> ParameterRefused:
    return ParameterRefused(
        "host-unknown",
        f"Expected an address of this machine to listen on, got {host!r}.",
        hint="Give 127.0.0.1 for this machine alone, or 0.0.0.0 for all its addresses.",
    )


def _refused_address(error: OSError, host: str, port: int) -> ParameterRefused:
    if error.errno == errno.EADDRINUSE:
        return ParameterRefused(
            "port-taken",
            f"Expected a free port, but {port} on {host} is taken.",
            hint="Stop what listens there, or give another --port; 0 takes a free one.",
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return ParameterRefused(
            "port-forbidden",
            f"Expected a port that this user may listen on, got {port}.",
            hint="Give one from 1024 on.",
        )
    return _unknown_host(host)


def _url(listener: socket.socket, scheme: str) -> str:
    host, port = listener.getsockname()[:2]
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def check_protection(settings: Settings) -> None:
    """Refuse tokens and certificates that are of no use before anything is started.

    Raises
    ------
    ParameterRefused
        With code ``token-malformed``, ``token-file`` or ``tls-files``.
    """
    if settings.wants_tokens:
        from kneighbors.server.tokens import Tokens

        Tokens(settings)
    if settings.tls_certificate:
        from kneighbors.server.tls import watched_context

        watched_context(settings)


def _warn_beyond_loopback(listener: socket.socket, url: str, settings: Settings) -> None:
    if ipaddress.ip_address(listener.getsockname()[0]).is_loopback:
        return
    risks = []
    if not settings.wants_tokens:
        risks.append("without tokens: whoever reaches it may query the model, read its metrics")
    if not settings.tls_certificate:
        risks.append("without TLS: whoever is on the way may read and change what is said")
    if risks:
        LOG.warning("LISTENING BEYOND THIS MACHINE on %s %s", url, "; and ".join(risks))


def _raise_file_limit(connections: int) -> None:
    """Allow as many open files as the connections need, if the hard limit lets us."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + _SPARE_FILES
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _print(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _exit_code(end: SystemExit) -> int:
    return end.code & 0xFF if isinstance(end.code, int) else int(end.code is not None)


def _leave(code: int) -> NoReturn:
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)
