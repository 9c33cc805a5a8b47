"""The documentation is complete, its links lead somewhere, and its code runs."""

from __future__ import annotations

import importlib
import pkgutil
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

import kneighbors
from kneighbors import errors
from support.project_console import Command, Shell, commands, matches
from support.project_docs import anchors, blocks, broken_links, error_codes, slug

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.rglob("*.md"), *ROOT.glob("*.md")])
API = DOCS / "reference" / "python.md"
ERRORS = DOCS / "reference" / "errors.md"
# Pages whose code is run. Others need a bucket, a server or an account.
RUN = [ROOT / "README.md", DOCS / "index.md", *sorted((DOCS / "tutorials").glob("*.md"))]


def relative(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


# --- Names


def public_names() -> list[str]:
    top = [name for name in kneighbors.__all__ if not name.startswith("__")]
    parts = [f"{part}.{name}" for part in ("datasets",) for name in _all_of(part)]
    raised = [
        f"errors.{name}"
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, errors.KNeighborsError)
    ]
    return [*top, *parts, *raised]


def _all_of(part: str) -> list[str]:
    names: list[str] = importlib.import_module(f"kneighbors.{part}").__all__
    return names


@pytest.mark.parametrize("name", public_names())
def test_every_public_name_is_on_the_reference_page(name: str) -> None:
    listed = re.findall(r"^::: kneighbors\.([\w.]+)$", API.read_text("utf-8"), re.MULTILINE)
    assert name in listed


def test_the_reference_page_lists_only_what_exists() -> None:
    for dotted in re.findall(r"^::: kneighbors\.([\w.]+)$", API.read_text("utf-8"), re.MULTILINE):
        value: Any = pkgutil.resolve_name(f"kneighbors.{dotted}")
        assert value.__doc__, f"{dotted} has no docstring"


# --- Errors


def test_every_error_code_is_explained() -> None:
    listed = _listed_codes()
    codes = error_codes(ROOT / "src")
    assert len(codes.exact) > 100
    missing = [f"{code} ({place})" for code, place in codes.exact.items() if code not in listed]
    missing += [
        f"{pattern} ({place})"
        for pattern, place in codes.patterns.items()
        if not any(re.fullmatch(pattern, code) for code in listed)
    ]
    assert missing == []


def test_every_explained_code_can_occur() -> None:
    codes = error_codes(ROOT / "src")
    unknown = [
        code
        for code in _listed_codes()
        if code not in codes.constants
        and not any(re.fullmatch(pattern, code) for pattern in codes.patterns)
    ]
    assert unknown == []


def test_the_finder_of_codes_reads_all_the_ways_to_write_one(tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text(
        "class KNeighborsError(Exception): ...\n"
        "class Mine(errors.KNeighborsError): ...\n"
        "class Deeper(Mine): ...\n"
        "def f(x):\n"
        "    raise Mine('plain-code', 'text')\n"
        "    raise Deeper('one' if x else 'two-b', 'text')\n"
        "    raise errors.Deeper(f'{x}-range', 'text')\n"
        "    raise Other('not-ours', 'text')\n"
        "    raise Mine(code, 'text')\n"
    )
    codes = error_codes(tmp_path)
    assert set(codes.exact) == {"plain-code", "one", "two-b"}
    assert codes.exact["plain-code"] == "module.py:5"
    assert list(codes.patterns) == [r"[a-z0-9-]+\-range"]
    assert "not-ours" in codes.constants


def _listed_codes() -> list[str]:
    """Return the codes in the first column of the tables of the page."""
    codes = re.findall(r"^\| `([a-z0-9-]+)` \|", ERRORS.read_text("utf-8"), re.MULTILINE)
    assert len(set(codes)) == len(codes), "a code is explained twice"
    return codes


# --- Pages


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    assert broken_links(page) == []


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    (tmp_path / "there.md").write_text("# A title: with `code`\n")
    page = tmp_path / "page.md"
    page.write_text(
        "[a](there.md) [b](there.md#a-title-with-code) [c](#own) [d](https://example.org)\n"
        "[e](gone.md) [f](there.md#gone) [`g`](../gone.md) [h](#gone)\n"
        "```text\n[i](code.md)\n```\n"
        "## Own\n"
    )
    wrong = ["gone.md", "there.md#gone", "../gone.md", "#gone"]
    assert broken_links(page) == [f"page.md: {target}" for target in wrong]
    assert anchors(page) == {"own"}
    assert slug("Exact, and faster: why?") == "exact-and-faster-why"


def test_every_page_is_in_the_sites_menu_and_every_entry_is_a_page() -> None:
    entries = re.findall(r"[\w./-]+\.md", (ROOT / "mkdocs.yml").read_text("utf-8"))
    assert len(set(entries)) == len(entries)
    assert set(entries) == {page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md")}


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_every_page_begins_with_its_only_title(page: Path) -> None:
    text = page.read_text("utf-8")
    assert text.startswith("# ")
    outside = re.sub(r"^(`{3,}).*?^\1\s*$", "", text, flags=re.MULTILINE | re.DOTALL)
    assert len(re.findall(r"^# ", outside, re.MULTILINE)) == 1


def test_every_decision_is_in_the_list_of_decisions() -> None:
    folder = DOCS / "decisions"
    listed = re.findall(r"^\| \[\d{4}\]\((\d{4}-[\w-]+\.md)\)", _text(folder / "README.md"), re.M)
    assert listed == sorted(page.name for page in folder.glob("0*.md"))
    numbers = [name[:4] for name in listed]
    assert len(set(numbers)) == len(numbers)


def _text(page: Path) -> str:
    return page.read_text("utf-8")


# --- Code


@pytest.mark.parametrize("page", RUN, ids=relative)
def test_the_code_of_a_page_runs_and_prints_what_the_page_says(
    page: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "page"}
    with Shell(tmp_path, Path(sys.executable).parent) as shell:
        for block in blocks(page):
            if block.language == "python":
                # Line numbers in a traceback are those of the page.
                source = "\n" * block.line + shell.ported(block.text)
                exec(compile(source, str(page), "exec"), names)  # noqa: S102
                printed = capsys.readouterr().out
                expected = printed if block.output is None else block.output
                assert printed == expected, f"{relative(page)}, line {block.line}"
            elif block.language == "console":
                for command in commands(block.text):
                    if not command.line.startswith("curl ") or shutil.which("curl"):
                        printed = shell.run(command)
                        assert matches(command.output, printed), f"$ {command.line}\n{printed}"


def test_the_runner_of_pages_tells_right_output_from_wrong(tmp_path: Path) -> None:
    block = "$ echo one; echo two >&2\none\ntwo\n$ printf 'a\\n' |\n>   tr a b\n...\n"
    first, second = commands(block)
    assert second.line == "printf 'a\\n' |\n  tr a b"
    with Shell(tmp_path, tmp_path) as shell:
        assert matches(first.output, shell.run(first))
        assert shell.run(second) == "b\n"
        with pytest.raises(AssertionError, match="exit code 3"):
            shell.run(Command("exit 3", ""))
        assert shell.run(Command("echo up; sleep 60 &", "")) == "up\n"
    assert matches("a...c\n", "\na 8 b\nc  \n")
    assert not matches("a...c\n", "a b\n")


def test_the_readme_shows_code_that_is_run() -> None:
    shown = [block for block in blocks(ROOT / "README.md") if block.language == "python"]
    assert shown
    assert any(block.output for block in shown)
