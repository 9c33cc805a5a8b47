from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from kneighbors.errors import StorageError
from kneighbors.sagemaker.archives import unpack_tree

Member = Callable[[tarfile.TarInfo], None]


def write(path: Path, *changes: Member) -> None:
    """Write an archive with a good file, and one for each change."""
    with tarfile.open(path, "w:gz") as archive:
        for number, change in enumerate([lambda member: None, *changes]):
            member = tarfile.TarInfo(f"folder/file-{number}")
            member.size = 3
            change(member)
            archive.addfile(member, io.BytesIO(b"abc"[: member.size]))


def named(name: str) -> Member:
    return lambda member: setattr(member, "name", name)


def of_kind(kind: bytes, link: str = "") -> Member:
    def change(member: tarfile.TarInfo) -> None:
        member.type, member.linkname, member.size = kind, link, 0

    return change


def test_files_come_out_with_their_bytes_and_harmless_modes(tmp_path: Path) -> None:
    def private(member: tarfile.TarInfo) -> None:
        member.name, member.mode = "./top", 0o600

    write(tmp_path / "a.tar", lambda member: setattr(member, "mode", 0o4777), private)
    unpack_tree(tmp_path / "a.tar", tmp_path / "out", max_bytes=100)
    files = {p.relative_to(tmp_path / "out").as_posix(): p for p in (tmp_path / "out").rglob("*")}
    assert sorted(files) == ["folder", "folder/file-0", "folder/file-1", "top"]
    assert files["folder/file-0"].read_bytes() == b"abc"
    assert files["folder/file-1"].stat().st_mode & 0o7777 == 0o755
    assert files["top"].stat().st_mode & 0o7777 == 0o644
    assert {path.name for path in tmp_path.iterdir()} == {"a.tar", "out"}


@pytest.mark.parametrize(
    "change",
    [
        named("../evil"),
        named("folder/../../evil"),
        named("/etc/evil"),
        named("a\\..\\evil"),
        named("folder/file-0"),
        named("./folder/file-0"),
        named("folder/file-0/below"),
        named("folder"),
        of_kind(tarfile.SYMTYPE, "/etc/passwd"),
        of_kind(tarfile.SYMTYPE, "file-0"),
        of_kind(tarfile.LNKTYPE, "folder/file-0"),
        of_kind(tarfile.FIFOTYPE),
        of_kind(tarfile.CHRTYPE),
        of_kind(tarfile.BLKTYPE),
    ],
)
def test_what_no_code_needs_is_refused_and_nothing_is_left(tmp_path: Path, change: Member) -> None:
    write(tmp_path / "a.tar.gz", change)
    with pytest.raises(StorageError) as refused:
        unpack_tree(tmp_path / "a.tar.gz", tmp_path / "out", max_bytes=100)
    assert refused.value.code == "archive-unsafe"
    assert {path.name for path in tmp_path.iterdir()} == {"a.tar.gz"}


def test_a_bomb_is_refused_before_it_is_written(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        member = tarfile.TarInfo("zeros")
        member.size = 50 << 20
        archive.addfile(member, io.BytesIO(bytes(member.size)))
    with pytest.raises(StorageError) as refused:
        unpack_tree(tmp_path / "a.tar.gz", tmp_path / "out", max_bytes=1 << 20)
    assert refused.value.code == "archive-too-large"
    assert {path.name for path in tmp_path.iterdir()} == {"a.tar.gz"}


def extension(kind: bytes, size: int) -> bytes:
    """Return the block that announces an extended header."""
    member = tarfile.TarInfo("x")
    member.type, member.size = kind, size
    return member.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME])
def test_an_extended_header_is_not_read_into_memory_however_long(
    tmp_path: Path, kind: bytes
) -> None:
    (tmp_path / "a.tar").write_bytes(gzip.compress(extension(kind, 1 << 33) + bytes(1 << 20)))
    with pytest.raises(StorageError, match="extended header of") as caught:
        unpack_tree(tmp_path / "a.tar", tmp_path / "out", max_bytes=100)
    assert caught.value.code == "archive-damaged"


def test_extended_headers_without_end_are_refused(tmp_path: Path) -> None:
    record = b"11 a=bcdef\n".ljust(512, b"\0")
    blocks = (extension(tarfile.XHDTYPE, 11) + record) * 2000
    (tmp_path / "a.tar").write_bytes(gzip.compress(blocks))
    with pytest.raises(StorageError) as caught:
        unpack_tree(tmp_path / "a.tar", tmp_path / "out", max_bytes=100)
    assert caught.value.code == "archive-damaged"


def test_by_default_the_disk_limits_what_comes_out(tmp_path: Path) -> None:
    header = tarfile.TarInfo("huge")
    header.size = 1 << 60
    (tmp_path / "a.tar.gz").write_bytes(gzip.compress(header.tobuf(tarfile.GNU_FORMAT)))
    with pytest.raises(StorageError) as refused:
        unpack_tree(tmp_path / "a.tar.gz", tmp_path / "out")
    assert refused.value.code == "archive-too-large"


def test_a_name_that_no_file_can_have_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "a.tar.gz", named("x" * 300))
    with pytest.raises(StorageError):
        unpack_tree(tmp_path / "a.tar.gz", tmp_path / "out")
    assert {path.name for path in tmp_path.iterdir()} == {"a.tar.gz"}


def test_an_archive_that_is_cut_or_none_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "a.tar.gz", *[lambda member: None] * 50)
    data = (tmp_path / "a.tar.gz").read_bytes()
    flipped = (
        data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 1]) + data[len(data) // 2 + 1 :]
    )
    cut = [data[:40], data[:-20], data[:-1], data[: len(data) // 2]]
    for bad in (b"", b"PK\x03\x04", *cut, flipped, b"\x1f\x8b" * 9):
        (tmp_path / "bad.tar.gz").write_bytes(bad)
        with pytest.raises(StorageError) as refused:
            unpack_tree(tmp_path / "bad.tar.gz", tmp_path / "out", max_bytes=10_000)
        assert refused.value.code == "archive-damaged", bad
        assert not (tmp_path / "out").exists()


def test_an_archive_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="nowhere") as refused:
        unpack_tree(tmp_path / "nowhere.tar.gz", tmp_path / "out", max_bytes=1)
    assert refused.value.code == "storage-missing"
