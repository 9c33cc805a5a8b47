"""The folder ``code/`` of a model: a script, and this package in pure Python.

An image that finds the package beside the script installs nothing when it starts, so a model
starts without a network.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from kneighbors.errors import ParameterRefused
from kneighbors.storage import translated

#: What training and serving in an image never call.
_LEFT_OUT = frozenset({"client", "datasets", "local", "__pycache__"})
#: Of the command line, what an image's own commands ``train`` and ``serve`` are.
_COMMANDS = frozenset({"__init__.py", "container.py", "failures.py", "signals.py"})
#: A header of an archive has 100 bytes, of which ``code/`` takes some.
_LONGEST_NAME = 95
_KEPT_SUFFIXES = (".py", ".typed", ".json", ".txt")


def package_files() -> dict[str, bytes]:
    """Return the modules that training and serving need, by their names below ``code/``.

    Examples
    --------
    >>> names = package_files()
    >>> "kneighbors/sagemaker/model.py" in names, "kneighbors/cli/app.py" in names
    (True, False)
    """
    found: dict[str, bytes] = {}
    _collect(files("kneighbors"), "kneighbors", found)
    return dict(sorted(found.items()))


def _collect(folder: Traversable, name: str, found: dict[str, bytes]) -> None:
    for entry in folder.iterdir():
        if entry.name in _LEFT_OUT or (folder.name == "cli" and entry.name not in _COMMANDS):
            continue
        if entry.is_dir():
            _collect(entry, f"{name}/{entry.name}", found)
        elif entry.name.endswith(_KEPT_SUFFIXES):
            found[f"{name}/{entry.name}"] = entry.read_bytes()


def own_script(name: str) -> bytes:
    """Return a script that this package carries, by the name of its file."""
    return (files("kneighbors.sagemaker") / "entry_point" / name).read_bytes()


def script_files(entry_point: Path) -> dict[str, bytes]:
    """Return the script of a user, and what lies beside it, by their names below ``code/``.

    Parameters
    ----------
    entry_point : Path
        A ``.py`` file, taken alone; or a directory, taken whole but for hidden files.

    Raises
    ------
    ParameterRefused
        With code ``entry-point``, when it is no script or folder of Python files, or holds a
        package called ``kneighbors``.
    StorageError
        When a file cannot be read.
    """
    with translated(entry_point):
        if entry_point.is_file() and entry_point.suffix == ".py":
            return {entry_point.name: entry_point.read_bytes()}
        found = {
            path.relative_to(entry_point).as_posix(): path.read_bytes()
            for path in sorted(entry_point.rglob("*"))
            if path.is_file() and not _is_hidden(path.relative_to(entry_point))
        }
    fault = _fault(found)
    if fault:
        raise ParameterRefused(
            "entry-point",
            f"Expected a script, a .py file, or a folder with one, got {fault}.",
            where=str(entry_point),
        )
    return found


def _fault(found: Mapping[str, bytes]) -> str | None:
    if not any(name.endswith(".py") and "/" not in name for name in found):
        return "neither"
    if any(name.partition("/")[0] == "kneighbors" for name in found):
        return "a folder with a package 'kneighbors', which would hide ours"
    long = max(found, key=lambda name: len(name.encode()))
    if len(long.encode()) > _LONGEST_NAME:
        return f"a name of more than {_LONGEST_NAME} bytes: {long!r}"
    return None


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") or part == "__pycache__" for part in path.parts)
