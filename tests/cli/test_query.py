from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kneighbors.items import Catalog
from kneighbors.search.metrics import METRICS
from support.cli_artifacts import make_corpus, save_artifact
from support.cli_run import Runner, run_on_terminal, run_process

X = make_corpus()


def nearest(row: int, count: int, exclude: tuple[int, ...] = ()) -> list[int]:
    """Return what a full scan says."""
    wide = X.astype(np.float64)
    metric = METRICS["cosine"]
    distances = metric.distances(X, metric.prepare(np.repeat(wide[row : row + 1], len(X), axis=0)))
    order = np.lexsort((np.arange(len(X)), distances))
    return [int(one) for one in order if one not in exclude][:count]


def test_a_row_answers_with_as_many_neighbours_as_the_artifact_says(
    cli: Runner, wines: Path
) -> None:
    done = cli("query", wines, "--row", "3")
    assert (done.code, done.err) == (0, "")
    (one,) = done.json["predictions"]
    assert one["indices"] == nearest(3, 4)
    assert one["ids"] == [f"w{row}" for row in one["indices"]]
    assert one["distances"][0] == 0.0
    assert "items" not in one


def test_a_row_by_its_id_may_be_excluded_itself_but_not_its_twin(cli: Runner, wines: Path) -> None:
    done = cli("query", wines, "--id", "w10", "-k", "3", "--exclude-self")
    (one,) = done.json["predictions"]
    assert one["indices"] == nearest(10, 3, exclude=(10,))
    assert one["indices"][0] == 11


def test_ids_can_be_excluded(cli: Runner, wines: Path) -> None:
    found = nearest(10, 4)
    done = cli("query", wines, "--row", "10", "--exclude-id", f"w{found[2]}", "-k", "3")
    assert done.json["predictions"][0]["indices"] == [found[0], found[1], found[3]]


def test_several_rows_give_several_predictions(cli: Runner, wines: Path) -> None:
    done = cli("query", wines, "--row", "3", "--row", "5", "-k", "2")
    assert [one["indices"] for one in done.json["predictions"]] == [nearest(3, 2), nearest(5, 2)]


def test_a_radius_finds_all_within_it(cli: Runner, wines: Path) -> None:
    done = cli("query", wines, "--row", "10", "--radius", "1e-12")
    (one,) = done.json["predictions"]
    assert one["indices"] == [10, 11]


def test_columns_come_in_the_order_asked_for(cli: Runner, wines: Path) -> None:
    done = cli("query", wines, "--row", "7", "-k", "1", "--columns", "price, name")
    assert done.json["predictions"][0]["items"] == [{"price": 7.0, "name": "Wine [7]"}]
    assert list(done.json["predictions"][0]["items"][0]) == ["price", "name"]


def test_items_brings_all_attributes(cli: Runner, wines: Path) -> None:
    done = cli("query", wines, "--row", "0", "-k", "1", "--items")
    expected = {"price": None, "name": "Wine [0]", "terms": ["oak", "plum"]}
    assert done.json["predictions"][0]["items"] == [expected]


def npy(array: Any) -> bytes:
    body = io.BytesIO()
    np.save(body, array)
    return body.getvalue()


_ROW = X[7].tolist()
_TEXT = ",".join(map(repr, _ROW))


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("q.npy", npy(X[7])),
        ("q.npy", npy(X[7:8].astype(np.float64))),
        ("q.json", json.dumps(_ROW).encode()),
        ("q.json", json.dumps({"instances": [_ROW]}).encode()),
        ("q.jsonl", json.dumps(_ROW).encode() + b"\n"),
        ("q.csv", _TEXT.encode() + b"\r\n"),
        ("q.txt", _TEXT.encode()),
        ("q.txt", _TEXT.replace(",", "  \t").encode()),
        ("q.txt", json.dumps(_ROW).encode()),
        ("q.dat", npy(X[7])),
        ("Q.NPY", npy(X[7])),
    ],
)
def test_a_file_of_any_kind_is_a_query(
    cli: Runner, wines: Path, tmp_path: Path, name: str, body: bytes
) -> None:
    (tmp_path / name).write_bytes(body)
    done = cli("query", wines, tmp_path / name)
    assert done.code == 0, done.err
    assert done.json["predictions"][0]["indices"] == nearest(7, 4)


@pytest.mark.parametrize(
    "body",
    [
        npy(X[7:9]),
        json.dumps(X[7:9].tolist()).encode(),
        b"\n".join(",".join(map(repr, row)).encode() for row in X[7:9].tolist()),
    ],
)
@pytest.mark.parametrize("source", [["-"], []])
def test_stdin_is_told_by_its_first_bytes(wines: Path, body: bytes, source: list[str]) -> None:
    done = run_process("query", wines, *source, "-k", "2", stdin=body)
    assert done.code == 0, done.err
    assert [one["indices"] for one in done.json["predictions"]] == [nearest(7, 2), nearest(8, 2)]


@pytest.mark.parametrize("text", [_TEXT, f"[{_TEXT}]", _TEXT.replace(",", " ")])
def test_a_vector_may_be_typed(cli: Runner, wines: Path, text: str) -> None:
    done = cli("query", wines, "--vector", text)
    assert done.json["predictions"][0]["indices"] == nearest(7, 4)


def test_integer_ids_are_typed_as_they_are(cli: Runner, tmp_path: Path) -> None:
    path = save_artifact(tmp_path / "m", Catalog(60, np.arange(100, 160)))
    done = cli("query", path, "--id", "107", "-k", "2", "--exclude-self")
    (one,) = done.json["predictions"]
    assert one["ids"] == [100 + row for row in one["indices"]]
    assert one["indices"] == nearest(7, 2, exclude=(7,))


def test_an_archive_is_an_artifact_too(cli: Runner, wines: Path, tmp_path: Path) -> None:
    from kneighbors.artifact import pack

    pack(wines, tmp_path / "model.tar.gz")
    done = cli("query", tmp_path / "model.tar.gz", "--row", "3")
    assert done.json["predictions"][0]["indices"] == nearest(3, 4)


@pytest.mark.parametrize(
    ("arguments", "code", "error", "words"),
    [
        (["--row", "60"], 1, "row-unknown", "60"),
        (["--row", "-1"], 1, "row-unknown", "-1"),
        (["--id", "w99"], 1, "id-unknown", "w99"),
        (["--row", "0", "-k", "0"], 2, "n-neighbors-range", "0"),
        (["--row", "0", "-k", "61"], 2, "n-neighbors-range", "61"),
        (["--row", "0", "--radius", "-1"], 2, "radius-range", "-1"),
        (["--row", "0", "--columns", "colour"], 1, "items-column-unknown", "colour"),
        (["--vector", "1,2,3"], 1, "array-width", "3 features"),
        (["--vector", "0,0,0,0,0"], 1, "array-zero-vector", "zero"),
        (["--vector", "1,2,x,4,5"], 1, "body-csv", "--vector"),
        (["--vector", ""], 1, "body-empty", "--vector"),
        (["--vector", "1,2,3,4,5", "--exclude-self"], 2, "exclude-self-needs-ids", "id"),
        (["missing.npy"], 1, "storage-missing", "missing.npy"),
        (["--row", "1", "--id", "w1"], 2, "usage", "--row and --id"),
        (["--row", "1", "--no-items", "--columns", "name"], 2, "usage", "--no-items"),
        (["--row", "x"], 2, "usage", "x"),
    ],
)
def test_what_is_wrong_with_a_query_is_named(
    cli: Runner, wines: Path, arguments: list[str], code: int, error: str, words: str
) -> None:
    done = cli("query", wines, *arguments)
    assert done.code == code
    assert done.out == ""
    last = done.err.splitlines()[-1]
    assert last.startswith(f"error: [{error}] ")
    assert words in last
    assert "Traceback" not in done.err

    same = cli("query", wines, *arguments, "--json")
    assert same.code == code
    assert same.err == ""
    assert same.json["error"]["code"] == error


@pytest.mark.parametrize(
    ("name", "body", "code", "words"),
    [
        ("q.npy", npy(X[:2])[:-1], "body-length", "q.npy"),
        ("q.npy", npy(np.array([{}], dtype=object)), "body-dtype", "q.npy"),
        ("q.npy", npy(np.full(5, np.nan)), "array-not-finite", "q.npy, row 0, column 0"),
        ("q.csv", b"1,2,3,4,5\n1,2\n", "body-ragged", "q.csv, line 2"),
        ("q.json", b"[[1, 2", "body-json", "q.json"),
        ("q.json", b'{"ids": ["w1"]}', "body-type", "q.json"),
        ("q.json", b'{"instances": [[1,2,3,4,5]], "k": 3}', "body-type", "options"),
        ("q.csv", b"", "body-empty", "q.csv"),
    ],
)
def test_what_is_wrong_with_a_file_is_named(
    cli: Runner, wines: Path, tmp_path: Path, name: str, body: bytes, code: str, words: str
) -> None:
    (tmp_path / name).write_bytes(body)
    done = cli("query", wines, tmp_path / name)
    assert done.code == 1
    assert done.err.startswith(f"error: [{code}] ")
    assert words in done.err


def test_a_missing_artifact_is_named(cli: Runner, tmp_path: Path) -> None:
    done = cli("query", tmp_path / "none", "--row", "0")
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("error: [storage-missing] ")
    assert str(tmp_path / "none") in done.err


def test_on_a_terminal_each_query_is_a_table_with_attributes(wines: Path) -> None:
    code, text = run_on_terminal("query", wines, "--row", "7", "--row", "0", "-k", "2")
    assert code == 0
    for words in ("row 7", "row 0", "distance", "Wine [7]", "oak, plum", "w7", "0.000000"):
        assert words in text
    # What a row is called comes before its other attributes.
    assert text.index("name") < text.index("price")
    assert "\x1b[" in text


def test_a_terminal_without_colours_gets_none(wines: Path) -> None:
    code, text = run_on_terminal("query", wines, "--row", "7", environ={"NO_COLOR": "1"})
    assert code == 0
    # Bold is no colour; 30 to 49 and 90 to 107 are.
    assert not any(f"\x1b[{number}m" in text for number in (*range(30, 50), *range(90, 108)))


def test_json_on_a_terminal_is_one_line(wines: Path) -> None:
    code, text = run_on_terminal("query", wines, "--row", "7", "--json")
    assert code == 0
    assert json.loads(text)["predictions"][0]["indices"] == nearest(7, 4)


def test_control_characters_in_names_do_not_reach_the_terminal(tmp_path: Path) -> None:
    evil = ["\x1b]0;owned\x07"] + ["fine"] * 59
    path = save_artifact(tmp_path / "m", Catalog.from_data(60, items={"name": evil}))
    code, text = run_on_terminal("query", path, "--row", "0", "-k", "1")
    assert code == 0
    assert "\x1b]0;" not in text
    assert "]0;owned" in text


def test_likes_and_dislikes_are_asked_for_by_their_ids(cli: Runner, wines: Path) -> None:
    done = cli(*("query", wines, "--like", "w3", "--like", "w5", "--dislike", "w7", "-k", "4"))
    assert (done.code, done.err) == (0, "")
    wide = X.astype(np.float64) / np.linalg.norm(X.astype(np.float64), axis=1, keepdims=True)
    q = wide[3] + wide[5] - wide[7]
    order = np.argsort(-(wide @ q), kind="stable")
    expected = [int(row) for row in order if row not in (3, 5, 7)][:4]
    assert done.json["predictions"][0]["indices"] == expected


def test_one_like_is_its_row_without_itself(cli: Runner, wines: Path) -> None:
    done = cli("query", wines, "--like", "w10", "-k", "3", "--explain")
    (one,) = done.json["predictions"]
    assert one["indices"] == nearest(10, 3, exclude=(10,))
    assert [told["like"] for told in one["explanations"]] == ["w10"] * 3


def test_a_liked_row_stays_where_it_is_asked_to(cli: Runner, wines: Path) -> None:
    done = cli("query", wines, "--like", "w10", "-k", "3", "--include-self")
    assert done.json["predictions"][0]["indices"] == nearest(10, 3)


def test_a_filter_is_json(cli: Runner, wines: Path) -> None:
    done = cli("query", wines, "--like", "w10", "--filter", "price < 3")
    assert (done.code, "parameter-type" in done.err) == (2, True)


def test_a_term_needs_a_vocabulary(cli: Runner, wines: Path) -> None:
    done = cli("query", wines, "--term", "fresh")
    assert (done.code, "vocabulary-missing" in done.err) == (1, True)
