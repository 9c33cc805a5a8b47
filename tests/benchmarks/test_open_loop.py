"""A load at fixed times counts latency from when requests were due."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import open_loop
from closed_loop import requests_of

_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
_BUSY = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@contextmanager
def answering(answer: Callable[[int], bytes]) -> Iterator[int]:
    """Serve one request after the other, whichever connection it comes on."""
    turn = threading.Lock()
    count = 0
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(connection: socket.socket) -> None:
        nonlocal count
        with connection:
            while connection.recv(65536):
                with turn:
                    reply, count = answer(count), count + 1
                    connection.sendall(reply)
                if b"close" in reply:
                    return

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=accept)
    thread.start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def _requests() -> list[bytes]:
    return requests_of(np.ones((4, 3)))


def test_every_request_that_is_due_is_answered_and_timed() -> None:
    with answering(lambda _: _OK) as port:
        found = open_loop.load(port, _requests(), rate=400, seconds=0.25)
    assert len(found.latencies) == 100
    assert found.refused == {}
    assert min(found.latencies) > 0


def test_a_stall_counts_for_all_requests_that_were_due_meanwhile() -> None:
    def stall(number: int) -> bytes:
        if number == 0:
            time.sleep(0.3)
        return _OK

    with answering(stall) as port:
        found = open_loop.load(port, _requests(), rate=200, seconds=0.5)
    assert len(found.latencies) == 100
    # Of those due in the first 0.3 s, the ones due by 0.2 s waited a tenth of a second or more; a
    # loop of clients that wait for their answers would have seen no more of them than clients.
    assert sum(latency > 0.1 for latency in found.latencies) > 32


def test_a_refusal_is_counted_by_its_status_and_not_as_an_answer() -> None:
    with answering(lambda number: _BUSY if number % 5 == 0 else _OK) as port:
        found = open_loop.load(port, _requests(), rate=500, seconds=0.1)
    assert (len(found.latencies), found.refused) == (40, {503: 10})
