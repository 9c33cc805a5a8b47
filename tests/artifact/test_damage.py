"""Damage of every kind, at random places: found, and never answered from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kneighbors.artifact import open_artifact, save, verify
from kneighbors.errors import ArtifactError, KNeighborsError
from support import artifact_making as making

#: Trials over all files; every 16th also over every kind of artifact that has other parts.
TRIALS = 2000


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, tuple[Any, ...]]]:
    """An artifact whose vectors have several blocks, and its answers."""
    path = tmp_path_factory.mktemp("damage") / "a"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kneighbors.artifact.writer.BLOCK_BYTES", 4096)
        making.save_small(path)
    with open_artifact(path) as artifact:
        expected = making.answers(artifact)
        assert artifact.index.rows.n_blocks_checked == 4  # type: ignore[attr-defined]
    yield path, expected
    assert all(report.is_whole for report in verify(path))


def damage(data: bytes, random: np.random.Generator) -> bytes:
    place = int(random.integers(len(data)))
    kind = int(random.integers(5))
    if kind == 0:
        return data[:place]
    if kind == 1:
        return data[:place] + data[place + 1 :]
    if kind == 2:
        return data[:place] + random.bytes(1) + data[place:]
    changed = bytearray(data)
    if kind == 3:
        changed[place] ^= 1 << int(random.integers(8))
    else:
        changed[place] ^= int(random.integers(1, 256))
    return bytes(changed)


@pytest.mark.parametrize("quarter", range(4))
def test_random_damage_is_always_detected(
    small: tuple[Path, tuple[Any, ...]], quarter: int, tmp_path: Path
) -> None:
    path, expected = small
    random = np.random.default_rng(quarter)
    files = sorted(making.contents(path))
    for _ in range(TRIALS // 4):
        file = path / files[random.integers(len(files))]
        data = file.read_bytes()
        with making.changed(file, damage(data, random)):
            assert making.is_detected(path, expected), file.name


@pytest.mark.parametrize(
    ("id_type", "shape"), [("integer", (200, 16)), ("row", (12_000, 64))], ids=["integer", "head"]
)
def test_damage_to_every_kind_of_part_is_detected(
    tmp_path: Path, id_type: str, shape: tuple[int, int]
) -> None:
    items = shape == (200, 16)
    save(
        tmp_path / "a",
        making.index("euclidean", *shape, "float64"),
        making.catalog(id_type, items, shape[0]),
    )
    random = np.random.default_rng(1)
    with open_artifact(tmp_path / "a") as artifact:
        expected = making.answers(artifact) if items else ()
        resident = [p.file for p in artifact.manifest.parts.values() if p.role != "vectors"]
    for name in resident:
        file = tmp_path / "a" / name
        data = file.read_bytes()
        for _ in range(4):
            with making.changed(file, damage(data, random)):
                with pytest.raises(KNeighborsError) as caught:
                    open_artifact(tmp_path / "a")
                assert name in str(caught.value)
    if items:
        assert making.is_detected(tmp_path / "a", expected) is False


def test_files_cut_around_every_boundary_are_detected(
    small: tuple[Path, tuple[Any, ...]],
) -> None:
    path, _ = small
    for name, data in making.contents(path).items():
        for length in {0, 1, 63, 64, 127, 128, 129, 4096, len(data) - 1}:
            if length < len(data):
                with making.changed(path / name, data[:length]), pytest.raises(ArtifactError):
                    open_artifact(path)


@pytest.mark.parametrize("name", ["manifest.json", "vectors.npy", "ids-text.npy", "items.arrow"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    making.save_small(tmp_path / "a")
    (tmp_path / "a" / name).unlink()
    with pytest.raises(ArtifactError, match=name.partition(".")[0]) as caught:
        open_artifact(tmp_path / "a")
    manifest = name == "manifest.json"
    assert caught.value.code == ("artifact-unknown" if manifest else "artifact-incomplete")


def test_parts_swapped_between_artifacts_are_detected(tmp_path: Path) -> None:
    save(tmp_path / "a", making.index(seed=1), making.catalog("string"))
    save(tmp_path / "b", making.index(seed=2), making.catalog("string"))
    save(tmp_path / "c", making.index("euclidean"), making.catalog("integer", items=False))
    with open_artifact(tmp_path / "a") as artifact:
        expected = making.answers(artifact)
    swapped = set()
    for other in "bc":
        theirs = making.contents(tmp_path / other)
        for name, data in making.contents(tmp_path / "a").items():
            if theirs.get(name, data) != data:
                swapped.add(name)
                with making.changed(tmp_path / "a" / name, theirs[name]):
                    assert making.is_detected(tmp_path / "a", expected), (other, name)
    assert {"manifest.json", "vectors.npy", "vectors-blocks.npy", "factors.npy"} <= swapped


def test_ids_shifted_by_one_are_detected(tmp_path: Path) -> None:
    making.save_small(tmp_path / "a")
    with open_artifact(tmp_path / "a") as artifact:
        expected = making.answers(artifact)
    file = tmp_path / "a" / "ids-offsets.npy"
    offsets = np.load(file)
    with making.changed(file, file.read_bytes()[:128] + np.roll(offsets, 1).tobytes()):
        assert making.is_detected(tmp_path / "a", expected)
