"""Where an artifact may be saved, what it replaces, and what it never touches."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kneighbors.artifact import open_artifact, publishing, save, staging
from kneighbors.artifact.exchange import exchange
from kneighbors.artifact.occupancy import Kind, look
from kneighbors.errors import StorageError
from support import artifact_making as making


def opens(path: Path, seed: int = 0) -> bool:
    """Tell whether the artifact at a path is the one that was made with a seed."""
    with open_artifact(path) as artifact:
        X = artifact.index.rows.slice(0, 200)
        return X.tobytes() == making.corpus(seed=seed).tobytes()


def save_seed(path: Path, seed: int, **options: Any) -> None:
    save(path, making.index(seed=seed), making.catalog(), **options)


def refusal(path: Path, **options: Any) -> StorageError:
    before = tree(path.parent)
    with pytest.raises(StorageError) as caught:
        save_seed(path, 1, **options)
    assert tree(path.parent) == before
    assert str(path) in str(caught.value)
    return caught.value


def tree(path: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(path)): file.read_bytes() if file.is_file() else b""
        for file in sorted(path.rglob("*"))
    }


def test_an_artifact_is_not_replaced_unless_that_is_asked_for(tmp_path: Path) -> None:
    making.save_small(tmp_path / "a")
    assert refusal(tmp_path / "a").code == "artifact-exists"
    save_seed(tmp_path / "a", 1, overwrite=True)
    assert opens(tmp_path / "a", 1)
    assert [file.name for file in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("overwrite", [True, False])
@pytest.mark.parametrize(
    "make",
    [
        lambda path: path.write_text("precious"),
        lambda path: (path.mkdir(), (path / "thesis.txt").write_text("precious")),
        lambda path: (path.mkdir(), (path / "manifest.json").write_text('{"name": "web app"}')),
        lambda path: (path.mkdir(), (path / "manifest.json").write_text("[1]")),
        lambda path: (path.mkdir(), (path / "manifest.json").write_text("broken {")),
        lambda path: (path.mkdir(), (path / "manifest.json").mkdir()),
        lambda path: (path.mkdir(), (path / "vectors.npy").write_text("no manifest beside me")),
        lambda path: (path.mkdir(), (path / "code").mkdir(), (path / "x").write_text("")),
        os.mkfifo,
    ],
    ids=["file", "other", "web", "list", "broken", "folder", "npy", "code", "fifo"],
)
def test_what_is_no_artifact_is_never_replaced(tmp_path: Path, make: Any, overwrite: bool) -> None:
    make(tmp_path / "a")
    assert refusal(tmp_path / "a", overwrite=overwrite).code == "storage-exists"


def test_an_empty_directory_becomes_the_artifact(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir(mode=0o750)
    making.save_small(tmp_path / "a")
    assert opens(tmp_path / "a")
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o750
    assert [file.name for file in tmp_path.iterdir()] == ["a"]


def test_a_damaged_artifact_can_be_replaced(tmp_path: Path) -> None:
    making.save_small(tmp_path / "a")
    (tmp_path / "a" / "vectors.npy").unlink()
    with (tmp_path / "a" / "manifest.json").open("a") as file:
        file.write(" ")
    save_seed(tmp_path / "a", 1, overwrite=True)
    assert opens(tmp_path / "a", 1)


@pytest.mark.parametrize("relative", [True, False])
def test_a_link_to_an_artifact_stays_a_link(tmp_path: Path, relative: bool) -> None:
    (tmp_path / "real").mkdir()
    making.save_small(tmp_path / "real" / "v1")
    (tmp_path / "current").symlink_to("real/v1" if relative else tmp_path / "real" / "v1")
    save_seed(tmp_path / "current", 1, overwrite=True)
    assert (tmp_path / "current").is_symlink()
    assert opens(tmp_path / "real" / "v1", 1)
    (tmp_path / "next").symlink_to("real/v2")
    making.save_small(tmp_path / "next")
    assert opens(tmp_path / "real" / "v2")


def test_links_in_a_circle_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(StorageError):
        making.save_small(tmp_path / "a")
    with pytest.raises(StorageError):
        open_artifact(tmp_path / "a")


def test_a_parent_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert refusal(tmp_path / "no" / "a").code == "storage-missing"
    (tmp_path / "file").write_text("")
    assert refusal(tmp_path / "file" / "a").code == "storage-not-a-directory"


def test_a_name_that_is_too_long_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path / ("x" * 256)).code == "storage-address"


@pytest.mark.parametrize("in_place", [False, True])
def test_everything_is_on_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_place: bool
) -> None:
    if in_place:
        (tmp_path / "a").mkdir()
        say_mounted(monkeypatch)
    synced: list[str] = []
    renamed: list[list[str]] = []
    rename = os.rename

    def watch_rename(*arguments: Any, **options: Any) -> None:
        renamed.append(list(synced))
        rename(*arguments, **options)

    monkeypatch.setattr(
        os, "fsync", lambda n: synced.append(Path(f"/proc/self/fd/{n}").readlink().name)
    )
    monkeypatch.setattr(os, "rename", watch_rename)
    making.save_small(tmp_path / "a")
    (before,) = renamed
    parts = set(making.contents(tmp_path / "a")) - {"manifest.json"}
    assert parts < set(before)
    folder = "a" if in_place else next(name for name in before if name.startswith(".kneighbors"))
    assert before[-1] == folder
    assert before[-2].endswith("manifest" if in_place else "manifest.json")
    assert synced[-1] == ("a" if in_place else tmp_path.name)


# In place ---------------------------------------------------------------------------------------


def forbid_siblings(patch: pytest.MonkeyPatch, number: int) -> None:
    """Let no directory be made, as beside a mounted model directory."""

    def mkdir(path: Any, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
        raise OSError(number, os.strerror(number), str(path))

    patch.setattr(os, "mkdir", mkdir)


def say_mounted(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(publishing, "is_mount", lambda path: path.is_dir())


def refuse_renaming(patch: pytest.MonkeyPatch) -> None:
    """Let no directory be renamed, as an overlay does with those of a lower layer."""
    rename = os.rename

    def only_files(source: Any, target: Any, **options: Any) -> None:
        if not options and Path(source).is_dir():
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), str(source))
        rename(source, target, **options)

    def busy(one: str, other: str) -> bool:
        raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), one)

    patch.setattr(os, "rename", only_files)
    patch.setattr(staging, "exchange", busy)


IN_PLACE = [
    say_mounted,
    refuse_renaming,
    lambda patch: forbid_siblings(patch, errno.EACCES),
    lambda patch: forbid_siblings(patch, errno.EROFS),
]


@pytest.mark.parametrize("arrange", IN_PLACE, ids=["mount", "rename", "EACCES", "EROFS"])
def test_a_directory_that_cannot_be_replaced_is_written_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arrange: Any
) -> None:
    (tmp_path / "a").mkdir()
    identity = (tmp_path / "a").stat().st_ino
    arrange(monkeypatch)
    making.save_small(tmp_path / "a")
    assert opens(tmp_path / "a")
    first = set(making.contents(tmp_path / "a"))
    assert refusal(tmp_path / "a").code == "artifact-exists"
    for seed in (1, 2, 3):
        save_seed(tmp_path / "a", seed, overwrite=True)
        assert opens(tmp_path / "a", seed)
        assert len(making.contents(tmp_path / "a")) == len(first)
    assert (tmp_path / "a").stat().st_ino == identity
    assert [file.name for file in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS])
def test_without_a_directory_a_forbidden_parent_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    forbid_siblings(monkeypatch, number)
    expected = {errno.EACCES: "storage-forbidden", errno.EROFS: "storage-read-only"}
    assert refusal(tmp_path / "a").code == expected[number]


def test_files_beside_an_artifact_stay_when_it_is_replaced(tmp_path: Path) -> None:
    making.save_small(tmp_path / "a")
    (tmp_path / "a" / "code").mkdir()
    (tmp_path / "a" / "code" / "inference.py").write_text("print()")
    (tmp_path / "a" / "notes.txt").write_text("mine")
    save_seed(tmp_path / "a", 1, overwrite=True)
    assert opens(tmp_path / "a", 1)
    assert (tmp_path / "a" / "notes.txt").read_text() == "mine"
    assert (tmp_path / "a" / "code" / "inference.py").read_text() == "print()"
    assert len(list((tmp_path / "a").iterdir())) == 10 + 2


def test_a_model_directory_that_holds_code_is_filled(tmp_path: Path) -> None:
    (tmp_path / "a" / "code").mkdir(parents=True)
    (tmp_path / "a" / "lost+found").mkdir()
    making.save_small(tmp_path / "a")
    assert opens(tmp_path / "a")
    assert (tmp_path / "a" / "code").is_dir()


def test_a_file_that_appears_in_the_last_moment_is_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    making.save_small(tmp_path / "a")

    def late(one: str, other: str) -> bool:
        (tmp_path / "a" / "late.txt").write_text("mine")
        monkeypatch.setattr(staging, "exchange", exchange)
        return exchange(one, other)

    monkeypatch.setattr(staging, "exchange", late)
    save_seed(tmp_path / "a", 1, overwrite=True)
    assert (tmp_path / "a" / "late.txt").read_text() == "mine"
    assert opens(tmp_path / "a", 1)
    assert [file.name for file in tmp_path.iterdir()] == ["a"]


def test_something_else_that_appears_in_the_last_moment_is_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    making.save_small(tmp_path / "a")

    def late(one: str, other: str) -> bool:
        if (tmp_path / "a" / "manifest.json").exists():
            shutil.rmtree(tmp_path / "a")
            (tmp_path / "a").mkdir()
            (tmp_path / "a" / "thesis.txt").write_text("precious")
        return exchange(one, other)

    monkeypatch.setattr(staging, "exchange", late)
    with pytest.raises(StorageError) as caught:
        save_seed(tmp_path / "a", 1, overwrite=True)
    assert caught.value.code == "storage-exists"
    assert tree(tmp_path) == {"a": b"", "a/thesis.txt": b"precious"}


def test_one_writer_at_a_time_writes_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").mkdir()
    say_mounted(monkeypatch)
    codes = []

    def second(stage: str, done: int, total: int) -> None:
        with pytest.raises(StorageError) as caught:
            save_seed(tmp_path / "a", 2)
        codes.append(caught.value.code)

    save_seed(tmp_path / "a", 1, progress=second)
    assert codes == ["artifact-busy"]
    assert opens(tmp_path / "a", 1)
    assert len(tree(tmp_path)) == 1 + 10


def test_an_artifact_that_appears_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    def faster(stage: str, done: int, total: int) -> None:
        save_seed(tmp_path / "a", 2)

    with pytest.raises(StorageError) as caught:
        save_seed(tmp_path / "a", 1, progress=faster)
    assert caught.value.code == "artifact-exists"
    assert opens(tmp_path / "a", 2)
    assert len(tree(tmp_path)) == 1 + 10


def test_without_exchanging_names_an_artifact_is_replaced_in_two_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staging, "exchange", lambda one, other: False)
    making.save_small(tmp_path / "a")
    save_seed(tmp_path / "a", 1, overwrite=True)
    assert opens(tmp_path / "a", 1)
    assert [file.name for file in tmp_path.iterdir()] == ["a"]


def test_an_old_artifact_set_aside_gets_its_name_back(tmp_path: Path) -> None:
    making.save_small(tmp_path / "a")
    aside = f"{staging.prefix_of(tmp_path / 'a')}123-abc{staging.ASIDE}"
    (tmp_path / "a").rename(tmp_path / aside)
    with pytest.raises(StorageError) as caught:
        save_seed(tmp_path / "a", 1)
    assert caught.value.code == "artifact-exists"
    assert opens(tmp_path / "a", 0)
    assert [file.name for file in tmp_path.iterdir()] == ["a"]


def test_only_leftovers_of_the_dead_are_removed(tmp_path: Path) -> None:
    prefix = staging.prefix_of(tmp_path / "a")
    dead, of_other = tmp_path / f"{prefix}1-dead", tmp_path / ".kneighbors-0-1-other"
    dead.mkdir()
    (dead / "vectors.npy").write_bytes(b"half")
    of_other.mkdir()
    alive, lock = staging.make_locked(tmp_path / "a", os.mkdir)
    try:
        making.save_small(tmp_path / "a")
        assert {file.name for file in tmp_path.iterdir()} == {"a", alive.name, of_other.name}
    finally:
        os.close(lock)
    save_seed(tmp_path / "a", 1, overwrite=True)
    assert {file.name for file in tmp_path.iterdir()} == {"a", of_other.name}


def test_a_damaged_look_is_enough_to_tell_what_is_there(tmp_path: Path) -> None:
    making.save_small(tmp_path / "a")
    assert look(tmp_path / "a").kind is Kind.ARTIFACT
    (tmp_path / "a" / "x").write_text("")
    assert look(tmp_path / "a").company == {"x"}
    assert look(tmp_path / "b").kind is Kind.NOTHING


# A real file system -----------------------------------------------------------------------------

ON_A_SMALL_DISK = """
import os, subprocess, sys
from pathlib import Path
from support import artifact_making as making
from kneighbors.artifact import open_artifact, publishing, save
from kneighbors.errors import StorageError

model = Path(sys.argv[1])
assert publishing.is_mount(model) and not publishing.is_mount(model.parent)
making.save_small(model)
with open_artifact(model) as artifact:
    expected = making.answers(artifact)
try:
    save(model, making.index("euclidean", 6000, 64), overwrite=True)
    raise SystemExit("it fitted")
except StorageError as error:
    assert error.code == "storage-full", error
with open_artifact(model) as artifact:
    assert making.answers(artifact) == expected
assert len(os.listdir(model)) == 10, os.listdir(model)
save(model, making.index(seed=1), overwrite=True)
subprocess.run(["mount", "-o", "remount,ro", model], check=True)
try:
    save(model, making.index(), overwrite=True)
    raise SystemExit("it was written")
except StorageError as error:
    assert error.code == "storage-read-only", error
with open_artifact(model) as artifact:
    assert artifact.index.n_samples == 200
print("held")
"""


def _can_mount() -> bool:
    if not shutil.which("unshare"):
        return False
    command = ["unshare", "-rm", "mount", "-t", "tmpfs", "none", "/mnt"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not _can_mount(), reason="needs user namespaces")
def test_a_mounted_disk_that_is_full_or_read_only_keeps_the_old(tmp_path: Path) -> None:
    model = tmp_path / "model dir"
    model.mkdir()
    script = tmp_path / "script.py"
    script.write_text(ON_A_SMALL_DISK)
    tests = Path(__file__).parents[1]
    mount = f'mount -t tmpfs -o size=200k none "{model}" && exec "$@"'
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", mount, "sh", sys.executable, script, model],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tests), *sys.path])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == "held", done.stderr


def test_without_locks_an_artifact_is_saved_and_leftovers_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(number: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", no_locks)
    leftover = tmp_path / f"{staging.prefix_of(tmp_path / 'a')}1-dead"
    leftover.mkdir()
    making.save_small(tmp_path / "a")
    save_seed(tmp_path / "a", 1, overwrite=True)
    say_mounted(monkeypatch)
    save_seed(tmp_path / "a", 2, overwrite=True)
    assert opens(tmp_path / "a", 2)
    assert {file.name for file in tmp_path.iterdir()} == {"a", leftover.name}


def test_who_waits_too_long_for_another_writer_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    making.save_small(tmp_path / "a")
    monkeypatch.setattr(staging, "_PATIENCE_S", 0.0)
    lock = staging.lock_directory(tmp_path / "a", 0)
    try:
        with pytest.raises(StorageError) as caught:
            save_seed(tmp_path / "a", 1, overwrite=True)
        assert caught.value.code == "artifact-busy"
        assert opens(tmp_path / "a", 0)
    finally:
        os.close(lock)
    save_seed(tmp_path / "a", 1, overwrite=True)
    assert [file.name for file in tmp_path.iterdir()] == ["a"]


def test_names_are_exchanged_at_once_or_nothing_happens(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / name).write_text("")
    assert exchange(str(tmp_path / "a"), str(tmp_path / "b"))
    assert (tmp_path / "a" / "b").exists()
    with pytest.raises(FileNotFoundError):
        exchange(str(tmp_path / "a"), str(tmp_path / "c"))
    assert (tmp_path / "a" / "b").exists()
