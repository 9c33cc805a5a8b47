"""What a join writes: the answers of the search, for every query, once."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from kneighbors import NearestNeighbors
from kneighbors.join import JoinSettings, estimate, join
from support import shards_making as making

X = making.corpus()
IDS = [f"w{row}" for row in range(len(X))]
ITEMS = {"price": [row % 97 for row in range(len(X))]}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    NearestNeighbors().fit(X, ids=IDS, items=ITEMS).save(folder / "one")
    making.write(folder / "shards", X, ids=IDS, items=ITEMS)
    making.write(folder / "rows", X)
    return {path.name: path for path in folder.iterdir()}


def joined(path: Path) -> pa.Table:
    return parquet.read_table(path).replace_schema_metadata(None)


def test_shards_and_one_artifact_are_joined_alike(models: dict[str, Path], tmp_path: Path) -> None:
    settings = JoinSettings(n_neighbors=4, rows_per_part=500)
    reports = [
        join(None, models[name], str(tmp_path / name), settings) for name in ("one", "shards")
    ]
    assert [(1200, 3), (1200, 3)] == [(one.queries, one.parts) for one in reports]
    assert joined(tmp_path / "one").equals(joined(tmp_path / "shards"))


def test_a_row_is_none_of_its_own_neighbours(models: dict[str, Path], tmp_path: Path) -> None:
    settings = JoinSettings(n_neighbors=3, rows_per_part=700)
    join(None, models["shards"], str(tmp_path / "out"), settings)
    table = joined(tmp_path / "out")
    own = [np.array([row]) for row in range(len(X))]
    distances, rows = making.whole(X).kneighbors(X, 3, exclude=own)
    assert list(range(1200)) == table["query"].to_pylist()
    assert IDS == table["query_id"].to_pylist()
    assert rows.tolist() == table["rows"].to_pylist()
    assert distances.tolist() == table["distances"].to_pylist()
    assert [[IDS[row] for row in one] for one in rows] == table["ids"].to_pylist()


def test_filters_and_exclusions_are_those_of_a_request(
    models: dict[str, Path], tmp_path: Path
) -> None:
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(X[:20].ravel()), 12)
    queries = tmp_path / "queries.parquet"
    parquet.write_table(pa.table({"id": IDS[:20], "vector": vectors}), queries)
    settings = JoinSettings(
        n_neighbors=5,
        filter={"price": {"lt": 20}},
        exclude_self=True,
        exclude_ids=("w3",),
        include_ids=tuple(IDS[:400]),
    )
    join(str(queries), models["shards"], str(tmp_path / "out"), settings)
    mask = np.array([row < 400 and row % 97 < 20 for row in range(1200)])
    exclude = [np.unique([3, row]) for row in range(20)]
    expected = making.whole(X).kneighbors(X[:20], 5, exclude=exclude, masks=[mask] * 20)
    table = joined(tmp_path / "out")
    assert expected[1].tolist() == table["rows"].to_pylist()
    assert expected[0].tolist() == table["distances"].to_pylist()


def test_a_radius_alone_gives_all_within_it(models: dict[str, Path], tmp_path: Path) -> None:
    np.save(tmp_path / "queries.npy", X[:50])
    join(
        str(tmp_path / "queries.npy"), models["rows"], str(tmp_path / "out"), JoinSettings(radius=2)
    )
    expected = making.whole(X).radius_neighbors(X[:50], 2.0)[1]
    table = joined(tmp_path / "out")
    assert ["query", "distances", "rows"] == table.column_names
    assert [rows.tolist() for rows in expected] == table["rows"].to_pylist()


def test_the_sign_of_success_names_every_part_with_its_checksum(
    models: dict[str, Path], tmp_path: Path
) -> None:
    join(None, models["rows"], str(tmp_path / "out"), JoinSettings(rows_per_part=400))
    document = json.loads((tmp_path / "out" / "_SUCCESS.json").read_bytes())
    assert [400, 400, 400] == [part["rows"] for part in document["parts"]]
    for part in document["parts"]:
        data = (tmp_path / "out" / part["file"]).read_bytes()
        assert (part["sha256"], part["bytes"]) == (sha256(data).hexdigest(), len(data))
    names = {"_SUCCESS.json", *(part["file"] for part in document["parts"])}
    assert names == {path.name for path in (tmp_path / "out").iterdir()}


def test_progress_counts_queries(models: dict[str, Path], tmp_path: Path) -> None:
    told: list[Any] = []
    join(
        None,
        models["rows"],
        str(tmp_path / "out"),
        JoinSettings(rows_per_part=500),
        progress=lambda *step: told.append(step),
    )
    assert [("joining", done, 1200) for done in (500, 1000, 1200)] == told


def test_an_estimate_is_made_of_a_sample_and_writes_nothing(models: dict[str, Path]) -> None:
    found = estimate(None, models["shards"], JoinSettings(rows_per_part=500))
    assert (1200, 3, 1200, 10, 256) == (
        found.queries,
        found.parts,
        found.corpus_rows,
        found.n_neighbors,
        found.sampled,
    )
    assert found.seconds > 0
    assert found.bytes > 1200 * 10 * 8


def test_parts_are_smaller_where_memory_is() -> None:
    assert 16_384 == JoinSettings().part_rows(300, 10)
    assert 1_000 == JoinSettings(memory_bytes=36_800_000).part_rows(300, 10)
    assert 7 == JoinSettings(memory_bytes=1, rows_per_part=7).part_rows(300, 10)
