"""Check that no dependency needs a compiler: each has a wheel for each platform and Python.

Resolves only what `kneighbors[...]` with all its extras installs, and installs nothing.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
PYTHONS = ("3.11", "3.12", "3.13")
PLATFORMS = {
    "Linux x86_64": ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64"),
    "Linux aarch64": ("manylinux_2_28_aarch64", "manylinux_2_17_aarch64", "manylinux2014_aarch64"),
    "macOS arm64": ("macosx_14_0_arm64", "macosx_12_0_arm64", "macosx_11_0_arm64"),
}
_PIP = (sys.executable, "-m", "pip", "install", "-q", "--dry-run", "--ignore-installed")


def requirements() -> list[str]:
    """Return what the package and all its extras need, without the package itself."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    every = {*project["dependencies"], *(one for extra in extras for one in extra)}
    return sorted(one for one in every if not one.startswith("kneighbors["))


def has_wheels(names: list[str], platforms: tuple[str, ...], python: str) -> str:
    """Return nothing, or why pip finds no set of wheels."""
    options = [f"--platform={platform}" for platform in platforms]
    options += [f"--python-version={python}", "--only-binary=:all:", "--implementation=cp"]
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [*_PIP, "--target", folder, *options, *names],
            capture_output=True,
            text=True,
            check=False,
        )
    return "" if done.returncode == 0 else done.stderr.strip().splitlines()[-1]


def main() -> int:
    """Say for each platform and Python whether there are wheels for everything."""
    names, failed = requirements(), False
    for platform, tags in PLATFORMS.items():
        for python in PYTHONS:
            why = has_wheels(names, tags, python)
            failed |= bool(why)
            print(f"{platform}, Python {python}: {why or 'wheels for everything'}", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())
