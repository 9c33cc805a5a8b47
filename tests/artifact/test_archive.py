"""Archives: the same artifact in, the same artifact out, and nothing else ever written."""

from __future__ import annotations

import gc
import gzip
import io
import os
import shutil
import subprocess
import tarfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kneighbors.artifact import open_artifact, pack, save, unpack, verify
from kneighbors.artifact.gunzip import ArchiveLimits
from kneighbors.artifact.tarball import build_header
from kneighbors.errors import ArtifactError, StorageError
from kneighbors.search.index import ExactIndex
from kneighbors.search.rows import ArrayRows
from support import artifact_making as making


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("archive") / "a"
    making.save_small(path)
    return path


@pytest.fixture(scope="module")
def packed(saved: Path) -> Path:
    archive = saved.parent / "a.tar.gz"
    pack(saved, archive)
    return archive


@pytest.fixture(scope="module")
def files(saved: Path) -> dict[str, bytes]:
    return making.contents(saved)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return tmp_path / "hostile.tar.gz"


# In and out -------------------------------------------------------------------------------------


def test_an_unpacked_artifact_is_the_packed_one(saved: Path, packed: Path, tmp_path: Path) -> None:
    calls: list[tuple[str, int, int]] = []
    manifest = unpack(packed, tmp_path / "b", progress=lambda *call: calls.append(call))
    assert making.contents(tmp_path / "b") == making.contents(saved)
    with open_artifact(saved) as artifact:
        assert artifact.manifest == manifest
    assert calls[-1][0] == "unpacking"
    assert [file.name for file in tmp_path.iterdir()] == ["b"]


def test_an_archive_is_opened_and_its_copy_removed_after(saved: Path, packed: Path) -> None:
    with open_artifact(saved) as artifact:
        expected = making.answers(artifact)
    with open_artifact(packed) as artifact:
        folder = artifact.path
        index, catalog = artifact.index, artifact.catalog
        assert making.answers(artifact) == expected
    assert not folder.exists()
    assert not folder.parent.exists()
    # What was taken from it still answers: its maps and descriptors outlive the names.
    index.kneighbors(making.corpus(3), 2)
    assert catalog.attributes_of([1])[0]["name"] == "Château 1"
    artifact = open_artifact(packed)
    folder = artifact.path
    del artifact
    gc.collect()
    assert not folder.exists()


def test_an_archive_can_be_unpacked_to_stay(packed: Path, tmp_path: Path) -> None:
    with open_artifact(packed, unpack_to=tmp_path / "b") as artifact:
        assert artifact.path == tmp_path / "b"
    assert all(report.is_whole for report in verify(tmp_path / "b"))
    with pytest.raises(StorageError):
        open_artifact(packed, unpack_to=tmp_path / "b")


def test_the_same_artifact_packs_to_the_same_bytes(
    saved: Path, packed: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(saved, copy)
    for file in copy.iterdir():
        os.utime(file, (1, 2))
        file.chmod(0o600)
    (copy / "notes.txt").write_text("not packed")
    pack(copy, tmp_path / "b.tar.gz")
    assert (tmp_path / "b.tar.gz").read_bytes() == packed.read_bytes()


def test_other_tools_read_our_archives(
    packed: Path, files: dict[str, bytes], tmp_path: Path
) -> None:
    with tarfile.open(packed) as tar:
        members = tar.getmembers()
        names = [member.name for member in members]
        assert names == ["manifest.json", *sorted(set(files) - {"manifest.json"})]
        for member in members:
            assert member.isreg()
            assert (member.mtime, member.uid, member.gid, member.mode) == (0, 0, 0, 0o644)
            stream = tar.extractfile(member)
            assert stream is not None
            assert stream.read() == files[member.name]
    subprocess.run(["tar", "-xzf", packed, "-C", tmp_path], check=True)
    assert making.contents(tmp_path) == files


@pytest.mark.parametrize(
    "arguments",
    [
        ["-C", "{}", "."],
        ["-C", "{}", "--format=pax", "."],
        ["-C", "{}", "--format=gnu", "."],
        ["-C", "{}", "--format=ustar", "--sort=name", "."],
        ["-C", "{}", "--format=v7", "."],
    ],
)
def test_archives_of_other_tools_are_read(
    saved: Path, files: dict[str, bytes], tmp_path: Path, arguments: list[str]
) -> None:
    """Such as SageMaker makes of a model directory, code and notes included."""
    model = tmp_path / "model"
    shutil.copytree(saved, model)
    (model / "code" / "lib").mkdir(parents=True)
    (model / "code" / "inference.py").write_text("print()")
    (model / "code" / "lib" / ("x" * 80 + ".py")).write_text("pass")
    (model / "README.md").write_text("# notes")
    (model / "model.joblib").write_bytes(b"\x80\x04")
    archive = tmp_path / "model.tar.gz"
    subprocess.run(
        ["tar", "-czf", archive, *(argument.format(model) for argument in arguments)], check=True
    )
    unpack(archive, tmp_path / "b")
    assert making.contents(tmp_path / "b") == files
    assert all(report.is_whole for report in verify(archive))


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_archives_of_python_are_read(
    saved: Path, files: dict[str, bytes], tmp_path: Path, form: int
) -> None:
    # Modification times with fractions become extended headers.
    with tarfile.open(tmp_path / "p.tar.gz", "w:gz", format=form) as tar:
        for name in sorted(files, reverse=True):
            tar.add(saved / name, f"./{name}")
    unpack(tmp_path / "p.tar.gz", tmp_path / "b")
    assert making.contents(tmp_path / "b") == files


def test_an_archive_that_compresses_like_a_bomb_is_stored_instead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kneighbors.artifact.gunzip._RATIO_COUNTS_FROM", 1 << 20)
    alike = np.ones((5000, 300), np.float32)
    save(tmp_path / "a", ExactIndex.build(ArrayRows(alike), "euclidean"))
    pack(tmp_path / "a", tmp_path / "a.tar.gz")
    assert (tmp_path / "a.tar.gz").stat().st_size > alike.nbytes
    unpack(tmp_path / "a.tar.gz", tmp_path / "b")
    with tarfile.open(tmp_path / "bomb.tar.gz", "w:gz") as tar:
        tar.add(tmp_path / "a", ".")
    with pytest.raises(ArtifactError) as caught:
        unpack(tmp_path / "bomb.tar.gz", tmp_path / "c")
    assert caught.value.code == "artifact-too-large"
    assert "200 times" in str(caught.value)
    assert not (tmp_path / "c").exists()
    unpack(tmp_path / "bomb.tar.gz", tmp_path / "c", limits=ArchiveLimits(ratio=2000))


@pytest.mark.parametrize("level", range(10))
def test_every_level_of_compression_is_read(saved: Path, tmp_path: Path, level: int) -> None:
    pack(saved, tmp_path / "l.tar.gz", level=level)
    assert all(report.is_whole for report in verify(tmp_path / "l.tar.gz"))


def test_files_beyond_eight_gibibytes_have_a_binary_size() -> None:
    size = 300 * 10**9
    info = tarfile.TarInfo.frombuf(build_header("vectors.npy", size), "utf-8", "strict")
    assert (info.name, info.size) == ("vectors.npy", size)


def test_a_file_in_the_way_is_not_replaced_unless_asked_for(saved: Path, tmp_path: Path) -> None:
    archive = tmp_path / "a.tar.gz"
    archive.write_text("precious")
    with pytest.raises(StorageError) as caught:
        pack(saved, archive)
    assert caught.value.code == "artifact-exists"
    assert archive.read_text() == "precious"
    pack(saved, archive, overwrite=True)
    assert all(report.is_whole for report in verify(archive))
    (tmp_path / "folder").mkdir()
    with pytest.raises(StorageError):
        pack(saved, tmp_path / "folder", overwrite=True)


def test_an_archive_that_appears_meanwhile_is_not_replaced(saved: Path, tmp_path: Path) -> None:
    archive = tmp_path / "a.tar.gz"

    def faster(stage: str, done: int, total: int) -> None:
        archive.write_text("precious")

    with pytest.raises(StorageError) as caught:
        pack(saved, archive, progress=faster)
    assert caught.value.code == "artifact-exists"
    assert archive.read_text() == "precious"
    assert [file.name for file in tmp_path.iterdir()] == ["a.tar.gz"]


@pytest.mark.parametrize("what", ["artifact", "other", "file"])
def test_nothing_is_unpacked_over_what_is_there(packed: Path, tmp_path: Path, what: str) -> None:
    path = tmp_path / "b"
    if what == "artifact":
        making.save_small(path)
    elif what == "other":
        path.mkdir()
        (path / "thesis.txt").write_text("precious")
    else:
        path.write_text("precious")
    before = making.contents(tmp_path), what == "file" or making.contents(path)
    with pytest.raises(StorageError) as caught:
        unpack(packed, path)
    assert caught.value.code == ("artifact-exists" if what == "artifact" else "storage-exists")
    assert (making.contents(tmp_path), what == "file" or making.contents(path)) == before


# Damage -----------------------------------------------------------------------------------------


def refusal(archive: Path, **options: Any) -> ArtifactError:
    target = archive.parent / "target"
    with pytest.raises(ArtifactError) as caught:
        unpack(archive, target, **options)
    assert not target.exists()
    assert {file.name for file in archive.parent.iterdir()} == {archive.name}
    assert len(str(caught.value)) < 600
    return caught.value


def verifies(archive: Path) -> bool:
    try:
        return all(report.is_whole for report in verify(archive))
    except ArtifactError:
        return False


def test_random_damage_is_detected_or_without_effect(
    packed: Path, archive: Path, files: dict[str, bytes]
) -> None:
    data = packed.read_bytes()
    random = np.random.default_rng(0)
    detected = 0
    for _ in range(300):
        damaged = bytearray(data)
        place = int(random.integers(10, len(data)))
        damaged[place] ^= int(random.integers(1, 256))
        archive.write_bytes(damaged)
        target = archive.parent / "target"
        try:
            unpack(archive, target)
        except ArtifactError:
            assert not target.exists()
            assert not verifies(archive)
            detected += 1
            continue
        # A few bits of a gzip stream fill up bytes and mean nothing.
        assert making.contents(target) == files
        shutil.rmtree(target)
    assert detected > 290


def test_an_archive_cut_anywhere_is_detected(packed: Path, archive: Path) -> None:
    data = packed.read_bytes()
    for length in {*range(0, len(data), 97), *range(12), *range(len(data) - 12, len(data))}:
        archive.write_bytes(data[:length])
        error = refusal(archive)
        assert error.code in {"artifact-damaged", "artifact-unknown"}


def test_anything_after_the_archive_is_refused(packed: Path, archive: Path) -> None:
    for extra in (b"\0", b"x" * 100, packed.read_bytes(), gzip.compress(b"")):
        archive.write_bytes(packed.read_bytes() + extra)
        assert refusal(archive).code == "artifact-unsafe"


def test_a_tar_cut_within_a_whole_gzip_is_detected(packed: Path, archive: Path) -> None:
    tar = gzip.decompress(packed.read_bytes())
    for length in {*range(0, len(tar), 512), *range(0, len(tar), 1009), len(tar) - 512}:
        archive.write_bytes(gzip.compress(tar[:length], 1))
        assert refusal(archive).code == "artifact-damaged", length


def test_bytes_after_the_end_mark_are_refused_and_zeros_are_not(
    packed: Path, archive: Path, tmp_path: Path
) -> None:
    tar = gzip.decompress(packed.read_bytes())
    archive.write_bytes(gzip.compress(tar + bytes(9000) + b"x"))
    assert refusal(archive).code == "artifact-unsafe"
    archive.write_bytes(gzip.compress(tar + bytes(9001)))
    unpack(archive, tmp_path / "b")


def test_a_file_that_is_missing_or_changed_is_named(files: dict[str, bytes], archive: Path) -> None:
    write(archive, {name: data for name, data in files.items() if name != "items.arrow"})
    error = refusal(archive)
    assert (error.code, "'items'" in str(error)) == ("artifact-incomplete", True)
    assert [r.name for r in verify(archive) if not r.is_whole] == ["items"]
    for changed in (files["items.arrow"][:-1] + b"\x55", files["items.arrow"] + b"x", b""):
        for order in (sorted(files), sorted(files, reverse=True)):
            write(archive, {name: files[name] for name in order} | {"items.arrow": changed})
            error = refusal(archive)
            assert (error.code, "items.arrow" in str(error)) == ("artifact-damaged", True)
            assert [r.name for r in verify(archive) if not r.is_whole] == ["items"]


# Hostile members --------------------------------------------------------------------------------


def member(name: str, data: bytes = b"", **fields: Any) -> bytes:
    """Return a member of any kind, its content filled up."""
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for key, value in fields.items():
        setattr(info, key, value)
    header = info.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")
    return header + data + bytes(-len(data) % 512)


def write(archive: Path, files: dict[str, bytes], *extra: bytes, end: bytes = bytes(1024)) -> None:
    """Write an archive of files, with other members after them."""
    whole = b"".join(member(name, data) for name, data in files.items())
    archive.write_bytes(gzip.compress(whole + b"".join(extra) + end, 1))


KINDS: dict[str, dict[str, Any]] = {
    "hard link": {"type": tarfile.LNKTYPE, "linkname": "/etc/passwd"},
    "symbolic link": {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"},
    "character device": {"type": tarfile.CHRTYPE},
    "block device": {"type": tarfile.BLKTYPE},
    "FIFO": {"type": tarfile.FIFOTYPE},
    "contiguous": {"type": tarfile.CONTTYPE},
    "sparse": {"type": tarfile.GNUTYPE_SPARSE},
    "unknown": {"type": b"Z"},
    "volume label": {"type": b"V"},
}


@pytest.mark.parametrize("name", ["vectors.npy", "extra.txt", "code/link", "code", "../up"])
@pytest.mark.parametrize("kind", KINDS)
def test_members_that_are_no_files_are_refused(
    files: dict[str, bytes], archive: Path, kind: str, name: str
) -> None:
    rest = {key: data for key, data in files.items() if key != name}
    write(archive, rest, member(name, **KINDS[kind]))
    error = refusal(archive)
    assert error.code == "artifact-unsafe"
    assert name in str(error)


@pytest.mark.parametrize(
    "name",
    [
        "/vectors.npy", "/etc/cron.d/x", "../vectors.npy", "code/../../x", "./../x", "a/../x",
        "//x", "./", "x//y", "code//x", "./.", "..", "model/manifest.json", "other/x.txt", "x/",
        "././x", "code/./x",
    ],
)  # fmt: skip
def test_names_that_lead_elsewhere_are_refused(
    files: dict[str, bytes], archive: Path, name: str
) -> None:
    write(archive, files, member(name, b"x"))
    if name == "./":
        # A file of that name: only a directory may be called so.
        assert refusal(archive).code == "artifact-unsafe"
        return
    error = refusal(archive)
    assert error.code == "artifact-unsafe"


def test_names_with_bytes_after_their_end_are_refused(
    files: dict[str, bytes], archive: Path
) -> None:
    header = bytearray(member("extra.txt"))
    header[9:20] = b"\0/etc/passwd"[:11]
    header[148:156] = b"%06o\0 " % sum(header[:148] + b" " * 8 + header[156:512])
    write(archive, files, bytes(header))
    assert refusal(archive).code == "artifact-unsafe"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("vectors.npy", "vectors.npy"),
        ("vectors.npy", "./vectors.npy"),
        ("vectors.npy", "VECTORS.npy"),
        ("manifest.json", "Manifest.JSON"),
        ("extra.txt", "Extra.txt"),
        ("code/a.py", "code/A.py"),
        ("code/straße", "code/STRASSE"),
    ],
)
def test_names_that_collide_are_refused(
    files: dict[str, bytes], archive: Path, one: str, other: str
) -> None:
    write(archive, {**files, one: files.get(one, b"x")}, member(other, b"y"))
    error = refusal(archive)
    assert error.code == "artifact-unsafe"
    assert "occurred before" in str(error)


def pax(**records: str) -> bytes:
    data = b""
    for key, value in records.items():
        body = f" {key}={value}\n".encode()
        length = len(body) + len(str(len(body) + 2))
        data += f"{length}".encode() + body
    return data


@pytest.mark.parametrize(
    ("kind", "data", "code"),
    [
        (b"x", pax(path="/etc/passwd"), "artifact-unsafe"),
        (b"x", pax(path="../up"), "artifact-unsafe"),
        (b"x", pax(path="vectors.npy"), "artifact-unsafe"),
        (b"x", pax(path="a\0b"), "artifact-unsafe"),
        (b"L", b"/etc/passwd\0", "artifact-unsafe"),
        (b"L", b"manifest.json\0", "artifact-unsafe"),
        (b"g", pax(path="extra.txt"), "artifact-unsafe"),
        (b"g", pax(size="1"), "artifact-unsafe"),
        (b"x", pax(**{"GNU.sparse.major": "1"}), "artifact-unsafe"),
        (b"x", pax(size="-1"), "artifact-damaged"),
        (b"x", pax(size="9" * 400), "artifact-damaged"),
        (b"x", pax(size="1000000000000"), "artifact-damaged"),
        (b"x", b"not a record", "artifact-damaged"),
        (b"x", b"99 path=short\n", "artifact-damaged"),
        (b"x", b"5 a=b", "artifact-damaged"),
        (b"x", b"0 a=b\n", "artifact-damaged"),
        (b"x", b"x" * 70_000, "artifact-too-large"),
        (b"L", b"x" * 70_000, "artifact-too-large"),
    ],
)
def test_extended_headers_cannot_smuggle(
    files: dict[str, bytes], archive: Path, kind: bytes, data: bytes, code: str
) -> None:
    write(archive, files, member("PaxHeader", data, type=kind), member("extra.txt", b"x"))
    assert refusal(archive).code == code


def test_an_extended_header_that_claims_much_costs_nothing(
    files: dict[str, bytes], archive: Path
) -> None:
    header = bytearray(member("PaxHeader", type=b"x"))
    header[124:136] = b"77777777777\0"
    header[148:156] = b"%06o\0 " % sum(header[:148] + b" " * 8 + header[156:512])
    write(archive, files, bytes(header))
    assert refusal(archive).code == "artifact-too-large"


@pytest.mark.parametrize("size", [b"77777777777\0", b"\x80" + b"\xff" * 11])
@pytest.mark.parametrize("name", ["vectors.npy", "manifest.json", "extra.txt", "code/x"])
def test_a_member_that_claims_much_costs_nothing(
    files: dict[str, bytes], archive: Path, name: str, size: bytes
) -> None:
    header = bytearray(member(name))
    header[124:136] = size
    header[148:156] = b"%06o\0 " % sum(header[:148] + b" " * 8 + header[156:512])
    rest = {key: data for key, data in files.items() if key != name}
    write(archive, rest, bytes(header))
    with pytest.raises((ArtifactError, StorageError)) as caught:
        unpack(archive, archive.parent / "target")
    assert caught.value.code in {"artifact-damaged", "artifact-too-large", "storage-full"}
    assert {file.name for file in archive.parent.iterdir()} == {archive.name}


@pytest.mark.parametrize(
    ("start", "field"),
    [(148, b"0000000\0"), (124, b"xyz\0"), (124, b"-1\0"), (124, b"\0" * 12), (124, b"8" * 11)],
)
def test_broken_headers_are_refused(
    files: dict[str, bytes], archive: Path, start: int, field: bytes
) -> None:
    header = bytearray(member("extra.txt"))
    header[start : start + len(field)] = field
    if start != 148:
        header[148:156] = b"%06o\0 " % sum(header[:148] + b" " * 8 + header[156:512])
    write(archive, files, bytes(header))
    assert refusal(archive).code == "artifact-damaged"


def test_too_many_members_are_refused(files: dict[str, bytes], archive: Path) -> None:
    write(archive, files, *(member(f"code/{number}") for number in range(10_001)))
    error = refusal(archive)
    assert error.code == "artifact-too-large"
    assert "10,000 members" in str(error)


def test_too_many_bytes_are_refused(files: dict[str, bytes], archive: Path) -> None:
    write(archive, files, member("code/x", np.random.default_rng(0).bytes(200_000)))
    error = refusal(archive, limits=ArchiveLimits(bytes=100_000))
    assert error.code == "artifact-too-large"
    assert "100,000 bytes" in str(error)


def test_a_bomb_is_refused_early(files: dict[str, bytes], archive: Path) -> None:
    """10 GB of zeros in 10 MB: refused before a hundredth was unpacked."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    header = bytearray(member("code/zeros"))
    header[124:136] = b"\x80" + (10**10).to_bytes(11, "big")
    header[148:156] = b"%06o\0 " % sum(header[:148] + b" " * 8 + header[156:512])
    start = packer.compress(b"".join(member(n, d) for n, d in files.items()) + header)
    start += packer.flush(zlib.Z_FULL_FLUSH)
    zeros = packer.compress(bytes(1 << 26)) + packer.flush(zlib.Z_FULL_FLUSH)
    archive.write_bytes(start + zeros * 150)
    error = refusal(archive)
    assert error.code == "artifact-too-large"


def test_parts_that_the_manifest_does_not_name_are_not_kept(
    files: dict[str, bytes], archive: Path, tmp_path: Path
) -> None:
    for order in ({"aaa.npy": b"x", **files}, {**files, "zzz.npy": b"x"}):
        write(archive, order)
        unpack(archive, tmp_path / "b")
        assert making.contents(tmp_path / "b") == files
        shutil.rmtree(tmp_path / "b")


def test_setuid_bits_and_owners_are_not_taken_over(
    files: dict[str, bytes], archive: Path, tmp_path: Path
) -> None:
    data = b"".join(
        member(name, data, mode=0o6777, uid=12345, gid=12345) for name, data in files.items()
    )
    archive.write_bytes(gzip.compress(data + bytes(1024)))
    unpack(archive, tmp_path / "b")
    for file in (tmp_path / "b").iterdir():
        assert file.stat().st_mode & 0o6111 == 0
        assert file.stat().st_uid == os.getuid()


def test_a_sibling_whose_name_begins_alike_is_not_touched(
    files: dict[str, bytes], archive: Path, tmp_path: Path
) -> None:
    (tmp_path / "target-evil").mkdir()
    write(archive, files, member("../target-evil/x", b"x"))
    with pytest.raises(ArtifactError) as caught:
        unpack(archive, tmp_path / "target")
    assert caught.value.code == "artifact-unsafe"
    assert list((tmp_path / "target-evil").iterdir()) == []


@pytest.mark.parametrize(
    "content",
    [b"", b"PK\x03\x04", b"\x1f\x8b", b"\x1f\x9d\x90", b"BZh9", b"hello"],
    ids=["empty", "zip", "cut", "compress", "bzip2", "text"],
)
def test_other_files_are_no_archive(archive: Path, content: bytes) -> None:
    archive.write_bytes(content)
    assert refusal(archive).code == "artifact-unknown"


def test_an_archive_of_something_else_is_none_of_ours(
    files: dict[str, bytes], archive: Path
) -> None:
    write(archive, {"README.md": b"hello", "vectors.npy": b"x"})
    assert refusal(archive).code == "artifact-unknown"
    with pytest.raises(ArtifactError, match=r"without manifest\.json"):
        verify(archive)
    write(archive, {**files, "manifest.json": b'{"name": "web app"}'})
    assert refusal(archive).code == "artifact-unknown"
    write(archive, {})
    assert refusal(archive).code == "artifact-unknown"


def test_an_archive_of_the_directory_itself_says_how_to_pack(saved: Path, archive: Path) -> None:
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(saved, "wines")
    error = refusal(archive)
    assert error.code == "artifact-unsafe"
    assert "Pack the content of the directory" in str(error)


def test_a_full_disk_is_refused_before_it_is_full(
    packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    statvfs = os.statvfs

    def nearly_full(path: Any) -> Any:
        return os.statvfs_result((*statvfs(path)[:4], 1, *statvfs(path)[5:]))

    monkeypatch.setattr(os, "statvfs", nearly_full)
    with pytest.raises(StorageError) as caught:
        unpack(packed, tmp_path / "b")
    assert caught.value.code == "storage-full"
    assert list(tmp_path.iterdir()) == []


def mutated(tar: bytes, random: np.random.Generator) -> Iterator[bytes]:
    for _ in range(400):
        data = bytearray(tar)
        block = int(random.integers(len(tar) // 512)) * 512
        for _ in range(int(random.integers(1, 4))):
            data[block + int(random.integers(512))] = int(random.integers(256))
        if random.integers(2):
            header = data[block : block + 512]
            data[block + 148 : block + 156] = b"%06o\0 " % (
                sum(header[:148]) + 8 * 32 + sum(header[156:])
            )
        yield bytes(data)


def test_no_tar_causes_any_other_error(packed: Path, archive: Path, tmp_path: Path) -> None:
    tar = gzip.decompress(packed.read_bytes())
    whole = 0
    for data in mutated(tar, np.random.default_rng(0)):
        archive.write_bytes(gzip.compress(data, 0))
        try:
            unpack(archive, tmp_path / "b")
        except (ArtifactError, StorageError):
            assert not (tmp_path / "b").exists()
            continue
        whole += 1
        assert all(report.is_whole for report in verify(tmp_path / "b"))
        shutil.rmtree(tmp_path / "b")
    assert whole < 200


def test_the_stream_is_never_held_whole(packed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    longest = 0
    real: Callable[..., Any] = zlib.decompressobj

    class Watched:
        def __init__(self, window: int) -> None:
            self._inner = real(window)

        def decompress(self, data: bytes, most: int) -> bytes:
            nonlocal longest
            assert most
            result: bytes = self._inner.decompress(data, most)
            longest = max(longest, len(result))
            return result

        def __getattr__(self, name: str) -> Any:
            return getattr(self._inner, name)

    monkeypatch.setattr(zlib, "decompressobj", Watched)
    verify(packed)
    assert 0 < longest <= 1 << 20
    assert io.DEFAULT_BUFFER_SIZE <= 1 << 20


def test_an_archive_needs_a_directory_to_be_in(tmp_path: Path) -> None:
    making.save_small(tmp_path / "a")
    with pytest.raises(StorageError) as refused:
        pack(tmp_path / "a", tmp_path / "none" / "a.tar.gz")
    assert refused.value.code == "storage-missing"


def test_what_is_damaged_is_not_packed(tmp_path: Path) -> None:
    making.save_small(tmp_path / "a")
    vectors = tmp_path / "a" / "vectors.npy"
    vectors.chmod(0o600)
    with vectors.open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\xff")
    with pytest.raises(ArtifactError) as refused:
        pack(tmp_path / "a", tmp_path / "a.tar.gz")
    assert refused.value.code == "artifact-damaged"
    assert ["a"] == [path.name for path in tmp_path.iterdir()]
