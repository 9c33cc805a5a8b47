"""One corpus, whole, in shards, and in shards on clusters fed from S3: equal answers, to the bit.

    .venv/bin/python benchmarks/shards_equal.py            # a million rows, on S3
    .venv/bin/python benchmarks/shards_equal.py --rows 20000 --queries 200 --dry-run

It needs what the tests on S3 need: `make test-s3` makes both, `.venv` and Ceph's gateway.

The corpus is written to a file block by block; 8 shards and one artifact are made of it. The shards
are published to a bucket of Ceph's gateway (`scripts/ceph`), a real S3 server, here on the
loopback. The same queries go to

    unsharded          the one artifact, by this process
    8 shards           in this process, from the directory
    8 shards, S3       in this process, from a copy of what the bucket holds
    2 nodes, 3 nodes   of a local cluster of Ray, each host with the shards that it has fetched from
                       the bucket; this process has ids alone

and the distances and rows of each are compared with those of the first, as bytes, order and ties
included. One JSON line is appended to `benchmarks/results/shards.jsonl`: what was equal, how long
making, publishing, opening and answering took, and what came to this machine. With a million rows
it needs 10 GB of disk, 8 GB of memory and a quarter of an hour; it ends with 1 if anything differs.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import corpora
import numpy as np
from cluster_nodes import joined, nodes, ray_version, save_shards
from engine import Array
from results import append

K = 10
SHARDS = 8
BUCKET = "equal"
PLACE = f"s3://{BUCKET}/wines"
Timed = dict[str, float]


@contextmanager
def timed(into: Timed, name: str) -> Iterator[None]:
    """Note how many seconds a block takes, and say so."""
    begun = time.perf_counter()
    yield
    into[name] = round(time.perf_counter() - begun, 1)
    print(f"{name:28} {into[name]:8.1f} s", file=sys.stderr, flush=True)


@contextmanager
def bucket(folder: Path) -> Iterator[None]:
    """Run Ceph's gateway with an empty bucket, to which the variables of AWS lead meanwhile."""
    sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))
    from support.ceph import gateway, is_installed
    from support.storage_servers import aws_client

    if not is_installed():
        raise SystemExit("Ceph is not unpacked: run scripts/ceph first")
    before = dict(os.environ)
    with gateway(folder) as url:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            del os.environ[name]
        os.environ |= {
            "AWS_ENDPOINT_URL_S3": url,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "never-shown",
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        try:
            aws_client(url).create_bucket(Bucket=BUCKET)
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)


class Comparison:
    """The answers of several ways of opening one corpus, held against the first.

    Parameters
    ----------
    queries : ndarray of shape (n_queries, n_features)
    """

    def __init__(self, queries: Array) -> None:
        self._queries = queries
        self._first: tuple[Array, Array] | None = None
        self.ways: dict[str, dict[str, Any]] = {}

    def add(self, name: str, open_it: Any, **facts: Any) -> None:
        """Open, answer, compare."""
        times: Timed = {}
        with ExitStack() as stack:
            with timed(times, f"{name}: opening"):
                artifact = stack.enter_context(closing(open_it()))
            with timed(times, f"{name}: answering"):
                distances, rows = artifact.index.kneighbors(self._queries, K)
        if self._first is None:
            self._first = distances, rows
        self.ways[name] = {
            "rows_equal": rows.tobytes() == self._first[1].tobytes(),
            "distances_equal": distances.tobytes() == self._first[0].tobytes(),
            "sha256": sha256(distances.tobytes() + rows.tobytes()).hexdigest(),
            "open_s": times[f"{name}: opening"],
            "answer_s": times[f"{name}: answering"],
            **{key: value() for key, value in facts.items()},
        }
        print(json.dumps({name: self.ways[name]}), file=sys.stderr, flush=True)

    @property
    def is_equal(self) -> bool:
        """Whether all answers are those of the first."""
        return all(way["rows_equal"] and way["distances_equal"] for way in self.ways.values())

    @property
    def ties(self) -> int:
        """Queries of which two neighbours are at the same distance."""
        if self._first is None:
            return 0
        distances = self._first[0]
        return int((distances[:, 1:] == distances[:, :-1]).any(axis=1).sum())


def measure(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Make, publish, open in all ways, and return what was found."""
    from kneighbors.artifact import open_artifact, save
    from kneighbors.cluster import open_on_cluster
    from kneighbors.generations import open_saved, publish
    from kneighbors.search.index import ExactIndex
    from kneighbors.search.rows import ArrayRows
    from kneighbors.shards import open_sharded

    making: Timed = {}
    with timed(making, "writing the corpus"):
        corpora.write("wines", folder / "corpus.npy", options.rows)
    X = np.load(folder / "corpus.npy", mmap_mode="r")
    with timed(making, "making it whole"):
        save(folder / "whole", ExactIndex.build(ArrayRows(X), "cosine"))
    with timed(making, "making its shards"):
        save_shards(X, folder / "shards", options.shards)
    found = Comparison(corpora.queries(X, options.queries))
    found.add("unsharded", lambda: open_artifact(folder / "whole"))
    found.add("shards", lambda: open_sharded(folder / "shards"))
    with bucket(folder / "ceph"):
        with timed(making, "publishing its shards"):
            generation = publish(folder / "shards", PLACE)
        alone = folder / "alone"
        found.add(
            "shards, from S3",
            lambda: open_saved(PLACE, cache_dir=alone),
            fetched_bytes=lambda: _bytes_of(alone),
        )
        for count in (2, 3):
            hosts, here = folder / f"hosts-{count}", folder / f"here-{count}"
            os.environ["KNEIGHBORS_CACHE_DIR"] = str(hosts)
            with nodes(count) as at, joined(at.address):
                found.add(
                    f"shards, from S3, {count} nodes",
                    lambda here=here: open_on_cluster(PLACE, cache_dir=here),
                    fetched_bytes=lambda hosts=hosts: _bytes_of(hosts),
                    asker_bytes=lambda here=here: _bytes_of(here),
                )
    return {
        "kind": "equal",
        "rows": options.rows,
        "width": X.shape[1],
        "queries": options.queries,
        "n_neighbors": K,
        "shards": options.shards,
        "published_bytes": generation.bytes,
        "queries_with_ties": found.ties,
        "equal": found.is_equal,
        "making_s": making,
        "ways": found.ways,
        "ray": ray_version(),
    }


def _bytes_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def main(arguments: list[str] | None = None) -> int:
    """Measure, print the line; return 1 where answers differ."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--queries", type=int, default=10_000)
    parser.add_argument("--shards", type=int, default=SHARDS)
    parser.add_argument(
        "--folder", type=Path, help="for 10 GB; that for temporary files by default"
    )
    parser.add_argument("--dry-run", action="store_true", help="append nothing")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="kneighbors-equal-", dir=options.folder) as folder:
        result = measure(Path(folder), options)
    print(json.dumps(result, indent=1))
    if not options.dry_run:
        append("shards", result)
    return 0 if result["equal"] else 1


if __name__ == "__main__":
    sys.exit(main())
