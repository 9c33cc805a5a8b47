"""make sets everything up by itself; where it finds no Python that runs, it says so."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]

RUNS = '#!/bin/sh\ncase "$2" in -c) exit 0 ;; esac\necho "$0 runs $2 $3 $4"\n'
IS_A_SHIM = "#!/bin/sh\necho 'command not found' >&2\nexit 127\n"
IS_OLD = '#!/bin/sh\ncase "$3" in *version.split*) echo 3.9.1; exit 0 ;; esac\nexit 3\n'
HAS_NO_ENSUREPIP = "#!/bin/sh\nexit 4\n"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a checkout in a folder with a blank in its name, with no Python that it could find."""
    checkout = tmp_path / "a checkout"
    (checkout / "scripts").mkdir(parents=True)
    shutil.copy(ROOT / "scripts" / "environment", checkout / "scripts")
    (tmp_path / "bin").mkdir()
    return checkout


def put(checkout: Path, name: str, script: str) -> Path:
    program = checkout.parent / "bin" / name
    program.write_text(script)
    program.chmod(0o755)
    return program


def prepare(checkout: Path, purpose: str = "run", **variables: str) -> tuple[int, str]:
    done = subprocess.run(
        ["/bin/sh", str(checkout / "scripts" / "environment"), purpose],
        env={"PATH": f"{checkout.parent / 'bin'}:/nowhere", **variables},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(autouse=True)
def _dirname(checkout: Path) -> None:
    # The only other program that the script calls.
    put(checkout, "dirname", '#!/bin/sh\necho "${1%/*}"\n')


def test_the_newest_python_is_taken(checkout: Path) -> None:
    for name in ("python3", "python3.11", "python3.12"):
        put(checkout, name, RUNS)
    code, said = prepare(checkout)
    assert code == 0
    assert said.endswith("python3.12 runs scripts/environment.py run .venv\n")


def test_a_shim_that_fails_and_an_old_python_are_passed_over(checkout: Path) -> None:
    put(checkout, "python3.13", IS_A_SHIM)
    put(checkout, "python3.12", IS_OLD)
    put(checkout, "python3.11", HAS_NO_ENSUREPIP)
    put(checkout, "python3", RUNS)
    code, said = prepare(checkout)
    assert code == 0
    assert "python3 runs scripts/environment.py" in said


def test_an_environment_that_exists_comes_first(checkout: Path) -> None:
    put(checkout, "python3.13", RUNS)
    own = checkout / ".venv" / "bin" / "python"
    own.parent.mkdir(parents=True)
    own.write_text(RUNS)
    own.chmod(0o755)
    assert ".venv/bin/python runs" in prepare(checkout)[1]


def test_a_python_that_is_named_is_the_only_one_tried(checkout: Path) -> None:
    put(checkout, "python3.13", RUNS)
    old = put(checkout, "old", IS_OLD)
    code, said = prepare(checkout, PYTHON=str(old))
    assert code == 1
    assert f"Expected Python 3.11 to 3.13 as PYTHON={old}, found {old} (3.9.1)." in said


def test_no_python_at_all_is_said_in_a_sentence(checkout: Path) -> None:
    code, said = prepare(checkout)
    assert code == 1
    assert said.startswith("Expected Python 3.11 to 3.13, found none that runs.")
    assert "make PYTHON=" in said


def test_a_python_without_ensurepip_comes_with_its_remedy(checkout: Path) -> None:
    put(checkout, "python3", HAS_NO_ENSUREPIP)
    code, said = prepare(checkout)
    assert (code, "apt-get install python3-venv" in said) == (1, True)


def test_the_oldest_versions_are_tried_with_the_oldest_python(checkout: Path) -> None:
    for name in ("python3.13", "python3.12", "python3.11"):
        put(checkout, name, RUNS)
    said = prepare(checkout, "lowest")[1]
    assert said.endswith("python3.11 runs scripts/environment.py lowest .venv-lowest\n")


@pytest.fixture(scope="module")
def environment() -> ModuleType:
    spec = importlib.util.spec_from_file_location("env", ROOT / "scripts" / "environment.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_lowest_versions_are_the_lower_bounds(environment: Any) -> None:
    project = {
        "dependencies": ["numpy>=1.26.4"],
        "optional-dependencies": {"a": ["b[c]>=2"], "all": ["kneighbors[a]"]},
    }
    assert environment.lowest(project) == ["b[c]==2", "numpy==1.26.4"]


def test_every_purpose_names_groups_that_exist(environment: Any) -> None:
    import tomllib

    groups = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["dependency-groups"]
    assert {name for names in environment.GROUPS.values() for name in names} <= set(groups)


def test_what_is_current_is_left_alone(
    environment: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed: list[str] = []
    created: list[Path] = []

    def create(home: Path) -> None:
        created.append(home)
        home.mkdir(exist_ok=True)

    monkeypatch.setattr(environment, "ROOT", tmp_path)
    monkeypatch.setattr(environment, "create", create)
    monkeypatch.setattr(environment, "runs", lambda home: True)
    monkeypatch.setattr(environment, "install", lambda home, purpose: installed.append(purpose))
    project = tmp_path / "pyproject.toml"
    project.write_text("one")
    for purpose in ("run", "run", "test", "run", "test"):
        environment.main(purpose, ".venv")
    assert installed == ["run", "test"]
    assert len(created) == 1

    project.write_text("two")
    environment.main("run", ".venv")
    environment.main("test", ".venv")
    assert installed == ["run", "test", "run", "test"]
    assert len(created) == 1

    monkeypatch.setattr(environment, "foundation", lambda: "another interpreter")
    environment.main("run", ".venv")
    assert len(created) == 2


def test_an_installation_that_fails_is_not_taken_for_done(
    environment: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(home: Path, purpose: str) -> None:
        raise SystemExit("pip could not")

    monkeypatch.setattr(environment, "ROOT", tmp_path)
    monkeypatch.setattr(environment, "create", lambda home: home.mkdir(exist_ok=True))
    monkeypatch.setattr(environment, "install", fail)
    (tmp_path / "pyproject.toml").write_text("")
    for _ in range(2):
        with pytest.raises(SystemExit, match="pip could not"):
            environment.main("run", ".venv")


def test_what_is_no_environment_is_not_deleted(environment: Any, tmp_path: Path) -> None:
    home = tmp_path / ".venv"
    home.mkdir()
    (home / "thesis.txt").write_text("years of work")
    with pytest.raises(SystemExit, match=r"\.venv exists and is no virtual environment"):
        environment.create(home)
    assert (home / "thesis.txt").exists()


def test_every_target_is_explained_by_make_help() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert phony is not None
    said = subprocess.run(
        ["make", "--no-print-directory", "help"], cwd=ROOT, capture_output=True, text=True,
        check=True,
    ).stdout  # fmt: skip
    assert re.findall(r"^  make ([\w-]+)", said, re.MULTILINE) == phony[1].split()


def test_a_stack_of_aws_has_an_environment_of_its_own(checkout: Path) -> None:
    put(checkout, "python3.13", RUNS)
    put(checkout, "python3.11", RUNS)
    said = prepare(checkout, "aws-training")[1]
    assert said.endswith("python3.11 runs scripts/environment.py aws-training .venv-aws-training\n")


def test_a_stack_changes_with_its_own_requirements_only(
    environment: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, "ROOT", tmp_path)
    monkeypatch.setattr(environment, "STACKS", tmp_path)
    for name in ("pyproject.toml", "build.txt", "one.txt", "two.txt"):
        (tmp_path / name).write_text("")
    before = [environment.key_of_environment(purpose) for purpose in ("aws-one", "aws-two")]
    (tmp_path / "pyproject.toml").write_text("more")
    (tmp_path / "two.txt").write_text("more")
    after = [environment.key_of_environment(purpose) for purpose in ("aws-one", "aws-two")]
    assert [True, False] == [a == b for a, b in zip(before, after, strict=True)]


def test_every_stack_is_set_up_in_exact_versions() -> None:
    script = (ROOT / "scripts" / "stacks").read_text("utf-8")
    default = re.search(r"set -- (.*)$", script, re.MULTILINE)
    assert default is not None
    files = {file.stem: file for file in (ROOT / "tests" / "aws" / "stacks").glob("*.txt")}
    assert {*default[1].split(), "build"} == set(files)
    lines = [line for file in files.values() for line in file.read_text("utf-8").splitlines()]
    wanted = [line for line in lines if line and not line.startswith("#")]
    assert [] == [line for line in wanted if re.fullmatch(r"[\w.-]+==[\w.]+", line) is None]
