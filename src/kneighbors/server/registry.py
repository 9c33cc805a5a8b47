"""Which of several models are loaded: small files that all workers of one server see.

A model's name is an opaque key: the file of its entry is called by the SHA-256 of it. A worker that
has a model open keeps a shared lock on a file of that load's own, which the system lets go of when
the worker dies; so whoever unloads a model knows when the last one has let go. Bells, one pipe for
each worker, say that something was unloaded.
"""

from __future__ import annotations

import atexit
import fcntl
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path

_POLL_S = 0.005


@dataclass(frozen=True, slots=True)
class Entry:
    """A model that is loaded.

    Parameters
    ----------
    name : str
        As the client chose it.
    url : str
        As the client gave it.
    path : str
        Where that is.
    token : str
        Tells this load from every other one.
    cost : int
        Bytes of memory that it is reckoned at.
    """

    name: str
    url: str
    path: str
    token: str
    cost: int


class Registry:
    """What is loaded, for all workers of one server.

    Parameters
    ----------
    folder : Path
        New; made by the parent, before it forks.
    workers : int
    """

    def __init__(self, folder: Path, workers: int) -> None:
        folder.mkdir()
        self._folder = folder
        self._lock = folder / "lock"
        self._lock.touch()
        self._bells = [os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC) for _ in range(workers)]

    # Entries

    def get(self, name: str) -> Entry | None:
        """Return the entry of a model, None if it is not loaded."""
        return self._read(self._path(_key(name)))

    def entries(self) -> list[Entry]:
        """Return all entries, in the order of `page`."""
        return [entry for key in self._keys() if (entry := self._read(self._path(key)))]

    def page(self, after: str, limit: int) -> tuple[list[Entry], str | None]:
        """Return some entries, and the token of the next page if there is one.

        The order is that of the names' hashes: it stays as it is while models come and go, and
        only what is on the page is read.
        """
        keys = [key for key in self._keys() if key > after]
        entries = [entry for key in keys[:limit] if (entry := self._read(self._path(key)))]
        return entries, keys[limit - 1] if len(keys) > limit else None

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Keep every other worker from loading anything."""
        with self._lock.open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def put(self, entry: Entry) -> None:
        """Make a model known to all workers."""
        path = self._path(_key(entry.name))
        written = path.with_suffix(".new")
        written.write_text(json.dumps(asdict(entry)))
        written.rename(path)

    def remove(self, name: str) -> Entry | None:
        """Take a model away and tell the workers; None if it is not there, or another did."""
        entry = self.get(name)
        if entry is None:
            return None
        try:
            self._path(_key(name)).unlink()
        except FileNotFoundError:
            return None
        for _, bell in self._bells:
            with suppress(BlockingIOError):  # it has been rung often enough
                os.write(bell, b"\0")
        return entry

    def touch(self, entry: Entry) -> None:
        """Note that a model was used just now."""
        with suppress(FileNotFoundError):
            os.utime(self._path(_key(entry.name)))

    def least_recent(self) -> Entry | None:
        """Return the model that was not used for longest."""
        oldest: tuple[int, str] | None = None
        for key in self._keys():
            with suppress(FileNotFoundError):
                used = (self._path(key).stat().st_mtime_ns, key)
                oldest = used if oldest is None else min(oldest, used)
        return None if oldest is None else self._read(self._path(oldest[1]))

    # Who has what open

    def hold(self, token: str) -> int:
        """Return a descriptor that says, until it is closed, that a load is in use here."""
        descriptor = os.open(self._held(token), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        return descriptor

    def wait_until_unused(self, token: str, seconds: float) -> bool:
        """Wait until no worker has a load in use, and return whether that came in time."""
        deadline = time.monotonic() + seconds
        descriptor = self.hold(token)
        try:
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        return False
                    time.sleep(_POLL_S)
                else:
                    self._held(token).unlink(missing_ok=True)
                    return True
        finally:
            os.close(descriptor)

    def bell(self, worker: int) -> int:
        """Return the descriptor that can be read once something was unloaded."""
        return self._bells[worker][0]

    def _keys(self) -> list[str]:
        return sorted(one.stem for one in self._folder.iterdir() if one.suffix == ".json")

    def _path(self, key: str) -> Path:
        return self._folder / f"{key}.json"

    def _held(self, token: str) -> Path:
        return self._folder / f"{token}.held"

    @staticmethod
    def _read(path: Path) -> Entry | None:
        try:
            return Entry(**json.loads(path.read_text()))
        except FileNotFoundError:
            return None


def own_registry() -> Registry:
    """Return the registry of an application that has its process to itself."""
    folder = Path(tempfile.mkdtemp(prefix="kneighbors-models-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Registry(folder / "models", 1)


def _key(name: str) -> str:
    return sha256(name.encode()).hexdigest()
