"""Habits that no linter holds: short files, and no trace of the machine that wrote them."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MOST_LINES = 350

TEXT = {"", ".cfg", ".css", ".html", ".json", ".md", ".py", ".toml", ".txt", ".yaml", ".yml"}
SKIPPED = {".git", ".hypothesis", ".mypy_cache", ".pytest_cache", ".ruff_cache", "__pycache__",
           "build", "dist", "site"}  # fmt: skip

# Written so that this file does not contain what it looks for.
MACHINE = re.compile(r"(?<![\w.$}>])[/](?:work|root|home[/]\w+|Users[/]\w+)/")
REGISTRY = re.compile(r"files[.]pythonhosted[.]org|pypi[.]org[/]simple|[/]opt[/]pypi")
MISSPELT = re.compile(
    r"scikit[ ]learn|[Ss]klearn[']s|Sage[- ]maker|[Ss]age Maker|Num[P]y|[Pp]y[A]rrow|Git[h]ub"
)


def files() -> list[Path]:
    """Return the project's text files: those that git tracks or would track."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT, capture_output=True, check=False,
    )  # fmt: skip
    if listed.returncode == 0:
        paths = [ROOT / name for name in listed.stdout.decode().split("\0") if name]
    else:  # an unpacked source distribution
        paths = [p for p in ROOT.rglob("*") if not _skipped(p.relative_to(ROOT))]
    return sorted(p for p in paths if p.is_file() and p.suffix in TEXT)


def _skipped(path: Path) -> bool:
    return any(part in SKIPPED or part.startswith(".venv") for part in path.parts)


def hits(pattern: re.Pattern[str], paths: list[Path]) -> list[str]:
    """Return ``file:line: what was found`` for each match."""
    return [
        f"{path.relative_to(ROOT)}:{number}: {match.group()}"
        for path in paths
        for number, line in enumerate(_text(path).splitlines(), 1)
        for match in pattern.finditer(line)
    ]


def _text(path: Path) -> str:
    return path.read_text("utf-8", errors="replace")


def test_files_of_the_source_are_short() -> None:
    sources = [path for path in files() if path.is_relative_to(ROOT / "src")]
    assert len(sources) > 50
    long = {str(p.relative_to(ROOT)): len(_text(p).splitlines()) for p in sources}
    assert {name: count for name, count in long.items() if count > MOST_LINES} == {}


def test_no_file_names_a_path_of_a_machine() -> None:
    assert hits(MACHINE, files()) == []


def test_no_file_names_a_package_registrys_host() -> None:
    assert hits(REGISTRY, files()) == []


def test_names_are_spelt_as_their_owners_and_we_spell_them() -> None:
    prose = [path for path in files() if path.suffix == ".md" or path.is_relative_to(ROOT / "src")]
    assert hits(MISSPELT, prose) == []


def test_every_text_file_ends_with_one_newline_and_has_no_carriage_returns() -> None:
    # Test data may be as malformed as it likes.
    own = [p for p in files() if p.suffix in {".md", ".py", ".toml", ".yml", ""}]
    wrong = [
        str(path.relative_to(ROOT))
        for path in own
        if (data := path.read_bytes()) and (not data.endswith(b"\n") or b"\r" in data)
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("pattern", "line"),
    [
        (MACHINE, "open('~work~main~x')"),
        (MACHINE, "see ~root~.cache"),
        (MACHINE, "at ~home~anna~x"),
        (REGISTRY, "https:~~pypi.org~simple~numpy"),
        (MISSPELT, "Num~Py arrays"),
        (MISSPELT, "like scikit~learn"),
    ],
)
def test_the_patterns_find_what_they_look_for(pattern: re.Pattern[str], line: str) -> None:
    stand_in = {MACHINE: "/", REGISTRY: "/", MISSPELT: " " if "scikit" in line else ""}[pattern]
    assert pattern.search(line.replace("~", stand_in))


@pytest.mark.parametrize("line", ["a~work~b", "https:~~example.org~home~x", ".~root~x", "$X~work~"])
def test_the_machine_pattern_leaves_other_paths_alone(line: str) -> None:
    assert not MACHINE.search(line.replace("~", "/"))
