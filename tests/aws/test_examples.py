"""The notebooks in examples/ run from their first cell to their last, as they stand."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from aws.environments import ROOT, environment_of_stack, plain_variables

EXAMPLES = ROOT / "examples"
SHORT_WAITS = Path(__file__).parent / "programs" / "with_short_waits.py"
TIMEOUT_S = 600

pytestmark = pytest.mark.timeout(TIMEOUT_S + 60)


def cells(notebook: Path) -> str:
    """Return the code of a notebook as one program."""
    document = json.loads(notebook.read_text("utf-8"))
    return "\n\n".join("".join(c["source"]) for c in document["cells"] if c["cell_type"] == "code")


@pytest.mark.parametrize("name", ["sdk2", "sdk3", "boto3"])
def test_a_notebook_runs_to_its_end_as_it_stands(name: str, tmp_path: Path) -> None:
    program = [sys.executable, "notebook.py"]
    if name != "boto3":  # whose waiters count how often they ask, not how long they wait
        python = environment_of_stack(name) / "bin" / "python"
        program = [str(python), str(SHORT_WAITS), "notebook.py"]
    (tmp_path / "notebook.py").write_text(cells(EXAMPLES / f"walk_through_{name}.ipynb"), "utf-8")
    variables = plain_variables() | {"HOME": str(tmp_path)}
    # The commands that a notebook calls are there, as for whoever has installed the package.
    variables["PATH"] = f"{variables['PATH']}{os.pathsep}{Path(sys.executable).parent}"
    init = [sys.executable, "-m", "kneighbors", "sagemaker", "init", "job", "--with-package"]
    subprocess.run(init, cwd=tmp_path, env=variables, check=True, capture_output=True)
    local = [sys.executable, "-m", "kneighbors", "local", "run", "--root", str(tmp_path / "root")]
    done = subprocess.run(
        [*local, "--", *program],
        cwd=tmp_path, env=variables, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, timeout=TIMEOUT_S, check=False,
    )  # fmt: skip
    assert 0 == done.returncode, done.stdout
    assert "(2, 10)" in done.stdout
    assert "100 lines; the first:" in done.stdout


def test_every_notebook_is_listed_and_says_what_a_real_account_needs() -> None:
    readme = (EXAMPLES / "README.md").read_text("utf-8")
    for notebook in EXAMPLES.glob("*.ipynb"):
        assert f"({notebook.name})" in readme
        first = "".join(json.loads(notebook.read_text("utf-8"))["cells"][0]["source"])
        assert "**For a real account**" in first
