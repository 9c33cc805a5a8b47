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
#: Tags that pip takes there, of which it guesses none when it looks for another machine: of glibc
#: 2.28, as of Debian 10 and RHEL 8, and older; of macOS 14 and older.
_LINUX = [f"manylinux_2_{minor}" for minor in range(28, 16, -1)] + ["manylinux2014"]
PLATFORMS = {
    "Linux x86_64": [f"{tag}_x86_64" for tag in _LINUX],
    "Linux aarch64": [f"{tag}_aarch64" for tag in _LINUX],
    "macOS arm64": [f"macosx_{major}_0_arm64" for major in range(14, 10, -1)],
}
_PIP = (sys.executable, "-m", "pip", "install", "-q", "--dry-run", "--ignore-installed")


def requirements() -> list[str]:
    """Return what the package and all its extras need, without the package itself."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    every = {*project["dependencies"], *(one for extra in extras for one in extra)}
    return sorted(one for one in every if not one.startswith("kneighbors["))


def has_wheels(names: list[str], platforms: list[str], python: str) -> str:
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
