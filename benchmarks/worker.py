"""An engine in a process of its own, driven from outside.

So an engine's memory is that of its process, libraries do not compete for threads (OpenMP's wait
for more work by spinning), and one that kills its process ends no run but its own.
"""

from __future__ import annotations

import ctypes
import gc
import multiprocessing
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from engine import Array, Built, pin_threads

_MIB = 1 << 20
_MAPPED_FROM = 4 << 30


class EngineFailed(Exception):
    """An engine that is not installed, refused, or ended its process."""


class Worker:
    """An engine that has been built, in its process.

    Attributes
    ----------
    build_s : float
        Seconds from the vectors in memory to an index that answers.
    memory_mib : float
        What the process holds to answer, vectors included, on top of its libraries: its resident
        memory with the index, less that before the vectors were read.
    """

    def __init__(self, name: str, corpus: Path) -> None:
        pin_threads()
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, name, corpus), daemon=True)
        self._process.start()
        theirs.close()
        try:
            self.build_s, self.memory_mib = self._answer()
        except EngineFailed:
            self.close()
            raise

    def rows(self, Q: Array, k: int) -> Array:
        """Return the neighbours of each query."""
        return np.asarray(self._ask("rows", Q, k))

    def times(self, Q: Array, k: int, batch: int) -> list[float]:
        """Return the seconds of each call with so many queries at a time."""
        return list(self._ask("times", Q, k, batch))

    def tune(self, effort: int) -> None:
        """Set how much it looks at."""
        self._ask("tune", effort)

    def close(self) -> None:
        """End the process."""
        self._connection.close()
        self._process.join(5)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()

    def _ask(self, *request: Any) -> Any:
        try:
            self._connection.send(request)
        except OSError as error:
            raise EngineFailed("its process has ended") from error
        return self._answer()

    def _answer(self) -> Any:
        try:
            good, answer = self._connection.recv()
        except EOFError:
            self._process.join(5)
            code = self._process.exitcode
            raise EngineFailed(f"its process ended with exit code {code}") from None
        if not good:
            raise EngineFailed(answer)
        return answer


@contextmanager
def written(X: Array, folder: Path) -> Iterator[Path]:
    """Put a corpus where workers find it, if it is not in a file already."""
    if isinstance(X, np.memmap) and X.filename is not None:
        yield Path(X.filename)
        return
    path = folder / f"corpus-{len(X)}.npy"
    np.save(path, X)
    try:
        yield path
    finally:
        path.unlink()


def _serve(connection: Connection, name: str, corpus: Path) -> None:
    """Build, then answer until the other end is closed."""
    try:
        built, *figures = _build(name, corpus)
    except Exception as error:  # whatever a peer raises is the reason that it is left out
        connection.send((False, f"{type(error).__name__}: {error}"))
        return
    connection.send((True, figures))
    work: dict[str, Callable[..., Any]] = {
        "rows": built.search,
        "times": lambda Q, k, batch: _times(built, Q, k, batch),
        "tune": built.tune or (lambda effort: None),
    }
    while True:
        try:
            what, *arguments = connection.recv()
        except EOFError:
            return
        try:
            connection.send((True, work[what](*arguments)))
        except Exception as error:
            connection.send((False, f"{type(error).__name__}: {error}"))


def _build(name: str, corpus: Path) -> tuple[Built, float, float]:
    from engines import ENGINES

    build = ENGINES[name].build
    # Whatever is imported or compiled late is, before memory and time are looked at.
    small = np.random.default_rng(0).standard_normal((4096, 32), np.float32)
    build(small).search(small[:2], 10)
    before = _resident()
    # Where two copies would not fit, the one that is read stays in its file.
    X = np.load(corpus, mmap_mode="r" if corpus.stat().st_size > _MAPPED_FROM else None)
    start = time.perf_counter()
    built = build(X)
    build_s = time.perf_counter() - start
    built.search(X[:1].copy(), 10)
    del X
    return built, build_s, (_resident() - before) / _MIB


def _times(built: Built, Q: Array, k: int, batch: int) -> list[float]:
    parts = [np.ascontiguousarray(Q[i : i + batch]) for i in range(0, len(Q) - batch + 1, batch)]
    seconds = []
    for part in parts:
        begun = time.perf_counter()
        built.search(part, k)
        seconds.append(time.perf_counter() - begun)
    return seconds


def _resident() -> int:
    """Return this process' resident bytes, what was freed having been given back."""
    gc.collect()
    with suppress(OSError, AttributeError):  # another C library keeps what it keeps
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    import psutil

    return int(psutil.Process().memory_info().rss)
