"""uvicorn's server as one worker runs it: when it begins to listen, and how it ends."""

from __future__ import annotations

import asyncio
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from uvicorn.config import Config
from uvicorn.server import Server

from kneighbors.server.accepting import Acceptor
from kneighbors.server.board import Slot, State
from kneighbors.server.lifecycle import Endpoint
from kneighbors.server.logs import LOG
from kneighbors.server.pressure import Pressure
from kneighbors.server.protocol import StrictProtocol
from kneighbors.server.settings import Settings
from kneighbors.server.telemetry import Telemetry
from kneighbors.server.tls import watched_context

if TYPE_CHECKING:
    from kneighbors.server.exchange import ASGIApp

_POLL_S = 0.01
_CANCELLED_S = 1.0  # what is cancelled at the deadline gets this long to say so


class GracefulServer(Server):
    """One worker's server.

    Parameters
    ----------
    app : ASGI application
    settings : Settings
    slot : Slot
        The worker's row of the board.
    endpoint : Endpoint, optional
        If given, a worker that replaces another listens only once its model answers.
    """

    def __init__(
        self,
        app: ASGIApp,
        settings: Settings,
        slot: Slot,
        endpoint: Endpoint | None = None,
    ) -> None:
        config = Config(
            app,
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
        )
        super().__init__(config)
        self._pressure = Pressure(self.server_state.tasks, settings.max_waiting)
        of_all = {"settings": settings, "telemetry": Telemetry(slot), "pressure": self._pressure}
        config.http = type("Protocol", (StrictProtocol,), of_all)
        self._settings = settings
        self._slot = slot
        self._is_told_to_stop = False
        self._endpoint = endpoint
        self._tls = watched_context(settings)
        self._on_hangup: list[Callable[[], None]] = [] if self._tls is None else [self._tls.expire]

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """End in an orderly way on SIGTERM and SIGINT, however often they come.

        uvicorn would raise them again in the end, and so end by a signal instead of with 0.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        signal.signal(signal.SIGHUP, lambda number, frame: self._hang_up())
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGINT})
        yield

    def _on_signal(self, number: int, frame: object) -> None:
        self._is_told_to_stop = True

    def on_hangup(self, call: Callable[[], None]) -> None:
        """Call something, which only takes a note, on each SIGHUP."""
        self._on_hangup.append(call)

    def _hang_up(self) -> None:
        for call in self._on_hangup:
            call()

    def stop_soon(self) -> None:
        """End as on a signal."""
        self._is_told_to_stop = True

    async def on_tick(self, counter: int) -> bool:
        """Notice the signal here alone: what has been started is always shut down as well."""
        self.should_exit = self.should_exit or self._is_told_to_stop
        return await super().on_tick(counter)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen.

        The first workers listen at once, and say 503 until they are ready. One that replaces
        another would only add refusals: others answer meanwhile.
        """
        endpoint = self._endpoint
        if endpoint is not None and endpoint.slot.board.opened:
            endpoint.start()
            while not endpoint.is_settled:
                if self._is_told_to_stop:
                    raise SystemExit(0)
                await asyncio.sleep(_POLL_S)
            if endpoint.slot.state is not State.READY:
                raise SystemExit(1)
        await self.lifespan.startup()
        if self.lifespan.should_exit:
            raise SystemExit(1)
        self._pressure.start()
        self._acceptors = [
            Acceptor(
                listener,
                self._make_protocol,
                self._slot,
                self._tls,
                self._settings.header_timeout_s,
                self._settings.max_connections,
                self._pressure,
            )
            for listener in sockets or ()
        ]
        self.servers = []
        self.started = True

    def _make_protocol(self) -> asyncio.Protocol:
        made: asyncio.Protocol = self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config,
            server_state=self.server_state,
            app_state=self.lifespan.state,
            _loop=asyncio.get_running_loop(),
        )
        return made

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer what has been sent, and let go of the rest."""
        if self._endpoint is not None:
            self._endpoint.stop()
        for acceptor in self._acceptors:
            acceptor.close()
        state = self.server_state
        deadline = time.monotonic() + self._settings.drain_timeout_s
        warned: set[Any] = set()
        await asyncio.sleep(_POLL_S)  # the last connections begin
        while state.connections or state.tasks:
            for connection in state.connections - warned:
                warned.add(connection)
                connection.shutdown()
            if time.monotonic() > deadline:
                await self._give_up()
                break
            await asyncio.sleep(_POLL_S)
        await self.lifespan.shutdown()

    async def _give_up(self) -> None:
        state = self.server_state
        LOG.error(
            "%d requests were not answered within %g s of the signal to stop",
            len(state.tasks),
            self._settings.drain_timeout_s,
        )
        for task in list(state.tasks):
            task.cancel()  # which makes the application say 503
        deadline = time.monotonic() + _CANCELLED_S
        while (state.connections or state.tasks) and time.monotonic() < deadline:
            await asyncio.sleep(_POLL_S)
        for connection in list(state.connections):
            connection.transport.abort()
