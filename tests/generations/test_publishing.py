"""Publishing to a directory: what is there afterwards, whatever went wrong."""

from __future__ import annotations

import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from kneighbors.artifact import pack, verify
from kneighbors.artifact.signing import sign
from kneighbors.errors import ArtifactError, KNeighborsError, ParameterRefused, StorageError
from kneighbors.generations import current, history, is_place, publish, rollback
from kneighbors.generations.pointer import Pointer


def pointer(place: Path) -> dict[str, str]:
    found: dict[str, str] = json.loads((place / "CURRENT").read_text())
    return found


def names(place: Path) -> list[str]:
    return sorted(one.name for one in (place / "generations").iterdir())


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_what_is_published_is_a_whole_copy_and_the_pointer_names_it(
    artifacts: list[Path], tmp_path: Path
) -> None:
    place = tmp_path / "new" / "place"
    assert not is_place(place)
    generation = publish(artifacts[0], place)
    assert is_place(place)
    copy = place / "generations" / generation.id
    assert contents(artifacts[0]) == contents(copy)
    assert copy == generation.path
    manifest = (artifacts[0] / "manifest.json").read_bytes()
    digest = json.loads(manifest)["digest"]
    assert f"000001-{digest[:12]}" == generation.id
    said = pointer(place)
    assert (generation.id, sha256(manifest).hexdigest()) == (
        said["generation"],
        said["manifest_sha256"],
    )
    assert (True, None, 200, 16) == (
        generation.is_current,
        generation.fault,
        generation.n_samples,
        generation.n_features,
    )
    assert {"CURRENT", "generations", ".kneighbors-lock"} == {one.name for one in place.iterdir()}


def test_generations_lie_beside_each_other_the_oldest_first(
    artifacts: list[Path], tmp_path: Path
) -> None:
    ids = [publish(one, tmp_path / "place").id for one in artifacts]
    listed = history(tmp_path / "place", verify=True)
    assert ids == [one.id for one in listed]
    assert [1, 2, 3] == [one.number for one in listed]
    assert [False, False, True] == [one.is_current for one in listed]
    assert [None] * 3 == [one.fault for one in listed]
    assert ids[-1] == current(tmp_path / "place").id


def test_an_archive_and_another_place_can_be_published(
    artifacts: list[Path], tmp_path: Path
) -> None:
    pack(artifacts[1], tmp_path / "model.tar.gz")
    first = publish(tmp_path / "model.tar.gz", tmp_path / "staging")
    second = publish(tmp_path / "staging", tmp_path / "place")
    assert first.id == second.id
    assert all(report.is_whole for report in verify(tmp_path / "place/generations" / second.id))


def test_the_signature_goes_with_the_artifact(artifacts: list[Path], tmp_path: Path) -> None:
    shutil.copytree(artifacts[0], tmp_path / "signed")
    sign(tmp_path / "signed", Ed25519PrivateKey.generate())
    generation = publish(tmp_path / "signed", tmp_path / "place")
    copy = tmp_path / "place/generations" / generation.id
    assert contents(tmp_path / "signed") == contents(copy)
    assert "manifest.sig" in contents(copy)


def test_the_same_artifact_published_again_is_the_same_generation(
    artifacts: list[Path], tmp_path: Path
) -> None:
    first = publish(artifacts[0], tmp_path / "place")
    before = pointer(tmp_path / "place")
    assert first.id == publish(artifacts[0], tmp_path / "place").id
    assert before == pointer(tmp_path / "place")
    assert [first.id] == names(tmp_path / "place")


def test_a_damaged_current_generation_is_replaced_by_publishing_it_again(
    artifacts: list[Path], tmp_path: Path
) -> None:
    first = publish(artifacts[0], tmp_path / "place")
    assert first.path is not None
    damage(first.path / "vectors.npy")
    second = publish(artifacts[0], tmp_path / "place")
    assert (2, first.digest) == (second.number, second.digest)
    assert second.id == current(tmp_path / "place").id
    faults = [one.fault for one in history(tmp_path / "place", verify=True)]
    assert faults[0] is not None
    assert "artifact-damaged" in faults[0]
    assert faults[1] is None


def damage(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)


def test_a_complete_generation_of_a_publisher_that_died_is_taken_up(
    artifacts: list[Path], tmp_path: Path
) -> None:
    place = tmp_path / "place"
    publish(artifacts[0], place)
    before = (place / "CURRENT").read_bytes()
    left = publish(artifacts[1], place)
    (place / "CURRENT").write_bytes(before)  # it died before it could move the pointer
    again = publish(artifacts[1], place)
    assert (left.id, 2) == (again.id, len(names(place)))


def test_the_unfinished_work_of_the_dead_is_swept_up_and_that_of_the_living_is_not(
    artifacts: list[Path], tmp_path: Path
) -> None:
    import fcntl

    place = tmp_path / "place"
    publish(artifacts[0], place)
    dead, living = (place / "generations" / f".kneighbors-{who}" for who in ("dead", "living"))
    dead.mkdir()
    (dead / "vectors.npy").write_bytes(b"half of it")
    living.mkdir()
    lock = os.open(living, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        publish(artifacts[1], place)
        assert living.exists()
        assert not dead.exists()
    finally:
        os.close(lock)


def test_of_publishers_at_once_each_generation_is_there_and_each_is_told_the_truth(
    artifacts: list[Path], tmp_path: Path
) -> None:
    place = tmp_path / "place"

    def attempt(artifact: Path) -> str:
        try:
            return publish(artifact, place).id
        except StorageError as error:
            return "" if error.code == "storage-changed" else error.code

    with ThreadPoolExecutor(3) as pool:
        for _ in range(3):
            told = [*pool.map(attempt, artifacts)]
            listed = history(place, verify=True)
            assert [None] * len(listed) == [one.fault for one in listed]
            assert 3 == len({one.digest for one in listed})
            assert current(place).id in told


def test_who_finishes_after_a_newer_one_is_refused_and_stays_there(
    artifacts: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kneighbors.generations.local_place import LocalPlace

    place = tmp_path / "place"
    check = LocalPlace.check
    newer: list[str] = []

    def slow(self: LocalPlace, generation: str, *rest: object) -> None:
        if not newer:  # the first publisher is overtaken here
            newer.append("coming")
            newer[0] = publish(artifacts[1], place).id
        check(self, generation)

    monkeypatch.setattr(LocalPlace, "check", slow)
    with pytest.raises(StorageError, match="meanwhile") as caught:
        publish(artifacts[0], place)
    assert "storage-changed" == caught.value.code
    assert newer[0] == current(place).id
    assert 2 == len(history(place))
    assert 1 == rollback(place, history(place)[0].id).number


def test_a_damaged_artifact_is_not_published(artifacts: list[Path], tmp_path: Path) -> None:
    publish(artifacts[0], tmp_path / "place")
    shutil.copytree(artifacts[1], tmp_path / "bad")
    damage(tmp_path / "bad" / "vectors.npy")
    before = (tmp_path / "place/CURRENT").read_bytes(), names(tmp_path / "place")
    with pytest.raises(ArtifactError) as caught:
        publish(tmp_path / "bad", tmp_path / "place")
    assert "artifact-damaged" == caught.value.code
    assert before == ((tmp_path / "place/CURRENT").read_bytes(), names(tmp_path / "place"))


def test_a_copy_that_reads_back_otherwise_never_counts(
    artifacts: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kneighbors.generations import local_place

    def lose(path: Path) -> None:
        damage(path / "vectors.npy")  # as a disk does that lies

    publish(artifacts[0], tmp_path / "place")
    monkeypatch.setattr(local_place, "_forget_pages", lose)
    before = (tmp_path / "place/CURRENT").read_bytes(), names(tmp_path / "place")
    with pytest.raises(ArtifactError) as caught:
        publish(artifacts[1], tmp_path / "place")
    assert "artifact-damaged" == caught.value.code
    assert before == ((tmp_path / "place/CURRENT").read_bytes(), names(tmp_path / "place"))


def test_a_place_is_neither_an_artifact_nor_in_one_nor_anything_else(
    artifacts: list[Path], tmp_path: Path
) -> None:
    model = tmp_path / "model"
    shutil.copytree(artifacts[0], model)
    before = contents(model)
    for place, code in (
        (model, "place-inside"),
        (model / "place", "place-inside"),
        (artifacts[1], "place-is-artifact"),
        (tmp_path, "storage-exists"),
        (model / "manifest.json", "storage-not-a-directory"),
    ):
        with pytest.raises(KNeighborsError) as caught:
            publish(artifacts[2] if place == artifacts[1] else model, place)
        assert code in (caught.value.code, "storage-not-a-directory"), (place, caught.value)
    assert before == contents(model)


def test_what_is_no_artifact_makes_no_place(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for source, code in ((tmp_path / "none", "storage-missing"), (tmp_path / "empty", "artifact-")):
        with pytest.raises(KNeighborsError) as caught:
            publish(source, tmp_path / "place")
        assert caught.value.code.startswith(code)
    assert not (tmp_path / "place").exists()


@pytest.mark.parametrize("keep", [0, -1, 1.5, True, "2"])
def test_a_number_to_keep_is_at_least_one(artifacts: list[Path], tmp_path: Path, keep: int) -> None:
    with pytest.raises(ParameterRefused) as caught:
        publish(artifacts[0], tmp_path / "place", keep=keep)
    assert "keep-range" == caught.value.code
    assert not (tmp_path / "place").exists()


def test_older_generations_go_after_the_pointer_has_moved(
    artifacts: list[Path], tmp_path: Path
) -> None:
    place = tmp_path / "place"
    ids = [publish(artifacts[n % 3], place).id for n in range(5)]
    assert ids == names(place)
    ids.append(publish(artifacts[2], place, keep=3, grace_s=0.0).id)
    assert ids[3:] == names(place)
    assert ids[-1] == current(place).id


def test_what_the_pointer_has_just_left_stays_until_the_next_time(
    artifacts: list[Path], tmp_path: Path
) -> None:
    place = tmp_path / "place"
    ids = [publish(artifacts[n % 3], place, keep=1, grace_s=0.0).id for n in range(4)]
    assert ids[2:] == names(place)


def test_what_is_young_stays(artifacts: list[Path], tmp_path: Path) -> None:
    place = tmp_path / "place"
    ids = [publish(artifacts[n % 3], place, keep=1).id for n in range(3)]
    assert ids == names(place)
    manifest = place / "generations" / ids[0] / "manifest.json"
    os.utime(manifest, (0, 0))
    ids.append(publish(artifacts[0], place, keep=1).id)
    assert ids[1:] == names(place)


def test_a_clock_that_was_put_back_removes_nothing(artifacts: list[Path], tmp_path: Path) -> None:
    place = tmp_path / "place"
    ids = [publish(artifacts[n % 3], place).id for n in range(3)]
    for one in ids:
        os.utime(place / "generations" / one / "manifest.json", (1 << 33, 1 << 33))
    ids.append(publish(artifacts[0], place, keep=1, grace_s=0.0).id)
    assert ids == names(place)


def test_a_generation_that_the_pointer_turns_to_is_not_removed(
    artifacts: list[Path], tmp_path: Path
) -> None:
    from kneighbors.generations.finding import open_place

    place = tmp_path / "place"
    first = publish(artifacts[0], place)
    open_place(place).remove(first.id)
    assert [first.id] == names(place)


def test_publishing_mends_a_damaged_pointer_but_leaves_a_newer_ones_alone(
    artifacts: list[Path], tmp_path: Path
) -> None:
    place = tmp_path / "place"
    publish(artifacts[0], place)
    (place / "CURRENT").write_text("no pointer")
    assert publish(artifacts[1], place).id == current(place).id
    newer = b'{"format": "kneighbors-pointer", "format_version": 2}'
    (place / "CURRENT").write_bytes(newer)
    with pytest.raises(ArtifactError) as caught:
        publish(artifacts[2], place)
    assert "pointer-newer" == caught.value.code
    assert newer == (place / "CURRENT").read_bytes()


def test_a_pointer_says_when_it_moved(artifacts: list[Path], tmp_path: Path) -> None:
    publish(artifacts[0], tmp_path / "place")
    said = Pointer.from_bytes((tmp_path / "place/CURRENT").read_bytes(), "CURRENT")
    assert 20 == len(said.moved)
