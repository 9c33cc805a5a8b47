"""The programs in examples/ run to their end and find what they promise."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from kneighbors import load
from kneighbors.datasets import make_wines

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(program: str, *arguments: str, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / program), *arguments],
        cwd=folder, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_example_is_listed_and_tested() -> None:
    programs = {path.name for path in EXAMPLES.glob("*.py")}
    readme = (EXAMPLES / "README.md").read_text("utf-8")
    assert {name for name in programs if f"({name})" in readme} == programs
    assert programs == {"quickstart.py", "bring_your_own.py", "wine_recommender.py"}


def test_the_quick_start_goes_all_the_way(tmp_path: Path) -> None:
    said = run("quickstart.py", "--n", "500", folder=tmp_path)
    assert "500 wines, 300 dimensions" in said
    assert "saved, loaded: the same answers" in said
    assert "served: the same answers over HTTP" in said
    lines = said.splitlines()
    wines = make_wines(500)
    begin = lines.index(f"neighbours of {wines.items['name'][9]}:")
    names = wines.items["name"].to_pylist()
    found = [line.split(maxsplit=1)[1] for line in lines[begin + 1 :]]
    assert len(found) == 3
    assert all(name in names for name in found)
    assert list(tmp_path.iterdir()) == []


def test_your_own_files_are_fitted_looked_up_and_saved(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(50, 8))
    X[7] = X[3]
    np.save(tmp_path / "mine.npy", X)
    lines = ["key,colour"] + [f"k{row},{'red' if row % 2 else 'blue'}" for row in range(50)]
    (tmp_path / "mine.csv").write_text("\n".join(lines) + "\n")
    said = run(
        "bring_your_own.py", "mine.npy", "mine.csv", "--id-column", "key", "--id", "k7",
        "--metric", "euclidean", "--model", "model", folder=tmp_path,
    )  # fmt: skip
    rows = said.splitlines()
    assert rows[0] == "next to k7:"
    assert rows[1].split() == ["0.000", "k3", "{'colour':", "'red'}"]
    assert not any(" k7 " in row for row in rows[1:])
    assert load(tmp_path / "model").catalog_.ids_of([7]) == ["k7"]


@pytest.mark.parametrize("arguments", [[], ["--id", "wine-0000100"]])
def test_without_files_it_writes_its_own(tmp_path: Path, arguments: list[str]) -> None:
    said = run("bring_your_own.py", *arguments, folder=tmp_path)
    assert said.startswith(f"next to {arguments[1] if arguments else 'wine-0000000'}:")
    assert len(said.splitlines()) == 6
    assert list(tmp_path.iterdir()) == []


def test_the_wine_recommender_recommends_and_is_evaluated(tmp_path: Path) -> None:
    said = run(
        "wine_recommender.py", "--n", "1000", "--users", "120", "--picture", "likes.svg",
        folder=tmp_path,
    )  # fmt: skip
    lines = said.splitlines()
    assert lines[0].endswith("and lemon, wet stone, crisp, may like:")
    prices = [float(line.split()[1]) for line in lines[1:6]]
    assert 5 == len(prices)
    assert max(prices) < 30
    assert ["recommender", "popular", "random"] == [line.split()[-1] for line in lines[7:]]
    assert ["likes.svg"] == [path.name for path in tmp_path.iterdir()]
