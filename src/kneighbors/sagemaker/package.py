"""An artifact as a ``model.tar.gz`` that AWS's scikit-learn image serves as it stands."""

from __future__ import annotations

import ast
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from kneighbors.artifact import Manifest, open_artifact, pack, unpack
from kneighbors.artifact.packing import TarGz, new_archive
from kneighbors.artifact.publishing import resolved
from kneighbors.errors import ParameterRefused
from kneighbors.sagemaker.packaged import (
    FORMATS,
    FRONTS,
    OWN_SCRIPT,
    PLAIN_SCRIPT,
    Format,
    Front,
    Packaged,
    environment_of,
    image_version_of,
)
from kneighbors.sagemaker.source_tree import own_script, package_files, script_files
from kneighbors.search.progress import Progress, ignore
from kneighbors.storage import translated
from kneighbors.storage.temporary import temporary_folder

__all__ = ["Packaged", "package"]

#: What AWS's multi-model stack looks for where no variable names a script.
_USUAL_NAME = "inference.py"
#: What tells pip how to install a folder; without any, AWS's image writes a ``setup.py``.
_PROJECTS = frozenset({"pyproject.toml", "setup.py"})
_BACKEND = "nothing_to_build.py"
_NOTHING_TO_INSTALL = b"""\
[build-system]
requires = []
build-backend = "nothing_to_build"
backend-path = ["."]
"""


def package(
    model: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    front: Front = "stock",
    format: Format = "kneighbors",
    entry_point: str | os.PathLike[str] | None = None,
    sourcedir: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    progress: Progress = ignore,
) -> Packaged:
    """Write an artifact, with the code that serves it, as a ``model.tar.gz``.

    The same artifact and the same code give the same bytes. The image installs nothing when it
    starts, so the model starts in a network that leads nowhere.

    Parameters
    ----------
    model : str or path
        An artifact, a directory or a ``.tar.gz``.
    output : str or path
        A new file; with `overwrite` an existing one.
    front : {"stock", "ours"}, default="stock"
        Whether the image's own web application calls the script, or ours answers in its place.
    format : {"kneighbors", "sklearn"}, default="kneighbors"
        The artifact and this package; or a pickled scikit-learn estimator, and a script that needs
        no more than scikit-learn.
    entry_point : str or path, optional
        A script with handlers in place of ours, or a folder with one called ``inference.py``.
    sourcedir : str or path, optional
        Where to write the code alone, as the ``sourcedir.tar.gz`` that the Python SDK uploads.
    overwrite : bool, default=False
        Replace files that are there.
    progress : callable, optional
        Called as ``progress(stage, done, total)`` in bytes.

    Returns
    -------
    Packaged

    Raises
    ------
    ParameterRefused
        ``package-metric`` when scikit-learn does not know the artifact's metric, ``package-front``
        when our front is to serve scikit-learn's format, ``entry-point``, ``parameter-conflict``.
    StorageError
        ``artifact-exists`` when there is a file, or what the system refused; neither file is then
        there.
    ArtifactError
        When `model` is no whole artifact.
    """
    script, code = _code(format, front, entry_point)
    environment = environment_of(format, front, script)
    target = resolved(output)
    written = None if sourcedir is None else resolved(sourcedir)
    if written == target:
        raise ParameterRefused(
            "parameter-conflict", "Expected two files, got one name for both.", where=str(target)
        )

    def write() -> None:
        with as_directory(Path(model), progress) as (directory, manifest):
            if format == "sklearn":
                from kneighbors.sagemaker.package_plain import pack_plain

                pack_plain(
                    directory, manifest, target, code, overwrite=overwrite, progress=progress
                )
            else:
                pack(directory, target, overwrite=overwrite, code=code, progress=progress)

    if written is None:
        write()
    else:
        _write_sourcedir(written, code, overwrite, write)
    with translated(target):
        size = target.stat().st_size
    return Packaged(
        path=target,
        bytes=size,
        format=format,
        front=front,
        environment=environment,
        image_version=image_version_of(format),
        sourcedir=written,
    )


def script_of(format: Format, front: Front, entry_point: str | os.PathLike[str]) -> str:
    """Return the name of the script that `package` would take; errors as of it."""
    return _code(format, front, entry_point)[0]


def _write_sourcedir(
    target: Path, code: Mapping[str, bytes], overwrite: bool, write_model: Callable[[], None]
) -> None:
    """Write code as a ``sourcedir.tar.gz``, and the model; both whole, or neither."""

    def write(file: BinaryIO) -> None:
        packer = TarGz(file, 9)
        for name, data in code.items():
            packer.add(name, len(data), [data])
        packer.finish()
        # While there is room for the code already, which has no name yet.
        write_model()

    new_archive(target, overwrite, write)


@contextmanager
def as_directory(model: Path, progress: Progress = ignore) -> Iterator[tuple[Path, Manifest]]:
    """Give an artifact as a directory, unpacked for the time being if it is an archive."""
    with translated(model):
        is_directory = model.is_dir()
    if is_directory:
        with open_artifact(model) as artifact:
            yield model, artifact.manifest
        return
    with temporary_folder() as folder:
        directory = folder / "model"
        yield directory, unpack(model, directory, progress=progress)


def _code(
    format: Format, front: Front, entry_point: str | os.PathLike[str] | None
) -> tuple[str, dict[str, bytes]]:
    """Return the name of the script, and all files of ``code/``."""
    for name, value, known in (("format", format, FORMATS), ("front", front, FRONTS)):
        if value not in known:
            raise ParameterRefused(
                f"package-{name}", f"Expected {' or '.join(known)} for {name}, got {value!r}."
            )
    own = PLAIN_SCRIPT if format == "sklearn" else OWN_SCRIPT
    found = {own: own_script(own)} if entry_point is None else script_files(Path(entry_point))
    script = _entry(found, entry_point)
    _check_syntax(script, found[script])
    if _USUAL_NAME not in found:
        # The multi-model stack of the image imports this name.
        found[_USUAL_NAME] = found[script]
    if format == "kneighbors":
        found |= package_files()
        if not _PROJECTS & set(found):
            found |= {_BACKEND: own_script(_BACKEND), "pyproject.toml": _NOTHING_TO_INSTALL}
    return script, dict(sorted(found.items()))


def _check_syntax(script: str, text: bytes) -> None:
    """Refuse what is no Python before a container fails to start with it."""
    try:
        ast.parse(text)
    except (SyntaxError, ValueError, RecursionError) as error:
        raise ParameterRefused(
            "entry-point",
            f"Expected a script in Python, got {type(error).__name__}: {error}.",
            where=script,
            hint="Package a script in newer Python with a Python that is as new.",
        ) from None


def _entry(found: Mapping[str, bytes], entry_point: str | os.PathLike[str] | None) -> str:
    scripts = [name for name in found if name.endswith(".py") and "/" not in name]
    if len(scripts) == 1:
        return scripts[0]
    if _USUAL_NAME in scripts:
        return _USUAL_NAME
    raise ParameterRefused(
        "entry-point",
        f"Expected one script, or one called {_USUAL_NAME}, got {', '.join(scripts) or 'none'}.",
        where=str(entry_point),
    )
