"""Publishers that are killed at random instants, with readers beside them: nothing is lost."""

from __future__ import annotations

import json
import os
import random
import select
import signal
import statistics
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path

from kneighbors.artifact import open_artifact
from kneighbors.generations import current, history, publish
from support.faults_places import Reader, following, kind_of, make_kind, opening
from support.faults_seccomp import forked

KINDS = 8
KEPT = 4
#: Old generations may go almost at once, so that a publisher is killed while it removes them.
_GRACE_S = 0.2
_WARMING_UP = 3


@dataclass
class Kills:
    """What a loop came to.

    Attributes
    ----------
    killed, finished : int
        Publishers that were killed, and that were faster.
    acknowledged : int
        Publishers that said that they had published, before they ended either way.
    moved : int
        Killed ones that had moved the pointer and could not say so.
    answers : int
        That the readers got, each whole and of one generation.
    refused : dict of str to int
        What readers were refused, by code.
    recovery_s : list of float
        For each kill: until the place was open again and had answered.
    wrong : list of str
    """

    killed: int = 0
    finished: int = 0
    acknowledged: int = 0
    moved: int = 0
    answers: int = 0
    reloads: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    recovery_s: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def facts(self) -> dict[str, object]:
        """Return what is worth writing down."""
        facts = asdict(self)
        times = sorted(facts.pop("recovery_s"))
        facts["recovery_ms"] = {
            "median": round(1e3 * statistics.median(times), 1),
            "most": round(1e3 * times[-1], 1),
        }
        return facts


def kill_loop(folder: Path, kills: int, seed: int, most_seconds: float = 1e9) -> Kills:
    """Publish to a place again and again, and kill the publishers at random instants.

    Parameters
    ----------
    folder : Path
        Empty; the place and what is published grow in it.
    kills : int
        How many publishers to kill.
    seed : int
        Of what is published and when it is killed.
    most_seconds : float
        When to end in any case.
    """
    draw = random.Random(seed)
    sources = [folder / f"kind-{kind}" for kind in range(KINDS)]
    for kind, source in enumerate(sources):
        make_kind(source, kind)
    place = folder / "place"
    publish(sources[0], place)
    readers = [Reader(following(place)), Reader(opening(place))]
    counts = Kills()
    try:
        _loop(place, sources, draw, kills, time.monotonic() + most_seconds, counts)
    finally:
        totals = sum((reader.stop() for reader in readers), Counter[str]())
    counts.answers, counts.reloads = totals.pop("answers"), totals.pop("reloads")
    for what, count in totals.items():
        if what.startswith("refused: "):
            counts.refused[what.removeprefix("refused: ")] = count
        else:
            counts.wrong.append(f"{count} times {what}")
    # What the pointer has just left stays for readers that are about to open it.
    kept = [publish(sources[kind], place, keep=1, grace_s=0).id for kind in (1, 2)]
    left = sorted(path.name for path in (place / "generations").iterdir())
    if left != kept:
        counts.wrong.append(f"left behind: {left}")
    return counts


def _loop(
    place: Path, sources: list[Path], draw: random.Random, kills: int, end: float, counts: Kills
) -> None:
    durations = [1.0]
    before = current(place).id
    was_kind = 0
    while counts.killed < kills and time.monotonic() < end:
        kind = draw.choice([one for one in range(KINDS) if one != was_kind])
        typical = statistics.median(durations[-9:])
        is_warm = len(durations) > _WARMING_UP
        patience = draw.uniform(0, 1.1 * typical) if is_warm else 60.0
        began = time.monotonic()
        said, was_killed = _published(sources[kind], place, patience)
        if not was_killed:
            durations.append(time.monotonic() - began)
        died = time.monotonic()
        now = current(place)
        with open_artifact(place / "generations" / now.id) as artifact:
            is_kind = kind_of(artifact)
        counts.recovery_s.append(time.monotonic() - died)
        counts.killed += was_killed
        counts.finished += not was_killed
        counts.acknowledged += said is not None
        counts.moved += said is None and now.id != before
        for fault in _faults(place, said, before, now.id, (is_kind, was_kind, kind)):
            counts.wrong.append(f"publisher {counts.killed + counts.finished}: {fault}")
        before, was_kind = now.id, is_kind


def _published(source: Path, place: Path, patience_s: float) -> tuple[str | None, bool]:
    """Publish in a child that is killed after a while; return what it said, and if it was."""
    words, out = os.pipe()
    child = forked()
    if child == 0:
        code = 1
        try:
            generation = publish(source, place, keep=KEPT, grace_s=_GRACE_S)
            os.write(out, generation.id.encode())
            code = 0
        finally:
            os._exit(code)
    os.close(out)
    process = os.pidfd_open(child)
    try:
        if not select.select([process], [], [], patience_s)[0]:
            os.kill(child, signal.SIGKILL)
        ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        said = os.read(words, 100).decode() or None
    finally:
        os.close(process)
        os.close(words)
    assert ended in {0, -signal.SIGKILL}, ended
    return said, ended != 0


def _faults(
    place: Path, said: str | None, before: str, now: str, kinds: tuple[int, int, int]
) -> list[str]:
    """Return what is wrong with a place after a publisher has ended."""
    is_kind, was_kind, new_kind = kinds
    found = [f"{one.id}: {one.fault}" for one in history(place) if one.fault]
    if said is not None and now != said:
        found.append(f"{said} was published, and {now} counts")
    if now == before and is_kind != was_kind:
        found.append(f"{now} is of kind {was_kind}, and answers as {is_kind}")
    if now != before and is_kind != new_kind:
        found.append(f"{now} is of kind {new_kind}, and answers as {is_kind}")
    return found


def write_down(facts: dict[str, object]) -> None:
    """Add a line to the counts of this run of the tests, if somebody wants them."""
    folder = os.environ.get("KNEIGHBORS_COUNTS_DIR")
    if folder:
        with (Path(folder) / "kills.jsonl").open("a") as file:
            file.write(json.dumps(facts) + "\n")
