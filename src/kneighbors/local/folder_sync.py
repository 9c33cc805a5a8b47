"""A directory whose files go to S3 while a job writes them."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from kneighbors.local.objects import split_s3

if TYPE_CHECKING:
    from kneighbors.local.plane import Plane

LOG = logging.getLogger("kneighbors.local")
_INTERVAL_S = 1.0

Stamp = tuple[int, int]


class FolderSync:
    """Copies files to S3 when they have rested for a second, and all that is left at the end.

    Parameters
    ----------
    plane : Plane
    folder : Path
        It need not exist yet.
    address : str
        ``s3://bucket/prefix``.
    """

    def __init__(self, plane: Plane, folder: Path, address: str) -> None:
        self._objects = plane.objects
        self._folder = folder
        self._bucket, prefix = split_s3(address)
        self._prefix = prefix if not prefix or prefix.endswith("/") else f"{prefix}/"
        self._uploaded: dict[Path, Stamp] = {}
        self._seen: dict[Path, Stamp] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"sync {address}", daemon=True)

    def restore(self) -> int:
        """Copy what is in S3 into the directory, which is made; return how many files."""
        self._folder.mkdir(parents=True, exist_ok=True)
        count = 0
        for key, _ in self._objects.list(self._bucket, self._prefix):
            name = key[len(self._prefix) :]
            if name.endswith("/") or ".." in Path(name).parts or Path(name).is_absolute():
                continue
            path = self._folder / name
            self._objects.download(self._bucket, key, path)
            self._uploaded[path] = _stamp(path)
            count += 1
        return count

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """Copy what is left, and watch no more."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        self._upload(self._changed())

    def _run(self) -> None:
        while not self._stop.wait(_INTERVAL_S):
            changed = self._changed()
            # What changed since the last look may be half a file.
            self._upload({path: at for path, at in changed.items() if self._seen.get(path) == at})
            self._seen = changed

    def _changed(self) -> dict[Path, Stamp]:
        found = {}
        for path in sorted(self._folder.rglob("*")) if self._folder.is_dir() else ():
            try:
                if path.is_file() and not path.is_symlink():
                    stamp = _stamp(path)
                    if self._uploaded.get(path) != stamp:
                        found[path] = stamp
            except OSError:
                continue  # renamed meanwhile
        return found

    def _upload(self, changed: dict[Path, Stamp]) -> None:
        for path, stamp in changed.items():
            key = self._prefix + path.relative_to(self._folder).as_posix()
            try:
                self._objects.upload(path, self._bucket, key)
                self._uploaded[path] = stamp
            except OSError as error:
                LOG.warning("%s was not copied to s3://%s/%s: %s", path, self._bucket, key, error)


def _stamp(path: Path) -> Stamp:
    status = path.stat()
    return status.st_mtime_ns, status.st_size
