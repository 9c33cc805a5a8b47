from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kneighbors.artifact import open_artifact, verify
from kneighbors.errors import (
    ArrayRefused,
    ItemsRefused,
    KNeighborsError,
    ParameterRefused,
    StorageError,
)
from kneighbors.sagemaker.training import Report, TrainingSettings, train

X = np.random.default_rng(3).normal(size=(80, 6)).astype(np.float32)
X[21] = X[20]
X[22] = X[20]

Train = Callable[..., Report]


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    np.save(tmp_path / "corpus.npy", X)
    return tmp_path / "corpus.npy"


@pytest.fixture
def run(corpus: Path, tmp_path: Path) -> Train:
    def run(**given: Any) -> Report:
        settings = {"train": str(corpus), "model_dir": tmp_path / "M", **given}
        return train(TrainingSettings(**settings))

    return run


def test_the_artifact_answers_and_remembers_where_it_came_from(
    run: Train, corpus: Path, tmp_path: Path
) -> None:
    report = run(n_neighbors=5, seed=7)
    assert all(part.is_whole for part in verify(tmp_path / "M"))
    with open_artifact(tmp_path / "M") as artifact:
        source = artifact.manifest.source
        assert source["n_neighbors"] == 5
        assert source["address"] == str(corpus)
        assert source["seed"] == 7
        assert source["files"][0]["rows"] == 80
        assert re.fullmatch("[0-9a-f]{64}", source["files"][0]["sha256"])
        assert report.source == source
        distances, indices = artifact.index.kneighbors(X[20:21], 3)
    assert indices.tolist() == [[20, 21, 22]]
    assert distances.tolist() == [[0.0, 0.0, 0.0]]


def test_the_report_has_every_figure(run: Train, tmp_path: Path) -> None:
    report = run(output_data_dir=tmp_path / "O" / "deep")
    written = json.loads((tmp_path / "O" / "deep" / "report.json").read_text())
    assert written == report.to_dict()
    norms = np.linalg.norm(X.astype(np.float64), axis=1)
    assert (report.rows, report.dimensions, report.dtype) == (80, 6, "float32")
    assert (report.metric, report.n_neighbors) == ("cosine", 10)
    assert (report.zero_rows, report.duplicate_rows) == (0, 2)
    assert report.norms["min"] == pytest.approx(norms.min())
    assert report.norms["median"] == pytest.approx(np.median(norms))
    assert 0 < report.candidates_share <= 1
    assert report.query_ms["queries"] == 80
    assert 0 < report.query_ms["median"] <= report.query_ms["p99"]
    assert report.artifact_bytes == sum(f.stat().st_size for f in (tmp_path / "M").iterdir())
    stages = ["reading", "checking", "fitting", "saving", "measuring", "total"]
    assert list(report.seconds) == stages
    assert report.seconds["total"] >= max(report.seconds[stage] for stage in stages[:-1])
    assert {"kneighbors", "python", "numpy", "pyarrow"} == set(report.versions)
    assert "reason" in report.plan
    assert (tmp_path / "O" / "deep").stat().st_mode
    names = sorted(path.name for path in (tmp_path / "O" / "deep").iterdir())
    assert names == ["distances.svg", "report.json"]


def test_metric_lines_fit_the_documented_expressions(run: Train) -> None:
    report = run()
    lines = report.metric_lines()
    assert "rows=80;" in lines
    for name, value in report.metrics().items():
        (found,) = re.findall(f"(?:^|\n){name}=([0-9.eE+-]+);", "\n".join(lines))
        assert float(found) == pytest.approx(value, rel=1e-5)
    assert len(lines) <= 40  # as many as a training job may define


def test_without_an_output_directory_there_is_no_report(run: Train, tmp_path: Path) -> None:
    run()
    assert {path.name for path in tmp_path.iterdir()} == {"corpus.npy", "M"}


def test_columns_become_items_and_ids(run: Train, tmp_path: Path) -> None:
    table = pa.table(
        {"wine": [f"w{row}" for row in range(80)], "v": X.tolist(), "price": list(range(80))}
    )
    pq.write_table(table, tmp_path / "c.parquet")
    run(train=str(tmp_path / "c.parquet"), vector_column="v", id_column="wine")
    with open_artifact(tmp_path / "M") as artifact:
        assert artifact.catalog.ids_of([3]) == ["w3"]
        assert artifact.catalog.attributes_of([3]) == [{"price": 3}]


@pytest.mark.parametrize("columns", ["d", ("d0", "d1", "d2", "d3", "d4", "d5")])
def test_dimensions_may_be_columns_of_their_own(
    run: Train, tmp_path: Path, columns: str | tuple[str, ...]
) -> None:
    table = pa.table({f"d{number}": X[:, number] for number in range(6)})
    pq.write_table(table.append_column("n", pa.array(range(80))), tmp_path / "c.parquet")
    run(train=str(tmp_path / "c.parquet"), vector_columns=columns)
    with open_artifact(tmp_path / "M") as artifact:
        assert artifact.index.rows.shape == (80, 6)
        assert artifact.catalog.columns == ("n",)


def test_columns_can_be_chosen(run: Train, tmp_path: Path) -> None:
    table = pa.table({"v": X.tolist(), "a": list(range(80)), "b": list(range(80))})
    pq.write_table(table, tmp_path / "c.parquet")
    run(train=str(tmp_path / "c.parquet"), vector_column="v", columns=("b",))
    with open_artifact(tmp_path / "M") as artifact:
        assert artifact.catalog.columns == ("b",)
    with pytest.raises(ItemsRefused, match="'c'"):
        run(train=str(tmp_path / "c.parquet"), vector_column="v", columns=("c",), overwrite=True)


@pytest.mark.parametrize("name", ["ids.npy", "ids.txt", "ids.csv", "ids.parquet"])
@pytest.mark.parametrize("kind", ["text", "integer"])
def test_ids_come_from_a_file(run: Train, tmp_path: Path, name: str, kind: str) -> None:
    ids: list[Any] = [f"w{n}" if kind == "text" else 100 + n for n in range(80)]
    path = tmp_path / name
    if name == "ids.npy":
        np.save(path, np.array(ids))
    elif name == "ids.parquet":
        pq.write_table(pa.table({"id": ids}), path)
    else:
        lines = map(str, ids)
        path.write_text("\n".join(["id", *lines] if name == "ids.csv" else lines) + "\n")
    run(ids=str(path))
    with open_artifact(tmp_path / "M") as artifact:
        assert artifact.catalog.ids_of([5]) == [ids[5]]
        assert artifact.catalog.rows_of([ids[7]]).tolist() == [7]


def test_lines_with_leading_zeros_stay_text(run: Train, tmp_path: Path) -> None:
    (tmp_path / "ids.txt").write_text("".join(f"{number:04d}\n" for number in range(80)))
    run(ids=str(tmp_path / "ids.txt"))
    with open_artifact(tmp_path / "M") as artifact:
        assert artifact.catalog.ids_of([5]) == ["0005"]


def test_items_come_from_a_file_with_the_ids_among_them(run: Train, tmp_path: Path) -> None:
    table = pa.table({"wine": [f"w{row}" for row in range(80)], "price": list(range(80))})
    pq.write_table(table, tmp_path / "items.parquet")
    run(items=str(tmp_path / "items.parquet"), id_column="wine")
    with open_artifact(tmp_path / "M") as artifact:
        assert artifact.catalog.ids_of([3]) == ["w3"]
        assert artifact.catalog.attributes_of([3]) == [{"price": 3}]


def test_columns_of_the_corpus_and_of_the_file_are_joined(run: Train, tmp_path: Path) -> None:
    pq.write_table(pa.table({"v": X.tolist(), "a": list(range(80))}), tmp_path / "c.parquet")
    pq.write_table(pa.table({"b": list(range(80))}), tmp_path / "items.parquet")
    given = {"train": str(tmp_path / "c.parquet"), "vector_column": "v"}
    run(**given, items=str(tmp_path / "items.parquet"))
    with open_artifact(tmp_path / "M") as artifact:
        assert artifact.catalog.columns == ("a", "b")


def test_the_default_number_of_neighbours_fits_a_small_corpus(run: Train, tmp_path: Path) -> None:
    np.save(tmp_path / "few.npy", X[:3])
    assert run(train=str(tmp_path / "few.npy")).n_neighbors == 3


def test_one_row_is_a_corpus(run: Train, tmp_path: Path) -> None:
    np.save(tmp_path / "one.npy", X[:1])
    report = run(train=str(tmp_path / "one.npy"))
    assert (report.rows, report.n_neighbors, report.query_ms["queries"]) == (1, 1, 1)


def test_an_empty_model_directory_is_used(run: Train, tmp_path: Path) -> None:
    (tmp_path / "M").mkdir()
    run()
    assert (tmp_path / "M" / "manifest.json").exists()


def test_directories_above_the_model_are_made(run: Train, tmp_path: Path) -> None:
    run(model_dir=tmp_path / "a" / "b" / "M")
    assert (tmp_path / "a" / "b" / "M" / "manifest.json").exists()


def test_an_artifact_is_kept_unless_overwriting_is_asked_for(run: Train, tmp_path: Path) -> None:
    run()
    before = (tmp_path / "M" / "manifest.json").read_bytes()
    with pytest.raises(StorageError) as caught:
        # Refused before the corpus is read: it does not exist.
        run(train=str(tmp_path / "none.npy"))
    assert caught.value.code == "artifact-exists"
    assert (tmp_path / "M" / "manifest.json").read_bytes() == before
    run(overwrite=True, metric="euclidean")
    with open_artifact(tmp_path / "M") as artifact:
        assert artifact.index.metric == "euclidean"


def test_what_is_no_artifact_is_never_overwritten(run: Train, tmp_path: Path) -> None:
    (tmp_path / "M").mkdir()
    (tmp_path / "M" / "thesis.txt").write_text("years of work")
    with pytest.raises(StorageError, match="Expected a new path"):
        run(overwrite=True)
    assert (tmp_path / "M" / "thesis.txt").read_text() == "years of work"


def test_a_corpus_may_replace_the_artifact_that_it_comes_from(run: Train, tmp_path: Path) -> None:
    run()
    run(train=str(tmp_path / "M" / "vectors.npy"), overwrite=True)
    assert all(part.is_whole for part in verify(tmp_path / "M"))


def saved(path: Path, array: Any) -> str:
    np.save(path, array)
    return str(path)


BAD = [
    ({"metric": "manhattan"}, ParameterRefused, "metric-unknown", "manhattan"),
    ({"n_neighbors": 81}, ParameterRefused, "n-neighbors-range", "81"),
    ({"ids": "x.txt", "id_column": "id"}, ParameterRefused, "parameter-conflict", "id_column"),
    ({"ids": "none.txt"}, StorageError, "storage-missing", "none.txt"),
    ({"ids": "ids.doc"}, ItemsRefused, "ids-file", "ids.doc"),
    ({"items": "none.csv"}, StorageError, "storage-missing", "none.csv"),
    ({"id_column": "wine"}, KNeighborsError, None, "id_column"),
    ({"train": "none.npy"}, StorageError, "storage-missing", "none.npy"),
]


@pytest.mark.parametrize(("given", "kind", "code", "words"), BAD)
def test_what_is_wrong_is_named_and_nothing_is_left(
    run: Train,
    tmp_path: Path,
    given: dict[str, Any],
    kind: type[KNeighborsError],
    code: str | None,
    words: str,
) -> None:
    before = sorted(tmp_path.iterdir())
    with pytest.raises(kind) as caught:
        run(**given)
    assert code in (None, caught.value.code)
    assert words in str(caught.value)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("row", "value", "code"),
    [
        (4, np.nan, "array-not-finite"),
        (4, np.inf, "array-not-finite"),
        (4, 0.0, "array-zero-vector"),
    ],
)
def test_rows_that_cannot_be_are_named(
    run: Train, tmp_path: Path, row: int, value: float, code: str
) -> None:
    bad = X.copy()
    bad[row] = value
    with pytest.raises(ArrayRefused) as caught:
        run(train=saved(tmp_path / "bad.npy", bad))
    assert caught.value.code == code
    assert f"row {row}" in str(caught.value)
    assert not (tmp_path / "M").exists()


def test_zero_rows_are_counted_where_the_metric_allows_them(run: Train, tmp_path: Path) -> None:
    some = X.copy()
    some[[4, 9]] = 0
    report = run(train=saved(tmp_path / "zeros.npy", some), metric="euclidean")
    assert (report.zero_rows, report.duplicate_rows) == (2, 3)


@pytest.mark.parametrize(
    ("lines", "code"), [("w1\nw1\n" * 40, "ids-doubled"), ("w1\n", "ids-count")]
)
def test_wrong_ids_are_refused(run: Train, tmp_path: Path, lines: str, code: str) -> None:
    (tmp_path / "ids.txt").write_text(lines)
    with pytest.raises(ItemsRefused) as caught:
        run(ids=str(tmp_path / "ids.txt"))
    assert caught.value.code == code


@pytest.mark.parametrize(
    "body", [b"", b"\x93NUMPY", b"not numpy at all", np.array([{}]).dumps()], ids=len
)
def test_an_id_file_is_never_unpickled(run: Train, tmp_path: Path, body: bytes) -> None:
    (tmp_path / "ids.npy").write_bytes(body)
    with pytest.raises(ItemsRefused) as caught:
        run(ids=str(tmp_path / "ids.npy"))
    assert caught.value.code == "ids-file"


def test_object_ids_in_an_array_are_refused(run: Train, tmp_path: Path) -> None:
    np.save(tmp_path / "ids.npy", np.array(["a"] * 80, dtype=object), allow_pickle=True)
    with pytest.raises(ItemsRefused) as caught:
        run(ids=str(tmp_path / "ids.npy"))
    assert caught.value.code == "ids-file"


def test_a_column_in_both_tables_is_refused(run: Train, tmp_path: Path) -> None:
    pq.write_table(pa.table({"v": X.tolist(), "a": list(range(80))}), tmp_path / "c.parquet")
    pq.write_table(pa.table({"a": list(range(80))}), tmp_path / "items.parquet")
    given = {"train": str(tmp_path / "c.parquet"), "vector_column": "v"}
    with pytest.raises(ItemsRefused, match="'a' in the corpus as well"):
        run(**given, items=str(tmp_path / "items.parquet"))


def test_stages_are_reported_in_order(corpus: Path, tmp_path: Path) -> None:
    stages: list[str] = []

    def note(stage: str, done: int, total: int) -> None:
        assert 0 <= done <= total
        if not stages or stages[-1] != stage:
            stages.append(stage)

    train(TrainingSettings(train=str(corpus), model_dir=tmp_path / "M"), note)
    assert stages[-2:] == ["writing", "measuring"]
    assert "profiling" in stages
    assert len(stages) == len(set(stages))
