"""One join by a peer, in the environment of the peers.

    join_peer.py PEER QUERIES CORPUS OUT K

PEER is `faiss`, `spark` or `ray_data`. Queries are Parquet with the columns `query` and `vector`,
the corpus is .npy; answers are Parquet with `query`, `rows` and `distances`, those of the cosine.
The last line printed is JSON: the seconds of the join once the engine is up, and the versions.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

#: Queries of a call; FAISS multiplies blocks from some tens of queries on.
BATCH = 1000
#: Processes that search at a time, each with one thread: one for each core.
WORKERS = 2


def unit(X: Any) -> Any:
    """Return rows of length one, in float32: their inner products are cosines."""
    X = np.asarray(X, np.float32)
    return X / np.linalg.norm(X, axis=1, keepdims=True)


class Flat:
    """FAISS over rows of length one, with some threads."""

    def __init__(self, X: Any, k: int, threads: int) -> None:
        import faiss

        faiss.omp_set_num_threads(threads)
        self._index = faiss.IndexFlatIP(X.shape[1])
        self._index.add(X)
        self._k = k

    def __call__(self, numbers: Any, vectors: Any) -> dict[str, Any]:
        """Return the columns of an answer."""
        cosines, rows = self._index.search(unit(np.stack(list(vectors))), self._k)
        distances = (1 - cosines).astype(np.float64)
        return {
            "query": np.asarray(numbers),
            "rows": list(rows.astype(np.int64)),
            "distances": list(distances),
        }


def by_faiss(queries: Path, corpus: Path, out: Path, k: int) -> float:
    """Join in this process, with as many threads as there are workers elsewhere."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    begun = time.perf_counter()
    flat = Flat(unit(np.load(corpus)), k, WORKERS)
    out.mkdir()
    for number, batch in enumerate(pq.ParquetFile(queries).iter_batches(BATCH)):
        found = flat(batch.column("query").to_numpy(), batch.column("vector").to_pylist())
        pq.write_table(pa.table(found), out / f"part-{number:05d}.parquet")
    return time.perf_counter() - begun


def by_spark(queries: Path, corpus: Path, out: Path, k: int) -> float:
    """Join with `mapInPandas`, the corpus broadcast."""
    os.environ |= {"PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1"}
    import pandas as pd
    from pyspark.sql import SparkSession

    session = (
        SparkSession.builder.master(f"local[{WORKERS}]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.memory", "3g")
        .config("spark.sql.execution.arrow.maxRecordsPerBatch", str(BATCH))
        .getOrCreate()
    )
    session.sparkContext.setLogLevel("ERROR")
    begun = time.perf_counter()
    shared = session.sparkContext.broadcast(unit(np.load(corpus)))

    def search(parts: Iterator[Any]) -> Iterator[Any]:
        flat = Flat(shared.value, k, 1)
        for part in parts:
            yield pd.DataFrame(flat(part["query"], part["vector"]))

    schema = "query long, rows array<long>, distances array<double>"
    # One partition a worker: each builds the index once.
    read = session.read.parquet(str(queries)).repartition(WORKERS)
    read.mapInPandas(search, schema).write.parquet(str(out))
    took = time.perf_counter() - begun
    session.stop()
    return took


def by_ray_data(queries: Path, corpus: Path, out: Path, k: int) -> float:
    """Join with `map_batches` by actors, the corpus in the store of objects."""
    import ray

    # Room to read and write beside the actors; the machine has its two cores all the same.
    ray.init(
        num_cpus=WORKERS + 2,
        include_dashboard=False,
        log_to_driver=False,
        _node_ip_address="127.0.0.1",
        object_store_memory=2 << 30,
    )
    ray.data.DataContext.get_current().enable_progress_bars = False
    begun = time.perf_counter()
    shared = ray.put(unit(np.load(corpus)))

    class Search:
        def __init__(self) -> None:
            self._flat = Flat(ray.get(shared), k, 1)

        def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
            found = self._flat(batch["query"], batch["vector"])
            return found | {name: np.stack(found[name]) for name in ("rows", "distances")}

    read = ray.data.read_parquet(str(queries)).repartition(4 * WORKERS)
    found = read.map_batches(Search, batch_size=BATCH, concurrency=WORKERS, num_cpus=1)
    found.write_parquet(str(out))
    took = time.perf_counter() - begun
    ray.shutdown()
    return took


PEERS: dict[str, tuple[Callable[[Path, Path, Path, int], float], tuple[str, ...]]] = {
    "faiss": (by_faiss, ("faiss-cpu",)),
    "spark": (by_spark, ("pyspark", "faiss-cpu")),
    "ray_data": (by_ray_data, ("ray", "faiss-cpu")),
}


def main(peer: str, queries: str, corpus: str, out: str, k: str) -> None:
    """Join, and print how long it took."""
    join, packages = PEERS[peer]
    took = join(Path(queries), Path(corpus), Path(out), int(k))
    versions = {package: metadata.version(package) for package in packages}
    print(json.dumps({"join_s": round(took, 2), "versions": versions}))


if __name__ == "__main__":
    main(*sys.argv[1:])
