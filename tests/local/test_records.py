"""Documents of the plane: one of a name, changed all at once, there after a crash."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from kneighbors.local.records import Document, Records, written_at_last
from support.server_process import ROOT

_KILLED = """
import os, signal, sys
from pathlib import Path
from kneighbors.local.records import Records
records = Records(Path(sys.argv[1]))
records.create("model", "wines", {"n": 1})
records.update("model", "wines", {"n": 2})
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def records(tmp_path: Path) -> Iterator[Records]:
    found = Records(tmp_path / "state.sqlite")
    yield found
    found.close()


def test_a_name_is_taken_once(records: Records) -> None:
    made = []
    threads = [
        threading.Thread(target=lambda n=n: made.append(records.create("job", "a", {"n": n})))
        for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [False] * 7 + [True] == sorted(made)


def test_changes_from_many_threads_are_all_made(records: Records) -> None:
    records.create("job", "a", {"n": 0})

    def add(document: Document) -> Document:
        return {"n": document["n"] + 1}

    def add_often() -> None:
        for _ in range(20):
            records.update("job", "a", add)

    threads = [threading.Thread(target=add_often) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {"n": 80} == records.get("job", "a")


def test_a_change_that_gives_nothing_changes_nothing(records: Records) -> None:
    records.create("job", "a", {"n": 0})
    assert {"n": 0} == records.update("job", "a", lambda document: None)
    assert records.update("job", "missing", {"n": 1}) is None


def test_a_document_that_was_handed_out_is_a_copy(records: Records) -> None:
    records.create("job", "a", {"list": [1]})
    found = records.get("job", "a")
    assert found is not None
    found["list"].append(2)
    assert {"list": [1]} == records.get("job", "a")


def test_documents_come_in_the_order_in_which_they_were_made(records: Records) -> None:
    for name in ("b", "a", "c"):
        records.create("job", name, {})
    assert ["b", "a", "c"] == [name for name, _ in records.all("job")]
    assert records.delete("job", "a")
    assert not records.delete("job", "a")
    assert ["b", "c"] == [name for name, _ in records.all("job")]


def test_what_was_written_survives_sigkill(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    done = subprocess.run(
        [sys.executable, "-c", _KILLED, str(path)], env={"PYTHONPATH": str(ROOT / "src")}
    )
    assert -9 == done.returncode
    records = Records(path)
    assert {"n": 2} == records.get("model", "wines")
    records.close()


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    path.write_bytes(b"this is no database, and long enough to be sure of it" * 40)
    with pytest.raises(sqlite3.DatabaseError):
        Records(path)


def test_what_must_be_said_is_written_as_soon_as_the_disk_has_room(tmp_path: Path) -> None:
    full = _Full(tmp_path)
    attempts = []

    def write() -> None:
        attempts.append(1)
        if len(attempts) == 2:
            full.make_room()
        full.write()

    written_at_last(write, lambda: False)
    assert 2 == len(attempts)


def test_a_disk_that_stays_full_is_given_up_with_the_plane(tmp_path: Path) -> None:
    with pytest.raises(sqlite3.OperationalError, match="disk is full"):
        written_at_last(_Full(tmp_path).write, lambda: True)


class _Full:
    """A database that has no room."""

    def __init__(self, folder: Path) -> None:
        self._db = sqlite3.connect(folder / "full.sqlite")
        self._db.execute("CREATE TABLE t (x BLOB)")
        self._db.execute("PRAGMA max_page_count=3")

    def make_room(self) -> None:
        self._db.execute("PRAGMA max_page_count=100")

    def write(self) -> None:
        self._db.execute("INSERT INTO t VALUES (zeroblob(100000))")
