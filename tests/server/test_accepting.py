"""Connections are taken by the worker that has fewest, and none is left waiting."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from kneighbors.server.accepting import Acceptor
from kneighbors.server.board import Board, State
from support.server_process import ServerProcess, wait_for
from support.server_raw import connect, read_response


@dataclass
class Taken:
    """A connection that has been taken, when, and how many the worker had by then."""

    at_s: float
    held: int


def accepting(test: Callable[[socket.socket, Board, list[Taken]], Awaitable[None]]) -> None:
    """Run a test with an acceptor for the first of two workers, both of them ready."""

    async def run() -> None:
        board = Board(2, 0)
        for _ in range(2):
            board.take().state = State.READY
        taken: list[Taken] = []

        class Noting(asyncio.Protocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                taken.append(Taken(time.monotonic(), board.slots[0].connections))
                transport.close()

        with socket.create_server(("127.0.0.1", 0)) as listener:
            acceptor = Acceptor(listener, Noting, board.slots[0])
            await test(listener, board, taken)
            acceptor.close()

    asyncio.run(run())


async def until(taken: list[Taken], count: int) -> None:
    async with asyncio.timeout(5):
        while len(taken) < count:
            await asyncio.sleep(0.001)


def dial(listener: socket.socket) -> float:
    """Connect and let go; return when."""
    socket.create_connection(listener.getsockname()).close()
    return time.monotonic()


def test_a_worker_with_more_connections_lets_another_go_first() -> None:
    async def test(listener: socket.socket, board: Board, taken: list[Taken]) -> None:
        board.slots[0].connections = 1
        begin = dial(listener)
        await until(taken, 1)
        assert taken[0].at_s - begin >= 0.009  # nobody else took it, so it did

    accepting(test)


def test_after_courtesy_in_vain_the_next_ones_are_taken_at_once() -> None:
    async def test(listener: socket.socket, board: Board, taken: list[Taken]) -> None:
        board.slots[0].connections = 5
        begin = time.monotonic()
        for _ in range(20):
            dial(listener)
        await until(taken, 20)
        # With courtesy for each it would be twenty times ten milliseconds at the least.
        assert taken[-1].at_s - taken[0].at_s < 0.15
        assert taken[0].at_s - begin >= 0.009

    accepting(test)


def test_a_worker_that_has_ended_is_not_waited_for() -> None:
    async def test(listener: socket.socket, board: Board, taken: list[Taken]) -> None:
        board.slots[0].connections = 5
        for state in (State.ABSENT, State.STOPPING):
            board.slots[1].state = state
            begin = min(dial(listener) for _ in range(5))
            await until(taken, 5)
            # One of five may be late on a busy machine, not all.
            assert min(one.at_s for one in taken) - begin < 0.009
            taken.clear()

    accepting(test)


def test_closing_takes_what_the_kernel_has_completed() -> None:
    taken: list[Taken] = []

    async def run() -> None:
        board = Board(1, 0)
        slot = board.take()

        class Noting(asyncio.Protocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                taken.append(Taken(0, 0))

        with socket.create_server(("127.0.0.1", 0)) as listener:
            address = listener.getsockname()
            acceptor = Acceptor(listener, Noting, slot)
            clients = [socket.create_connection(address) for _ in range(10)]
            acceptor.close()
            await until(taken, 10)
            for client in clients:
                client.close()

    asyncio.run(run())
    assert 10 == len(taken)


def test_both_workers_get_some_of_the_connections(artifact: Path, tmp_path: Path) -> None:
    with ServerProcess(tmp_path, artifact, workers=2) as server, ExitStack() as stack:
        before = [_sockets(pid) for pid in server.workers()]

        def have_both_some() -> bool:
            s = stack.enter_context(connect(server.port))
            s.sendall(b"GET /ping HTTP/1.1\r\nHost: a\r\n\r\n")
            assert 200 == read_response(s).status
            after = [_sockets(pid) for pid in server.workers()]
            return all(now > then for now, then in zip(after, before, strict=True))

        wait_for(have_both_some, "both to have some", 5)


def _sockets(pid: int) -> int:
    found = 0
    for file in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # it may be closed while we look
            found += str(file.readlink()).startswith("socket:")
    return found


def test_of_many_that_come_at_once_a_worker_takes_its_share_in_one_round() -> None:
    async def test(listener: socket.socket, board: Board, taken: list[Taken]) -> None:
        for _ in range(40):
            dial(listener)
        await until(taken, 20)
        assert taken[0].held == 20
        # The other one takes none here, and gets its chance before the rest is taken.
        await until(taken, 40)

    accepting(test)
