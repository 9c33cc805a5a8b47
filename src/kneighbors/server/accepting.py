"""Taking connections so that the workers have equally many.

All workers wait on one listening socket. Left alone, whichever wakes first takes what is there,
and two connections to two workers end at the same one every other time. So a worker that has more
than another lets that one go first for a moment.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
import sys
from collections.abc import Callable
from typing import Any

from kneighbors.server.board import Slot, State
from kneighbors.server.logs import LOG
from kneighbors.server.pressure import Pressure
from kneighbors.server.watched import Watched

_COURTESY_S = 0.01  # that another worker, with fewer connections, gets to take one
_IMPATIENT_S = 0.02  # without courtesy, after the other has not used it: it is busy
_AT_ONCE = 64  # connections that are taken in a round at most
_WAITING_AT = 24  # where Linux's tcp_info of a listening socket says how many wait
_EXHAUSTED_S = 0.5  # after which to try again when there are no descriptors left
_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_GOODBYE_S = 2.0  # for the other side to say that it has understood the end of TLS
_OTHERS = frozenset({State.LOADING, State.READY, State.FAILED})


class Acceptor:
    """Takes connections from one listening socket.

    Parameters
    ----------
    listener : socket
        Not blocking.
    make_protocol : callable
        Makes the protocol of a connection.
    slot : Slot
        The worker's row of the board.
    tls : Watched of SSLContext, optional
        Then TLS is spoken.
    handshake_s : float
        Seconds that a client gets to agree on it.
    most_handshakes : int
        Connections that may be about to; more are closed. They count as connections only then.
    pressure : Pressure, optional
        How late the loop is.
    """

    def __init__(
        self,
        listener: socket.socket,
        make_protocol: Callable[[], asyncio.Protocol],
        slot: Slot,
        tls: Watched[ssl.SSLContext] | None = None,
        handshake_s: float = 10.0,
        most_handshakes: int = 1024,
        pressure: Pressure | None = None,
    ) -> None:
        self._listener = listener
        self._make_protocol = make_protocol
        self._slot = slot
        self._tls = tls
        self._handshake_s = handshake_s
        self._most_handshakes = most_handshakes
        self._pressure = pressure
        self._loop = asyncio.get_running_loop()
        self._pause: asyncio.TimerHandle | None = None
        self._impatient_until = 0.0
        self._tasks: set[asyncio.Task[None]] = set()
        listener.setblocking(False)
        self._listen()

    def close(self) -> None:
        """Take what the kernel has completed already, then let go of the socket."""
        self._loop.remove_reader(self._listener)
        if self._pause is not None:
            self._pause.cancel()
        while self._accept():
            pass
        self._listener.close()

    def _listen(self) -> None:
        self._pause = None
        self._loop.add_reader(self._listener, self._on_connection)

    def _wait(self, seconds: float, then: Callable[[], None]) -> None:
        self._loop.remove_reader(self._listener)
        self._pause = self._loop.call_later(seconds, then)

    def _on_connection(self) -> None:
        own = self._slot.connections
        slots = self._slot.board.slots
        is_ahead = any(slot.connections < own for slot in slots if slot.state in _OTHERS)
        if is_ahead and self._loop.time() >= self._impatient_until:
            self._wait(_COURTESY_S, self._after_courtesy)
        else:
            self._accept_some()

    def _after_courtesy(self) -> None:
        self._listen()
        if self._accept_some():
            self._impatient_until = self._loop.time() + _IMPATIENT_S

    def _accept_some(self) -> bool:
        """Take a share of those that wait, or more where rounds are long.

        Of many that come at once the last would else wait for as many rounds, and it may be a ping.
        """
        is_late = self._pressure is not None and self._pressure.is_late
        share = _backlog(self._listener) // self._slot.board.workers
        most = _AT_ONCE if is_late else max(1, min(_AT_ONCE, share))
        taken = 0
        while taken < most and self._accept():
            taken += 1
        return taken > 0

    def _accept(self) -> bool:
        """Take one connection; return whether there was one."""
        try:
            connection, _ = self._listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return False
        except OSError as error:
            LOG.error("a connection could not be taken: %s", error)
            if error.errno in _EXHAUSTED and self._pause is None:
                self._wait(_EXHAUSTED_S, self._listen)
            return False
        connection.setblocking(False)
        self._slot.connections += 1  # the protocol will count, but not before the next one comes
        task = self._loop.create_task(self._connect(connection))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return True

    async def _connect(self, connection: socket.socket) -> None:
        if len(self._tasks) > self._most_handshakes:
            connection.close()
            return
        more: dict[str, Any] = {}
        if self._tls is not None:
            more = {
                "ssl": self._tls.now(),
                "ssl_handshake_timeout": self._handshake_s,
                "ssl_shutdown_timeout": _GOODBYE_S,
            }
        try:
            await self._loop.connect_accepted_socket(self._make_protocol, connection, **more)
        except OSError:
            connection.close()  # the client is gone already, or speaks no TLS


def _backlog(listener: socket.socket) -> int:
    """Return how many connections wait to be taken; 0 where the system does not say."""
    try:
        facts = listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _WAITING_AT + 4)
    except (OSError, AttributeError):
        return 0
    return int.from_bytes(facts[_WAITING_AT:], sys.byteorder)
