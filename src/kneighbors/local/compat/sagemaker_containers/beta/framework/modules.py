"""A script's own modules."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path
from types import ModuleType

DEFAULT_MODULE_NAME = "default_user_module_name"


def install(path: str) -> None:
    """Install a directory with a ``setup.py`` or a ``requirements.txt`` into this container."""
    command = [sys.executable, "-m", "pip", "install"]
    if (Path(path) / "setup.py").exists() or (Path(path) / "pyproject.toml").exists():
        command += ["."]
    if (Path(path) / "requirements.txt").exists():
        command += ["-r", "requirements.txt"]
    subprocess.run(command, cwd=path, check=True)  # noqa: S603


def import_module(uri: str, name: str = DEFAULT_MODULE_NAME, cache: object = None) -> ModuleType:
    """Import a module from a directory."""
    if uri not in sys.path:
        sys.path.insert(0, uri)
    return importlib.import_module(name)
