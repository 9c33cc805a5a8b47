"""Objects of S3 on the disk: bytes in files that never change, all else in one SQLite file.

An object is published by one transaction, after its bytes are on the disk: a process that is killed
at any instant leaves either the old object or the new one. Files that no object names, which a
killed process may leave, are removed when the store is opened.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

_SCHEMA = """
CREATE TABLE IF NOT EXISTS buckets (
    name TEXT PRIMARY KEY, region TEXT NOT NULL, created REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS objects (
    bucket TEXT NOT NULL, key TEXT NOT NULL, blob TEXT NOT NULL, size INTEGER NOT NULL,
    attributes TEXT NOT NULL, PRIMARY KEY (bucket, key)
) WITHOUT ROWID;
"""
_PIECE_BYTES = 8 << 20


@dataclass(frozen=True, slots=True)
class Entry:
    """An object: where its bytes are, how many, and what else S3 says of it."""

    blob: str
    size: int
    attributes: dict[str, Any] = field(default_factory=dict)


class Blobs:
    """Buckets and objects on the disk; safe to use from several threads.

    Parameters
    ----------
    folder : Path
        It is made if there is none.

    Examples
    --------
    >>> blobs = Blobs(getfixture("tmp_path") / "objects")
    >>> blobs.put_bucket("cellar", "us-east-1", 0.0)
    >>> entry = blobs.put("cellar", "a/b", blobs.keep(b"vintage"), {"etag": "x"})
    >>> blobs.path(blobs.get("cellar", "a/b")).read_bytes()
    b'vintage'
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._data = folder / "data"
        self._data.mkdir(parents=True, exist_ok=True)
        for number in range(256):
            (self._data / f"{number:02x}").mkdir(exist_ok=True)
        self._lock = threading.Lock()
        self._db = sqlite3.connect(
            folder / "index.sqlite", check_same_thread=False, isolation_level=None
        )
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.executescript(_SCHEMA)
        self._remove_strays()

    def buckets(self) -> list[tuple[str, str, float]]:
        """Return names, regions and times of creation."""
        with self._lock:
            return self._db.execute("SELECT name, region, created FROM buckets").fetchall()

    def has_bucket(self, name: str) -> bool:
        """Tell whether there is a bucket."""
        with self._lock:
            found = self._db.execute("SELECT 1 FROM buckets WHERE name = ?", (name,)).fetchone()
        return found is not None

    def put_bucket(self, name: str, region: str, created: float) -> None:
        """Make a bucket; one that is there stays as it is."""
        with self._lock:
            self._db.execute(
                "INSERT OR IGNORE INTO buckets VALUES (?, ?, ?)", (name, region, created)
            )

    def drop_bucket(self, name: str) -> None:
        """Remove a bucket; what lies in it is removed with it."""
        for key, _ in list(self.entries(name)):
            self.remove(name, key)
        with self._lock:
            self._db.execute("DELETE FROM buckets WHERE name = ?", (name,))

    def entries(self, bucket: str, prefix: str = "") -> Iterator[tuple[str, Entry]]:
        """Yield keys and entries in the order of keys."""
        # A range of keys, not LIKE: SQLite then reads the part of the table that is asked for.
        with self._lock:
            rows = self._db.execute(
                "SELECT key, blob, size, attributes FROM objects "
                "WHERE bucket = ? AND key >= ? ORDER BY key",
                (bucket, prefix),
            ).fetchall()
        for key, blob, size, attributes in rows:
            if not key.startswith(prefix):
                break
            yield key, Entry(blob, size, json.loads(attributes))

    def totals(self) -> list[tuple[str, int, int]]:
        """Return of each bucket its name, the number of its objects and their bytes."""
        with self._lock:
            return self._db.execute(
                "SELECT name, count(key), coalesce(sum(size), 0) FROM buckets "
                "LEFT JOIN objects ON bucket = name GROUP BY name ORDER BY name"
            ).fetchall()

    def get(self, bucket: str, key: str) -> Entry | None:
        """Return an object's entry; None if there is none."""
        with self._lock:
            row = self._db.execute(
                "SELECT blob, size, attributes FROM objects WHERE bucket = ? AND key = ?",
                (bucket, key),
            ).fetchone()
        return None if row is None else Entry(row[0], row[1], json.loads(row[2]))

    def path(self, entry: Entry) -> Path:
        """Return the file that holds an object's bytes; it must not be changed."""
        return self._file(entry.blob)

    def keep(self, source: bytes | BinaryIO | Path) -> tuple[str, int]:
        """Write bytes to a new file, through to the disk.

        Returns
        -------
        tuple of (str, int)
            Name of the file for `put`, and its length in bytes.

        Raises
        ------
        OSError
            Such as that the disk is full; nothing is left behind.
        """
        blob = secrets.token_hex(16)
        path = self._file(blob)
        try:
            with path.open("xb") as file:
                if isinstance(source, bytes):
                    file.write(source)
                elif isinstance(source, Path):
                    with source.open("rb") as original:
                        copy_bytes(original, file)
                else:
                    shutil.copyfileobj(source, file, _PIECE_BYTES)
                file.flush()
                os.fsync(file.fileno())
                size = file.tell()
            _sync_directory(path.parent)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return blob, size

    def put(
        self,
        bucket: str,
        key: str,
        kept: tuple[str, int],
        attributes: dict[str, Any],
        *,
        spare: bool = False,
    ) -> Entry:
        """Publish kept bytes as an object, in place of what was there.

        Parameters
        ----------
        bucket, key : str
        kept : tuple of (str, int)
            Of `keep`.
        attributes : dict
            What else is remembered, as JSON has it.
        spare : bool, default=False
            Whether the file of what was there stays until the store is opened again: an older
            version of an object.
        """
        blob, size = kept
        try:
            with self._lock:
                before = self._db.execute(
                    "SELECT blob FROM objects WHERE bucket = ? AND key = ?", (bucket, key)
                ).fetchone()
                self._db.execute(
                    "INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?, ?)",
                    (bucket, key, blob, size, json.dumps(attributes)),
                )
        except sqlite3.Error:
            self._file(blob).unlink(missing_ok=True)
            raise
        if before is not None and before[0] != blob and not spare:
            self._file(before[0]).unlink(missing_ok=True)
        return Entry(blob, size, attributes)

    def remove(self, bucket: str, key: str, *, spare: bool = False) -> None:
        """Remove an object; there need be none. See `put` for `spare`."""
        with self._lock:
            row = self._db.execute(
                "DELETE FROM objects WHERE bucket = ? AND key = ? RETURNING blob", (bucket, key)
            ).fetchone()
        if row is not None and not spare:
            self._file(row[0]).unlink(missing_ok=True)

    def close(self) -> None:
        """Close the files."""
        with self._lock:
            self._db.close()

    def _file(self, blob: str) -> Path:
        return self._data / blob[:2] / blob

    def _remove_strays(self) -> None:
        known = {row[0] for row in self._db.execute("SELECT blob FROM objects")}
        for folder in self._data.iterdir():
            for path in folder.iterdir():
                if path.name not in known:
                    path.unlink()


def copy_bytes(source: BinaryIO, target: BinaryIO) -> None:
    """Copy a file from here to its end, within the kernel where that can be."""
    target.flush()
    left = os.fstat(source.fileno()).st_size
    try:
        while left > 0:
            done = os.copy_file_range(source.fileno(), target.fileno(), left)
            if done == 0:
                break
            left -= done
    except (OSError, AttributeError):  # across file systems, or on another kernel
        source.seek(os.lseek(source.fileno(), 0, os.SEEK_CUR))
        shutil.copyfileobj(source, target, _PIECE_BYTES)
    target.seek(0, os.SEEK_END)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
