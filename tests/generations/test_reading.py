"""Pointers, followers and going back: what a reader gets, and what it is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import kneighbors
from kneighbors.artifact import canonical
from kneighbors.errors import ArtifactError, KNeighborsError, ParameterRefused, StorageError
from kneighbors.generations import Follower, current, history, load, located, publish, rollback
from support import artifact_making as making


def forge(place: Path, **fields: object) -> None:
    """Write a pointer that agrees with its digest, as somebody would who means harm."""
    said = json.loads((place / "CURRENT").read_text())
    said.pop("digest")
    (place / "CURRENT").write_bytes(canonical.to_bytes({**said, **fields}))


@pytest.fixture
def place(artifacts: list[Path], tmp_path: Path) -> Path:
    for one in artifacts[:2]:
        publish(one, tmp_path / "place")
    return tmp_path / "place"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda p: (p / "CURRENT").write_bytes(b""), "pointer-invalid"),
        (lambda p: (p / "CURRENT").write_bytes(b"{}"), "pointer-invalid"),
        (lambda p: (p / "CURRENT").write_bytes(b"[" * 100_000), "pointer-invalid"),
        (lambda p: (p / "CURRENT").write_bytes(b"\xff\x00"), "pointer-invalid"),
        (lambda p: (p / "CURRENT").write_bytes(b" " * (3 << 20)), "storage-too-large"),
        (lambda p: forge(p, generation="../.."), "pointer-invalid"),
        (lambda p: forge(p, generation="/etc"), "pointer-invalid"),
        (lambda p: forge(p, generation=7), "pointer-invalid"),
        (lambda p: forge(p, manifest_sha256="0" * 63), "pointer-invalid"),
        (lambda p: forge(p, moved=1), "pointer-invalid"),
        (lambda p: forge(p, format="another"), "pointer-invalid"),
        (lambda p: forge(p, more=1), "pointer-invalid"),
        (lambda p: forge(p, format_version=2), "pointer-newer"),
        (lambda p: forge(p, generation="000009-0123456789ab"), "generation-missing"),
        (lambda p: forge(p, manifest_sha256="0" * 64), "artifact-damaged"),
        (lambda p: (p / "CURRENT").unlink(), "place-unknown"),
        (lambda p: shutil.rmtree(p), "place-unknown"),
    ],
)
def test_a_pointer_that_is_none_is_refused_by_name(place: Path, change: object, code: str) -> None:
    change(place)  # type: ignore[operator]
    with pytest.raises(KNeighborsError) as caught:
        Follower(place).poll()
    assert code == caught.value.code


def test_every_changed_bit_of_a_pointer_is_noticed(place: Path) -> None:
    data = (place / "CURRENT").read_bytes()
    for position in range(len(data)):
        changed = bytearray(data)
        changed[position] ^= 1 << position % 8
        (place / "CURRENT").write_bytes(changed)
        with pytest.raises(ArtifactError):
            current(place)


def test_a_follower_tells_of_each_generation_once(artifacts: list[Path], place: Path) -> None:
    follower = Follower(place)
    first = follower.poll()
    assert first is not None
    assert 2 == first.number
    assert follower.poll() is None
    third = publish(artifacts[2], place)
    found = follower.poll()
    assert found is not None
    assert (third.id, third.path) == (found.id, found.path)
    assert follower.poll() is None
    rollback(place)
    back = follower.poll()
    assert back is not None
    assert first.id == back.id


def test_a_bad_pointer_is_told_of_once_until_it_moves(artifacts: list[Path], place: Path) -> None:
    follower = Follower(place)
    follower.poll()
    forge(place, manifest_sha256="0" * 64)
    with pytest.raises(ArtifactError):
        follower.poll()
    assert follower.poll() is None
    third = publish(artifacts[2], place)
    found = follower.poll()
    assert found is not None
    assert third.id == found.id


def test_a_place_that_cannot_be_read_is_tried_again(place: Path) -> None:
    follower = Follower(place)
    follower.poll()
    (place / "CURRENT").rename(place / "away")
    for _ in range(2):
        with pytest.raises(StorageError):
            follower.poll()
    (place / "away").rename(place / "CURRENT")
    assert follower.poll() is None


def test_rollback_points_at_the_one_before_and_at_any_that_is_named(
    artifacts: list[Path], place: Path
) -> None:
    publish(artifacts[2], place)
    ids = [one.id for one in history(place)]
    assert ids[1] == rollback(place).id == current(place).id
    assert ids[0] == rollback(place).id
    with pytest.raises(ArtifactError) as caught:
        rollback(place)
    assert "generation-missing" == caught.value.code
    assert ids[2] == rollback(place, ids[2]).id == current(place).id
    assert ids[2] == rollback(place, ids[2]).id  # it is there already


def test_rollback_refuses_what_is_damaged_missing_or_no_name(place: Path) -> None:
    before = (place / "CURRENT").read_bytes()
    first = history(place)[0]
    assert first.path is not None
    file = first.path / "vectors.npy"
    file.write_bytes(file.read_bytes()[:-1])
    for to, code in (
        (None, "artifact-damaged"),
        (first.id, "artifact-damaged"),
        ("000007-0123456789ab", "generation-missing"),
        ("../generations", "generation-id"),
        ("", "generation-id"),
    ):
        with pytest.raises((ArtifactError, ParameterRefused)) as caught:
            rollback(place, to)
        assert code == caught.value.code
    assert before == (place / "CURRENT").read_bytes()


def test_rollback_to_a_named_one_mends_a_damaged_pointer(place: Path) -> None:
    ids = [one.id for one in history(place)]
    (place / "CURRENT").write_text("no pointer")
    with pytest.raises(ArtifactError) as caught:
        rollback(place)
    assert "pointer-invalid" == caught.value.code
    assert ids[0] == rollback(place, ids[0]).id == current(place).id


def test_rollback_notices_that_its_generation_is_being_removed(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kneighbors.generations import returning
    from kneighbors.generations.place import Place

    before = (place / "CURRENT").read_bytes()
    first = history(place)[0]
    move = Place.move

    def moved(self: Place, *arguments: object) -> str:
        assert first.path is not None
        shutil.rmtree(first.path)  # by a publisher that had read the pointer before
        return move(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Place, "move", moved)
    monkeypatch.setattr(returning, "_PATIENCE_S", 0.05)
    with pytest.raises(ArtifactError) as caught:
        rollback(place)
    assert "generation-missing" == caught.value.code
    assert before == (place / "CURRENT").read_bytes()


def test_rollback_does_not_overwrite_what_somebody_else_decides(
    artifacts: list[Path], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kneighbors.generations.local_place import LocalPlace

    check = LocalPlace.check
    others: list[str] = []

    def slow(self: LocalPlace, generation: str, *rest: object) -> None:
        if not others:
            others.append("coming")
            others[0] = publish(artifacts[2], place).id
        check(self, generation)

    monkeypatch.setattr(LocalPlace, "check", slow)
    with pytest.raises(StorageError) as caught:
        rollback(place)
    assert "storage-changed" == caught.value.code
    assert others[0] == current(place).id


def test_the_list_tells_what_is_wrong_with_each(place: Path) -> None:
    first, second = history(place)
    assert first.path is not None
    assert second.path is not None
    (first.path / "vectors.npy").unlink()
    shutil.rmtree(second.path)
    faults = [one.fault for one in history(place)]
    assert "artifact-incomplete" in str(faults[0])
    assert "generation-missing" in str(faults[1])
    assert [False, True] == [one.is_current for one in history(place)]


def test_loading_a_place_opens_its_current_generation(artifacts: list[Path], place: Path) -> None:
    X = making.corpus(seed=1)[:3]
    assert [0, 1, 2] == kneighbors.load(place).kneighbors(X, 1)[1][:, 0].tolist()
    assert np.array_equal(
        load(artifacts[1]).kneighbors(X, 5)[1], load(str(place)).kneighbors(X, 5)[1]
    )
    assert current(place).path == located(place)
    assert artifacts[0] == located(artifacts[0])


def test_a_generation_that_is_removed_while_it_is_opened_is_no_fault(
    artifacts: list[Path], place: Path
) -> None:
    from kneighbors.generations.loading import opened

    tried: list[str] = []

    def open_(path: object) -> str:
        tried.append(str(path))
        if len(tried) == 1:
            publish(artifacts[2], place)
            shutil.rmtree(str(path))
            raise StorageError("storage-missing", "Expected a file.")
        return tried[-1]

    assert str(current(place).path) != opened(place, open_)
    assert str(current(place).path) == tried[1]
