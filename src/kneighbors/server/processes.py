"""gunicorn's arbiter and our worker: processes that share a socket and replace each other.

The arbiter forks, restarts and passes signals on. It loads no model and runs no product: a
process that has used a BLAS's threads must not fork.
"""

from __future__ import annotations

import asyncio
import math
import os
import signal
import socket
import sys
import time
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.workers.base import Worker

from kneighbors.server.board import Board, Slot, State
from kneighbors.server.logs import LOG
from kneighbors.server.serving import GracefulServer
from kneighbors.server.settings import Settings

if TYPE_CHECKING:
    from kneighbors.server.exchange import ASGIApp

AppMaker = Callable[[Settings, Slot], "ASGIApp"]

_HUNG_S = 60  # a worker whose event loop stands still for so long is killed and replaced
_AFTER_DRAIN_S = 3.0  # that the arbiter waits longer than a worker for requests in flight
_STARTING_POLL_S = 0.02
_BEAT_S = 1.0

# A worker that dies at once is not replaced at once: seconds, doubling up to the last.
_FIRST_DELAY_S, _LAST_DELAY_S = 0.5, 30.0
_LIVED_S = 10.0

_STOP_SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGQUIT}


class ModelWorker(Worker):  # type: ignore[misc]
    """A process that answers.

    Attributes
    ----------
    slot : Slot
        Its row of the board; the arbiter sets it before it forks.
    """

    slot: Slot

    def init_signals(self) -> None:
        """Take the arbiter's handlers away; `GracefulServer` sets its own."""
        for number in self.SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until there is something to read again
        signal.signal(signal.SIGQUIT, lambda number, frame: os._exit(0))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGQUIT})

    def load_wsgi(self) -> None:
        """Do nothing: the application is made when its loop runs."""

    def run(self) -> None:
        """Serve until told to stop."""
        serving: Serving = self.app.serving
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(self._serve(serving))

    async def _serve(self, serving: Serving) -> None:
        app = serving.make_app(serving.settings, self.slot)
        service = getattr(app, "service", None)
        endpoint = getattr(service, "endpoint", None)
        server = GracefulServer(app, serving.settings, self.slot, endpoint)
        tokens = None if service is None else service.guard.tokens
        if tokens is not None:
            server.on_hangup(tokens.watched.expire)
        beating = asyncio.create_task(self._beat(server))
        await server.serve(sockets=list(self.sockets))
        beating.cancel()

    async def _beat(self, server: GracefulServer) -> None:
        while True:
            self.notify()
            if os.getppid() != self.ppid:
                LOG.error("the parent process is gone, so this worker stops")
                server.stop_soon()
            await asyncio.sleep(_BEAT_S)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:  # it is not made for every platform
        return None
    return uvloop.new_event_loop


class Serving:
    """What is to be served, and how.

    Parameters
    ----------
    make_app : callable
        ``(settings, slot) -> ASGI application``; called in each worker.
    settings : Settings
    board : Board
        With a row for each worker.
    on_ready : callable
        Called once in the parent, when every worker has answered its first query.
    """

    def __init__(
        self, make_app: AppMaker, settings: Settings, board: Board, on_ready: Callable[[], None]
    ) -> None:
        self.make_app = make_app
        self.settings = settings
        self.board = board
        self.on_ready = on_ready


class ModelArbiter(Arbiter):  # type: ignore[misc]
    """Keeps the workers alive.

    Parameters
    ----------
    app : ServingApplication
    """

    def __init__(self, app: ServingApplication) -> None:
        self._serving = app.serving
        self._has_announced = False
        self._is_stopping = False
        self._delay_s = 0.0
        self._not_before = 0.0
        super().__init__(app)
        self.LISTENERS = [app.listener]

    def handle_int(self) -> None:
        """Stop as for SIGTERM; a second one stops at once."""
        raise StopIteration

    def _ignore(self) -> None:
        """Do nothing: settings and the number of workers are fixed."""

    def handle_hup(self) -> None:
        """Let the workers read tokens and certificates again."""
        self.kill_workers(signal.SIGHUP)

    handle_ttin = handle_ttou = handle_usr1 = handle_usr2 = handle_winch = _ignore

    def wait_for_signals(self, timeout: float = 1.0) -> list[int]:
        """Wait, and tell when all workers have become ready."""
        if not self._has_announced:
            board = self._serving.board
            if board.opened:
                self._has_announced = True
                self._serving.on_ready()
            elif board.ends_on_failure:
                self._end_if_one_has_failed()
                timeout = _STARTING_POLL_S
            elif not board.settled:
                timeout = _STARTING_POLL_S
        signals: list[int] = super().wait_for_signals(timeout)
        return signals

    def spawn_workers(self) -> None:
        """Start what is missing, unless the last one has just died at its start."""
        if time.monotonic() < self._not_before:
            return
        for _ in range(self.num_workers - len(self.WORKERS)):
            self.spawn_worker()

    def spawn_worker(self) -> None:
        """Fork; a signal to stop that comes meanwhile is kept for whom it is meant."""
        signal.pthread_sigmask(signal.SIG_BLOCK, _STOP_SIGNALS)
        try:
            with warnings.catch_warnings():
                # Python 3.12 counts the threads that OpenBLAS keeps in reserve; its own handlers
                # make a fork safe, and none of them has had work here.
                warnings.filterwarnings("ignore", category=DeprecationWarning, message=".*fork.*")
                super().spawn_worker()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOP_SIGNALS)

    def reap_workers(self) -> None:
        """Take leave of the workers that have ended; what ends the server is for us to say."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            worker = self.WORKERS.pop(pid, None)
            if worker is not None:  # else an orphan, which is ours where we are process 1
                worker.tmp.close()
                self._child_is_gone(worker, os.waitstatus_to_exitcode(status))

    def stop(self, graceful: bool = True) -> None:
        """Stop the workers; what they end with does not matter any more."""
        self._is_stopping = True
        super().stop(graceful)

    def _end_if_one_has_failed(self) -> None:
        for slot in self._serving.board.slots:
            if slot.state is State.FAILED:
                self._give_up(slot.failure)

    def _give_up(self, facts: dict[str, str]) -> NoReturn:
        """End, for this server can never answer; what is said last is why."""
        self.stop(graceful=False)
        LOG.error(
            "the model could not be loaded, so the server ends: %s",
            facts.pop("reason"),
            extra={"facts": facts},
        )
        sys.exit(1)

    def give_slot(self, worker: ModelWorker) -> None:
        """Prepare a worker that is about to be forked."""
        worker.slot = self._serving.board.take()
        worker.born = time.monotonic()

    def _child_is_gone(self, worker: ModelWorker, code: int) -> None:
        """Free the row of a worker that has ended, and put the next one off if it died young."""
        was_told_to = self._is_stopping or worker.slot.state is State.STOPPING
        worker.slot.clear()
        if was_told_to:
            return
        how = f"a worker ended with the exit code {code}"
        if code < 0:
            how = f"a worker was ended by {signal.Signals(-code).name}"
            how += ", perhaps for want of memory" if code == -signal.SIGKILL else ""
        if self._serving.board.ends_on_failure:
            self._give_up(worker.slot.failure or {"reason": how})
        LOG.error(how, extra={"facts": {"worker": worker.pid}})
        if time.monotonic() - worker.born > _LIVED_S:
            self._delay_s = 0.0
            return
        self._delay_s = min(_LAST_DELAY_S, max(_FIRST_DELAY_S, 2 * self._delay_s))
        self._not_before = time.monotonic() + self._delay_s


class ServingApplication(BaseApplication):  # type: ignore[misc]
    """gunicorn's settings, made from ours; no file, argument or variable changes them.

    Parameters
    ----------
    serving : Serving
    listener : socket
        Bound and listening.
    """

    def __init__(self, serving: Serving, listener: socket.socket) -> None:
        self.serving = serving
        self.listener = listener
        super().__init__()

    def load_config(self) -> None:
        """Set what differs from gunicorn's defaults."""
        settings = self.serving.settings
        wanted = {
            "workers": settings.worker_count,
            "worker_class": ModelWorker,
            "timeout": _HUNG_S,
            "graceful_timeout": math.ceil(settings.drain_timeout_s + _AFTER_DRAIN_S),
            "logger_class": ArbiterLog,
            "control_socket_disable": True,
            "worker_tmp_dir": "/dev/shm" if os.access("/dev/shm", os.W_OK) else None,  # noqa: S108
            "pre_fork": lambda arbiter, worker: arbiter.give_slot(worker),
        }
        for name, value in wanted.items():
            if name in self.cfg.settings:  # older versions have no control socket
                self.cfg.set(name, value)

    def load(self) -> None:
        """Return nothing: workers make their application themselves."""

    def run(self) -> None:
        """Run until a signal ends it, by SystemExit."""
        ModelArbiter(self).run()


class ArbiterLog:
    """What gunicorn logs to, handing on what it says of itself.

    Parameters
    ----------
    cfg : gunicorn.config.Config
    """

    def __init__(self, cfg: Any) -> None:
        self.cfg = cfg

    def setup(self, cfg: Any) -> None:
        """Do nothing: `kneighbors.server.logs` has set it up."""

    def debug(self, message: str, *args: Any, **others: Any) -> None:
        """Leave out what is of use to gunicorn's developers only."""

    info = debug

    def warning(self, message: str, *args: Any, **others: Any) -> None:
        """Log a warning."""
        LOG.warning(message, *args, exc_info=others.get("exc_info"))

    def error(self, message: str, *args: Any, **others: Any) -> None:
        """Log an error."""
        LOG.error(message, *args, exc_info=others.get("exc_info"))

    critical = error

    def exception(self, message: str, *args: Any, **others: Any) -> None:
        """Log an error with its traceback."""
        LOG.error(message, *args, exc_info=True)

    def reopen_files(self) -> None:
        """Do nothing: there are none."""

    def close_on_exec(self) -> None:
        """Do nothing: nothing is executed."""
