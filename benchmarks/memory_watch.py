"""The most memory that a command and all that it starts have held, looked at while they run."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster_nodes import processes_of

_EVERY_S = 0.1


class Watch:
    """Peaks of a process and its descendants, in MiB.

    Attributes
    ----------
    peaks : dict
        `rss`, pages of files and shared ones counted for each process that has them; `pss`, counted
        once; `anon`, what is no file's; `largest_anon` of any one process; `address_space` and
        `data` of any one process, as RLIMIT_AS and RLIMIT_DATA count.
    """

    def __init__(self, pid: int) -> None:
        names = ("rss", "pss", "anon", "largest_anon", "address_space", "data")
        self.peaks = dict.fromkeys(names, 0.0)
        self._pid = pid
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def end(self) -> dict[str, float]:
        """Look no more; return the peaks."""
        self._is_over.set()
        self._thread.join()
        return {f"{name}_mib": round(value, 1) for name, value in self.peaks.items()}

    def _run(self) -> None:
        while not self._is_over.wait(_EVERY_S):
            sums = dict.fromkeys(("rss", "pss", "anon"), 0.0)
            for pid in processes_of(self._pid):
                with suppress(OSError, KeyError, ValueError):
                    memory = _fields(Path(f"/proc/{pid}/smaps_rollup"))
                    status = _fields(Path(f"/proc/{pid}/status"))
                    sums["rss"] += memory["Rss"]
                    sums["pss"] += memory["Pss"]
                    sums["anon"] += memory["Pss_Anon"]
                    self._note("largest_anon", status["RssAnon"])
                    self._note("address_space", status["VmPeak"])
                    self._note("data", status["VmData"])
            for name, value in sums.items():
                self._note(name, value)

    def _note(self, name: str, value: float) -> None:
        self.peaks[name] = max(self.peaks[name], value)


@dataclass(frozen=True)
class Ran:
    """A command that has ended: its exit code, what it said, how long it took and what it held."""

    code: int
    out: str
    error: str
    seconds: float
    memory: Mapping[str, float]

    @property
    def said(self) -> dict[str, Any]:
        """The JSON document that it printed last."""
        found: dict[str, Any] = json.loads(self.out[self.out.index("{") :])
        return found


def run(command: Sequence[str], folder: Path, variables: Mapping[str, str] | None = None) -> Ran:
    """Run a command to its end, and watch it; what it says goes through files in a folder."""
    out, error = folder / "stdout", folder / "stderr"
    environment = {**os.environ, **(variables or {})}
    with out.open("w") as to, error.open("w") as to_error:
        begun = time.perf_counter()
        process = subprocess.Popen(command, env=environment, stdout=to, stderr=to_error)
        watch = Watch(process.pid)
        try:
            code = process.wait()
        finally:
            process.kill()
            memory = watch.end()
    seconds = time.perf_counter() - begun
    return Ran(code, out.read_text(), error.read_text(), round(seconds, 2), memory)


def _fields(path: Path) -> dict[str, float]:
    """Return what a file of /proc says, in MiB where it says kB."""
    found = {}
    for line in path.read_text().splitlines():
        name, _, value = line.partition(":")
        words = value.split()
        if words[1:] == ["kB"]:
            found[name] = int(words[0]) / 1024
    return found
