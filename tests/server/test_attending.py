"""What happens to the copies of shards behind a model is counted, whoever tells of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from kneighbors.server.attending import attend
from kneighbors.server.board import Board
from kneighbors.server.lifecycle import Endpoint
from kneighbors.server.telemetry import NUMBERS


class Hosted:
    """A model whose shards are elsewhere."""

    has_items = False

    def __init__(self) -> None:
        self.facts: dict[str, str] = {}
        self.tell: Callable[[str], None] | None = None
        executor = SimpleNamespace(listen=lambda tell: setattr(self, "tell", tell))
        self.artifact = SimpleNamespace(index=SimpleNamespace(executor=executor))

    def warm_up(self, *, items: bool = True) -> None:
        assert self.tell is not None
        self.tell("kneighbors_shard_moves_total")
        raise RuntimeError("it is only told to")


def test_the_loop_is_told_what_another_thread_says() -> None:
    told: list[str] = []
    hosted: Any = Hosted()

    async def loaded() -> None:
        endpoint = Endpoint(lambda: hosted, Board(1, NUMBERS).take(), told.append)
        endpoint.start()
        while not told:
            await asyncio.sleep(0.001)

    asyncio.run(asyncio.wait_for(loaded(), 20))
    assert ["kneighbors_shard_moves_total"] == told
    hosted.tell("after the loop")  # nobody listens, which is no fault


def test_what_has_no_shards_elsewhere_is_let_be() -> None:
    one: Any = object()
    attend(one, lambda name: None)
