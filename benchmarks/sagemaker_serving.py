"""Compare hosts on SageMaker's contract: the walk-through's handlers, ours in AWS's stack, ours.

Each host serves 180,000 generated wines of 300 dimensions with two workers, on this machine's
loopback. Rounds are interleaved; each begins with another host. Run, after ``make test-aws`` has
set AWS's stack up, on a machine that does nothing else::

    PYTHONPATH=tests python benchmarks/sagemaker_serving.py
    PYTHONPATH=tests python benchmarks/sagemaker_serving.py --rows 2000 --rounds 1 --seconds 1

Results are appended to ``benchmarks/results/sagemaker.jsonl``, and printed as a table.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
from closed_loop import load, requests_of
from machine import describe
from processes import pss_mib

from aws.environments import ROOT, environment_of_stack
from aws.servers import Host, gunicorn_stack, own_server
from kneighbors.artifact import save
from kneighbors.datasets import make_wines
from kneighbors.sagemaker.package import Packaged, package
from kneighbors.search.index import ExactIndex
from kneighbors.search.rows import ArrayRows

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results" / "sagemaker.jsonl"
CLIENTS = 32
N_QUERIES = 256
NAMES = {
    "walk-through": "the walk-through's handlers on AWS's gunicorn stack",
    "front": "our package in the same stack, `--front ours`",
    "own": "our own server",
}
# Which way is better: a ratio above 1 is better than the walk-through.
FIGURES = {
    "start_s": ("first healthy ping, s", False),
    "alone_ms_median": ("alone, median, ms", False),
    "alone_ms_p99": ("alone, p99, ms", False),
    "load_ms_median": (f"{CLIENTS} clients, median, ms", False),
    "load_ms_p99": (f"{CLIENTS} clients, p99, ms", False),
    "requests_per_s": (f"{CLIENTS} clients, requests/s", True),
    "pss_mib": ("memory of all processes, PSS, MiB", False),
}
_FIT = """
import sys, joblib, numpy
from sklearn.neighbors import NearestNeighbors
vectors = numpy.load(sys.argv[1]).astype("float64")
joblib.dump(NearestNeighbors(n_neighbors=10, metric="cosine").fit(vectors), sys.argv[2])
"""

Start = Callable[[Path], AbstractContextManager[Host]]


def walk_through(X: Any, folder: Path) -> Path:
    """Fit and pickle with the stack's own scikit-learn, and add the handlers."""
    np.save(folder / "wines.npy", X)
    python = environment_of_stack("containers") / "bin" / "python"
    model = folder / "model.joblib"
    subprocess.run([python, "-c", _FIT, folder / "wines.npy", model], check=True)
    archive = folder / "walk-through.tar.gz"
    with tarfile.open(archive, "w:gz", compresslevel=1) as tar:
        tar.add(model, "model.joblib")
        tar.add(HERE / "walkthrough_script.py", "code/walkthrough_script.py")
    return archive


def hosts(X: Any, folder: Path) -> dict[str, Start]:
    """Make the models; return how each host is started."""
    save(folder / "model", ExactIndex.build(ArrayRows(X), "cosine"))
    ours: Packaged = package(folder / "model", folder / "ours.tar.gz", front="ours")
    theirs = walk_through(X, folder)
    script = {
        "SAGEMAKER_PROGRAM": "walkthrough_script.py",
        "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code",
    }
    return {
        "walk-through": lambda at: gunicorn_stack("walk-through", theirs, script, at),
        "front": lambda at: gunicorn_stack("front", ours.path, ours.environment, at),
        "own": lambda at: own_server(ours.path, at),
    }


def measure(start: Start, folder: Path, requests: list[bytes], seconds: float) -> dict[str, Any]:
    """Start a host, ask it alone and with many clients, and look at its memory."""
    with start(folder) as host:
        load(host.port, requests, 8, min(seconds, 3))  # whatever is loaded late is loaded now
        _, alone = load(host.port, requests, 1, seconds)
        rate, together = load(host.port, requests, CLIENTS, seconds)
        return {
            "start_s": host.start_s,
            "alone": alone,
            "together": together,
            "requests_per_s": rate,
            "pss_mib": pss_mib(host.pid),
        }


def figures(rounds: list[dict[str, Any]]) -> dict[str, float]:
    """Sum rounds up: medians over rounds, quantiles over all requests of all rounds."""
    found = {
        name: statistics.median(one[name] for one in rounds)
        for name in ("start_s", "requests_per_s", "pss_mib")
    }
    for name, key in (("alone", "alone"), ("load", "together")):
        times = np.concatenate([one[key] for one in rounds]) * 1e3
        found[f"{name}_ms_median"] = float(np.median(times))
        found[f"{name}_ms_p99"] = float(np.quantile(times, 0.99))
        found[f"{name}_requests"] = len(times)
    return {name: round(value, 3) for name, value in found.items()}


def stack_versions() -> dict[str, str]:
    """Return what AWS's stack consists of, as far as it matters here."""
    lines = (ROOT / "tests/aws/stacks/containers.txt").read_text("utf-8").splitlines()
    pins = dict(line.split("==") for line in lines if "==" in line)
    wanted = ("sagemaker-containers", "gunicorn", "gevent", "Flask", "numpy", "scikit-learn")
    return {name: pins[name] for name in wanted}


def table(results: dict[str, dict[str, float]]) -> str:
    """Return the figures as Markdown, each with how many times better than the walk-through."""
    base = results["walk-through"]
    lines = ["| | " + " | ".join(NAMES[name] for name in results) + " |", "|---" * 4 + "|"]
    for key, (title, more_is_better) in FIGURES.items():
        cells = []
        for name, found in results.items():
            ratio = found[key] / base[key] if more_is_better else base[key] / found[key]
            times = "" if name == "walk-through" else f" ({ratio:.1f} times better)"
            cells.append(f"{found[key]:,.2f}{times}")
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Measure, print the table, append the result."""
    parser = argparse.ArgumentParser(description="Compare hosts on SageMaker's contract.")
    parser.add_argument("--rows", type=int, default=180_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=20, help="of each load, in each round")
    parser.add_argument("--dry-run", action="store_true", help="append nothing")
    options = parser.parse_args()

    X = np.asarray(make_wines(options.rows).X)
    # Wines of another seed: queries that the corpus does not contain.
    requests = requests_of(np.asarray(make_wines(N_QUERIES, seed=1).X))
    rounds: dict[str, list[dict[str, Any]]] = {name: [] for name in NAMES}
    with tempfile.TemporaryDirectory(prefix="kneighbors-") as name:
        folder = Path(name)
        starts = hosts(X, folder)
        for number in range(options.rounds):
            names = list(starts)
            for host in names[number % 3 :] + names[: number % 3]:
                at = folder / f"{host}-{number}"
                at.mkdir()
                print(f"round {number + 1}, {host} ...", file=sys.stderr, flush=True)
                rounds[host].append(measure(starts[host], at, requests, options.seconds))
    results = {name: figures(found) for name, found in rounds.items()}
    print(table(results))
    document = {
        "rows": options.rows,
        "width": int(X.shape[1]),
        "rounds": options.rounds,
        "seconds": options.seconds,
        "workers": 2,
        "clients": CLIENTS,
        "hosts": results,
        "stack": stack_versions(),
        **describe(),
    }
    if not options.dry_run:
        with RESULTS.open("a", encoding="utf-8") as file:
            file.write(json.dumps(document) + "\n")


if __name__ == "__main__":
    main()
