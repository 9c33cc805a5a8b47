"""A copy is let go of only when another is open in its place, and has nothing to do any more."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, cast

import pytest

from kneighbors.cluster.moving import Mover
from kneighbors.cluster.placing import Host, Hosts
from kneighbors.errors import ArtifactError


class Copies:
    """Copies of shards that are no processes."""

    patience_s = 20.0

    def __init__(self, placement: list[list[str]], nodes: list[str]) -> None:
        self.of_shard = [
            [Host(shard, None, node) for node in homes] for shard, homes in enumerate(placement)
        ]
        self.up = nodes
        self.events: list[tuple[str, str]] = []
        self.may_open, self.is_busy = threading.Event(), threading.Event()
        self.may_open.set()
        self.fails_on = ""

    def nodes(self) -> list[str]:
        return self.up

    def placement(self) -> list[list[str]]:
        return [[host.node for host in hosts] for hosts in self.of_shard]

    def start(self, shard: int, node: str) -> Host:
        self.events.append(("start", node))
        return Host(shard, None, node)

    def opened(self, host: Host, stop: threading.Event, seconds: float) -> bool:
        while not stop.is_set() and not self.may_open.wait(0.01):
            pass
        if host.node == self.fails_on:
            raise ArtifactError("artifact-unknown", "Expected an artifact, got none.")
        return not stop.is_set()

    def take(self, new: Host, old: Host, node: str) -> bool:
        hosts = self.of_shard[old.shard]
        if old not in hosts or old.node != node:
            return False
        hosts[hosts.index(old)] = new
        self.events.append(("take", new.node))
        return True

    def is_idle(self, host: Host) -> bool:
        return not self.is_busy.is_set()

    def end(self, host: Host) -> None:
        self.events.append(("end", host.node))

    def tell(self, name: str) -> None:
        self.events.append(("tell", name))


def moving(copies: Copies) -> Mover:
    return Mover(cast(Hosts, cast(Any, copies)), 0.01)


def until(condition: Callable[[], bool]) -> None:
    begun = time.monotonic()
    while not condition():
        assert time.monotonic() - begun < 20
        time.sleep(0.005)


def test_the_new_copy_is_there_before_the_old_one_goes() -> None:
    copies = Copies([["a", "a"]], ["a", "b"])
    mover = moving(copies)
    until(lambda: len(copies.events) == 4)
    mover.close()
    name = "kneighbors_shard_moves_total"
    assert [("start", "b"), ("take", "b"), ("end", "a"), ("tell", name)] == copies.events


def test_a_copy_that_is_asked_something_is_waited_for() -> None:
    copies = Copies([["a", "a"]], ["a", "b"])
    copies.is_busy.set()
    mover = moving(copies)
    until(lambda: ("take", "b") in copies.events)
    assert ("end", "a") not in copies.events
    copies.is_busy.clear()
    until(lambda: ("end", "a") in copies.events)
    mover.close()


def test_a_machine_that_cannot_open_it_is_left_alone_and_others_are_not(
    caplog: pytest.LogCaptureFixture,
) -> None:
    copies = Copies([["a", "a", "a"]], ["a", "b", "c"])
    copies.fails_on = "b"
    mover = moving(copies)
    until(lambda: ("take", "c") in copies.events)
    mover.close()
    assert 1 == copies.events.count(("start", "b"))
    assert 1 == copies.events.count(("end", "b"))
    assert ["a", "a", "c"] == sorted(copies.placement()[0])
    assert "could not be moved" in caplog.text


def test_a_copy_that_was_started_elsewhere_meanwhile_stays() -> None:
    copies = Copies([["a", "a"]], ["a", "b"])
    copies.may_open.clear()
    mover = moving(copies)
    until(lambda: ("start", "b") in copies.events)
    for host in copies.of_shard[0]:
        host.node = "b"
    copies.up = ["b"]
    copies.may_open.set()
    until(lambda: ("end", "b") in copies.events)
    mover.close()
    assert [["b", "b"]] == copies.placement()
    assert ("take", "b") not in copies.events


def test_what_is_being_opened_is_given_up_in_the_end() -> None:
    copies = Copies([["a", "a"]], ["a", "b"])
    copies.may_open.clear()
    mover = moving(copies)
    until(lambda: ("start", "b") in copies.events)
    mover.close()
    assert [("start", "b"), ("end", "b")] == copies.events
