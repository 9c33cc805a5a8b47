"""``/opt/ml`` and the other hosts' names for one process tree, by a mount namespace of Linux.

A program of its own, run as ``python -I -S namespace.py TREE HOSTS HOSTNAME COMMAND...`` with
nothing but the standard library. ``TREE`` appears as ``/opt/ml`` beside all else that is in
``/opt``, ``HOSTS`` (a file, or nothing) as ``/etc/hosts``, and ``HOSTNAME`` (or nothing) is the
machine's name; all of this for the command and what it starts, and for nobody else. Without root's
rights it takes a user namespace, where the system allows one.
"""

from __future__ import annotations

import os
import sys
from functools import cache
from pathlib import Path

_NEW_MOUNTS, _NEW_NAMES, _NEW_USERS = 0x00020000, 0x04000000, 0x10000000
_BIND, _MOVE, _RECURSIVE, _PRIVATE = 4096, 8192, 16384, 1 << 18
#: Set to ``off``, containers do without.
SWITCH = "KNEIGHBORS_LOCAL_NAMESPACES"
_OPT = Path("/opt")
_STAGES = [Path("/mnt"), Path("/media"), Path("/srv"), Path("/home"), Path("/tmp")]  # noqa: S108


@cache
def has_namespaces() -> bool:
    """Tell whether this system lets a process have an ``/opt/ml`` of its own."""
    if sys.platform != "linux" or not _OPT.is_dir() or os.environ.get(SWITCH) == "off":
        return False
    import subprocess  # not at the top: this file is also a program, which has no need of it

    probe = command_within(Path("/proc"), None, "", ["/bin/sh", "-c", "test -e /opt/ml/self"])
    try:
        return subprocess.run(probe, capture_output=True, timeout=10).returncode == 0  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return False


def command_within(tree: Path, hosts: Path | None, hostname: str, command: list[str]) -> list[str]:
    """Return the command that runs another one where `tree` is ``/opt/ml``."""
    program = [sys.executable, "-I", "-S", __file__, str(tree), str(hosts or ""), hostname]
    return [*program, *command]


def main(arguments: list[str]) -> None:
    """Make the namespace and become the command."""
    tree, hosts, hostname, *command = arguments
    flags = _NEW_MOUNTS | (_NEW_NAMES if hostname else 0)
    _unshare(flags)
    _mount("none", "/", _RECURSIVE | _PRIVATE)  # nothing of this is seen outside
    _show(Path(tree))
    if hosts:
        _mount(hosts, "/etc/hosts", _BIND)
    if hostname:
        _call("sethostname", hostname.encode(), len(hostname))
    try:
        os.execvp(command[0], command)  # noqa: S606
    except OSError as error:
        sys.exit(f"Cannot run {command[0]!r}: {error.strerror}.")


def _show(tree: Path) -> None:
    """Mount a directory over ``/opt`` that has what was there, and the tree as ``ml``."""
    if (_OPT / "ml").is_dir():
        _mount(str(tree), "/opt/ml", _BIND | _RECURSIVE)
        return
    # Hidden for a moment only, so anything will do that does not hold the tree itself.
    usable = [one for one in _STAGES if one.is_dir() and not tree.is_relative_to(one)]
    staging = usable[0]
    _mount("tmpfs", str(staging), 0, "tmpfs")
    for entry in _OPT.iterdir():
        place = staging / entry.name
        if entry.is_symlink():
            place.symlink_to(entry.readlink())
            continue
        place.mkdir() if entry.is_dir() else place.touch()
        _mount(str(entry), str(place), _BIND | _RECURSIVE)
    (staging / "ml").mkdir()
    _mount(str(tree), str(staging / "ml"), _BIND | _RECURSIVE)
    _mount(str(staging), str(_OPT), _MOVE)


def _unshare(flags: int) -> None:
    user, group = os.geteuid(), os.getegid()
    if user == 0:
        try:
            _call("unshare", flags)
            return
        except OSError:
            pass  # root of a container may lack the right, yet be given a user namespace
    _call("unshare", flags | _NEW_USERS)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{group} {group} 1")


def _mount(source: str, target: str, flags: int, kind: str = "none") -> None:
    _call("mount", source.encode(), target.encode(), kind.encode(), flags, None)


def _call(name: str, *arguments: object) -> None:
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    plain = [ctypes.c_ulong(one) if isinstance(one, int) else one for one in arguments]
    if getattr(libc, name)(*plain):
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


if __name__ == "__main__":
    main(sys.argv[1:])
