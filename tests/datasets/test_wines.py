"""`make_wines` gives the same plausible wines every time, and refuses nonsense."""

from __future__ import annotations

import hashlib
import pickle
from typing import Any

import numpy as np
import pytest

from kneighbors.datasets import Wines, make_wines
from kneighbors.errors import ItemsRefused, ParameterRefused


@pytest.fixture(scope="module")
def wines() -> Wines:
    return make_wines(20_000)


def test_shapes_and_types_are_as_documented(wines: Wines) -> None:
    import pyarrow as pa

    assert wines.X.shape == (20_000, 300)
    assert wines.X.dtype == np.float32
    assert len(wines) == 20_000
    assert wines.X.flags.c_contiguous
    assert wines.ids[:2] == ["wine-0000000", "wine-0000001"]
    assert wines.ids[-1] == "wine-0019999"
    assert len(wines.ids) == wines.items.num_rows == 20_000
    assert {field.name: field.type for field in wines.items.schema} == {
        "name": pa.string(),
        "variety": pa.string(),
        "country": pa.string(),
        "price": pa.float64(),
        "points": pa.int64(),
        "terms": pa.list_(pa.string()),
    }
    assert (len(wines.terms), 300) == wines.term_vectors.shape
    assert (len(wines.terms),) == wines.idf.shape
    assert repr(wines) == "<Wines: 20,000 wines, 300 dimensions, 434 terms>"


def test_the_bytes_are_those_of_every_other_machine() -> None:
    # If this fails after a change to the generator, that was a change of everyone's example data.
    wines = make_wines(2000)
    text = repr(wines.items.to_pylist()).encode()
    assert (
        hashlib.sha256(wines.X.astype("<f4").tobytes()).hexdigest()
        == "34ee17c135491a8a95e31d6118d16932043f7f69854b8c63cd82568af71ff1c1"
    )
    assert (
        hashlib.sha256(text).hexdigest()
        == "a1f93ba551bd52c9da15980172bf03970ab3e5861a4bc145696c39fe4991cca6"
    )


def test_a_smaller_number_gives_the_first_rows_of_a_larger_one(wines: Wines) -> None:
    few = make_wines(1234)
    assert np.array_equal(few.X, wines.X[:1234])
    assert few.ids == wines.ids[:1234]
    assert few.items.equals(wines.items.slice(0, 1234))


def test_the_seams_between_blocks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = make_wines(1000)
    monkeypatch.setattr("kneighbors.datasets.wines._BLOCK_ROWS", 333)
    pieces = make_wines(1000)
    assert np.array_equal(whole.X, pieces.X)
    assert whole.items.equals(pieces.items)
    assert pieces.items["name"].num_chunks == 1


def test_another_seed_gives_other_wines_of_the_same_words(wines: Wines) -> None:
    other = make_wines(2000, seed=1)
    assert not np.array_equal(other.X, wines.X[:2000])
    assert other.terms == wines.terms
    assert np.array_equal(other.term_vectors, wines.term_vectors)
    known = {row.tobytes() for row in wines.X}
    # Short notes of common terms may coincide.
    assert sum(row.tobytes() in known for row in other.X) < 100


def test_a_few_percent_are_doubles_and_a_few_more_differ_in_one_term(wines: Wines) -> None:
    notes = [frozenset(terms) for terms in wines.items["terms"].to_pylist()]
    doubles = len(notes) - len(set(notes))
    assert 0.02 < doubles / len(notes) < 0.05
    distinct = len(np.unique(wines.X, axis=0))
    assert abs((len(notes) - distinct) - doubles) < 0.01 * len(notes)

    names = wines.items["name"].to_pylist()
    unvintaged = [" ".join(w for w in name.split() if not w.isdigit()) for name in names]
    by_name: dict[str, list[int]] = {}
    for row, name in enumerate(unvintaged):
        by_name.setdefault(name, []).append(row)
    apart = [len(notes[rows[0]] ^ notes[row]) for rows in by_name.values() for row in rows[1:]]
    assert 0.06 < len(apart) / len(notes) < 0.10
    assert set(apart) <= {0, 2, 4}, "vintages differ in no term or in one each"


def test_vintages_of_a_wine_have_different_years(wines: Wines) -> None:
    rows = {row.tobytes(): number for number, row in reversed(list(enumerate(wines.X)))}
    names = wines.items["name"].to_pylist()
    firsts = [(number, rows[row.tobytes()]) for number, row in enumerate(wines.X)]
    same = [(a, b) for a, b in firsts if a != b and names[a] == names[b]]
    # Two later vintages may be of one year; a later one and the first may not.
    assert len(same) < 0.005 * len(wines)


def test_terms_of_a_wine_are_distinct_and_as_many_as_in_tasting_notes(wines: Wines) -> None:
    notes = wines.items["terms"].to_pylist()
    assert all(len(set(note)) == len(note) for note in notes)
    lengths = np.array([len(note) for note in notes])
    assert lengths.min() >= 3
    assert lengths.max() <= 14
    assert 6.5 < lengths.mean() < 8.0


def test_prices_and_points_are_plausible(wines: Wines) -> None:
    price = wines.items["price"].to_numpy()
    points = wines.items["points"].to_numpy()
    known = ~np.isnan(price)
    assert wines.items["price"].null_count == (~known).sum()
    assert 0.05 < 1.0 - known.mean() < 0.09
    assert price[known].min() >= 5.0
    assert np.array_equal(price[known], np.rint(price[known]))
    assert 80 <= points.min() <= points.max() <= 100
    assert 87.0 < points.mean() < 90.0
    assert 0.4 < np.corrcoef(np.log(price[known]), points[known])[0, 1] < 0.8


def test_wines_taste_of_their_variety(wines: Wines) -> None:
    table = wines.items.to_pylist()

    def share(variety: str, terms: set[str]) -> float:
        notes = [row["terms"] for row in table if row["variety"] == variety]
        return sum(bool(terms & set(note)) for note in notes) / len(notes)

    berries = {"blackberry", "black cherry", "plum", "blackcurrant"}
    citrus = {"lemon", "grapefruit", "lime", "lemon zest"}
    assert share("Cabernet Sauvignon", berries) > 5 * share("Riesling", berries)
    assert share("Riesling", citrus) > 5 * share("Cabernet Sauvignon", citrus)


def test_neighbours_are_mostly_wines_of_the_same_colour(wines: Wines) -> None:
    from kneighbors.datasets.varieties import VARIETIES

    colour = {variety.name: variety.colour for variety in VARIETIES}
    colours = np.array([colour[name] for name in wines.items["variety"].to_pylist()])
    unit = wines.X / np.linalg.norm(wines.X, axis=1, keepdims=True)
    likeness = unit[:300] @ unit.T
    likeness[np.arange(300), np.arange(300)] = -1.0
    nearest = np.argsort(-likeness, axis=1)[:, :10]
    same = colours[nearest] == colours[:300, None]
    still = np.isin(colours[:300], ["white", "red"])
    assert same[still].mean() > 0.85


def test_all_rows_can_be_searched(wines: Wines) -> None:
    assert np.isfinite(wines.X).all()
    assert np.linalg.norm(wines.X, axis=1).min() > 0.1


def test_one_wine_is_enough() -> None:
    wine = make_wines(1)
    assert wine.X.shape == (1, 300)
    assert wine.ids == ["wine-0000000"]


def test_numbers_may_come_from_numpy() -> None:
    assert np.array_equal(make_wines(np.int64(3), np.uint8(2)).X, make_wines(3, 2).X)  # type: ignore[arg-type]


def test_wines_survive_pickling() -> None:
    wines = make_wines(10)
    copy = pickle.loads(pickle.dumps(wines))
    assert np.array_equal(copy.X, wines.X)
    assert copy.items.equals(wines.items)


@pytest.mark.parametrize("name", ["n", "seed"])
@pytest.mark.parametrize("value", [1.0, "10", None, True, [5], np.float32(3)])
def test_what_is_no_whole_number_is_refused(name: str, value: Any) -> None:
    with pytest.raises(ParameterRefused, match=f"Expected a whole number for {name}") as caught:
        make_wines(**{"n": 1, name: value})
    assert caught.value.code == "parameter-type"


@pytest.mark.parametrize(
    ("name", "value"),
    [("n", 0), ("n", -5), ("n", 10_000_001), ("seed", -1), ("seed", 2**63)],
)
def test_numbers_out_of_bounds_are_refused(name: str, value: int) -> None:
    with pytest.raises(ParameterRefused, match=f"Expected {name} from") as caught:
        make_wines(**{"n": 1, name: value})
    assert caught.value.code == "parameter-range"


def test_an_unknown_term_is_refused_with_the_nearest_ones(wines: Wines) -> None:
    with pytest.raises(ItemsRefused, match=r"got 'lemmon'. At terms\[1\]. Did you mean 'lemon'"):
        wines.embed(["chalk", "lemmon"])
    with pytest.raises(ItemsRefused) as caught:
        wines.embed(["§§§"])
    assert (caught.value.code, caught.value.hint) == ("term-unknown", None)


@pytest.mark.parametrize("terms", ["lemon", 3, None, ["lemon", 3], [None]])
def test_what_is_no_list_of_terms_is_refused(wines: Wines, terms: Any) -> None:
    with pytest.raises(ParameterRefused) as caught:
        wines.embed(terms)
    assert caught.value.code == "parameter-type"


def test_no_term_at_all_is_refused(wines: Wines) -> None:
    with pytest.raises(ParameterRefused) as caught:
        wines.embed([])
    assert caught.value.code == "terms-empty"


def test_a_term_given_twice_counts_twice(wines: Wines) -> None:
    once, twice = wines.embed(["lemon", "oak"]), wines.embed(["lemon", "lemon", "oak"])
    lemon = wines.embed(["lemon"])

    def likeness(a: Any, b: Any) -> float:
        return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))

    assert likeness(twice, lemon) > likeness(once, lemon)
