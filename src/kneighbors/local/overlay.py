"""A Python of a container's own, made in milliseconds.

It is a virtual environment without pip of its own whose packages come first, followed by those of
the environment that it lies over. What a user's script installs lands in it and nowhere else: pip
uninstalls nothing that is outside of the environment it runs in.
"""

from __future__ import annotations

import shlex
import site
import sys
from dataclasses import dataclass
from pathlib import Path

import kneighbors

_COMPAT = Path(__file__).parent / "compat"

# Read by the container's Python at its start: what is installed in it comes first, then what lies
# under it, then pip where neither has it, and last what stands in for packages that nobody has.
_STARTUP = """\
import os, site, sys
from importlib.util import find_spec
for folder in {packages!r}:
    site.addsitedir(folder)
sys.path += [path for path in {paths!r} if path not in sys.path]
if find_spec("pip") is None and find_spec("ensurepip"):
    folder = os.path.join(os.path.dirname(find_spec("ensurepip").origin), "_bundled")
    names = os.listdir(folder) if os.path.isdir(folder) else []
    sys.path += [os.path.join(folder, name) for name in names if name.startswith("pip-")]
sys.path.append({compat!r})
import kneighbors_container_imports
kneighbors_container_imports.install()
"""


@dataclass(frozen=True, slots=True)
class Python:
    """An interpreter and where its packages are.

    Parameters
    ----------
    executable : Path
        The interpreter that no virtual environment wraps.
    version : str
        Such as ``"3.11"``.
    packages : tuple of Path
        Directories of packages, with their ``.pth`` files.
    paths : tuple of Path
        Further directories to import from.
    """

    executable: Path
    version: str
    packages: tuple[Path, ...]
    paths: tuple[Path, ...] = ()


def own_python() -> Python:
    """Return the interpreter that runs this, with its packages and ours."""
    base: str = getattr(sys, "_base_executable", None) or sys.executable
    packages = [Path(one) for one in site.getsitepackages()]
    if site.ENABLE_USER_SITE:
        packages.append(Path(site.getusersitepackages()))
    kept = tuple(one for one in packages if one.is_dir())
    ours = Path(kneighbors.__file__).parents[1]
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    return Python(Path(base).absolute(), version, kept, () if ours in kept else (ours,))


def python_beside(command: str) -> Python | None:
    """Return the interpreter of the virtual environment that a command belongs to.

    Parameters
    ----------
    command : str
        Path of a program, such as ``/envs/training/bin/train``.

    Returns
    -------
    Python or None
        None where the command is no file in the ``bin`` of a virtual environment.
    """
    top = Path(command).parent.parent
    found = sorted((top / "lib").glob("python3.*/site-packages"))
    try:
        lines = (top / "pyvenv.cfg").read_text().splitlines()
    except OSError:
        return None
    homes = [line.partition("=")[2].strip() for line in lines if line.startswith("home")]
    if not Path(command).is_absolute() or not homes or not found:
        return None
    version = found[0].parent.name.removeprefix("python")
    return Python(Path(homes[0]) / f"python{version}", version, (found[0],))


def make_overlay(folder: Path, python: Python) -> Path:
    """Make a virtual environment that lies over another one; return its ``bin``.

    Parameters
    ----------
    folder : Path
        Where; what is there already is left as it is, so that a container which starts again
        finds what it installed.
    python : Python

    Notes
    -----
    A few small files and links: about a millisecond.
    """
    binaries, packages = folder / "bin", folder / f"lib/python{python.version}/site-packages"
    if (packages / "kneighbors-overlay.pth").exists():
        return binaries
    binaries.mkdir(parents=True)
    packages.mkdir(parents=True)
    (folder / "pyvenv.cfg").write_text(
        f"home = {python.executable.parent}\ninclude-system-site-packages = false\n"
    )
    for name in ("python", "python3", f"python{python.version}"):
        (binaries / name).symlink_to(python.executable)
    for name in ("pip", "pip3"):
        script = f'#!/bin/sh\nexec {shlex.quote(str(binaries / "python"))} -m pip "$@"\n'
        (binaries / name).write_text(script)
        (binaries / name).chmod(0o755)
    startup = _STARTUP.format(
        packages=[str(one) for one in python.packages],
        paths=[str(one) for one in python.paths],
        compat=str(_COMPAT),
    )
    (packages / "kneighbors_overlay.py").write_text(startup)
    # Last, since it tells that the rest is there.
    (packages / "kneighbors-overlay.pth").write_text("import kneighbors_overlay\n")
    return binaries
