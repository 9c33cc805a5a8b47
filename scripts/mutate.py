"""Change the gate in every way that mutmut knows, and count which changes its tests notice.

In an environment of its own and on a copy, so that nothing here is ever changed.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
VENV = ROOT / ".venv-mutation"
VERSION = "3.8.1"
#: Least share of changes that has to be noticed, in percent.
LEAST = 90.0

_PROJECT = """[project]
name = "gate"
version = "0"

[tool.pytest.ini_options]
filterwarnings = ["error"]
pythonpath = ["src"]

[tool.mutmut]
source_paths = ["src/kneighbors/search/gate.py"]
pytest_add_cli_args_test_selection = ["tests/"]
also_copy = ["src"]
"""


def prepared() -> Path:
    """Return the folder of the environment's programs, made at the first time."""
    programs = VENV / "bin"
    if not (programs / "mutmut").exists():
        venv.create(VENV, with_pip=True, clear=True)
        packages = [f"mutmut=={VERSION}", "numpy", "scipy", "pytest"]
        subprocess.run([programs / "pip", "install", "-q", *packages], check=True)
    return programs


def mutate(programs: Path) -> dict[str, int]:
    """Return how many changes there are, by what came of them."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / "src", folder / "src", ignore=ignored)
        (folder / "tests").mkdir()
        for path in (ROOT / "tests" / "search").glob("test_gate*.py"):
            shutil.copy(path, folder / "tests")
        (folder / "pyproject.toml").write_text(_PROJECT)
        subprocess.run([programs / "mutmut", "run", "--max-children", "2"], cwd=folder, check=True)
        subprocess.run([programs / "mutmut", "results"], cwd=folder, check=True)
        subprocess.run([programs / "mutmut", "export-cicd-stats"], cwd=folder, check=True)
        found: dict[str, int] = json.loads(
            (folder / "mutants" / "mutmut-cicd-stats.json").read_text()
        )
    return found


def main() -> int:
    """Write the score into the page; fail below the least that is good enough."""
    found = mutate(prepared())
    # A change that makes the tests run for ever is noticed as well.
    killed = found["killed"] + found["timeout"] + found.get("suspicious", 0)
    note = ["scripts/reliability.py", "mutation", str(killed), str(found["total"]), VERSION]
    subprocess.run([sys.executable, *note], cwd=ROOT, check=True)
    score = 100 * killed / found["total"]
    print(f"{killed} of {found['total']} changes are noticed: {score:.1f} %")
    return score < LEAST


if __name__ == "__main__":
    sys.exit(main())
