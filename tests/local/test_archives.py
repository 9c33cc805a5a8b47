"""Model archives: only plain files below the target come out of them."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path
from typing import Any

import pytest

from kneighbors.local.archives import ArchiveRefused, unpack
from support.local_hosting import HostingPlane, archive


def written(folder: Path, data: bytes) -> Path:
    path = folder / "model.tar.gz"
    path.write_bytes(data)
    return path


def archive_of(*members: tarfile.TarInfo) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for member in members:
            tar.addfile(member, io.BytesIO(bytes(member.size)))
    return buffer.getvalue()


def member(name: str, **facts: Any) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    for fact, value in facts.items():
        setattr(info, fact, value)
    return info


def test_files_and_directories_are_unpacked(tmp_path: Path) -> None:
    data = archive({"./manifest.json": "{}", "code/inference.py": "x = 1", "code/lib/a.txt": "a"})
    unpack(written(tmp_path, data), tmp_path / "model")
    found = {p.relative_to(tmp_path / "model").as_posix() for p in tmp_path.rglob("model/**/*")}
    assert {"manifest.json", "code", "code/inference.py", "code/lib", "code/lib/a.txt"} == found
    assert "x = 1" == (tmp_path / "model/code/inference.py").read_text()


def test_of_a_files_mode_only_the_execute_bit_is_kept(tmp_path: Path) -> None:
    data = archive_of(member("tool", mode=0o6755), member("data", mode=0o000))
    unpack(written(tmp_path, data), tmp_path / "model")
    modes = [(tmp_path / "model" / name).stat().st_mode & 0o7777 for name in ("tool", "data")]
    assert [0o755, 0o644] == modes


@pytest.mark.parametrize(
    ("bad", "expected"),
    [
        (member("a", type=tarfile.SYMTYPE, linkname="/etc/passwd"), "'a' is a link"),
        (member("a", type=tarfile.LNKTYPE, linkname="first"), "'a' is a link"),
        (member("a", type=tarfile.CHRTYPE), "no plain file or directory"),
        (member("a", type=tarfile.FIFOTYPE), "no plain file or directory"),
        (member("/etc/passwd"), "is absolute"),
        (member("../outside"), "leads out of the archive"),
        (member("code/../../outside"), "leads out of the archive"),
        (member("first"), "'first' occurs twice"),
        (member("./first"), "occurs twice"),
        (member("first/below"), "is a file and a directory"),
        (member("x" * 300), "is none that a file can have"),
        (member("huge", size=0), "no whole .tar.gz"),
    ],
)
def test_what_no_model_needs_is_refused(
    tmp_path: Path, bad: tarfile.TarInfo, expected: str
) -> None:
    data = archive_of(member("first", size=3), bad)
    if bad.name == "huge":
        data = data[:-20]
    with pytest.raises(ArchiveRefused) as caught:
        unpack(written(tmp_path, data), tmp_path / "model")
    assert expected in str(caught.value)
    assert not (tmp_path / "outside").exists()


def test_a_member_that_the_disk_has_no_room_for_is_refused(tmp_path: Path) -> None:
    header = member("huge", size=1 << 60).tobuf(tarfile.GNU_FORMAT)
    with pytest.raises(ArchiveRefused, match="the disk has room for"):
        unpack(written(tmp_path, gzip.compress(header)), tmp_path / "model")


@pytest.mark.parametrize("data", [b"", b"no archive", gzip.compress(b"no archive" * 100)])
def test_what_is_no_archive_is_refused(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(ArchiveRefused, match=r"no whole \.tar\.gz"):
        unpack(written(tmp_path, data), tmp_path / "model")


def test_an_endpoint_says_what_is_wrong_with_its_archive(hosting: HostingPlane) -> None:
    url = hosting.upload(archive_of(member("a", type=tarfile.SYMTYPE, linkname="/etc/passwd")))
    model = hosting.model(ModelDataUrl=url)
    endpoint = hosting.endpoint({"ModelName": model}, wait=False)
    expected = (
        f'Failed to extract model data archive for container "container_1" from URL "{url}". '
        "Please ensure that the object located at the URL is a valid tar.gz archive: the member "
        "'a' is a link."
    )
    assert expected == hosting.wait(endpoint, "Failed")["FailureReason"]
