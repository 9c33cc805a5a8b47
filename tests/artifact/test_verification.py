"""Verifying: every byte is read, and what is wrong is told part by part."""

from __future__ import annotations

from pathlib import Path

import pytest

from kneighbors.artifact import PartReport, pack, save, verify
from support import artifact_making as making

NAMES = [
    "manifest", "factors", "ids-hashes", "ids-offsets", "ids-order", "ids-slots", "ids-text",
    "items", "vectors", "vectors-blocks",
]  # fmt: skip


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    making.save_small(tmp_path / "a")
    return tmp_path / "a"


def faulty(reports: list[PartReport]) -> dict[str, tuple[str, ...]]:
    return {report.name: report.faults for report in reports if not report.is_whole}


@pytest.mark.parametrize("archive", [False, True])
def test_a_whole_artifact_has_a_report_for_each_file(saved: Path, archive: bool) -> None:
    path = saved
    if archive:
        path = saved.parent / "a.tar.gz"
        pack(saved, path)
    calls: list[tuple[str, int, int]] = []
    reports = verify(path, progress=lambda *call: calls.append(call))
    assert [report.name for report in reports] == NAMES
    assert faulty(reports) == {}
    for report in reports:
        assert report.bytes == (saved / report.file).stat().st_size
    assert calls[-1][0] == "verifying"
    assert calls[-1][1] == calls[-1][2] or archive


def test_damaged_blocks_are_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kneighbors.artifact.writer.BLOCK_BYTES", 4096)
    save(tmp_path / "a", making.index("cosine", 6000, 64))
    with (tmp_path / "a" / "vectors.npy").open("r+b") as file:
        for block in (3, 7, *range(100, 130)):
            file.seek(block * 4096 + 5)
            file.write(b"\x55\xaa")
    (faults,) = faulty(verify(tmp_path / "a")).values()
    assert faults[:3] == (
        "the SHA-256 differs",
        "bytes 12288 to 16384 differ",
        "bytes 28672 to 32768 differ",
    )
    assert faults[-1] == "12 more blocks differ"
    assert len(faults) == 22


def test_every_damaged_part_is_named(saved: Path) -> None:
    for name in ("factors.npy", "ids-text.npy", "items.arrow"):
        data = bytearray((saved / name).read_bytes())
        data[-1] ^= 1
        (saved / name).write_bytes(data)
    (saved / "ids-order.npy").unlink()
    (saved / "ids-hashes.npy").write_bytes(b"")
    found = faulty(verify(saved))
    assert sorted(found) == ["factors", "ids-hashes", "ids-order", "ids-text", "items"]
    assert found["factors"] == ("the SHA-256 differs",)
    assert "found nothing" in found["ids-order"][0]
    assert "0 bytes in the place of 1728" in found["ids-hashes"][0]


@pytest.mark.parametrize("how", ["unlink", "damage"])
def test_vectors_are_verified_without_their_checksums(saved: Path, how: str) -> None:
    blocks, vectors = saved / "vectors-blocks.npy", saved / "vectors.npy"
    if how == "unlink":
        blocks.unlink()
    else:
        blocks.write_bytes(blocks.read_bytes()[:-1] + b"\x55")
    assert list(faulty(verify(saved))) == ["vectors-blocks"]
    vectors.write_bytes(vectors.read_bytes()[:-1] + b"\x55")
    found = faulty(verify(saved))
    assert found["vectors"] == ("the SHA-256 differs",)


def test_other_files_beside_the_parts_are_nobodys_business(saved: Path) -> None:
    (saved / "notes.txt").write_text("mine")
    (saved / "code").mkdir()
    assert faulty(verify(saved)) == {}
