"""Fit and join a corpus of twice the memory that each process may have; the system sees to it.

    python benchmarks/join_memory.py                                # 1.2 GB within 512 MiB
    python benchmarks/join_memory.py --rows 20000 --queries 500 --limit-mib 384 --dry-run

Each command runs under limits of several kinds, one at a time:

    data     prlimit --data (RLIMIT_DATA): what a process allocates; read-only maps of files are
             the page cache's, whose pages the kernel drops when it needs the room
    cgroup   a control group: what a process allocates and the pages of files that it reads; beyond
             it the kernel drops pages, then ends the process. Left out where none can be made
    own      kneighbors' options: --memory-limit of a join, and --memory-per-task of a training on
             Ray, each of which sets RLIMIT_DATA itself

To see that the limits are real, a program that reads the whole corpus into memory runs under the
same ones, and must fail. Answers of all joins are compared. Peaks are looked at ten times a second;
a control group has counted its own. One JSON line is appended to `benchmarks/results/memory.jsonl`.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import corpora
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from memory_watch import run
from results import append

HERE = Path(__file__).resolve().parent
K = 10
#: All joins are with one of the models that the trainings made.
RUNS = (
    *("read-data", "read-cgroup", "train-data", "train-cgroup", "train-ray"),
    *("join-data", "join-cgroup", "join-own"),
)
_GROUPS = Path("/sys/fs/cgroup")
_ENTER = 'echo $$ > "$0/cgroup.procs" && exec "$@"'
_READ_ALL = "import numpy, sys; numpy.load(sys.argv[1]).sum()"


class Group:
    """A control group of its own that limits memory.

    Parameters
    ----------
    path : Path
        Its directory.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._is_second = (_GROUPS / "cgroup.controllers").exists()

    def limit(self, bytes_: int) -> None:
        """Set the limit."""
        name = "memory.max" if self._is_second else "memory.limit_in_bytes"
        (self.path / name).write_text(str(bytes_))

    def peak_mib(self) -> float:
        """Return the most it has held, pages of files included."""
        name = "memory.peak" if self._is_second else "memory.max_usage_in_bytes"
        return round(int((self.path / name).read_text()) / 2**20, 1)


@contextmanager
def group(bytes_: int) -> Iterator[Group | None]:
    """Give a control group of so much memory, or None where none can be made."""
    parent = _GROUPS / "memory"
    path = (parent if parent.is_dir() else _GROUPS) / f"kneighbors-{os.getpid()}"
    found = Group(path)
    try:
        path.mkdir()
        found.limit(bytes_)
    except OSError:
        found_one: Group | None = None
    else:
        found_one = found
    try:
        yield found_one
    finally:
        if path.is_dir():
            path.rmdir()


class Scene:
    """A corpus in a file, queries, and what runs under limits."""

    def __init__(self, folder: Path, options: argparse.Namespace) -> None:
        self.folder, self.options = folder, options
        self.limit = options.limit_mib << 20
        self.corpus, self.queries = folder / "X.npy", folder / "Q.npy"
        corpora.write("wines", self.corpus, options.rows)
        X = np.load(self.corpus, mmap_mode="r")
        np.save(self.queries, corpora.queries(X, options.queries, seed=12))

    def train(self, model: str, *more: str) -> list[str]:
        """Return what makes the shards."""
        return [
            *(sys.executable, "-m", "kneighbors", "train", "--train", str(self.corpus)),
            *("--model-dir", str(self.folder / model), "--shards", str(self.options.shards)),
            *("--no-progress", "--json", *more),
        ]

    def train_on_ray(self, model: str) -> list[str]:
        """Return what makes them by tasks of Ray."""
        there = ("--cluster", "ADDRESS", "--memory-per-task", f"{self.options.limit_mib}MiB")
        nodes = (sys.executable, str(HERE / "cluster_nodes.py"), "1", "2")
        return [*nodes, *self.train(model, *there)]

    def join(self, output: str, *more: str) -> list[str]:
        """Return what joins the queries with a model that could be made."""
        models = sorted(self.folder.glob("M-*/shards.json"))
        model = models[0].parent if models else self.folder / "M"
        return [
            *(sys.executable, "-m", "kneighbors", "join", str(self.queries)),
            *("--model", str(model), "--output", str(self.folder / output)),
            *("-k", str(K), "--no-progress", "--json", *more),
        ]

    def read_all(self) -> list[str]:
        """Return what needs the whole corpus in memory."""
        return [sys.executable, "-c", _READ_ALL, str(self.corpus)]

    def commands(self) -> Iterator[tuple[str, str, list[str]]]:
        """Yield the name of each run, its kind of limit, and what runs."""
        yield "read-data", "data", self.read_all()
        yield "read-cgroup", "cgroup", self.read_all()
        yield "train-data", "data", self.train("M-data")
        yield "train-cgroup", "cgroup", self.train("M-cgroup")
        yield "train-ray", "own", self.train_on_ray("M-ray")
        yield "join-data", "data", self.join("data")
        yield "join-cgroup", "cgroup", self.join("cgroup")
        limit = f"{self.options.limit_mib}MiB"
        yield "join-own", "own", self.join("own", "--memory-limit", limit)

    def run(self, command: list[str], how: str) -> dict[str, Any] | None:
        """Run a command under a limit; return its exit code, seconds and peaks."""
        if how == "cgroup":
            with group(self.limit) as one:
                if one is None:
                    return None
                ran = run(["/bin/sh", "-c", _ENTER, str(one.path), *command], self.folder)
                more = {"group_mib": one.peak_mib()}
        else:
            limited = ["prlimit", f"--data={self.limit}", "--"] if how == "data" else []
            ran, more = run([*limited, *command], self.folder), {}
        lines = [line for line in (ran.error + ran.out).splitlines() if line.strip()]
        said = {"error": lines[-1][:200]} if ran.code and lines else {}
        return {"exit_code": ran.code, "seconds": ran.seconds, **ran.memory, **more, **said}

    def answers(self, output: str) -> str:
        """Return a digest of the rows and distances of a join."""
        parts = sorted((self.folder / output).glob("part-*.parquet"))
        table = pa.concat_tables([pq.read_table(part) for part in parts])
        digest = sha256()
        for name in ("rows", "distances"):
            digest.update(pc.list_flatten(table.column(name)).to_numpy().tobytes())
        return digest.hexdigest()


def measure(scene: Scene, wanted: Sequence[str]) -> dict[str, Any]:
    """Run what is wanted, and say what came of it."""
    runs: dict[str, dict[str, Any] | None] = {}
    joins = []
    for name, how, command in scene.commands():
        if name not in wanted:
            continue
        print(f"{name} ...", file=sys.stderr, flush=True)
        runs[name] = found = scene.run(command, how)
        if name.startswith("join-") and found is not None and not found["exit_code"]:
            joins.append(scene.answers(how))
    model = next(iter(sorted(scene.folder.glob("M-*"))), scene.folder / "M")
    artifact = sum(file.stat().st_size for file in model.rglob("*"))
    return {
        "what": "memory",
        "rows": scene.options.rows,
        "shards": scene.options.shards,
        "queries": scene.options.queries,
        "limit_mib": scene.options.limit_mib,
        "corpus_mib": round(scene.corpus.stat().st_size / 2**20, 1),
        "artifact_mib": round(artifact / 2**20, 1),
        "runs": runs,
        "same_answers": len(set(joins)) == 1,
    }


def table(found: Mapping[str, Any]) -> str:
    """Return the figures as lines of text."""
    times = found["corpus_mib"] / found["limit_mib"]
    lines = [
        f"corpus {found['corpus_mib']:,.0f} MiB, {times:.1f} times the limit of "
        f"{found['limit_mib']} MiB; artifact {found['artifact_mib']:,.0f} MiB; answers of all "
        f"joins the same: {found['same_answers']}",
        f"{'MiB':14}{'exit':>5}{'s':>8}{'anon':>8}{'largest':>8}{'RSS':>8}{'PSS':>8}"
        f"{'data':>8}{'address':>9}{'group':>8}",
    ]
    for name, one in found["runs"].items():
        if one is None:
            lines.append(f"{name:14} left out: no control group can be made here")
            continue
        lines.append(
            f"{name:14}{one['exit_code']:5}{one['seconds']:8.1f}{one['anon_mib']:8.0f}"
            f"{one['largest_anon_mib']:8.0f}{one['rss_mib']:8.0f}{one['pss_mib']:8.0f}"
            f"{one['data_mib']:8.0f}{one['address_space_mib']:9.0f}{one.get('group_mib', 0):8.0f}"
            f"  {one.get('error', '')}"
        )
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, append."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--queries", type=int, default=20_000)
    parser.add_argument("--shards", type=int, default=8)
    parser.add_argument("--limit-mib", type=int, default=512)
    parser.add_argument("--runs", default=",".join(RUNS), help="comma-separated")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--dry-run", action="store_true", help="append nothing")
    options = parser.parse_args(arguments)
    folder = Path(tempfile.mkdtemp(prefix="kneighbors-memory-", dir=options.folder))
    try:
        found = measure(Scene(folder, options), options.runs.split(","))
    finally:
        shutil.rmtree(folder)
    print(table(found))
    if not options.dry_run:
        append("memory", {"corpus": "wines", **found})


if __name__ == "__main__":
    main()
