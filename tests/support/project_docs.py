"""Reads the documentation: its links, its blocks of code, its headings; and the sources' codes."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FENCE = re.compile(r"^(?P<fence>`{3,})(?P<language>[\w-]*)[^\n]*\n(?P<text>.*?)^(?P=fence)\s*$",
                   re.MULTILINE | re.DOTALL)  # fmt: skip
LINK = re.compile(r"(?<!!)\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^()\s]+)(?:\s+\"[^\"]*\")?\)")
KEBAB = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: Path
    line: int
    language: str
    text: str
    output: str | None
    """The ``text`` block that follows at once: what the block prints."""


def blocks(page: Path) -> list[Block]:
    """Return the fenced blocks of a page, in order."""
    whole = page.read_text("utf-8")
    found = list(FENCE.finditer(whole))
    result = []
    for match, after in zip(found, [*found[1:], None], strict=True):
        printed = None
        if after and after["language"] == "text" and not whole[match.end() : after.start()].strip():
            printed = after["text"]
        line = whole.count("\n", 0, match.start()) + 1
        result.append(Block(page, line, match["language"], match["text"], printed))
    return result


def prose(page: Path) -> str:
    """Return a page without its blocks of code and its code spans."""
    without = FENCE.sub("", page.read_text("utf-8"))
    return re.sub(r"`[^`\n]+`", "", without)


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub and mkdocs form them."""
    text = FENCE.sub("", page.read_text("utf-8"))
    titles = re.findall(r"^#+\s+(.*)$", text, re.MULTILINE)
    return {slug(title) for title in titles}


def slug(title: str) -> str:
    """Turn a heading into its anchor."""
    kept = re.sub(r"[^\w\s-]", "", title.lower()).strip()
    return re.sub(r"\s", "-", kept)


def broken_links(page: Path) -> list[str]:
    """Return the relative links of a page that lead nowhere."""
    broken = []
    for target in LINK.findall(prose_with_code(page)):
        if re.match(r"[a-z][a-z0-9+.-]*:", target):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        known = there.exists() and (not anchor or anchor in anchors(there))
        if not known:
            broken.append(f"{page.name}: {target}")
    return broken


def prose_with_code(page: Path) -> str:
    """Return a page without its blocks, code spans kept: a link's text may be code."""
    return FENCE.sub("", page.read_text("utf-8"))


@dataclass(frozen=True)
class Codes:
    """The codes of errors that sources raise."""

    exact: dict[str, str]
    """Each code that is written out, and the place where."""

    patterns: dict[str, str]
    """Each code that is put together, as a regular expression, and the place where."""

    constants: frozenset[str]
    """Every text of the sources that could be a code."""


def error_codes(source: Path) -> Codes:
    """Find the codes that are given to error classes, in all modules of a folder."""
    trees = {path: ast.parse(path.read_text("utf-8")) for path in sorted(source.rglob("*.py"))}
    classes = _error_classes(list(trees.values()))
    exact: dict[str, str] = {}
    patterns: dict[str, str] = {}
    constants = set()
    for path, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                if KEBAB.fullmatch(node.value):
                    constants.add(node.value)
            elif isinstance(node, ast.Call) and _name(node.func) in classes and node.args:
                place = f"{path.relative_to(source)}:{node.lineno}"
                for kind, code in _codes_in(node.args[0]):
                    (exact if kind == "exact" else patterns).setdefault(code, place)
    return Codes(exact, patterns, frozenset(constants))


def _error_classes(trees: list[ast.Module]) -> set[str]:
    defined = [n for tree in trees for n in ast.walk(tree) if isinstance(n, ast.ClassDef)]
    classes = {"KNeighborsError"}
    while True:
        more = {c.name for c in defined if {_name(base) for base in c.bases} & classes}
        if more <= classes:
            return classes
        classes |= more


def _codes_in(node: ast.expr) -> Iterator[tuple[str, str]]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield "exact", node.value
    elif isinstance(node, ast.IfExp):
        yield from _codes_in(node.body)
        yield from _codes_in(node.orelse)
    elif isinstance(node, ast.JoinedStr):
        pieces = [
            re.escape(str(v.value)) if isinstance(v, ast.Constant) else r"[a-z0-9-]+"
            for v in node.values
        ]
        yield "pattern", "".join(pieces)


def _name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
