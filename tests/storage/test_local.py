from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kneighbors.errors import StorageError
from kneighbors.storage import Address, open_store, storage_error
from kneighbors.storage.local import LocalStore, writing_whole
from support.storage_files import files_no_larger_than, without_privileges

STORE = LocalStore()


def at(path: Path, slash: str = "") -> Address:
    return Address.parse(str(path) + slash)


def refused(code: str, call: Callable[[], Any], where: Path) -> StorageError:
    with pytest.raises(StorageError) as caught:
        call()
    assert caught.value.code == code
    assert str(where) in str(caught.value)
    return caught.value


def put(address: Address, data: bytes) -> StorageError | None:
    try:
        STORE.put(address, data)
    except StorageError as error:
        return error
    return None


def leftovers(path: Path) -> list[str]:
    return [found.name for found in path.rglob(".kneighbors-*")]


@pytest.mark.parametrize(
    "name", ["plain", "two words", "ü漢字", "two\nlines", "-rf", "x" * 255, "%41", "a'b\"c", "*"]
)
def test_what_is_put_under_any_name_is_read_back(tmp_path: Path, name: str) -> None:
    address = at(tmp_path) / name
    STORE.put(address, b"0123456789")
    assert STORE.exists(address)
    assert STORE.size(address) == 10
    assert STORE.read(address) == b"0123456789"
    assert STORE.read(address, 3, 5) == b"34"
    with STORE.open_read(address) as file:
        file.seek(7)
        assert file.read() == b"789"
    assert [entry.address.name for entry in STORE.list(at(tmp_path))] == [name]
    STORE.delete(address)
    assert not STORE.exists(address)
    assert list(tmp_path.iterdir()) == []


def test_deleting_what_is_not_there_is_done_already(tmp_path: Path) -> None:
    STORE.delete(at(tmp_path / "nothing"))


def test_files_are_listed_in_the_order_of_their_whole_names(tmp_path: Path) -> None:
    names = ["a/b", "a-b", "a.b", "B", "a/c/d", "ä", "a0", "10", "9"]
    for name in names:
        STORE.put(at(tmp_path) / name, name.encode())
    (tmp_path / "empty").mkdir()
    entries = list(STORE.list(at(tmp_path)))
    found = [os.path.relpath(str(entry.address), tmp_path) for entry in entries]
    assert found == sorted(names, key=os.fsencode)
    assert [entry.size_bytes for entry in entries] == [len(name.encode()) for name in found]


def test_links_are_followed_and_a_circle_of_them_is_refused(tmp_path: Path) -> None:
    STORE.put(at(tmp_path / "real" / "x"), b"x")
    (tmp_path / "link").symlink_to("real")
    assert [entry.address.key for entry in STORE.list(at(tmp_path))] == [
        str(tmp_path / "link" / "x"),
        str(tmp_path / "real" / "x"),
    ]
    (tmp_path / "real" / "up").symlink_to("..")
    refused("storage-missing", lambda: list(STORE.list(at(tmp_path))), tmp_path)


def test_a_link_that_leads_nowhere_is_named(tmp_path: Path) -> None:
    (tmp_path / "dangling").symlink_to("gone")
    refused("storage-missing", lambda: list(STORE.list(at(tmp_path))), tmp_path / "dangling")


def test_a_listing_is_of_directories(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    refused("storage-not-a-directory", lambda: list(STORE.list(at(tmp_path / "file"))), tmp_path)
    refused("storage-missing", lambda: list(STORE.list(at(tmp_path / "none"))), tmp_path / "none")


def test_a_slash_asks_for_a_directory(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert STORE.exists(at(tmp_path, "/"))
    assert not STORE.exists(at(tmp_path))
    assert not STORE.exists(at(tmp_path / "file", "/"))
    assert not STORE.exists(at(tmp_path / "file" / "below"))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "none.npy"
    for call in (STORE.size, STORE.open_read, STORE.read):
        error = refused("storage-missing", lambda call=call: call(at(path)), path)  # type: ignore[misc]
        assert error.errno == errno.ENOENT
    refused("storage-missing", lambda: STORE.download(at(path), tmp_path / "x"), path)
    refused("storage-missing", lambda: STORE.upload(path, at(tmp_path / "x")), path)
    assert list(tmp_path.iterdir()) == []


def test_a_pipe_a_socket_and_a_device_are_refused_without_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.chdir(tmp_path)  # the name of a socket must be short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        for path in (tmp_path / "pipe", tmp_path / "socket", Path("/dev/null"), tmp_path):
            refused("storage-not-a-file", lambda path=path: STORE.open_read(at(path)), path)  # type: ignore[misc]
            refused("storage-not-a-file", lambda path=path: STORE.size(at(path)), path)  # type: ignore[misc]
    (tmp_path / "socket").unlink()
    refused("storage-not-a-file", lambda: list(STORE.list(at(tmp_path))), tmp_path / "pipe")


def test_a_read_beyond_the_end_says_what_was_expected(tmp_path: Path) -> None:
    STORE.put(at(tmp_path / "x"), b"0123")
    error = refused(
        "storage-truncated", lambda: STORE.read(at(tmp_path / "x"), 2, 6), tmp_path / "x"
    )
    assert "Expected 4 bytes from byte 2 on, got 2." in str(error)


def test_writing_replaces_what_was_there_in_one_step(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"old")
    with writing_whole(at(path)) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert leftovers(tmp_path) == []


def test_a_link_at_the_target_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real")
    STORE.put(at(tmp_path / "link"), b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"


def test_a_new_file_has_the_usual_mode(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        STORE.put(at(tmp_path / "x"), b"")
    finally:
        os.umask(before)
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o640


def test_an_error_while_writing_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"old")

    def interrupted() -> None:
        with writing_whole(at(path)) as file:
            file.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_bytes() == b"old"
    assert leftovers(tmp_path) == []


def test_a_directory_is_not_written_over(tmp_path: Path) -> None:
    refused("storage-not-a-file", lambda: STORE.put(at(tmp_path), b"x"), tmp_path)


def test_a_file_in_the_way_of_a_directory_is_named(tmp_path: Path) -> None:
    (tmp_path / "x").touch()
    refused("storage-exists", lambda: STORE.put(at(tmp_path / "x" / "y"), b""), tmp_path / "x")


def test_a_file_without_permission_is_forbidden(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_bytes(b"x")
    path.chmod(0)
    tmp_path.chmod(0o500)
    try:
        with without_privileges():
            refused("storage-forbidden", lambda: STORE.read(at(path)), path)
            refused("storage-forbidden", lambda: STORE.put(at(path), b"y"), path)
            refused(
                "storage-forbidden", lambda: list(STORE.list(at(path.parent / "d"))), path.parent
            )
    finally:
        tmp_path.chmod(0o700)
    assert leftovers(tmp_path) == []


def test_a_disk_without_room_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"old")
    source = tmp_path / "source"
    source.write_bytes(bytes(20 << 20))
    with files_no_larger_than(1 << 20):
        refused("storage-full", lambda: STORE.put(at(path), bytes(2 << 20)), path)
        refused("storage-full", lambda: STORE.download(at(source), path), path)
    assert path.read_bytes() == b"old"
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("call", ["open", "fsync", "replace", "mkdir"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EIO])
def test_a_failing_call_leaves_the_old_file_or_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    path = tmp_path / "x"
    codes = {
        errno.ENOSPC: "storage-full",
        errno.EROFS: "storage-read-only",
        errno.EIO: "storage-failed",
    }
    real: Callable[..., Any] = getattr(os, call)
    # Fail the first call of the kind, then the second, until the write passes.
    for nth in range(20):
        path.write_bytes(b"old")
        left = [nth]

        def failing(*args: Any, left: list[int] = left, **kwargs: Any) -> Any:
            if left[0] == 0 and (call != "open" or args[1] & (os.O_CREAT | os.O_DIRECTORY)):
                left[0] = -1
                raise OSError(number, os.strerror(number))
            left[0] -= 1
            return real(*args, **kwargs)

        with monkeypatch.context() as patch:
            patch.setattr(os, call, failing)
            found = put(at(path), b"new")
        if found is None:
            assert path.read_bytes() == b"new"
            if left[0] >= 0:
                break
        else:
            assert (found.code, found.errno) == (codes[number], number)
            assert path.read_bytes() in (b"old", b"new")
        assert leftovers(tmp_path) == []
    else:
        pytest.fail("the write never passed")


def test_a_copy_reports_its_bytes(tmp_path: Path) -> None:
    data = os.urandom(9 << 20)
    (tmp_path / "x").write_bytes(data)
    seen: list[tuple[str, int, int]] = []
    done = open_store(at(tmp_path)).download(
        at(tmp_path / "x"), tmp_path / "y", lambda *now: seen.append(now)
    )
    assert (tmp_path / "y").read_bytes() == data
    assert done == len(data)
    assert seen == [("copying", 8 << 20, 9 << 20), ("copying", 9 << 20, 9 << 20)]


def test_an_unknown_error_says_what_the_system_says() -> None:
    error = storage_error(OSError(errno.ETIMEDOUT, "x"), "a\nb")
    assert error.code == "storage-failed"
    assert os.strerror(errno.ETIMEDOUT) in str(error)
    assert "\n" not in str(error)
