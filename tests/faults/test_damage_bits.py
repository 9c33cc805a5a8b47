"""Every bit of what an artifact says of itself, and every length around a boundary."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from kneighbors.artifact import Manifest, open_artifact, pack, sign, verify
from kneighbors.artifact.gzip_header import HEADER_BYTES
from kneighbors.artifact.keys import PublicKeys
from kneighbors.artifact.signing import PUBLIC, new_key
from kneighbors.errors import ArtifactError, KNeighborsError
from support import artifact_making as making
from support.whole_artifact import INDEX_PARTS, save_whole

pytestmark = pytest.mark.faults


@pytest.fixture(scope="module", autouse=True)
def no_waiting_for_the_disk() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda number: None)
        yield


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("faiss")
    folder = tmp_path_factory.mktemp("bits")
    new_key(folder / "key")
    save_whole(folder / "a")
    sign(folder / "a", folder / "key")
    pack(folder / "a", folder / "a.tar.gz")
    return folder / "a"


def flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def test_the_artifact_has_every_kind_of_part(whole: Path) -> None:
    with open_artifact(whole) as artifact:
        parts = artifact.manifest.parts
    roles = {"vectors", "checksums", "index", "ids", "lookup", "items", "vocabulary", "lists"}
    assert roles == {part.role for part in parts.values()}
    assert {name for name, part in parts.items() if part.role == "index"} == INDEX_PARTS


def test_every_bit_of_the_manifest_counts(whole: Path) -> None:
    data = (whole / "manifest.json").read_bytes()
    accepted = []
    for bit in range(8 * len(data)):
        try:
            Manifest.from_bytes(flipped(data, bit))
            accepted.append(bit)
        except ArtifactError:
            pass
    assert [] == accepted


def test_every_bit_of_the_signature_counts(whole: Path) -> None:
    keys = PublicKeys.read(whole.parent / ("key" + PUBLIC))
    manifest, data = (whole / "manifest.json").read_bytes(), (whole / "manifest.sig").read_bytes()
    accepted = []
    for bit in range(8 * len(data)):
        try:
            keys.check(manifest, flipped(data, bit), "")
            accepted.append(bit)
        except ArtifactError:
            pass
    assert [] == accepted


def test_every_bit_of_the_headers_and_of_the_end_of_an_archive_counts(whole: Path) -> None:
    archive = whole.with_suffix(".tar.gz")
    data = archive.read_bytes()
    first, last = range(8 * (HEADER_BYTES + 8)), range(8 * (len(data) - 24), 8 * len(data))
    accepted = []
    for bit in [*first, *last]:
        with making.changed(archive, flipped(data, bit)):
            try:
                verify(archive)
                accepted.append(bit)
            except ArtifactError:
                pass
    assert [] == accepted


def test_an_archive_is_whole_at_its_own_length_only(whole: Path) -> None:
    archive = whole.with_suffix(".tar.gz")
    data = archive.read_bytes()
    lengths = {*range(64), *range(0, len(data), 4099), *range(len(data) - 32, len(data))}
    for length in sorted(lengths):
        with making.changed(archive, data[:length]), pytest.raises(ArtifactError):
            verify(archive)
    for more in (b"\0", b"\0" * 512, data[:1], data):
        with making.changed(archive, data + more), pytest.raises(ArtifactError):
            verify(archive)


@pytest.mark.parametrize("mapped", [True, False])
def test_files_cut_around_every_boundary_are_detected(whole: Path, mapped: bool) -> None:
    for name, data in making.contents(whole).items():
        ends = {0, 1, *(b + d for b in (64, 128, 4096, len(data)) for d in (-1, 0, 1))}
        for length in sorted(ends - {len(data)}):
            other = (data + b"\0")[:length]
            if name == "manifest.sig" or len(other) == len(data):
                continue
            with making.changed(whole / name, other), pytest.raises(KNeighborsError):
                open_artifact(whole, mapped=mapped)


def test_parts_of_another_artifact_are_detected(whole: Path, tmp_path: Path) -> None:
    save_whole(tmp_path / "b", seed=1)
    mine, theirs = making.contents(whole), making.contents(tmp_path / "b")
    swapped = [name for name, data in theirs.items() if mine[name] != data]
    assert {"manifest.json", "graph.npy", "graph-order.npy"} <= set(swapped)
    for name in swapped:
        with making.changed(whole / name, theirs[name]), pytest.raises(ArtifactError):
            open_artifact(whole)
    for name in mine:
        # One part in the place of another, of the same kind if there is one.
        others = [one for one in mine if one != name]
        other = max(others, key=lambda one: one.endswith(name[-4:]))
        with making.changed(whole / name, mine[other]), pytest.raises(ArtifactError):
            open_artifact(whole, require_signature=whole.parent / ("key" + PUBLIC))
