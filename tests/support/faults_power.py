"""A folder as its disk holds it: what would be there, had the power failed just now.

Of a file there is what it had when it was last synced, of a directory the names of then; nothing
else is promised by POSIX. A disk may have kept more than that, so there are three of them.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from functools import partial
from hashlib import sha256
from pathlib import Path

from support.faults_loop import TEMPORARY, in_folder
from support.faults_seccomp import CALLS, Answer, Notice, supervised

_SYNCING = frozenset({"fsync", "fdatasync"})
_CHANGING = frozenset({"create", "write", "pwrite64", "writev", "ftruncate", "truncate", "rename",
                       "renameat", "renameat2", "link", "linkat", "unlink", "unlinkat", "mkdir",
                       "mkdirat", "rmdir", "sendfile", "copy_file_range", "fallocate"})  # fmt: skip
#: What is on a disk beyond what was synced: nothing; all names, and nothing in files; all names,
#: and files of their length full of zeros.
LOSSES = ("all", "data", "blocks")

Entry = tuple[int, bool]
Tree = dict[str, bytes | None]


class Disk:
    """Follows what a folder's files are told to keep.

    Parameters
    ----------
    top : Path
        What is there already is on the disk.
    """

    def __init__(self, top: Path) -> None:
        self._top = top
        self._data: dict[int, bytes] = {}
        self._names: dict[int, dict[str, Entry]] = {}
        #: Descriptors: an inode that is held is not used again for another file.
        self._held: dict[int, int] = {}
        for folder, _, files in os.walk(top):
            for path in (folder, *(os.path.join(folder, file) for file in files)):  # noqa: PTH118
                self.sync(path)

    def sync(self, path: str) -> None:
        """Keep what is at a path now."""
        descriptor = os.open(path, os.O_RDONLY)
        facts = os.fstat(descriptor)
        if facts.st_ino in self._held:
            os.close(descriptor)
        else:
            self._held[facts.st_ino] = descriptor
        if stat.S_ISDIR(facts.st_mode):
            self._names[facts.st_ino] = dict(_entries(path))
        else:
            self._data[facts.st_ino] = Path(path).read_bytes()

    def after(self, loss: str) -> Tree:
        """Return what would be there: bytes of files, None for folders."""
        return dict(self._below(os.stat(self._top).st_ino, "", str(self._top), loss))  # noqa: PTH116

    def close(self) -> None:
        """Let go of everything."""
        for descriptor in self._held.values():
            os.close(descriptor)

    def _below(
        self, inode: int, name: str, path: str, loss: str
    ) -> Iterator[tuple[str, bytes | None]]:
        names = self._names.get(inode, {}) if loss == "all" else dict(_entries(path))
        for child, (number, is_folder) in sorted(names.items()):
            if child == TEMPORARY:
                continue
            where = f"{name}/{child}" if name else child
            there = f"{path}/{child}"
            if is_folder:
                yield where, None
                yield from self._below(number, where, there, loss)
            elif number in self._data:
                yield where, self._data[number]
            else:
                length = os.stat(there).st_size if loss == "blocks" else 0  # noqa: PTH116
                yield where, bytes(length)


def _entries(path: str) -> Iterator[tuple[str, Entry]]:
    with os.scandir(path) as found:
        for one in found:
            yield one.name, (one.inode(), one.is_dir(follow_symlinks=False))


def put(tree: Tree, folder: Path) -> None:
    """Make files and folders."""
    folder.mkdir()
    (folder / TEMPORARY).mkdir()
    for name, data in tree.items():
        if data is None:
            (folder / name).mkdir()
        else:
            (folder / name).write_bytes(data)


def power_losses(
    act: Callable[[Path], object],
    folder: Path,
    look: Callable[[Tree, str, str], None],
    lies: Callable[[int], bool] = lambda number: False,
) -> int:
    """Run something in a child, and look at what each loss of power would leave.

    Parameters
    ----------
    act : callable
        Given the folder.
    folder : Path
        Where it works.
    look : callable
        Given what would be there, of which loss, and before which call or at the "end"; not called
        again for what it has seen.
    lies : callable, optional
        Given the number of a sync, from 1: whether the disk only says that it did it.

    Returns
    -------
    int
        How many syncs there were.
    """
    (folder / TEMPORARY).mkdir(exist_ok=True)
    disk = Disk(folder)
    seen: set[str] = set()
    syncs = 0

    def look_at_all(when: str) -> None:
        for loss in LOSSES:
            tree = disk.after(loss)
            digest = sha256(repr((when == "end", sorted(tree.items()))).encode()).hexdigest()
            if digest not in seen:
                seen.add(digest)
                look(tree, loss, when)

    def answer(notice: Notice) -> Answer:
        nonlocal syncs
        if not any(path == str(folder) or path.startswith(f"{folder}/") for path in notice.paths):
            return None
        look_at_all(f"{notice.name} {[Path(path).name for path in notice.paths]}")
        if notice.name not in _SYNCING:
            return None
        syncs += 1
        if not lies(syncs):
            disk.sync(f"/proc/{notice.pid}/fd/{notice.arguments[0]}")
        return 0

    try:
        code = supervised(
            (_SYNCING | _CHANGING) & frozenset(CALLS), partial(in_folder, folder, act), answer
        )
        assert code == 0
        look_at_all("end")
        return syncs
    finally:
        disk.close()
