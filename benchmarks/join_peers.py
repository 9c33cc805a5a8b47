"""One join of many queries by several engines, in one run, on the same two cores.

    python benchmarks/join_peers.py                       # 20,000 queries, 180,000 x 300
    python benchmarks/join_peers.py --queries 500 --rows 5000 --dry-run

The ten nearest wines of every row of a Parquet file, into Parquet files:

    kneighbors       kneighbors join, one process
    kneighbors_ray   kneighbors join --cluster: two hosts on a node of Ray, half of the rows each
    faiss            FAISS flat, one process with two threads
    spark            PySpark: mapInPandas, the corpus broadcast to FAISS flat
    ray_data         Ray Data: map_batches with two actors of FAISS flat

The peers run in `.venv-join-peers`, which is made here (1.5 GB); one that cannot be had is left out
with the reason. Seconds are of the whole command, start and end included, and of the join alone.
Ours has been trained before, which is said apart; the peers build their index in the join. Rows
are compared with ours and with a float64 scan. One JSON line is appended to
`benchmarks/results/join.jsonl`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from cluster_nodes import save_shards
from corpora import make, queries
from engine import THREADS, Array
from memory_watch import Ran, run
from recall import TOLERANCE, Truth
from results import append

HERE = Path(__file__).resolve().parent
HOME = HERE.parent / ".venv-join-peers"
REQUIREMENTS = HERE / "join_peers.txt"
OURS = ("kneighbors", "kneighbors_ray")
PEERS = ("faiss", "spark", "ray_data")
K = 10
_SAMPLE = 500
_CHUNK = 1000


def prepare_peers() -> Path:
    """Make the environment of the peers unless it is there; return its interpreter."""
    python, whole = HOME / "bin" / "python", HOME / "requirements.txt"
    wanted = REQUIREMENTS.read_text("utf-8")
    if not whole.exists() or whole.read_text("utf-8") != wanted:
        print(f"making {HOME.name} ...", file=sys.stderr, flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(HOME)], check=True)
        command = [str(python), "-m", "pip", "install", "-q", "-r", str(REQUIREMENTS)]
        subprocess.run(command, check=True)
        whole.write_text(wanted, "utf-8")
    return python


class Scene:
    """A corpus, queries and models in a folder."""

    def __init__(self, folder: Path, rows: int, n_queries: int) -> None:
        self.folder = folder
        self.X = make("wines", rows)
        self.Q = queries(self.X, n_queries, seed=11)
        self.queries, self.corpus = folder / "queries.parquet", folder / "corpus.npy"
        np.save(self.corpus, self.X)
        vectors = pa.FixedSizeListArray.from_arrays(self.Q.ravel(), self.Q.shape[1])
        columns = {"query": np.arange(n_queries), "vector": vectors.cast(pa.list_(pa.float32()))}
        pq.write_table(pa.table(columns), self.queries)
        self.train_s = {name: self._train(name) for name in OURS}

    def command(self, name: str, peers: Path | None) -> list[str]:
        """Return what joins."""
        out = str(self.folder / name)
        if name in PEERS:
            files = (str(self.queries), str(self.corpus), out, str(K))
            return [str(peers), str(HERE / "join_peer.py"), name, *files]
        command = [
            *(sys.executable, "-m", "kneighbors", "join", str(self.queries)),
            *("--vector-column", "vector", "--model", str(self.folder / f"M-{name}")),
            *("--output", out, "-k", str(K), "--no-progress", "--json"),
        ]
        if name == "kneighbors":
            return command
        nodes = (sys.executable, str(HERE / "cluster_nodes.py"), "1", str(THREADS))
        return [*nodes, *command, "--cluster", "ADDRESS"]

    def answers(self, name: str) -> Array:
        """Return the rows that were found, in the order of the queries."""
        parts = sorted((self.folder / name).glob("*.parquet"))
        table = pa.concat_tables([pq.read_table(part, columns=["query", "rows"]) for part in parts])
        order = np.argsort(table.column("query").to_numpy(), kind="stable")
        rows = pc.list_flatten(table.column("rows")).to_numpy().reshape(len(self.Q), -1)
        return np.asarray(rows[order])

    def _train(self, name: str) -> float:
        from kneighbors.artifact import save
        from kneighbors.search.index import ExactIndex
        from kneighbors.search.rows import ArrayRows

        path = self.folder / f"M-{name}"
        begun = time.perf_counter()
        if name == "kneighbors":
            save(path, ExactIndex.build(ArrayRows(self.X), "cosine"))
        else:
            save_shards(self.X, path, THREADS)
        return round(time.perf_counter() - begun, 2)


def measure(scene: Scene, names: Sequence[str]) -> dict[str, Any]:
    """Let all join, and compare their answers."""
    peers = prepare_peers() if set(names) & set(PEERS) else None
    engines: dict[str, dict[str, Any]] = {}
    left_out: dict[str, str] = {}
    for name in names:
        print(f"{name} ...", file=sys.stderr, flush=True)
        ran = run(scene.command(name, peers), scene.folder, _variables(name))
        if ran.code:
            left_out[name] = _reason(ran)
            continue
        engines[name] = _figures(name, ran, len(scene.Q))
    sample = np.random.default_rng(1).choice(len(scene.Q), min(_SAMPLE, len(scene.Q)), False)
    truth = Truth(scene.X, scene.Q[sample], K)
    ours = scene.answers("kneighbors") if "kneighbors" in engines else None
    for name, found in engines.items():
        rows = scene.answers(name)
        found["recall"] = round(float(truth.recalls(rows[sample]).mean()), 5)
        if ours is not None:
            found |= compared(scene.X, scene.Q, ours, rows)
    return {
        "queries": len(scene.Q),
        "shape": list(scene.X.shape),
        "k": K,
        "train_s": scene.train_s,
        "engines": engines,
        "left_out": left_out,
    }


def compared(X: Array, Q: Array, ours: Array, rows: Array) -> dict[str, float]:
    """Return of how many queries the rows are ours, and ours up to ties."""
    same = (ours == rows).all(axis=1)
    up_to_ties = same.copy()
    for start in range(0, len(Q), _CHUNK):
        part = np.flatnonzero(~same[start : start + _CHUNK]) + start
        gaps = [np.sort(_distances(X, Q[part], found[part]), axis=1) for found in (ours, rows)]
        up_to_ties[part] = (np.abs(gaps[0] - gaps[1]) <= TOLERANCE).all(axis=1)
    return {
        "same": round(float(same.mean()), 5),
        "same_up_to_ties": round(float(up_to_ties.mean()), 5),
    }


def _distances(X: Array, Q: Array, rows: Array) -> Array:
    found = X[rows].astype(np.float64)
    wanted = Q.astype(np.float64)
    products = np.einsum("qkd,qd->qk", found, wanted)
    lengths = np.linalg.norm(found, axis=2) * np.linalg.norm(wanted, axis=1)[:, np.newaxis]
    return np.asarray(1 - products / lengths)


def _figures(name: str, ran: Ran, count: int) -> dict[str, Any]:
    said = ran.said
    join_s = said["seconds"] if name in OURS else said["join_s"]
    return {
        "wall_s": ran.seconds,
        "join_s": round(join_s, 2),
        "rows_per_s": round(count / ran.seconds, 1),
        "join_rows_per_s": round(count / join_s, 1),
        **ran.memory,
        "versions": said.get("versions", {}),
    }


def _variables(name: str) -> dict[str, str]:
    """Keep Ray on the loopback; threads of the peers are set by themselves."""
    found = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "SPARK_LOCAL_IP": "127.0.0.1"}
    return found | ({} if name in OURS or name == "faiss" else {"OMP_NUM_THREADS": "1"})


def _reason(ran: Ran) -> str:
    lines = [line.strip() for line in ran.error.splitlines() if line.strip()]
    return lines[-1][:300] if lines else f"it ended with {ran.code}"


def table(found: Mapping[str, Any]) -> str:
    """Return the figures as lines of text."""
    lines = [
        f"{'':16}{'wall s':>8}{'join s':>8}{'rows/s':>9}{'RSS MiB':>9}{'PSS MiB':>9}"
        f"{'recall':>9}{'same':>9}{'or tied':>9}"
    ]
    for name, one in found["engines"].items():
        lines.append(
            f"{name:16}{one['wall_s']:8.1f}{one['join_s']:8.1f}{one['rows_per_s']:9.0f}"
            f"{one['rss_mib']:9.0f}{one['pss_mib']:9.0f}{one['recall']:9.5f}"
            f"{one.get('same', float('nan')):9.5f}{one.get('same_up_to_ties', float('nan')):9.5f}"
        )
    lines += [f"{name} was left out: {why}" for name, why in found["left_out"].items()]
    return "\n".join([*lines, f"trained before: {json.dumps(found['train_s'])} s"])


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, append."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=180_000)
    parser.add_argument("--queries", type=int, default=20_000)
    parser.add_argument("--engines", default=",".join((*OURS, *PEERS)), help="comma-separated")
    parser.add_argument("--dry-run", action="store_true", help="append nothing")
    options = parser.parse_args(arguments)
    # All that is started inherits this.
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:THREADS])
    with tempfile.TemporaryDirectory(prefix="kneighbors-join-") as folder:
        scene = Scene(Path(folder), options.rows, options.queries)
        load = os.getloadavg()[0]
        found = measure(scene, options.engines.split(","))
    print(table(found))
    if not options.dry_run:
        append("join", {"what": "peers", "corpus": "wines", "load_average": load, **found})


if __name__ == "__main__":
    main()
