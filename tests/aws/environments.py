"""The environments with AWS's own code, and copies of them that a test may install into."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RECORD = "kneighbors-installed.json"
#: What the stock scikit-learn image patches AWS's serving toolkit with, so that it runs at all.
STOCK = Path(__file__).parent / "stock"

_OURS = ("SAGEMAKER_", "SM_", "KNEIGHBORS_", "AWS_", "PYTHON", "VIRTUAL_ENV")


def environment_of_stack(stack: str) -> Path:
    """Return where a stack is installed, or skip the test and say why it cannot be had."""
    home = ROOT / f".venv-aws-{stack}"
    if not (home / RECORD).exists():
        pytest.skip(f"The stack {stack} cannot be had: {_last_words(home)}")
    if stack == "inference" and shutil.which("java") is None:
        pytest.skip("The stack inference cannot be had: there is no java, which it needs.")
    return home


def _last_words(home: Path) -> str:
    try:
        lines = home.with_name(f"{home.name}.log").read_text("utf-8").strip().splitlines()
    except OSError:
        lines = []
    return lines[-1] if lines else f"{home.name} is not there; `make test-aws` makes it."


def plain_variables() -> dict[str, str]:
    """Return the test's own variables without those that a container would be told by."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}


@functools.cache
def _site_packages(home: Path) -> Path:
    (found,) = home.glob("lib/python3*/site-packages")
    return found


def overlay(stack: str, folder: Path) -> Path:
    """Make a Python that sees a stack's packages and installs beside them; return its ``bin``.

    AWS's toolkits install the user's code with pip when they start.
    """
    home = environment_of_stack(stack)
    venv = folder / "python"
    command = [str(home / "bin/python"), "-I", "-m", "venv", "--without-pip", str(venv)]
    subprocess.run(command, check=True, capture_output=True)
    line = f"import site; site.addsitedir({str(_site_packages(home))!r})\n"
    (_site_packages(venv) / "stack.pth").write_text(line)
    for script in (home / "bin").iterdir():
        if not script.is_file() or script.name.startswith(("python", "pip", "activate")):
            continue
        text = script.read_text("utf-8", "replace").splitlines(keepends=True)
        if text and text[0].startswith("#!") and "python" in text[0]:
            copy = venv / "bin" / script.name
            copy.write_text("".join([f"#!{venv / 'bin/python'}\n", *text[1:]]))
            copy.chmod(0o755)
    return venv / "bin"
