"""Importing the package costs what numpy costs; each door loads what it needs and no more."""

from __future__ import annotations

import json

import pytest

import kneighbors
from support.project_process import cpu_seconds, loaded_after, run_program

HEAVY = {
    "boto3", "click", "granian", "gunicorn", "joblib", "obstore", "pandas", "polars",
    "prometheus_client", "pyarrow", "rich", "scipy", "sklearn", "starlette", "urllib3", "uvicorn",
    "uvloop",
}  # fmt: skip
MOST_SECONDS_MORE = 0.150


def heavy_after(statement: str) -> set[str]:
    return HEAVY & loaded_after(statement)


def test_importing_the_package_loads_numpy_and_nothing_heavy() -> None:
    loaded = loaded_after("import kneighbors")
    assert "numpy" in loaded
    assert HEAVY & loaded == set()
    own = {name for name in loaded if name.startswith("kneighbors.")}
    assert own == set()


def test_importing_the_package_adds_next_to_nothing_to_numpy() -> None:
    # The least of several is the cost without disturbance; both kinds take turns.
    times: dict[str, list[float]] = {"import numpy": [], "import kneighbors": []}
    for _ in range(5):
        for program, measured in times.items():
            measured.append(cpu_seconds(program))
    assert min(times["import kneighbors"]) - min(times["import numpy"]) < MOST_SECONDS_MORE


def test_the_clock_sees_a_heavy_import() -> None:
    # Else the test above could not fail.
    heavy = min(cpu_seconds("import numpy, sklearn.neighbors") for _ in range(2))
    light = min(cpu_seconds("import numpy") for _ in range(2))
    assert heavy - light > MOST_SECONDS_MORE


@pytest.mark.parametrize("name", sorted({*kneighbors.__all__, *kneighbors._MODULES}))
def test_each_public_name_loads_when_it_is_asked_for(name: str) -> None:
    program = f"""
import json, kneighbors
first = kneighbors.{name}
same = first is kneighbors.{name}
print(json.dumps([same, {name!r} in dir(kneighbors)]))
"""
    assert run_program(program) == [True, True]


def test_each_public_name_can_be_imported_from_the_top() -> None:
    program = "import json\nfrom kneighbors import *\nprint(json.dumps(sorted(dir())))"
    assert set(kneighbors.__all__) <= set(run_program(program))


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'NearestNeighbour'"):
        _ = kneighbors.NearestNeighbour
    assert not hasattr(kneighbors, "__wrapped__")


def test_serving_an_artifact_without_items_loads_neither_scikit_learn_nor_arrow(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("artifact") / "model"
    program = f"""
import json, sys
import numpy as np
from kneighbors.artifact import save
from kneighbors.search.index import ExactIndex
from kneighbors.search.rows import ArrayRows
X = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
save({str(folder)!r}, ExactIndex.build(ArrayRows(X), "cosine"))
print(json.dumps([]))
"""
    run_program(program)
    served = f"""
import json, sys
import kneighbors.server.app
from kneighbors.sagemaker.model import Model
model = Model.open({str(folder)!r})
model.warm_up()
reply = model.invoke(b"[1, 2, 3, 4]", "application/json", "application/json", None)
print(json.dumps(list(sys.modules)))
"""
    foreign = {"sklearn", "scipy", "pandas", "joblib", "polars", "pyarrow", "obstore", "boto3"}
    assert foreign & set(run_program(served)) == set()


def test_generating_wines_needs_no_scikit_learn() -> None:
    loaded = heavy_after("from kneighbors.datasets import make_wines")
    assert loaded == set()
    made = heavy_after("from kneighbors.datasets import make_wines; make_wines(10)")
    # pyarrow looks for pandas itself, and loads it where it is installed.
    assert made - {"pandas"} == {"pyarrow"}


def test_the_search_needs_numpy_only() -> None:
    assert heavy_after("import kneighbors.search.index, kneighbors.search.gate") == set()


def test_programs_are_run_in_a_clean_interpreter() -> None:
    assert run_program(f"print({json.dumps(json.dumps([1, 2]))})") == [1, 2]
