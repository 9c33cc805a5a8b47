"""A server that is asked without a pause while generations come and go: it must not grow."""

from __future__ import annotations

import json
import statistics
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from kneighbors.generations import publish
from support.faults_kills import KINDS
from support.faults_places import FEATURES, NEIGHBORS, make_kind, whole_kind
from support.server_process import ServerProcess

_EVERY_S = 0.5
_CLIENTS = 4


@dataclass
class Soak:
    """What a soak came to.

    Attributes
    ----------
    answers : int
        Each whole and of the generation that it named.
    generations : int
        Published.
    seen : int
        Different generations that answers named.
    samples : list of tuple
        Bytes of memory that are nobody else's, descriptors, threads; of all processes together.
    wrong : list of str
    """

    answers: int = 0
    generations: int = 0
    seen: int = 0
    samples: list[tuple[int, int, int]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def growth(self) -> dict[str, tuple[float, float]]:
        """Return the medians of the second quarter and of the last, of what was sampled."""
        quarter = max(1, len(self.samples) // 4)
        early, late = self.samples[quarter : 2 * quarter], self.samples[-quarter:]
        return {
            name: (
                statistics.median(sample[place] for sample in early),
                statistics.median(sample[place] for sample in late),
            )
            for place, name in enumerate(("bytes", "descriptors", "threads"))
        }


def soak(folder: Path, seconds: float) -> Soak:
    """Ask a server without a pause, publish beside it, and watch what it holds on to.

    Parameters
    ----------
    folder : Path
        Empty.
    seconds : float
        How long; the first quarter is not looked at.
    """
    result = Soak()
    place = folder / "place"
    kinds: dict[str, int] = {}
    sources = [folder / f"kind-{kind}" for kind in range(KINDS)]
    for kind, source in enumerate(sources):
        make_kind(source, kind)
        kinds[publish(source, place).digest] = kind
    with ServerProcess(folder, place, workers=2, follow_seconds=0.1) as server:
        end = time.monotonic() + seconds
        lock = threading.Lock()
        counts: Counter[str] = Counter()
        clients = [
            threading.Thread(target=_ask, args=(server, kinds, end, counts, lock, result.wrong))
            for _ in range(_CLIENTS)
        ]
        for client in clients:
            client.start()
        watched = psutil.Process(server.process.pid)
        while time.monotonic() < end:
            publish(sources[result.generations % KINDS], place, keep=3, grace_s=2 * _EVERY_S)
            result.generations += 1
            result.samples.append(_held([watched, *watched.children(recursive=True)]))
            clients[0].join(_EVERY_S)
        for client in clients:
            client.join()
    result.answers = counts.total()
    result.seen = len(counts)
    return result


def _ask(
    server: ServerProcess,
    kinds: dict[str, int],
    end: float,
    counts: Counter[str],
    lock: threading.Lock,
    wrong: list[str],
) -> None:
    body = json.dumps({"instances": [[0.0] * FEATURES], "parameters": {"k": NEIGHBORS}}).encode()
    while time.monotonic() < end:
        try:
            status, headers, data = server.request(
                "POST", "/invocations", body, {"Content-Type": "application/json"}
            )
            answer: Any = json.loads(data)
            assert status == 200, answer
            generation = headers["x-kneighbors-generation"]
            found = answer["predictions"][0]
            assert whole_kind(found["distances"], found["ids"]) == kinds[generation]
        except (AssertionError, OSError, KeyError, ValueError) as error:
            with lock:
                wrong.append(f"{type(error).__name__}: {error}"[:500])
            if len(wrong) > 100:
                return
        else:
            with lock:
                counts[generation] += 1


def _held(processes: list[psutil.Process]) -> tuple[int, int, int]:
    totals = [0, 0, 0]
    for process in processes:
        try:
            held = (process.memory_full_info().uss, process.num_fds(), process.num_threads())
        except psutil.NoSuchProcess:
            continue
        totals = [total + one for total, one in zip(totals, held, strict=True)]
    return totals[0], totals[1], totals[2]
