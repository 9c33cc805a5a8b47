"""The wheel holds the package, whole and alone, and says what it needs."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path
from typing import Any

import pytest

import kneighbors

ROOT = Path(__file__).parents[2]
BUILD = """
import sys
from hatchling import build
wheel = build.build_wheel(sys.argv[1])
sdist = build.build_sdist(sys.argv[1])
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build both distributions as an installer would, with what is installed."""
    folder = tmp_path_factory.mktemp("dist")
    done = subprocess.run(
        [sys.executable, "-c", BUILD, str(folder)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def names(built: Path) -> set[str]:
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        assert archive.testzip() is None
        return set(archive.namelist())


@pytest.fixture(scope="module")
def metadata(built: Path) -> Message:
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [n for n in archive.namelist() if n.endswith(".dist-info/METADATA")]
        return Parser().parsestr(archive.read(name).decode())


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    table: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    return table["project"]  # type: ignore[no-any-return]


def test_the_wheel_is_pure_python(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    assert wheel.name == f"kneighbors-{kneighbors.__version__}-py3-none-any.whl"


def test_the_wheel_holds_every_module_and_the_typing_marker(names: set[str]) -> None:
    source = ROOT / "src"
    modules = {path.relative_to(source).as_posix() for path in source.rglob("*.py")}
    assert "kneighbors/py.typed" in names
    assert modules - names == set()


def test_the_wheel_holds_nothing_else(names: set[str]) -> None:
    info = f"kneighbors-{kneighbors.__version__}.dist-info/"
    inside = {name for name in names if not name.startswith(info)}
    suffixes = {Path(name).suffix for name in inside}
    assert all(name.startswith("kneighbors/") for name in inside)
    # Besides modules only data that they read: no tests, caches, arrays or archives.
    page = {".html", ".css", ".js", ".svg", ".woff2", ".txt"}
    # The kernel, which was built beforehand, and its source.
    assert suffixes <= {".py", ".typed", ".json", ".c", ".so", *page}
    assert {name.removeprefix(info) for name in names - inside} == {
        "METADATA",
        "RECORD",
        "WHEEL",
        "entry_points.txt",
        "licenses/LICENSE",
    }


def test_every_package_has_an_init_file() -> None:
    folders = {path.parent for path in (ROOT / "src" / "kneighbors").rglob("*.py")}
    assert sorted(str(f) for f in folders if not (f / "__init__.py").exists()) == []


def test_the_metadata_name_version_licence_and_pythons(metadata: Message) -> None:
    assert metadata["Name"] == "kneighbors"
    assert metadata["Version"] == kneighbors.__version__
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Requires-Python"] == ">=3.11"
    assert str(metadata.get_payload()).startswith("# kneighbors")


def test_the_extras_are_those_that_hints_name(metadata: Message, project: dict[str, Any]) -> None:
    extras = set(metadata.get_all("Provides-Extra", []))
    assert extras == set(project["optional-dependencies"])
    hinted = {extra for path in (ROOT / "src").rglob("*.py") for extra in _extras_hinted_in(path)}
    assert hinted <= extras
    assert hinted, "the sources name the extras that they need"


def test_all_means_all(project: dict[str, Any]) -> None:
    extras = dict(project["optional-dependencies"])
    (everything,) = extras.pop("all")
    named = everything.removeprefix("kneighbors[").removesuffix("]").split(",")
    assert sorted(named) == sorted(extras)


def test_plain_installation_needs_three_packages(metadata: Message) -> None:
    plain = [r for r in metadata.get_all("Requires-Dist", []) if "extra ==" not in r]
    assert sorted(r.split(">")[0] for r in plain) == ["numpy", "pyarrow", "scikit-learn"]


def test_each_requirement_has_a_lower_bound_and_no_upper_one(project: dict[str, Any]) -> None:
    extras = dict(project["optional-dependencies"])
    del extras["all"]
    rows = [*project["dependencies"], *(row for rows in extras.values() for row in rows)]
    rows = [row for row in rows if not row.startswith("kneighbors[")]  # an extra of its own
    assert [row for row in rows if row.count(">=") != 1 or "<" in row or "==" in row] == []


def test_console_scripts_can_be_found(project: dict[str, Any]) -> None:
    from importlib import import_module

    assert set(project["scripts"]) == {"kneighbors", "serve", "train"}
    for target in project["scripts"].values():
        module, _, function = target.partition(":")
        assert callable(getattr(import_module(module), function))


def test_the_source_distribution_can_be_checked_by_who_unpacks_it(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {
        ".ci/run", "CHANGELOG.md", "LICENSE", "Makefile", "README.md", "mkdocs.yml",
        "pyproject.toml", "scripts/environment", "src/kneighbors/__init__.py",
        "tests/project/test_packaging.py",
    } <= names  # fmt: skip
    assert not any(part.startswith(".venv") for name in names for part in name.split("/"))


def _extras_hinted_in(path: Path) -> set[str]:
    import ast

    calls = [n for n in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(n, ast.Call)]
    return {
        str(call.args[1].value)
        for call in calls
        if getattr(call.func, "attr", getattr(call.func, "id", "")) == "missing_extra"
        and len(call.args) == 2
        and isinstance(call.args[1], ast.Constant)
    }
