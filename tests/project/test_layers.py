"""Arrows between the parts of the package point down only (docs/decisions/0001-layers.md)."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.project_layers import Layers

SOURCE = Path(__file__).parents[2] / "src"

LAYERS = Layers(
    "kneighbors",
    [
        {"cli"},
        {"local"},
        {"server", "client"},
        {"sagemaker"},
        {"join"},
        {"recommend", "evaluate", "planning"},
        {"cluster"},
        {"generations"},
        {"neighbors"},
        {"shards"},
        {"artifact", "corpus", "datasets"},
        {"formats", "storage", "items"},
        {"search"},
        {"errors", "drawing"},
    ],
    homes={
        "Client": "client",
        "KNeighborsTransformer": "neighbors",
        "NearestNeighbors": "neighbors",
        "Recommender": "recommend",
        "load": "generations",
    },
)


def test_every_import_of_the_package_points_down() -> None:
    assert LAYERS.breaches(SOURCE) == []


def test_the_checker_reads_the_whole_package() -> None:
    importers = {found.importer for found in LAYERS.imports(SOURCE)}
    assert len(importers) > 40
    parts = {name.split(".")[1] for name in importers if "." in name}
    assert {"cli", "server", "sagemaker", "artifact", "search"} <= parts


def test_the_lazy_names_come_from_where_the_table_says() -> None:
    import kneighbors

    homes = {name: home.split(".")[1] for name, home in kneighbors._HOME_OF.items()}
    assert homes == LAYERS.homes


SMALL = Layers("pack", [{"high"}, {"left", "right"}, {"low"}], homes={"Name": "high"})


def tree(folder: Path, files: dict[str, str]) -> Path:
    for name, text in {"__init__.py": "", **files}.items():
        path = folder / "pack" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


@pytest.mark.parametrize(
    ("files", "breach"),
    [
        (
            {"low.py": "import pack.high\n", "high.py": ""},
            "pack/low.py:1: low imports high, which lies above it",
        ),
        (
            {"low.py": "x = 1\nfrom pack.high import y\n", "high.py": ""},
            "pack/low.py:2: low imports high, which lies above it",
        ),
        (
            {"left/a.py": "def f():\n    from pack.right import b\n", "right/b.py": ""},
            "pack/left/a.py:2: left imports right, which lies beside it",
        ),
        (
            {"low.py": "from pack import high\n", "high.py": ""},
            "pack/low.py:1: low imports high, which lies above it",
        ),
        (
            {"low.py": "from pack import Name\n", "high.py": ""},
            "pack/low.py:1: low imports high, which lies above it",
        ),
        (
            {"left/a.py": "from ..right import b\n", "right/b.py": ""},
            "pack/left/a.py:1: left imports right, which lies beside it",
        ),
        (
            {"left/__init__.py": "from ..high import b\n", "high.py": ""},
            "pack/left/__init__.py:1: left imports high, which lies above it",
        ),
        (
            {"low.py": "from importlib import import_module\nimport_module('pack.high')\n"},
            "pack/low.py:2: low imports high, which lies above it",
        ),
        (
            {"low.py": "import importlib\nx = importlib.import_module('pack.left.a')\n"},
            "pack/low.py:2: low imports left, which lies above it",
        ),
        (
            {"new.py": "import pack.low\n", "low.py": ""},
            "pack/new.py:1: new is in no layer: give it a place",
        ),
        (
            {"high.py": "import pack.other\n"},
            "pack/high.py:1: other is in no layer: give it a place",
        ),
        (
            {"__init__.py": "from pack.low import x\n", "low.py": ""},
            "pack/__init__.py:1: the top of pack imports pack.low; its names load lazily",
        ),
        (
            {
                "high/a.py": "import pack.high.b\n",
                "high/b.py": "def f():\n    import pack.high.a\n",
            },
            "circle: pack.high.a -> pack.high.b -> pack.high.a",
        ),
        (
            {"high/__init__.py": "from .a import x\n", "high/a.py": "from pack.high import x\n"},
            "circle: pack.high -> pack.high.a -> pack.high",
        ),
    ],
)
def test_a_wrong_import_is_found(tmp_path: Path, files: dict[str, str], breach: str) -> None:
    assert SMALL.breaches(tree(tmp_path, files)) == [breach]


@pytest.mark.parametrize(
    "files",
    [
        {"high.py": "import pack.left.a, pack.low\nfrom pack.right import b\n", "right/b.py": ""},
        {"left/a.py": "from pack import __version__\nfrom . import b\n", "left/b.py": ""},
        {"low.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import pack.high\n"},
        {"low.py": "import numpy\nfrom package import high\nimport packer.high\n"},
        {"high/__init__.py": "from pack.high.a import x\n", "high/a.py": "import pack.high.b\n"},
        {"__main__.py": "from pack.high import main\n", "high.py": ""},
    ],
)
def test_a_right_import_is_let_through(tmp_path: Path, files: dict[str, str]) -> None:
    assert SMALL.breaches(tree(tmp_path, files)) == []


def test_all_breaches_are_told_not_just_the_first(tmp_path: Path) -> None:
    files = {"low.py": "import pack.high\nimport pack.left\n", "right.py": "import pack.left\n"}
    assert len(SMALL.breaches(tree(tmp_path, files))) == 3
