"""What the page asks the server for, and what the server refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest

from kneighbors.errors import ItemsRefused, ParameterRefused
from kneighbors.sagemaker.model import Model
from kneighbors.search.index import ExactIndex
from kneighbors.search.rows import ArrayRows
from kneighbors.server.app import create_app
from kneighbors.server.explorer.view import View
from kneighbors.server.settings import Settings
from support.cli_run import COMMAND
from support.cli_server import Served, served
from support.explorer_books import GENRES, HOSTILE, HOSTILE_ROW, N_BOOKS, TERMS, books, titles


def got(library: Served, path: str) -> Any:
    status, body = library.request("GET", path)
    assert status == 200, body
    return json.loads(body)


def refused(library: Served, path: str) -> tuple[int, str]:
    status, body = library.request("GET", path)
    return status, json.loads(body)["error"]["code"]


def framed(library: Served, path: str) -> tuple[dict[str, Any], bytes]:
    status, body = library.request("GET", path)
    assert status == 200, body
    length = int.from_bytes(body[:4], "little")
    return json.loads(body[4 : 4 + length]), body[4 + length :]


def test_the_page_learns_the_corpus_and_its_attributes(library: Served) -> None:
    about = got(library, "/explorer/api/about")
    kinds = {column["name"]: column["kind"] for column in about["columns"]}
    assert (about["name"], about["n_samples"], about["title"]) == ("books", N_BOOKS, "called")
    assert about["n_terms"] == len(TERMS)
    assert kinds == {
        "genre": "values", "called": "values", "price": "range", "year": "range",
        "in print": "values", "added": "date", "tags": "list",
    }  # fmt: skip


def test_counts_and_histograms_are_those_of_the_table(library: Served) -> None:
    columns = {one["name"]: one for one in got(library, "/explorer/api/about")["columns"]}
    genres = {one["value"]: one["count"] for one in columns["genre"]["values"]}
    assert genres == dict.fromkeys(GENRES, N_BOOKS // 5)
    missing = books()["price"].null_count
    assert columns["price"]["n_missing"] == missing
    assert sum(columns["price"]["bins"]) == N_BOOKS - missing
    assert (columns["year"]["min"], columns["year"]["max"]) == (1900, 2019)
    assert (columns["added"]["min"], columns["added"]["max"]) == ("2020-01-01", "2020-12-30")


@pytest.mark.parametrize(
    ("typed", "called"),
    [
        ("the amber amber 1", titles()[0]),
        ("amber", titles()[0]),
        ("winter river", "The River Winter 1"),
        ("lettre amber", "The Letter Amber 1"),
        ("ünsafe", HOSTILE),
        ("UNSAFE", HOSTILE),
        ("b0007", HOSTILE),
    ],
)
def test_a_name_or_an_id_is_found(library: Served, typed: str, called: str) -> None:
    found = got(library, f"/explorer/api/search?q={quote(typed)}")["results"]
    names = [one["attributes"]["called"] for one in found]
    assert called in names


def test_a_search_for_nothing_finds_nothing(library: Served) -> None:
    assert got(library, "/explorer/api/search?q=") == {"results": []}
    assert got(library, "/explorer/api/search?q=zzzzzzzz") == {"results": []}


def test_terms_are_found_by_their_beginnings_and_by_likeness(library: Served) -> None:
    assert got(library, "/explorer/api/terms?q=sea") == {"terms": ["seafaring", "sea-salt"]}
    assert got(library, "/explorer/api/terms?q=salt") == {"terms": ["sea-salt"]}
    assert got(library, "/explorer/api/terms?q=moonligth") == {"terms": ["moonlight"]}


def test_items_come_with_their_attributes_as_text(library: Served) -> None:
    (item,) = got(library, f"/explorer/api/items?rows={HOSTILE_ROW}")["items"]
    assert (item["row"], item["id"]) == (HOSTILE_ROW, "b0007")
    assert item["attributes"]["called"] == HOSTILE


def test_the_map_has_a_place_for_every_row(library: Served) -> None:
    header, body = framed(library, "/explorer/api/map")
    assert header == {"n": N_BOOKS, "n_samples": N_BOOKS, "is_sample": False}
    points = np.frombuffer(body, "<u2").reshape(N_BOOKS, 2)
    assert len(np.unique(points, axis=0)) > 0.99 * N_BOOKS
    places = got(library, "/explorer/api/places?rows=9,3")["places"]
    assert np.abs(points[[9, 3]] / 65_535 - places).max() < 1e-4


def test_colours_are_the_values_and_the_legend_says_which(library: Served) -> None:
    header, body = framed(library, "/explorer/api/colours?column=genre")
    codes = np.frombuffer(body, np.uint8)[:N_BOOKS]
    assert [header["values"][code] for code in codes] == [GENRES[row % 5] for row in range(N_BOOKS)]
    header, body = framed(library, "/explorer/api/colours?column=price")
    codes = np.frombuffer(body, np.uint8)[:N_BOOKS]
    assert np.count_nonzero(codes == 255) == books()["price"].null_count
    for name in ("year", "in%20print", "added", "tags", "called"):
        assert len(framed(library, f"/explorer/api/colours?column={name}")[1]) >= N_BOOKS


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/explorer?x=1", 400, "parameter-unknown"),
        ("/explorer/api/search?q=a&q=b", 400, "parameter-conflict"),
        ("/explorer/api/search?q=a&limit=0", 400, "parameter-range"),
        ("/explorer/api/search?q=a&limit=9999", 400, "parameter-range"),
        ("/explorer/api/search?q=" + "a" * 101, 400, "parameter-range"),
        ("/explorer/api/items", 400, "parameter-type"),
        ("/explorer/api/items?rows=1,,2", 400, "parameter-type"),
        ("/explorer/api/items?rows=-1", 400, "parameter-type"),
        ("/explorer/api/items?rows=" + ",".join(["1"] * 201), 400, "parameter-type"),
        (f"/explorer/api/items?rows={N_BOOKS}", 400, "row-unknown"),
        (f"/explorer/api/places?rows={N_BOOKS}", 400, "row-unknown"),
        ("/explorer/api/colours?column=genere", 400, "items-column-unknown"),
        ("/explorer/nothing.js", 404, "path-unknown"),
        ("/explorer/..%2f__init__.py", 404, "path-unknown"),
    ],
)
def test_what_is_out_of_form_is_refused(library: Served, path: str, status: int, code: str) -> None:
    assert refused(library, path) == (status, code)


def test_without_the_setting_there_is_no_explorer(books: Path) -> None:
    plain = create_app(Settings(model=str(books)))
    explored = create_app(Settings(model=str(books), explorer="true"))
    assert "/explorer" not in plain.paths
    assert "/explorer" in explored.paths


def test_the_command_serves_the_page_on_this_machine_alone(books: Path) -> None:
    with served(books, "--no-browser", command=(*COMMAND, "explore")) as running:
        assert running.url.startswith("http://127.0.0.1:")
        assert running.url.endswith("/explorer")
        page = Served(running.process, running.url.removesuffix("/explorer"))
        status, body = page.request("GET", "/explorer")
        assert (status, body[:15]) == (200, b"<!doctype html>")
        assert page.stop() == 0


def test_a_server_of_several_models_has_no_explorer() -> None:
    with pytest.raises(ParameterRefused) as caught:
        Settings(model="models", multi_model="true", explorer="true")
    assert caught.value.code == "setting-conflict"


def test_a_corpus_without_attributes_is_explored_by_its_rows() -> None:
    X = np.random.default_rng(0).standard_normal((50, 3))
    view = View(Model(ExactIndex.build(ArrayRows(X), "euclidean")))
    about = json.loads(view.about())
    assert (about["title"], about["columns"], about["n_terms"]) == (None, [], 0)
    assert view.search("17", 5)["results"][0] == {"row": 17, "id": 17, "attributes": {}}
    assert view.terms("a") == {"terms": []}
    with pytest.raises(ItemsRefused) as caught:
        view.colours("x")
    assert caught.value.code == "items-column-unknown"
