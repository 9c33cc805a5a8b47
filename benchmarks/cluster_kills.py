"""Kill an actor that holds a shard, then a whole machine, under 50 requests a second.

    python benchmarks/cluster_kills.py                 # the long form: 60 s for each of two
    python benchmarks/cluster_kills.py --rows 20000 --seconds 24 --dry-run

`kneighbors serve --cluster` over some nodes of Ray on this machine, with two copies of each shard
and with one. Requests are due at fixed times. At a quarter of the time a process that holds a shard
is killed, at 7/12 of it every process of a node, none of which says good-bye. Latency runs from
when a request was due. The load shares the cores with the server and all nodes. A kill is judged
by the requests that had no answer yet when it came.

A server has recovered when every request that is due from then on is answered with 200; it is in
time again when each takes less than a second. Copies are back when all shards are open as often as
before. One JSON line for each number of copies is appended to `benchmarks/results/cluster.jsonl`.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import open_loop
from closed_loop import requests_of
from cluster_nodes import Nodes, nodes, ray_version, save_shards, wait_for
from corpora import make, queries
from processes import free_port, served
from results import append

N_QUERIES = 256
WARM_S = 5.0
#: Seconds after a kill that are looked at by themselves.
AFTER_S = 5.0
_LOOK_S = 0.25
#: Seconds after the load in which copies may still come back.
_BACK_S = 60.0
Answers = Sequence[tuple[float, float, int]]


class Kills:
    """What is killed, and when; and when all copies are there again.

    Parameters
    ----------
    at : Nodes
    times : tuple of float
        Seconds from the beginning to the actor's end and to the node's.
    copies : int
        Of all shards together.
    """

    def __init__(self, at: Nodes, times: tuple[float, float], copies: int) -> None:
        self.done: dict[str, float] = {}
        self.copies_back: dict[str, float] = {}
        self._at, self._times, self._copies = at, times, copies
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Kills:
        self.began_s = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, kind: object, *what: object) -> None:
        if kind is None:
            self._thread.join(_BACK_S)
        self._is_over.set()
        self._thread.join()

    def _run(self) -> None:
        for name, at in zip(("actor", "node"), self._times, strict=True):
            if self._is_over.wait(max(0.0, self.began_s + at - time.monotonic())):
                return
            # The last node is lost later; the actor is one of another.
            killed = self._at.hosts(0) if name == "actor" else self._at.hosts(-1)
            self.done[name] = time.monotonic()
            if name == "actor":
                os.kill(killed[0], signal.SIGKILL)
            else:
                self._at.lose(-1)
            self._await_copies(name, set(killed[:1] if name == "actor" else killed))

    def _await_copies(self, name: str, lost: set[int]) -> None:
        """Note when all copies are open again, unless the next kill is due before that."""
        until = self.began_s + self._times[1] if name == "actor" else float("inf")
        while time.monotonic() < until and not self._is_over.wait(_LOOK_S):
            if len(set(self._at.hosts()) - lost) >= self._copies:
                self.copies_back[name] = round(time.monotonic() - self.done[name], 1)
                return


def measure(model: Path, Q: Any, copies: int, options: argparse.Namespace) -> dict[str, Any]:
    """Return what came of the requests, with so many copies of each shard."""
    requests = requests_of(Q)
    command = [
        *(sys.executable, "-m", "kneighbors", "serve", str(model)),
        *("--replicas", str(copies), "--port"),
    ]
    times = (options.seconds / 4, options.seconds * 7 / 12)
    with nodes(options.nodes) as at:
        port = free_port()
        with served([*command, str(port), "--cluster", at.address], port) as server:
            wait_for(copies * options.shards, at)
            open_loop.load(port, requests, options.rate, WARM_S)
            before = os.getloadavg()[0]
            with Kills(at, times, copies * options.shards) as kills:
                found = open_loop.load(port, requests, options.rate, options.seconds)
            start_s = server.start_s
    killed = {name: when - found.began_s for name, when in kills.done.items()}
    return {
        "what": "kills",
        "copies": copies,
        "nodes": options.nodes,
        "shards": options.shards,
        "rate": options.rate,
        "seconds": options.seconds,
        "start_s": round(start_s, 1),
        "load_average": round(before, 2),
        **figures_of(found.answers, killed, options.seconds, kills.copies_back),
        "reasons": found.reasons,
        "sent_late_p99_ms": _ms(np.percentile(found.lateness or [0.0], 99)),
    }


def figures_of(
    answers: Answers, killed: dict[str, float], seconds: float, copies_back: dict[str, float]
) -> dict[str, Any]:
    """Return counts and latencies, of all requests and of those around each kill."""
    first = min(killed.values(), default=seconds)
    quiet = [one for one in answers if one[0] + one[1] < first]
    found: dict[str, Any] = {"all": _phase(answers), "quiet": _phase(quiet)}
    ends = [*sorted(killed.values())[1:], float("inf")]
    for (name, at), end in zip(sorted(killed.items(), key=lambda one: one[1]), ends, strict=True):
        later = sorted(_unanswered(answers, at, end))
        found[name] = {
            "killed_s": round(at, 1),
            "recovered_s": _recovered([(due - at, status == 200) for due, _, status in later]),
            "in_time_s": _recovered(
                [(due - at, status == 200 and took < 1.0) for due, took, status in later]
            ),
            "copies_back_s": copies_back.get(name),
            "failed_between_s": _ends([due - at for due, _, status in later if status != 200]),
            **_phase(_unanswered(answers, at, min(end, at + AFTER_S))),
            "failed_in_all": sum(status != 200 for _, _, status in later),
        }
    return found


def _unanswered(answers: Answers, at: float, stop: float) -> Answers:
    """Return those that had no answer yet at an instant, and were due until another."""
    return [one for one in answers if one[0] + one[1] >= at and one[0] < stop]


def _phase(answers: Answers) -> dict[str, Any]:
    times = [took for _, took, status in answers if status == 200]
    failed = Counter(str(status) for _, _, status in answers if status != 200)
    said = {"requests": len(answers), "failed": dict(failed)}
    if times:
        p50, p99 = np.percentile(times, [50, 99])
        said |= {"p50_ms": _ms(p50), "p99_ms": _ms(p99), "most_ms": _ms(max(times))}
    return said


def _recovered(later: Sequence[tuple[float, bool]]) -> float | None:
    """Return when the first is due from which on all are good; None if the last is not."""
    bad = [number for number, (_, good) in enumerate(later) if not good]
    if not bad:
        return 0.0
    rest = later[bad[-1] + 1 :]
    return round(rest[0][0], 2) if rest else None


def _ends(times: Sequence[float]) -> tuple[float, float] | None:
    return (round(min(times), 2), round(max(times), 2)) if times else None


def _ms(seconds: Any) -> float:
    return round(float(seconds) * 1e3, 1)


def table(found: dict[str, Any]) -> str:
    """Return the figures as lines of text."""
    lines = [f"{found['copies']} copies of {found['shards']} shards on {found['nodes']} nodes"]
    for name in ("all", "quiet", "actor", "node"):
        one = found.get(name)
        if one is None:
            continue
        times = "  ".join(f"{key} {one.get(f'{key}_ms')} ms" for key in ("p50", "p99", "most"))
        lines.append(f"  {name:6}{one['requests']:6} requests, failed {one['failed']}  {times}")
        if "killed_s" in one:
            lines.append(
                f"        killed at {one['killed_s']} s; all answered from {one['recovered_s']} s "
                f"after, within 1 s each from {one['in_time_s']} s; copies back after "
                f"{one['copies_back_s']} s; {one['failed_in_all']} failed, "
                f"due {one['failed_between_s']} s after"
            )
    return "\n".join([*lines, f"  why: {found['reasons'] or 'nothing failed'}"])


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, append."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=180_000)
    parser.add_argument("--shards", type=int, default=8)
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--copies", default="2,1", help="comma-separated, one run for each")
    parser.add_argument("--rate", type=float, default=50.0, help="requests a second")
    parser.add_argument("--seconds", type=float, default=60.0, help="of each run")
    parser.add_argument("--dry-run", action="store_true", help="append nothing")
    options = parser.parse_args(arguments)
    X = make("wines", options.rows)
    with tempfile.TemporaryDirectory(prefix="kneighbors-kills-") as folder:
        model = save_shards(X, Path(folder) / "M", options.shards)
        for copies in map(int, options.copies.split(",")):
            found = measure(model, queries(X, N_QUERIES, seed=9), copies, options)
            print(table(found), flush=True)
            if not options.dry_run:
                line = {"corpus": "wines", "rows": options.rows, "ray": ray_version(), **found}
                append("cluster", line)


if __name__ == "__main__":
    main()
