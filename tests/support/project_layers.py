"""Reads the imports of a package and says which of them break its layers."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Import:
    """One module of the package that another one imports."""

    file: Path
    line: int
    importer: str
    imported: str
    typing_only: bool


@dataclass
class Layers:
    """An order of a package's parts.

    Parameters
    ----------
    package : str
        Name of the package.
    levels : list of sets of str
        Its parts, the highest first; those of one level do not know each other.
    homes : mapping of str to str
        Names that the package offers at its top, and the part that each comes from.
    """

    package: str
    levels: list[set[str]]
    homes: Mapping[str, str] = field(default_factory=dict)

    def breaches(self, source: Path) -> list[str]:
        """Return a line ``file:line: what is wrong`` for each import that breaks the order."""
        imports = list(self.imports(source))
        found = [
            f"{i.file.relative_to(source)}:{i.line}: {problem}"
            for i in imports
            if (problem := self._problem(i)) is not None
        ]
        return sorted(found) + _cycles(imports)

    def imports(self, source: Path) -> Iterator[Import]:
        """Read every import of the package's own modules, those inside functions too."""
        top = source / self.package
        modules = {_module_name(path, source) for path in top.rglob("*.py")}
        for path in sorted(top.rglob("*.py")):
            tree = ast.parse(path.read_text("utf-8"), str(path))
            importer = _module_name(path, source)
            yield from self._imports_in(tree, path, importer, modules)

    def _imports_in(
        self, tree: ast.Module, path: Path, importer: str, modules: set[str]
    ) -> Iterator[Import]:
        guarded = set(_under_type_checking(tree))
        for node in ast.walk(tree):
            for name in self._targets(node, importer, path.name == "__init__.py", modules):
                line = getattr(node, "lineno", 0)
                yield Import(path, line, importer, name, node in guarded)

    def _targets(
        self, node: ast.AST, importer: str, is_package: bool, modules: set[str]
    ) -> Iterator[str]:
        if isinstance(node, ast.Import):
            named = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, importer, is_package)
            named = [
                f"{base}.{alias.name}" if f"{base}.{alias.name}" in modules else base
                for alias in node.names
            ]
            if base == self.package:
                named = [self._offered(alias.name) for alias in node.names]
        elif isinstance(node, ast.Call):
            named = _named_in_call(node)
        else:
            return
        for name in dict.fromkeys(named):
            if name == self.package or name.startswith(f"{self.package}."):
                yield name

    def _offered(self, name: str) -> str:
        """Return the module that a name at the top of the package stands for."""
        if name.startswith("__"):
            return self.package
        return f"{self.package}.{self.homes.get(name, name)}"

    def _level(self, module: str) -> int | None:
        part = module.split(".")[1]
        return next((n for n, level in enumerate(self.levels) if part in level), None)

    def _problem(self, found: Import) -> str | None:
        if found.typing_only or found.imported == self.package:
            return None
        if found.importer == self.package:
            return f"the top of {self.package} imports {found.imported}; its names load lazily"
        own, other = found.importer.split(".")[1], found.imported.split(".")[1]
        if own == other or own == "__main__":
            return None
        here, there = self._level(found.importer), self._level(found.imported)
        if here is None or there is None:
            unknown = own if here is None else other
            return f"{unknown} is in no layer: give it a place"
        if there < here:
            return f"{own} imports {other}, which lies above it"
        if there == here:
            return f"{own} imports {other}, which lies beside it"
        return None


def _module_name(path: Path, source: Path) -> str:
    parts = path.relative_to(source).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _absolute(node: ast.ImportFrom, importer: str, is_package: bool) -> str:
    if not node.level:
        return node.module or ""
    parts = importer.split(".")
    kept = parts[: len(parts) - node.level + (1 if is_package else 0)]
    return ".".join([*kept, *([node.module] if node.module else [])])


def _named_in_call(node: ast.Call) -> list[str]:
    """Return what ``import_module("...")`` or ``__import__("...")`` names outright."""
    function = node.func
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    first = node.args[0] if node.args else None
    if name in {"import_module", "__import__"} and isinstance(first, ast.Constant):
        return [str(first.value)]
    return []


def _under_type_checking(tree: ast.Module) -> Iterator[ast.AST]:
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for statement in node.body:
                yield from ast.walk(statement)


def _cycles(imports: list[Import]) -> list[str]:
    """Return a line for each circle of modules that import each other."""
    edges: dict[str, set[str]] = {}
    for found in imports:
        if not found.typing_only and found.importer != found.imported:
            edges.setdefault(found.importer, set()).add(found.imported)
    circles: dict[frozenset[str], str] = {}
    done: set[str] = set()

    def follow(module: str, trail: list[str]) -> None:
        if module in trail:
            circle = [*trail[trail.index(module) :], module]
            circles.setdefault(frozenset(circle), f"circle: {' -> '.join(circle)}")
        elif module not in done:
            for target in sorted(edges.get(module, ())):
                follow(target, [*trail, module])
            done.add(module)

    for module in sorted(edges):
        follow(module, [])
    return sorted(circles.values())
