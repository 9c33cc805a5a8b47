"""Any history of publishing, crashing, going back and reloading, held against a dictionary."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from kneighbors.artifact import Artifact, open_artifact, save
from kneighbors.errors import ArtifactError
from kneighbors.generations import Follower, Generation, current, history, publish, rollback
from kneighbors.generations.loading import opened
from kneighbors.items import Catalog
from kneighbors.search.index import ExactIndex
from kneighbors.search.rows import ArrayRows
from support.faults_loop import KILLED, run_with, write_down
from support.faults_seccomp import forked, why_not

pytestmark = pytest.mark.faults

WIDTH = 4
SIZES = (1, 3, 17, 40)
KINDS = st.integers(0, 11)


@cache
def corpus(kind: int) -> dict[str, Any]:
    """Return ids and their vectors; some are there twice, and some kinds have ids in common."""
    random = np.random.default_rng(kind)
    rows = SIZES[kind % len(SIZES)]
    X = random.integers(-3, 4, (rows, WIDTH)).astype(np.float64)
    return {f"id-{(row * 7 + kind) % 97}": X[row] for row in range(rows)}


def nearest(kind: int, query: Any, k: int) -> tuple[list[str], list[float]]:
    """Return ids and distances by brute force, ties by row."""
    known = corpus(kind)
    distances = [float(np.sqrt(((vector - query) ** 2).sum())) for vector in known.values()]
    order = sorted(range(len(distances)), key=lambda row: (distances[row], row))[:k]
    return [list(known)[row] for row in order], [distances[row] for row in order]


@dataclass
class Done:
    """How often each kind of step was taken, over all histories."""

    counts: dict[str, int] = field(default_factory=dict)

    def note(self, what: str) -> None:
        self.counts[what] = self.counts.get(what, 0) + 1


DONE = Done()


class Histories(RuleBasedStateMachine):
    """One place with its publishers and one reader; the model knows what has to be there."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="kneighbors-histories-"))
        self.place = self.folder / "place"
        self.kinds: dict[str, int] = {}
        self.counts: str | None = None
        self.follower: Follower | None = None
        self.loaded: tuple[int, Artifact] | None = None
        DONE.note("history")

    def teardown(self) -> None:
        self.loaded = None
        shutil.rmtree(self.folder)

    def source(self, kind: int) -> Path:
        path = self.folder / f"kind-{kind}"
        if not path.exists():
            known = corpus(kind)
            index = ExactIndex.build(ArrayRows(np.stack(list(known.values()))), "euclidean")
            save(path, index, Catalog(len(known), ids=list(known)))
        return path

    @rule(kind=KINDS)
    def publish(self, kind: int) -> None:
        DONE.note("publish")
        self.published(publish(self.source(kind), self.place), kind)

    @rule(kind=KINDS, keep=st.integers(1, 3))
    def publish_and_prune(self, kind: int, keep: int) -> None:
        DONE.note("prune")
        left = self.counts
        made = publish(self.source(kind), self.place, keep=keep, grace_s=0)
        self.published(made, kind)
        ids = [one.id for one in history(self.place)]
        older = [one for one in self.kinds if one < made.id]
        stay = {*older[len(older) - (keep - 1) :]} if keep > 1 else set()
        # Later ones may be about to be pointed at by those who published them.
        stay |= {one for one in self.kinds if one >= made.id}
        assert stay <= set(ids) <= stay | {left}
        self.kinds = {one: self.kinds[one] for one in ids}

    def published(self, made: Generation, kind: int) -> None:
        if self.counts is not None and made.id != self.counts:
            assert made.id > self.counts
        assert self.kinds.get(made.id, kind) == kind
        self.kinds[made.id] = kind
        self.counts = made.id

    @rule(kind=KINDS, nth=st.integers(1, 50))
    def crash(self, kind: int, nth: int) -> None:
        source = self.source(kind)

        def act() -> int:
            publish(source, self.place)
            return 0

        if why_not() is None and (self.place.exists() or self.place.parent.exists()):
            ended = run_with(KILLED, nth, self.folder, act)
            died = ended.exit_code == -signal.SIGKILL
        else:
            died = _killed_at_once(act)
        DONE.note("crash" if died else "crash too late")
        if not (self.place / "CURRENT").exists():
            assert self.counts is None
            assert died
            # What is complete already waits for a pointer, its own or another one's.
            for path in sorted(self.place.glob("generations/0*")):
                self.kinds.setdefault(path.name, kind)
            return
        now = current(self.place)
        known = {one.id for one in history(self.place)}
        assert set(self.kinds) <= known
        for new in known - set(self.kinds):
            self.kinds[new] = kind
        if now.id != self.counts:
            DONE.note("crash after the pointer had moved")
            assert self.kinds[now.id] == kind
            self.counts = now.id
        else:
            assert died or self.kinds[now.id] == kind

    @precondition(lambda self: self.counts is not None)
    @rule()
    def go_back(self) -> None:
        assert self.counts is not None
        older = sorted(one for one in self.kinds if one < self.counts)
        DONE.note("rollback")
        if not older:
            with pytest.raises(ArtifactError) as caught:
                rollback(self.place)
            assert caught.value.code == "generation-missing"
            return
        self.counts = rollback(self.place).id
        assert self.counts == older[-1]

    @precondition(lambda self: self.kinds and self.counts is not None)
    @rule(data=st.data())
    def go_to(self, data: st.DataObject) -> None:
        DONE.note("rollback to")
        self.counts = data.draw(st.sampled_from(sorted(self.kinds)))
        assert rollback(self.place, self.counts).id == self.counts

    @precondition(lambda self: self.counts is not None)
    @rule()
    def reload(self) -> None:
        DONE.note("reload")
        self.follower = self.follower or Follower(self.place)
        generation = self.follower.poll()
        if generation is None:
            return
        assert generation.id == self.counts
        assert generation.path is not None
        self.loaded = self.kinds[generation.id], open_artifact(generation.path)

    @precondition(lambda self: self.loaded is not None)
    @rule(query=st.lists(st.integers(-4, 4), min_size=WIDTH, max_size=WIDTH), k=st.integers(1, 40))
    def query(self, query: list[int], k: int) -> None:
        DONE.note("query")
        assert self.loaded is not None
        answered_rightly(*self.loaded, query, k)

    @precondition(lambda self: self.counts is not None)
    @rule(query=st.lists(st.integers(-4, 4), min_size=WIDTH, max_size=WIDTH), k=st.integers(1, 40))
    def open_and_query(self, query: list[int], k: int) -> None:
        DONE.note("query of a fresh one")
        assert self.counts is not None
        with opened(self.place, open_artifact) as artifact:
            answered_rightly(self.kinds[self.counts], artifact, query, k)

    @invariant()
    def the_place_is_what_the_model_says(self) -> None:
        if self.counts is None:
            return
        now = history(self.place)
        assert [one.id for one in now if one.is_current] == [self.counts]
        assert {one.id for one in now} == set(self.kinds)
        assert [one.fault for one in now] == [None] * len(now)


def answered_rightly(kind: int, artifact: Artifact, query: list[int], k: int) -> None:
    """Hold an answer against brute force: ids in order, distances."""
    k = min(k, artifact.index.n_samples)
    Q = np.array([query], np.float64)
    distances, rows = artifact.index.kneighbors(Q, k)
    ids, expected = nearest(kind, Q[0], k)
    assert artifact.catalog.ids_of(rows[0]) == ids
    np.testing.assert_allclose(distances[0], expected, rtol=1e-12, atol=1e-12)


def _killed_at_once(act: Any) -> bool:
    """Kill a child that has only just begun; for systems whose calls cannot be watched."""
    child = forked()
    if child == 0:
        act()
        os._exit(0)
    os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


@pytest.mark.timeout(600)
def test_no_history_ends_otherwise_than_in_the_dictionary(monkeypatch: pytest.MonkeyPatch) -> None:
    # Only a loss of power could tell.
    monkeypatch.setattr(os, "fsync", lambda fd: None)
    run_state_machine_as_test(
        Histories,
        settings=settings(
            max_examples=int(os.environ.get("KNEIGHBORS_HISTORIES", "12")),
            stateful_step_count=25,
            deadline=None,
            # Explaining would trace every line, which costs minutes.
            phases=(Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        ),
    )
    write_down({"operation": "histories", **DONE.counts})
    assert DONE.counts["crash"] > 0
