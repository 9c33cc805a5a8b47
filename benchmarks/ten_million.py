"""Fit and serve ten million rows of 300 dimensions, 12 GB, within 8 GiB of memory.

    python benchmarks/ten_million.py --folder /var/tmp    # 25 GB on disk for a while
    python benchmarks/ten_million.py --rows 50000 --dry-run

The corpus is made block by block into a .npy file. A process of its own maps it, fits and saves the
artifact beside it; `kneighbors serve` then answers with one worker.

Neither may allocate more than the limit: it is enforced by RLIMIT_DATA, which does not count
read-only maps of files. Their pages are the page cache's, and the kernel drops them when something
else needs the room. Measured is the highest of the fit's resident pages, those that are no file's
(RssAnon of /proc, sampled every 20 ms) and all (VmRSS), and the server's proportional share of both
kinds (Pss_Anon with Pss_Shmem, and Pss).

One JSON line is appended to `benchmarks/results/ten_million.jsonl`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import corpora
import numpy as np
from closed_loop import load, requests_of
from comparison import quantiles
from processes import HERE, free_port, kneighbors_command, limited, private_mib, pss_mib, served
from results import append

ROWS = 10_000_000
LIMIT_MIB = 8 * 1024
_FIT = """
import json, sys, time
import numpy as np
from kneighbors.artifact import save
from kneighbors.search.index import ExactIndex
from kneighbors.search.rows import ArrayRows

start = time.perf_counter()
index = ExactIndex.build(ArrayRows(np.load(sys.argv[1], mmap_mode="r")), "cosine")
fit_s = time.perf_counter() - start
save(sys.argv[2], index)
found = {"fit_s": fit_s, "save_s": time.perf_counter() - start - fit_s}
print(json.dumps({name: round(value, 1) for name, value in found.items()}))
"""


class Watch:
    """The highest figures of a process' status while it runs, in MiB."""

    def __init__(self, pid: int) -> None:
        self.peaks = {"RssAnon": 0.0, "VmRSS": 0.0}
        self._status = Path(f"/proc/{pid}/status")
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        with suppress(OSError):
            while text := self._status.read_text():
                found = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
                if "RssAnon" not in found:  # it has ended
                    return
                for name, peak in self.peaks.items():
                    self.peaks[name] = max(peak, int(found[name].split()[0]) / 1024)
                time.sleep(0.02)


def fit(corpus: Path, model: Path) -> dict[str, Any]:
    """Fit and save in a process of its own; return its times and its memory."""
    command = limited([sys.executable, "-c", _FIT, str(corpus), str(model)], LIMIT_MIB)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=HERE)
    watch = Watch(process.pid)
    printed = process.communicate()[0]
    if process.returncode:
        raise SystemExit(f"The fit ended with exit code {process.returncode}.")
    found: dict[str, Any] = json.loads(printed)
    found["fit_private_mib"] = round(watch.peaks["RssAnon"], 1)
    found["fit_resident_mib"] = round(watch.peaks["VmRSS"], 1)
    return found


def serve(model: Path, requests: list[bytes], seconds: float) -> dict[str, Any]:
    """Serve with one worker; return times and memory."""
    port = free_port()
    command = limited(kneighbors_command(model, port, 1), LIMIT_MIB)
    with served(command, port) as server:
        load(port, requests, 1, min(seconds, 2.0))
        _, alone = load(port, requests, 1, seconds)
        rate, _ = load(port, requests, 8, seconds)
        return {
            "first_ping_s": round(server.start_s, 3),
            **quantiles("alone", alone, 1),
            "eight_clients_per_s": round(rate, 1),
            "serve_private_mib": round(private_mib(server.pid), 1),
            "serve_pss_mib": round(pss_mib(server.pid), 1),
        }


def single(model: Path, Q: corpora.Array) -> dict[str, float]:
    """Return how long a query takes in this process, of the artifact as it is mapped."""
    from kneighbors.artifact import open_artifact
    from kneighbors.search.gate import check_queries

    with open_artifact(model) as artifact:
        index = artifact.index
        index.warm_up()
        seconds = []
        for query in check_queries(Q, Q.shape[1], "cosine"):
            begun = time.perf_counter()
            index.kneighbors(query[np.newaxis], 10)
            seconds.append(time.perf_counter() - begun)
    return {"in_process_ms": round(statistics.median(seconds) * 1e3, 3)}


def measure(folder: Path, rows: int, seconds: float) -> dict[str, Any]:
    """Return everything that is measured, fit for JSON; leave nothing behind."""
    with tempfile.TemporaryDirectory(prefix="kneighbors-", dir=folder) as name:
        corpus, model = Path(name) / "corpus.npy", Path(name) / "model"
        begun = time.perf_counter()
        corpora.write("wines", corpus, rows)
        made = time.perf_counter() - begun
        Q = corpora.queries(np.load(corpus, mmap_mode="r"), 64)
        found = fit(corpus, model)
        size = sum(file.stat().st_size for file in model.rglob("*")) / 2**20
        corpus.unlink()
        found |= serve(model, requests_of(Q), seconds)
        return {
            "shape": [rows, 300],
            "limit_mib": LIMIT_MIB,
            "made_s": round(made, 1),
            "artifact_mib": round(size, 1),
            **found,
            **single(model, Q),
        }


def main() -> None:
    """Measure, print, append."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--seconds", type=float, default=20, help="of each load")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--dry-run", action="store_true", help="append nothing")
    options = parser.parse_args()
    found = measure(options.folder, options.rows, options.seconds)
    for name, value in found.items():
        print(f"  {name:22} {value}")
    if not options.dry_run:
        append("ten_million", {"corpus": "wines", **found})


if __name__ == "__main__":
    main()
