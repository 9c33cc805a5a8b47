"""Writing only what nobody else has written meanwhile, on disk and on S3."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kneighbors.errors import StorageError
from kneighbors.storage import Address, Store, open_store
from kneighbors.storage import conditional as conditional_module
from support.storage_servers import Answer, Asked, ScriptedServer, refusal, use_endpoint


@pytest.fixture(params=["file", "s3"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Address:
    if request.param == "file":
        return Address.parse(tmp_path / "new" / "CURRENT")
    request.getfixturevalue("s3")
    return Address.parse("s3://wines/new/CURRENT")


@pytest.fixture
def store(address: Address) -> Store:
    return open_store(address)


def test_a_new_one_is_written_once(store: Store, address: Address) -> None:
    tag = store.put_if(address, b"first", None)
    assert (b"first", tag) == store.read_tagged(address)
    with pytest.raises(StorageError) as caught:
        store.put_if(address, b"second", None)
    assert "storage-changed" == caught.value.code
    assert b"first" == store.read(address)


def test_a_version_is_replaced_by_who_has_read_it(store: Store, address: Address) -> None:
    old = store.put_if(address, b"first", None)
    new = store.put_if(address, bytearray(b"second"), old)
    assert old != new
    assert (b"second", new) == store.read_tagged(address)
    with pytest.raises(StorageError) as caught:
        store.put_if(address, b"third", old)
    assert "storage-changed" == caught.value.code
    assert b"second" == store.read(address)


def test_what_is_gone_is_not_replaced(store: Store, address: Address) -> None:
    tag = store.put_if(address, b"first", None)
    store.delete(address)
    with pytest.raises(StorageError) as caught:
        store.put_if(address, b"second", tag)
    assert "storage-changed" == caught.value.code
    assert not store.exists(address)


def test_what_is_not_there_cannot_be_read(store: Store, address: Address) -> None:
    with pytest.raises(StorageError) as caught:
        store.read_tagged(address)
    assert "storage-missing" == caught.value.code


def test_what_is_large_is_not_read(store: Store, address: Address) -> None:
    store.put(address, bytes((1 << 21) + 1))
    with pytest.raises(StorageError) as caught:
        store.read_tagged(address)
    assert "storage-too-large" == caught.value.code


def test_of_many_writers_each_counts_once(tmp_path: Path) -> None:
    address = Address.parse(tmp_path / "count")
    store = open_store(address)
    store.put_if(address, b"0", None)

    def count(_: int) -> None:
        while True:
            data, tag = store.read_tagged(address)
            try:
                store.put_if(address, b"%d" % (int(data) + 1), tag)
            except StorageError as error:
                if error.code != "storage-changed":
                    raise
            else:
                return

    with ThreadPoolExecutor(8) as pool:
        [*pool.map(count, range(40))]
    assert b"40" == store.read(address)
    assert {"count", conditional_module.LOCK} == {one.name for one in tmp_path.iterdir()}


def test_the_half_of_a_writer_that_was_killed_is_taken_over(tmp_path: Path) -> None:
    address = Address.parse(tmp_path / "x")
    store = open_store(address)
    tag = store.put_if(address, b"first", None)
    program = f"""
import os, pathlib
from kneighbors.storage import Address, open_store
pathlib.Path.rename = lambda *_: os._exit(9)  # it dies between its bytes and their name
address = Address.parse({str(tmp_path / "x")!r})
open_store(address).put_if(address, b"second, and longer", {tag!r})
"""
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    assert 9 == subprocess.run([sys.executable, "-c", program], env=environ, check=False).returncode
    assert 3 == len([*tmp_path.iterdir()])
    assert (b"first", tag) == store.read_tagged(address)
    store.put_if(address, b"third", tag)
    assert b"third" == store.read(address)
    assert 2 == len([*tmp_path.iterdir()])


def test_a_writer_that_hangs_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    address = Address.parse(tmp_path / "x")
    store = open_store(address)
    tag = store.put_if(address, b"first", None)
    monkeypatch.setattr(conditional_module, "_PATIENCE_S", 0.05)
    with (tmp_path / conditional_module.LOCK).open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(StorageError) as caught:
            store.put_if(address, b"second", tag)
    assert "storage-busy" == caught.value.code
    assert b"first" == store.read(address)


def test_a_link_stays_and_what_it_points_at_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to("there/x")
    store = open_store(Address.parse(tmp_path / "link"))
    tag = store.put_if(Address.parse(tmp_path / "link"), b"first", None)
    store.put_if(Address.parse(tmp_path / "link"), b"second", tag)
    assert (tmp_path / "link").is_symlink()
    assert b"second" == (tmp_path / "there" / "x").read_bytes()


class Forgetful:
    """An object of S3 whose store carries writes out and loses its answers."""

    def __init__(self, losses: int, *, carries_out: bool = True) -> None:
        self.data: bytes | None = None
        self.losses, self.carries_out = losses, carries_out
        self.puts = 0

    @property
    def tag(self) -> str:
        return f'"{len(self.data or b"")}"'

    def answer(self, asked: Asked) -> Answer:
        if asked.method == "PUT":
            return self._put(asked)
        if self.data is None:
            return refusal(404, "NoSuchKey")
        headers = {"ETag": self.tag, "Last-Modified": "Wed, 21 Oct 2015 07:28:00 GMT"}
        return Answer(200, self.data, headers)

    def _put(self, asked: Asked) -> Answer:
        self.puts += 1
        wanted = asked.headers.get("if-match")
        fits = self.data is None if wanted is None else wanted == self.tag
        if not fits:
            return refusal(412, "PreconditionFailed")
        is_lost = self.puts <= self.losses
        if not is_lost or self.carries_out:
            self.data = asked.body
        return refusal(500, "InternalError") if is_lost else Answer(200, b"", {"ETag": self.tag})


@pytest.mark.parametrize("carries_out", [True, False])
def test_a_write_whose_answer_is_lost_is_found_out_about(
    monkeypatch: pytest.MonkeyPatch, carries_out: bool
) -> None:
    s3 = Forgetful(1, carries_out=carries_out)
    address = Address.parse("s3://wines/CURRENT")
    with ScriptedServer(s3.answer) as server:
        use_endpoint(monkeypatch, server.url, attempts=3)
        store = open_store(address)
        assert '"3"' == store.put_if(address, b"one", None)
        s3.losses = s3.puts + 1
        assert '"6"' == store.put_if(address, b"second", '"3"')
        assert b"second" == s3.data
        assert (2 if carries_out else 4) == s3.puts


def test_a_lost_answer_and_another_writer_is_a_lost_race(monkeypatch: pytest.MonkeyPatch) -> None:
    s3 = Forgetful(1, carries_out=False)
    address = Address.parse("s3://wines/CURRENT")

    def answer(asked: Asked) -> Answer:
        found = s3.answer(asked)
        if asked.method == "PUT":
            s3.data = b"another's"
        return found

    with ScriptedServer(answer) as server:
        use_endpoint(monkeypatch, server.url, attempts=3)
        with pytest.raises(StorageError) as caught:
            open_store(address).put_if(address, b"ours", None)
    assert "storage-changed" == caught.value.code
    assert (b"another's", 1) == (s3.data, s3.puts)


def test_a_store_that_never_answers_gives_up(monkeypatch: pytest.MonkeyPatch) -> None:
    s3 = Forgetful(100, carries_out=False)
    address = Address.parse("s3://wines/CURRENT")
    with ScriptedServer(s3.answer) as server:
        use_endpoint(monkeypatch, server.url, attempts=2)
        with pytest.raises(StorageError) as caught:
            open_store(address).put_if(address, b"ours", None)
    assert "storage-unreachable" == caught.value.code
    assert 2 == s3.puts


def test_entries_say_when_they_were_written(store: Store, address: Address) -> None:
    store.put(address, b"x")
    (entry,) = store.list(Address(address.scheme, address.bucket, address.key.rpartition("/")[0]))
    assert abs(entry.modified_s - time.time()) < 3600
