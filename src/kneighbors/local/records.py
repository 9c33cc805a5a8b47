"""What the control plane remembers: documents by kind and name, in one SQLite file.

A call that returns has been written and synchronised: a process that is killed loses nothing that
it acknowledged.
"""

from __future__ import annotations

import json
import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

LOG = logging.getLogger("kneighbors.local")

Document = dict[str, Any]

#: Between two attempts to write what has to be written.
_RETRY_S = 0.5

_SCHEMA = """
CREATE TABLE IF NOT EXISTS records (
    kind TEXT NOT NULL, name TEXT NOT NULL, created REAL NOT NULL, document TEXT NOT NULL,
    PRIMARY KEY (kind, name)
) WITHOUT ROWID
"""


class Records:
    """Documents by kind and name; safe to use from several threads.

    Parameters
    ----------
    path : Path
        The SQLite file; it is made if there is none.

    Examples
    --------
    >>> records = Records(getfixture("tmp_path") / "state.sqlite")
    >>> records.create("model", "wines", {"Image": "x"})
    True
    >>> records.create("model", "wines", {"Image": "y"})
    False
    >>> records.update("model", "wines", {"Status": "ready"})
    {'Image': 'x', 'Status': 'ready'}
    >>> [name for name, _ in records.all("model")]
    ['wines']
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.RLock()
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.execute(_SCHEMA)

    def create(self, kind: str, name: str, document: Document) -> bool:
        """Write a new document; False, and nothing is written, if the name is taken."""
        with self._lock:
            done = self._db.execute(
                "INSERT OR IGNORE INTO records VALUES (?, ?, ?, ?)",
                (kind, name, time.time(), json.dumps(document)),
            )
            return done.rowcount == 1

    def get(self, kind: str, name: str) -> Document | None:
        """Return a copy of a document; None if there is none."""
        with self._lock:
            row = self._db.execute(
                "SELECT document FROM records WHERE kind = ? AND name = ?", (kind, name)
            ).fetchone()
        return None if row is None else json.loads(row[0])

    def update(
        self, kind: str, name: str, change: Document | Callable[[Document], Document | None]
    ) -> Document | None:
        """Change a document, all at once.

        Parameters
        ----------
        kind, name : str
        change : dict or callable
            Members that are set; or a function from the document to the new one, under the lock.
            Where it returns None nothing changes.

        Returns
        -------
        dict or None
            The document as it is now; None if there is none.
        """
        with self._lock:
            document = self.get(kind, name)
            if document is None:
                return None
            changed = change(document) if callable(change) else {**document, **change}
            if changed is None:
                return document
            self._db.execute(
                "UPDATE records SET document = ? WHERE kind = ? AND name = ?",
                (json.dumps(changed), kind, name),
            )
            return changed

    def delete(self, kind: str, name: str) -> bool:
        """Remove a document; False if there was none."""
        with self._lock:
            done = self._db.execute("DELETE FROM records WHERE kind = ? AND name = ?", (kind, name))
            return done.rowcount == 1

    def all(self, kind: str) -> Iterator[tuple[str, Document]]:
        """Yield names and documents of a kind, the oldest first."""
        with self._lock:
            rows = self._db.execute(
                "SELECT name, document FROM records WHERE kind = ? ORDER BY created, name", (kind,)
            ).fetchall()
        for name, text in rows:
            yield name, json.loads(text)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()


def written_at_last(write: Callable[[], object], is_given_up: Callable[[], bool]) -> None:
    """Write what must not stay unsaid, such as a job's end: again and again while the disk is full.

    Raises
    ------
    sqlite3.OperationalError
        What the disk said, once it is given up.
    """
    is_told = False
    while True:
        try:
            write()
            return
        except sqlite3.OperationalError as error:
            if is_given_up():
                raise
            if not is_told:
                LOG.warning("trying again until it can be written: %s", error)
                is_told = True
        time.sleep(_RETRY_S)
