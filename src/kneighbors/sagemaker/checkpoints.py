"""Results of a training run's stages, kept so that a run that was interrupted goes on from them.

Each stage is a directory of files and ``stage.json``, which has their lengths, their SHA-256 and a
fingerprint of everything that the result depends on: the bytes of the input, the settings, and the
versions of what computed. It appears whole or not at all. One that is damaged, incomplete or of
other inputs is passed over with a remark; so a checkpoint can cost time, but never change a result.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kneighbors import __version__
from kneighbors.artifact import canonical
from kneighbors.artifact.npy import build_header, dtype_code
from kneighbors.artifact.partfile import PartFile
from kneighbors.artifact.staging import sync_directory
from kneighbors.artifact.table import write_table
from kneighbors.errors import StorageError
from kneighbors.storage import translated

if TYPE_CHECKING:
    import pyarrow as pa

_FORMAT = "kneighbors-checkpoint"
_MANIFEST = "stage.json"
_MOST_BYTES = 64 << 20
_GROWING = ".kneighbors-"
_AT_ONCE = 8 << 20

Say = Callable[[str], None]


@dataclass
class Stage:
    """What a stage of a run came to.

    Attributes
    ----------
    facts : dict
        Values that JSON has.
    arrays : dict of str to ndarray
        Mapped from their files, once they were kept.
    tables : dict of str to pyarrow.Table
    """

    facts: dict[str, Any] = field(default_factory=dict)
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)
    tables: dict[str, pa.Table] = field(default_factory=dict)


class Checkpoints:
    """The stages that are kept in a directory.

    Parameters
    ----------
    folder : Path
        Made when the first stage is kept. One run at a time may use it.
    facts : mapping
        What every stage depends on, in values that JSON has.
    say : callable
        Called with a line when a stage is taken up or passed over, or cannot be kept.
    """

    def __init__(self, folder: Path, facts: Mapping[str, Any], say: Say) -> None:
        self._folder = folder
        self._facts = {**facts, "versions": _versions()}
        self._say = say

    def load(self, name: str, **facts: Any) -> Stage | None:
        """Return a stage that was kept for the same inputs; None if there is none that is whole.

        Parameters
        ----------
        name : str
            Of the stage.
        **facts
            What this stage depends on, beside what all depend on.
        """
        folder = self._folder / name
        if not folder.is_dir():
            return None
        try:
            stage = _read(folder, self._fingerprint(name, facts))
        except (OSError, ValueError, LookupError, TypeError) as error:
            self._say(f"checkpoint {name}: passed over, being damaged ({error!s:.200})")
            return None
        if stage is None:
            self._say(f"checkpoint {name}: passed over, being of another input or version")
        else:
            self._say(f"checkpoint {name}: taken up")
        return stage

    def keep(self, name: str, stage: Stage, **facts: Any) -> None:
        """Keep a stage, in place of an older one; where it cannot be kept, only say so."""
        try:
            with translated(self._folder):
                self._folder.mkdir(parents=True, exist_ok=True)
                self._sweep()
                self._write(name, stage, self._fingerprint(name, facts))
        except StorageError as error:
            self._say(f"checkpoint {name}: not kept. [{error.code}] {error}")

    def _fingerprint(self, name: str, facts: Mapping[str, Any]) -> str:
        document = json.dumps([name, self._facts, facts], sort_keys=True)
        return hashlib.sha256(document.encode()).hexdigest()

    def _write(self, name: str, stage: Stage, fingerprint: str) -> None:
        growing = self._folder / f"{_GROWING}{secrets.token_hex(8)}"
        growing.mkdir()
        number = os.open(growing, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            files = [_write_array(number, key, array) for key, array in stage.arrays.items()]
            files += [_write_table(number, key, table) for key, table in stage.tables.items()]
            document = {
                "format": _FORMAT,
                "version": 1,
                "fingerprint": fingerprint,
                "facts": stage.facts,
                "files": {file.name: [file.bytes, file.sha256] for file in files},
            }
            with _writing(number, _MANIFEST) as manifest:
                manifest.write(canonical.to_bytes(document))
            os.fsync(number)
            shutil.rmtree(self._folder / name, ignore_errors=True)
            growing.rename(self._folder / name)
            sync_directory(self._folder)
        except BaseException:
            shutil.rmtree(growing, ignore_errors=True)
            raise
        finally:
            os.close(number)

    def _sweep(self) -> None:
        """Remove what a run that was killed had begun."""
        for path in self._folder.glob(f"{_GROWING}*"):
            shutil.rmtree(path, ignore_errors=True)


def _write_array(folder: int, key: str, array: NDArray[Any]) -> PartFile:
    code = dtype_code(array.dtype)
    with _writing(folder, f"{key}.npy") as file:
        file.write(build_header(code, array.shape))
        step = max(1, _AT_ONCE // max(1, array[:1].nbytes))
        for start in range(0, len(array), step):
            part = np.ascontiguousarray(array[start : start + step], dtype=code)
            if part.size:
                file.write(part.data.cast("B"))
    return file


def _write_table(folder: int, key: str, table: pa.Table) -> PartFile:
    with _writing(folder, f"{key}.arrow") as file:
        write_table(file, table)
    return file


@contextmanager
def _writing(folder: int, name: str) -> Iterator[PartFile]:
    file = PartFile(folder, name)
    try:
        yield file
        file.close()
    finally:
        file.abandon()


def _read(folder: Path, fingerprint: str) -> Stage | None:
    """Return a stage, None if it is one of other inputs; raise what it is at fault for."""
    with (folder / _MANIFEST).open("rb") as file:
        data = file.read(_MOST_BYTES)
    if not canonical.has_right_digest(data):
        raise ValueError(f"{_MANIFEST} does not agree with its digest")
    document = json.loads(data)
    if (document["format"], document["version"]) != (_FORMAT, 1):
        return None
    if document["fingerprint"] != fingerprint:
        return None
    stage = Stage(document["facts"])
    for name, (size, sha256) in document["files"].items():
        path = folder / name
        if path.stat().st_size != size or _sha256(path) != sha256:
            raise ValueError(f"{name} is not what was written")
        if name.endswith(".npy"):
            stage.arrays[path.stem] = np.lib.format.open_memmap(path, mode="r")
        else:
            stage.tables[path.stem] = _mapped_table(path)
    return stage


def _mapped_table(path: Path) -> pa.Table:
    import pyarrow as pa

    try:
        return pa.ipc.open_file(pa.memory_map(os.fspath(path))).read_all()
    except pa.ArrowException as error:
        raise ValueError(str(error)) from error


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _versions() -> dict[str, str]:
    from importlib import metadata

    found = {"kneighbors": __version__, "numpy": np.__version__, "machine": platform.machine()}
    try:
        found["pyarrow"] = metadata.version("pyarrow")
    except metadata.PackageNotFoundError:
        found["pyarrow"] = "none"
    return found
