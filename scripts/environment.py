"""Install the checkout and what a purpose needs into a virtual environment, unless it is current.

Run by scripts/environment, with the interpreter that the environment is made from or that it
already holds. It needs the standard library only. What is installed is recorded in the environment
itself, last of all, so that an interrupted installation is taken up again.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
STACKS = ROOT / "tests" / "aws" / "stacks"
GROUPS = {
    "run": [],
    "test": ["test", "lint"],
    "docs": ["docs"],
    "lowest": ["test"],
    "bench": ["bench"],
}
RECORD = "kneighbors-installed.json"
# Settings of the user's that would send packages elsewhere than into the environment.
MISLEADING = ("PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PYTHONHOME", "PYTHONPATH")


def main(purpose: str, directory: str) -> None:
    """Make the environment current for one purpose."""
    home = ROOT / directory
    with (ROOT / f"{directory}.lock").open("w") as lock:
        # Two targets may run at once; the second finds the work done.
        fcntl.flock(lock, fcntl.LOCK_EX)
        key, record = key_of_environment(purpose), read_record(home)
        installed = record["purposes"] if record.get("key") == key else []
        if purpose in installed:
            return
        if record.get("foundation") != foundation() or not runs(home):
            create(home)
            installed = []
        install(home, purpose)
        write_record(home, key, sorted({*installed, purpose}))


def foundation() -> str:
    """Name what an environment stands on; its own python gives the same name."""
    # It cannot be moved: its scripts and its link to the sources hold the path.
    return f"{sys.version} {sys.base_prefix} {ROOT}"


def key_of_environment(purpose: str) -> str:
    """Sum up what an installation depends on."""
    files = [ROOT / "pyproject.toml"] if stack_of(purpose) is None else stack_files(purpose)
    facts = foundation() + "".join(file.read_text("utf-8") for file in files)
    return hashlib.sha256(facts.encode()).hexdigest()


def read_record(home: Path) -> dict[str, Any]:
    """Return what was installed, or nothing where that cannot be told."""
    try:
        record: dict[str, Any] = json.loads((home / RECORD).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return record


def write_record(home: Path, key: str, purposes: list[str]) -> None:
    """Write what is installed, whole or not at all."""
    text = json.dumps({"key": key, "foundation": foundation(), "purposes": purposes})
    draft = home / f"{RECORD}.draft"
    draft.write_text(text, "utf-8")
    draft.replace(home / RECORD)


def runs(home: Path) -> bool:
    """Tell whether the environment's python and pip can be used."""
    try:
        command = [str(home / "bin/python"), "-I", "-c", "import pip"]
        return subprocess.run(command, capture_output=True).returncode == 0
    except OSError:
        return False


def create(home: Path) -> None:
    """Make an empty environment, in place of what is there."""
    if home.exists() and any(home.iterdir()) and not (home / "pyvenv.cfg").exists():
        raise SystemExit(f"{home.name} exists and is no virtual environment: move it away.")
    say(f"Making {home.name} with Python {sys.version.split()[0]}")
    # Run within the environment, this must be the interpreter underneath, which does not go away.
    base = Path(getattr(sys, "_base_executable", sys.executable))
    if base.is_relative_to(home):
        raise SystemExit(f"{home.name} is damaged: remove it and try again (make clean).")
    subprocess.run([base, "-I", "-m", "venv", "--clear", home], check=True)


def install(home: Path, purpose: str) -> None:
    """Install what a purpose asks for."""
    say(f"Installing packages into {home.name}; the first time takes a minute or two")
    if stack_of(purpose) is None:
        install_checkout(home, purpose)
    else:
        install_stack(home, purpose)


def install_checkout(home: Path, purpose: str) -> None:
    """Install the checkout, editable, with all extras and the purpose's groups."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    requirements = [r for group in GROUPS[purpose] for r in project["dependency-groups"][group]]
    if purpose == "lowest":
        requirements += lowest(project["project"])
    if pip(home, "--editable", ".[all]", *requirements):
        raise SystemExit(f"pip could not install what pyproject.toml asks for ({purpose}).")
    if purpose == "bench":
        for peer in project["dependency-groups"]["bench-peers"]:
            if pip(home, peer):
                say(f"Going on without {peer}, which pip cannot have here")


def install_stack(home: Path, purpose: str) -> None:
    """Install one of AWS's stacks: exact versions, without asking what they would rather have."""
    build, packages = stack_files(purpose)
    exactly = ("--no-deps", "--no-build-isolation", "--no-compile", "--requirement")
    if pip(home, *exactly, str(build)) or pip(home, *exactly, str(packages)):
        raise SystemExit(f"pip could not install what {packages.relative_to(ROOT)} asks for.")


def stack_of(purpose: str) -> str | None:
    """Return the stack that a purpose such as aws-training names."""
    return purpose.removeprefix("aws-") if purpose.startswith("aws-") else None


def stack_files(purpose: str) -> list[Path]:
    """Return the requirements of a stack, in the order in which they are installed."""
    return [STACKS / "build.txt", STACKS / f"{stack_of(purpose)}.txt"]


def pip(home: Path, *arguments: str) -> int:
    """Let pip install something, and return its exit code."""
    settings = {name: value for name, value in os.environ.items() if name not in MISLEADING}
    settings |= {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1", "PIP_USER": "0"}
    # Twice quiet: errors are shown, warnings are not.
    command = [str(home / "bin/python"), "-m", "pip", "install", "-qq", *arguments]
    return subprocess.run(command, cwd=ROOT, env=settings, stdin=subprocess.DEVNULL).returncode


def lowest(project: dict[str, Any]) -> list[str]:
    """Pin each requirement of the package to the oldest version that it admits."""
    extras = project["optional-dependencies"].values()
    wanted = [*project["dependencies"], *(r for extra in extras for r in extra)]
    return sorted({r.replace(">=", "==") for r in wanted if ">=" in r})


def say(line: str) -> None:
    """Report a step on standard error, at once."""
    print(f"{line} ...", file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)
