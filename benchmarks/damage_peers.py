"""One damaged byte in a saved index: who notices, who answers wrongly, and who is killed.

Each library saves 2,000 rows of 32 numbers. A copy of its file is damaged in 48 ways: a bit flipped
(24 times), the end cut off (12), a byte near the start changed (12). A process of its own then
loads the copy and asks ten queries; what counts is how it ends and what it says.

Run with ``.venv-bench/bin/python benchmarks/damage_peers.py``; prints a table in Markdown. What is
not installed is left out, and said to be: annoy and hnswlib have to be compiled.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import os
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

N_SAMPLES, N_FEATURES, K = 2_000, 32, 10
FLIPS, CUTS, HEADERS = 24, 12, 12
HEADER_BYTES = 128
PATIENCE_S = 60

#: Kind of index to the module that it needs.
KINDS = {
    "kneighbors directory": "kneighbors.artifact.reader",
    "kneighbors .tar.gz": "kneighbors.artifact.unpacking",
    ".npy": "numpy",
    "FAISS flat": "faiss",
    "FAISS HNSW": "faiss",
    "USearch": "usearch",
    "Voyager": "voyager",
    "hnswlib": "hnswlib",
    "Annoy": "annoy",
}


def corpus() -> Any:
    """Return the rows, of which the first ten are the queries."""
    return np.random.default_rng(0).standard_normal((N_SAMPLES, N_FEATURES)).astype(np.float32)


def save(kind: str, path: Path) -> None:
    """Save an index of the corpus as a file, or as a directory."""
    X = corpus()
    if kind.startswith("kneighbors"):
        from kneighbors import NearestNeighbors
        from kneighbors.artifact import pack

        folder = path.with_name("folder") if kind.endswith("gz") else path
        NearestNeighbors(metric="cosine").fit(X).save(folder)
        if folder != path:
            pack(folder, path)
    elif kind == ".npy":
        with path.open("wb") as file:
            np.save(file, X)
    elif kind.startswith("FAISS"):
        import faiss

        index = (
            faiss.IndexFlatL2(N_FEATURES)
            if kind.endswith("flat")
            else faiss.IndexHNSWFlat(N_FEATURES, 16)
        )
        index.add(X)
        faiss.write_index(index, str(path))
    elif kind == "USearch":
        from usearch.index import Index

        usearch = Index(ndim=N_FEATURES, metric="l2sq", dtype="f32")
        usearch.add(np.arange(N_SAMPLES), X)
        usearch.save(str(path))
    elif kind == "Voyager":
        import voyager

        graph = voyager.Index(voyager.Space.Euclidean, N_FEATURES)
        graph.add_items(X)
        graph.save(str(path))
    elif kind == "hnswlib":
        import hnswlib

        built = hnswlib.Index("l2", N_FEATURES)
        built.init_index(N_SAMPLES)
        built.add_items(X)
        built.save_index(str(path))
    else:
        import annoy

        trees = annoy.AnnoyIndex(N_FEATURES, "euclidean")
        for row, vector in enumerate(X):
            trees.add_item(row, vector)
        trees.build(10)
        trees.save(str(path))


def ask(kind: str, path: Path) -> Any:
    """Load an index, and return the neighbours of the queries."""
    Q = corpus()[:10]
    if kind.startswith("kneighbors"):
        from kneighbors.artifact import open_artifact

        return open_artifact(path).index.kneighbors(Q, K)[1]
    if kind == ".npy":
        X = np.load(path, mmap_mode="r")
        return np.argsort(((X[None] - Q[:, None]) ** 2).sum(axis=2), axis=1)[:, :K]
    if kind.startswith("FAISS"):
        import faiss

        return faiss.read_index(str(path)).search(Q, K)[1]
    if kind == "USearch":
        from usearch.index import Index

        usearch = Index(ndim=N_FEATURES, metric="l2sq", dtype="f32")
        usearch.load(str(path))
        return usearch.search(Q, K).keys
    if kind == "Voyager":
        import voyager

        return voyager.Index.load(str(path)).query(Q, K)[0]
    if kind == "hnswlib":
        import hnswlib

        built = hnswlib.Index("l2", N_FEATURES)
        built.load_index(str(path))
        return built.knn_query(Q, K)[0]
    import annoy

    trees = annoy.AnnoyIndex(N_FEATURES, "euclidean")
    trees.load(str(path))
    return [trees.get_nns_by_vector(query, K) for query in Q]


def damages(sizes: list[int], random: np.random.Generator) -> list[tuple[int, int, str]]:
    """Return (file, place, way) of each damage; files are hit by their sizes."""
    share = np.array(sizes) / sum(sizes)
    found = []
    for number in range(FLIPS + CUTS + HEADERS):
        file = int(random.choice(len(sizes), p=share))
        way = "flip" if number < FLIPS else "cut" if number < FLIPS + CUTS else "header"
        reach = min(sizes[file], HEADER_BYTES) if way == "header" else sizes[file]
        found.append((file, int(random.integers(reach)), way))
    return found


def damaged(data: bytes, place: int, way: str, random: np.random.Generator) -> bytes:
    """Return other bytes."""
    if way == "cut":
        return data[:place]
    changed = bytearray(data)
    changed[place] ^= (
        1 << int(random.integers(8)) if way == "flip" else int(random.integers(1, 256))
    )
    return bytes(changed)


def outcome(kind: str, path: Path, expected: bytes | None) -> bytes | str:
    """Ask in a process of its own; return how it ended, or the digest of what it said."""
    status, said = in_child(lambda: digest_of(ask(kind, path)))
    if os.WIFSIGNALED(status):
        return "hung" if os.WTERMSIG(status) == signal.SIGALRM else "killed"
    if status:
        return "error"
    return said if expected is None else "same" if said == expected else "wrong"


def digest_of(answer: Any) -> bytes:
    """Return a digest of neighbours."""
    return hashlib.sha256(np.asarray(answer, dtype=np.int64).tobytes()).digest()


def in_child(work: Callable[[], bytes | None]) -> tuple[int, bytes]:
    """Do something in a copy of this process, which may die of it."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        with contextlib.suppress(BaseException):
            signal.alarm(PATIENCE_S)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            os.write(writer, work() or b"")
            code = 0
        os._exit(code)
    os.close(writer)
    with os.fdopen(reader, "rb") as file:
        said = file.read()
    return os.waitpid(child, 0)[1], said


def trials(kind: str, folder: Path) -> dict[str, int]:
    """Damage one kind of index in all ways, and return the counts."""
    path = folder / ("index.tar.gz" if kind.endswith("gz") else "index")
    status, _ = in_child(lambda: save(kind, path))
    assert status == 0, kind
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    contents = [file.read_bytes() for file in files]
    expected = outcome(kind, path, None)
    assert isinstance(expected, bytes), kind
    random = np.random.default_rng(1)
    counts = dict.fromkeys(("error", "same", "wrong", "killed", "hung"), 0)
    for file, place, way in damages([len(data) for data in contents], random):
        files[file].write_bytes(damaged(contents[file], place, way, random))
        counts[str(outcome(kind, path, expected))] += 1
        files[file].write_bytes(contents[file])
    return counts


def main() -> None:
    print("| file | error raised | same answer | **wrong answer, no error** | **process killed** |")
    print("|---|---|---|---|---|")
    for kind, module in KINDS.items():
        try:
            # Here, so that the copies of this process need not.
            importlib.import_module(module)
        except ImportError:
            print(f"| {kind} | not installed | | | |")
            continue
        with tempfile.TemporaryDirectory() as folder:
            counts = trials(kind, Path(folder))
        killed = f"{counts['killed']}" + (f" ({counts['hung']} hung)" if counts["hung"] else "")
        numbers = f"{counts['error']} | {counts['same']} | {counts['wrong']} | {killed}"
        print(f"| {kind} | {numbers} |", flush=True)


if __name__ == "__main__":
    main()
