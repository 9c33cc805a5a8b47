"""Filters: what they let through, compared with a few lines of plain Python."""

from __future__ import annotations

import datetime
import math
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kneighbors.errors import ItemsRefused, KNeighborsError, ParameterRefused
from kneighbors.items import Catalog
from kneighbors.items.filters import Filter

NAN = float("nan")
DAYS = [datetime.date(2020, 2, 29), datetime.date(1969, 12, 31), None, datetime.date(2021, 1, 1)]
COLUMNS: dict[str, pa.Array] = {
    "variety": pa.array(["Malbec", "Syrah", None, "Côt"]),
    "coded": pa.array(["Malbec", "Syrah", None, "Côt"]).dictionary_encode(),
    "price": pa.array([12.5, NAN, None, 60.0]),
    "narrow": pa.array([12.1, -0.0, None, math.inf], pa.float32()),
    "half": pa.array(np.array([0.5, 1.5, 2.5, 3.5], np.float16)),
    "points": pa.array([90, -3, None, 2**63 - 1]),
    "small": pa.array([-128, 0, None, 127], pa.int8()),
    "wide": pa.array([0, 2**64 - 1, None, 7], pa.uint64()),
    "exact": pa.array([Decimal("0.10"), Decimal("-7.25"), None, Decimal("99.99")],
                      pa.decimal128(4, 2)),
    "organic": pa.array([True, False, None, True]),
    "picked": pa.array(DAYS),
    "picked64": pa.array(DAYS, pa.date64()),
    "seen": pa.array([0, -1, None, 86_400_000_001], pa.timestamp("us")),
    "seen in": pa.array([0, -1, None, 86_400], pa.timestamp("s", "Europe/Paris")),
    "at": pa.array([0, 3_661_000, None, 86_399_999], pa.time32("ms")),
    "took": pa.array([0, -1500, None, 90_000], pa.duration("ms")),
    "terms": pa.array([["lime", "oak"], [], None, ["lime", None]]),
    "pair": pa.array([["a", "b"], ["b", "c"], None, ["c", "a"]], pa.list_(pa.string(), 2)),
    "void": pa.nulls(4),
    "not": pa.array([1, 2, None, 4]),
    "column:x": pa.array([1, 2, None, 4]),
}  # fmt: skip
TABLE = pa.table(COLUMNS)
CATALOG = Catalog(4, table=TABLE)


def rows(spec: Any, catalog: Catalog = CATALOG) -> list[int]:
    chosen = Filter.compile(spec, catalog)
    mask = chosen.mask()
    assert mask.shape == (catalog.n_samples,)
    assert mask.dtype == np.dtype(bool)
    assert mask is chosen.mask()
    assert int(mask.sum()) == chosen.n_matching
    assert (chosen.reason() is None) == (chosen.n_matching > 0)
    found: list[int] = np.flatnonzero(mask).tolist()
    return found


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, [0, 1, 2, 3]),
        ({"variety": "Malbec"}, [0]),
        ({"variety": ["Malbec", "Syrah", "Malbec"]}, [0, 1]),
        ({"variety": {"ne": "Malbec"}}, [1, 3]),
        ({"not": {"variety": "Malbec"}}, [1, 2, 3]),
        ({"variety": {"in": ["Côt"]}}, [3]),
        ({"variety": {"not_in": ["Côt", "Syrah"]}}, [0]),
        ({"variety": {"not_in": []}}, [0, 1, 3]),
        ({"variety": {"prefix": "M"}}, [0]),
        ({"variety": {"prefix": ""}}, [0, 1, 3]),
        ({"variety": {"ge": "D", "lt": "Syrah"}}, [0]),
        ({"variety": {"between": ["Côt", "Malbec"]}}, [0, 3]),
        ({"variety": None}, [2]),
        ({"variety": {"eq": None}}, [2]),
        ({"variety": {"ne": None}}, [0, 1, 3]),
        ({"coded": "Malbec"}, [0]),
        ({"coded": {"ne": "Malbec"}}, [1, 3]),
        ({"coded": {"prefix": "S"}}, [1]),
        ({"coded": {"null": True}}, [2]),
        ({"price": {"lt": 30}}, [0]),
        ({"not": {"price": {"lt": 30}}}, [1, 2, 3]),
        ({"price": {"gte": 12.5, "lte": 60}}, [0, 3]),
        ({"price": {"gt": 12.5}}, [3]),
        ({"price": {"null": True}}, [1, 2]),
        ({"price": {"null": False}}, [0, 3]),
        ({"narrow": 12.1}, [0]),
        ({"narrow": {"le": 12.1}}, [0, 1]),
        ({"narrow": 0}, [1]),
        ({"narrow": {"gt": 1e300}}, [3]),
        ({"narrow": 1e300}, []),
        ({"half": {"lt": 2.5}}, [0, 1]),
        ({"half": [0.5, 3.5, 1e9]}, [0, 3]),
        ({"points": {"gt": 89.5}}, [0, 3]),
        ({"points": {"lt": 90.5, "gt": -3}}, [0]),
        ({"points": 90.0}, [0]),
        ({"points": 90.5}, []),
        ({"points": 2**63 - 1}, [3]),
        ({"points": {"lt": 10**300}}, [0, 1, 3]),
        ({"points": {"gt": 10**300}}, []),
        ({"points": {"ge": -(10**300)}}, [0, 1, 3]),
        ({"points": [10**300, -3]}, [1]),
        ({"small": {"ge": 127}}, [3]),
        ({"small": {"ge": 127.5}}, []),
        ({"small": {"gt": 127}}, []),
        ({"small": {"le": -128}}, [0]),
        ({"small": {"lt": -128}}, []),
        ({"wide": {"ge": -1}}, [0, 1, 3]),
        ({"wide": 2**64 - 1}, [1]),
        ({"exact": 0.1}, [0]),
        ({"exact": "0.1"}, [0]),
        ({"exact": {"lt": 0}}, [1]),
        ({"exact": {"ge": "99.990"}}, [3]),
        ({"exact": {"gt": 1000}}, []),
        ({"exact": {"le": 1e9}}, [0, 1, 3]),
        ({"exact": [0.1, 1e9, 0.105]}, [0]),
        ({"organic": True}, [0, 3]),
        ({"organic": {"ne": True}}, [1]),
        ({"organic": [True, False]}, [0, 1, 3]),
        ({"picked": "2020-02-29"}, [0]),
        ({"picked": {"lt": "1970-01-01"}}, [1]),
        ({"picked64": {"between": ["2020-01-01", "2020-12-31"]}}, [0]),
        ({"seen": {"lt": "1970-01-01"}}, [1]),
        ({"seen": {"gt": "1970-01-02T00:00:00"}}, [3]),
        ({"seen": {"gt": "1970-01-02T00:00:00.000000999"}}, [3]),
        ({"seen": {"ge": "1970-01-02 00:00:00.000001001"}}, []),
        ({"seen in": "1970-01-01T01:00:00+01:00"}, [0]),
        ({"seen in": {"ge": "1970-01-02T00:00Z"}}, [3]),
        ({"at": {"ge": "01:01:01"}}, [1, 3]),
        ({"at": {"gt": "23:59:59.999"}}, []),
        ({"took": {"lt": "PT0S"}}, [1]),
        ({"took": "PT90.0S"}, [3]),
        ({"terms": "lime"}, [0, 3]),
        ({"terms": {"any": ["lime", "plum"]}}, [0, 3]),
        ({"terms": ["oak"]}, [0]),
        ({"terms": {"all": ["lime", "oak", "lime"]}}, [0]),
        ({"terms": {"all": []}}, [0, 1, 3]),
        ({"terms": {"any": []}}, []),
        ({"terms": {"none": ["oak"]}}, [1, 3]),
        ({"not": {"terms": {"any": ["oak"]}}}, [1, 2, 3]),
        ({"terms": None}, [2]),
        ({"pair": "a"}, [0, 3]),
        ({"pair": {"all": ["b", "c"]}}, [1]),
        ({"void": None}, [0, 1, 2, 3]),
        ({"void": {"null": False}}, []),
        ({"column:not": 2}, [1]),
        ({"column:column:x": {"gt": 1}}, [1, 3]),
        ({"column:variety": "Syrah"}, [1]),
        ({"and": []}, [0, 1, 2, 3]),
        ({"or": []}, []),
        ({"not": {}}, []),
        ({"and": [{"points": {"gt": 0}}, {"organic": True}], "price": 60}, [3]),
        ({"or": [{"variety": "Syrah"}, {"price": {"gt": 50}}, {"points": None}]}, [1, 2, 3]),
    ],
)  # fmt: skip
def test_a_filter_lets_the_right_rows_through(spec: Any, expected: list[int]) -> None:
    assert rows(spec) == expected
    # The same rows lie in pieces of other lengths.
    pieces = pa.concat_tables([TABLE.slice(1, 2), TABLE.slice(3, 1)])
    assert rows(spec, Catalog(3, table=pieces)) == [row - 1 for row in expected if row]


# Against plain Python ---------------------------------------------------------------------------

VALUES: dict[str, list[Any]] = {
    "text": ["", "a", "ab", "b", "Ä", "\U0001f600"],
    "coded": ["", "a", "ab", "b"],
    "float": [-1.5, -0.0, 0.0, 1.0, 1.5, 1e300],
    "whole": [-2, -1, 0, 1, 2, 100],
    "yes": [True, False],
}
KINDS = {
    "text": pa.string(), "coded": pa.dictionary(pa.int8(), pa.string()), "float": pa.float64(),
    "whole": pa.int16(), "yes": pa.bool_(), "list": pa.list_(pa.string()),
}  # fmt: skip
ORDERED = ("eq", "ne", "lt", "le", "gt", "ge")


def conditions() -> st.SearchStrategy[dict[str, Any]]:
    choices = []
    for name, values in VALUES.items():
        wanted = [*values, 0.5, 10**6] if name == "whole" else values
        value = st.sampled_from(wanted)
        few = st.lists(value, max_size=3)
        operators = ("eq", "ne") if name == "yes" else ORDERED
        some = [st.tuples(st.sampled_from(operators), value)]
        some += [st.tuples(st.sampled_from(["in", "not_in"]), few)]
        if name != "yes":
            some += [st.tuples(st.just("between"), st.lists(value, min_size=2, max_size=2))]
        if name in ("text", "coded"):
            some += [st.tuples(st.just("prefix"), value)]
        some += [st.tuples(st.just("null"), st.booleans())]
        choices += [st.builds(lambda pairs, name=name: {name: dict(pairs)},
                              st.lists(st.one_of(some), min_size=1, max_size=2))]  # fmt: skip
    texts = st.lists(st.sampled_from(["x", "y", "z"]), max_size=3)
    listed = st.tuples(st.sampled_from(["any", "all", "none"]), texts)
    choices += [st.builds(lambda pair: {"list": dict([pair])}, listed)]
    return st.one_of(choices)


def filters() -> st.SearchStrategy[Any]:
    return st.recursive(
        conditions(),
        lambda inner: st.one_of(
            st.builds(lambda node: {"not": node}, inner),
            st.builds(lambda nodes: {"and": nodes}, st.lists(inner, max_size=3)),
            st.builds(lambda nodes: {"or": nodes}, st.lists(inner, max_size=3)),
        ),
        max_leaves=6,
    )


def holds(item: dict[str, Any], spec: dict[str, Any]) -> bool:
    return all(_holds(item, key, value) for key, value in spec.items())


def _holds(item: dict[str, Any], key: str, value: Any) -> bool:
    if key == "not":
        return not holds(item, value)
    if key in ("and", "or"):
        return (all if key == "and" else any)(holds(item, one) for one in value)
    return all(_is(item[key], operator, operand) for operator, operand in value.items())


def _is(found: Any, operator: str, operand: Any) -> bool:
    if operator == "null":
        return bool((found is None) == operand)
    if found is None:
        return False
    answers: dict[str, Callable[[], bool]] = {
        "eq": lambda: found == operand, "ne": lambda: found != operand,
        "lt": lambda: found < operand, "le": lambda: found <= operand,
        "gt": lambda: found > operand, "ge": lambda: found >= operand,
        "in": lambda: found in operand, "not_in": lambda: found not in operand,
        "between": lambda: operand[0] <= found <= operand[1],
        "prefix": lambda: found.startswith(operand),
        "any": lambda: any(one in found for one in operand),
        "all": lambda: all(one in found for one in operand),
        "none": lambda: not any(one in found for one in operand),
    }  # fmt: skip
    return answers[operator]()


def items() -> st.SearchStrategy[list[dict[str, Any]]]:
    columns = {name: st.none() | st.sampled_from(values) for name, values in VALUES.items()}
    columns["list"] = st.none() | st.lists(st.sampled_from(["x", "y"]), max_size=3)
    return st.lists(st.fixed_dictionaries(columns), min_size=1, max_size=12)


@settings(deadline=None, max_examples=80)
@given(items(), st.lists(filters(), min_size=1, max_size=5), st.integers(1, 4))
def test_filters_agree_with_plain_python(
    wanted: list[dict[str, Any]], specs: list[Any], pieces: int
) -> None:
    schema = pa.schema(list(KINDS.items()))
    tables = [
        pa.Table.from_pylist([dict(item) for item in wanted[start::pieces]], schema=schema)
        for start in range(min(pieces, len(wanted)))
    ]
    ordered = [item for start in range(pieces) for item in wanted[start::pieces]]
    catalog = Catalog(len(wanted), table=pa.concat_tables(tables))
    for spec in specs:
        expected = [row for row, item in enumerate(ordered) if holds(item, spec)]
        assert rows(spec, catalog) == expected


# Refusals ---------------------------------------------------------------------------------------


def refusal(spec: Any, where: str = "filter") -> KNeighborsError:
    with pytest.raises((ParameterRefused, ItemsRefused)) as caught:
        Filter.compile(spec, CATALOG, where)
    return caught.value


@pytest.mark.parametrize(
    ("spec", "code", "where"),
    [
        (None, "filter-type", "filter"),
        ([], "filter-type", "filter"),
        ("x", "filter-type", "filter"),
        ({1: 2}, "filter-type", "filter"),
        ({"variety": {}}, "filter-type", "filter.variety"),
        ({"variety": {3: "x"}}, "filter-type", "filter.variety"),
        ({"not": 3}, "filter-type", "filter.not"),
        ({"not": [{}]}, "filter-type", "filter.not"),
        ({"and": {}}, "filter-type", "filter.and"),
        ({"or": [{}, None]}, "filter-type", "filter.or[1]"),
        ({"varity": "x"}, "items-column-unknown", "filter.varity"),
        ({"": "x"}, "items-column-unknown", "filter['']"),
        ({"column:": "x"}, "items-column-unknown", "filter['column:']"),
        ({"seen in": {"lt": 3}}, "filter-value", "filter['seen in'].lt"),
        ({"and": [{}, {"or": [{"price": {"lt": "9"}}]}]}, "filter-value",
         "filter.and[1].or[0].price.lt"),
        ({"price": {"less": 3}}, "filter-operator", "filter.price.less"),
        ({"price": {"prefix": "1"}}, "filter-operator", "filter.price.prefix"),
        ({"price": {"any": [1]}}, "filter-operator", "filter.price.any"),
        ({"terms": {"eq": "lime"}}, "filter-operator", "filter.terms.eq"),
        ({"organic": {"lt": True}}, "filter-operator", "filter.organic.lt"),
        ({"void": 3}, "filter-operator", "filter.void"),
        ({"variety": {"regex": ".*"}}, "filter-operator", "filter.variety.regex"),
        ({"price": True}, "filter-value", "filter.price"),
        ({"price": NAN}, "filter-value", "filter.price"),
        ({"price": math.inf}, "filter-value", "filter.price"),
        ({"price": 10**400}, "filter-value", "filter.price"),
        ({"price": {"in": 3}}, "filter-value", "filter.price.in"),
        ({"price": {"in": [1, None]}}, "filter-value", "filter.price.in[1]"),
        ({"price": [1, [2]]}, "filter-value", "filter.price[1]"),
        ({"price": {"between": [1]}}, "filter-value", "filter.price.between"),
        ({"price": {"lt": None}}, "filter-value", "filter.price.lt"),
        ({"price": {"null": 1}}, "filter-value", "filter.price.null"),
        ({"points": "90"}, "filter-value", "filter.points"),
        ({"exact": "1e3"}, "filter-value", "filter.exact"),
        ({"exact": "0.1 "}, "filter-value", "filter.exact"),
        ({"variety": 3}, "filter-value", "filter.variety"),
        ({"variety": "\ud800"}, "filter-value", "filter.variety"),
        ({"organic": 1}, "filter-value", "filter.organic"),
        ({"organic": "true"}, "filter-value", "filter.organic"),
        ({"picked": "2021-02-29"}, "filter-value", "filter.picked"),
        ({"picked": "yesterday"}, "filter-value", "filter.picked"),
        ({"picked": 2020}, "filter-value", "filter.picked"),
        ({"seen": "2020-01-01T00:00:00Z"}, "filter-value", "filter.seen"),
        ({"seen": "2020-01-01T24:00:00"}, "filter-value", "filter.seen"),
        ({"seen in": "2020-01-01T00:00:00+25:00"}, "filter-value", "filter['seen in']"),
        ({"at": "25:00:00"}, "filter-value", "filter.at"),
        ({"took": "90 s"}, "filter-value", "filter.took"),
        ({"terms": 3}, "filter-value", "filter.terms"),
        ({"terms": {"any": "lime"}}, "filter-value", "filter.terms.any"),
        ({"terms": {"any": ["lime", None]}}, "filter-value", "filter.terms.any[1]"),
    ],
)  # fmt: skip
def test_what_is_no_filter_is_refused_with_its_path(spec: Any, code: str, where: str) -> None:
    error = refusal(spec)
    assert (error.code, error.where) == (code, where)


def test_a_refusal_names_the_place_that_the_caller_gives() -> None:
    assert refusal({"price": "x"}, "parameters.filter").where == "parameters.filter.price"


@pytest.mark.parametrize(
    ("spec", "hint"),
    [
        ({"varity": "x"}, "Did you mean 'variety'?"),
        ({"price": {"betwen": [1, 2]}}, "Did you mean 'between'?"),
        ({"price": {"lt": "9"}}, "'price' is of type double"),
        ({"terms": {"any": 3}}, "'terms' is of type list"),
        ({"not": 3}, 'written "column:not"'),
        ({"terms": {"eq": "x"}}, "'has', 'any', 'all', 'none', 'null'"),
    ],
)
def test_a_refusal_says_what_to_do(spec: Any, hint: str) -> None:
    assert hint in str(refusal(spec).hint)


def nested(depth: int) -> Any:
    spec: Any = {}
    for _ in range(depth):
        spec = {"not": spec}
    return spec


@pytest.mark.parametrize(
    "spec",
    [
        nested(16),
        {"and": [{}] * 201},
        {"or": [{"price": 1}] * 101},
        {"price": list(range(10_001))},
        {"and": [{"price": list(range(6000))}, {"points": list(range(6000))}]},
        {"terms": {"all": [str(number) for number in range(300)]}},
    ],
)
def test_filters_that_are_too_large_are_refused(spec: Any) -> None:
    assert refusal(spec).code == "filter-too-large"


def test_large_filters_within_the_limits_are_not() -> None:
    assert rows(nested(14)) == [0, 1, 2, 3]
    assert rows({"points": list(range(-5000, 5000))}) == [0, 1]


def test_what_the_json_reader_could_not_read_is_refused_in_its_words() -> None:
    from kneighbors.formats.strictjson import parse

    for text in ('{"price": NaN}', '{"price": {"lt": 1, "lt": 2}}', '{"price": {"in": [NaN]}}'):
        with pytest.raises(KNeighborsError) as caught:
            Filter.compile(parse(text), CATALOG)
        assert caught.value.code in ("body-number", "body-name-doubled")
        assert str(caught.value.where).startswith("filter.price")


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4)
    | st.sampled_from(["2020-02-29", "PT1S", "lime", "1970-01-01T00:00:00"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from([*COLUMNS, "and", "or", "not", "eq", "in", "lt", "between", "any", "all",
                         "null", "prefix", "ge", "?"]), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@settings(deadline=None, max_examples=150)
@given(anything)
def test_any_json_is_a_filter_or_refused(spec: Any) -> None:
    refused: list[KNeighborsError] = []
    try:
        chosen = Filter.compile(spec, CATALOG)
        assert chosen.mask().shape == (4,)
        assert (chosen.reason() is None) == (chosen.n_matching > 0)
    except (ParameterRefused, ItemsRefused) as error:
        refused.append(error)
    for one in refused:
        assert str(one.where).startswith("filter")
        assert len(str(one)) < 1500


def test_without_attributes_there_is_nothing_to_filter_by() -> None:
    with pytest.raises(ItemsRefused) as caught:
        Filter.compile({}, Catalog(3))
    assert caught.value.code == "items-missing"


# Reasons ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({"price": {"lt": 10, "gt": 20}}, "price is below 10, and price is above 20"),
        ({"price": {"lt": 10, "ge": 10}}, "price is below 10, and price is at least 10"),
        ({"and": [{"price": {"le": 9}}, {"and": [{"price": 12}]}]},
         "price is at most 9, and price is 12"),
        ({"points": {"between": [9, 3]}}, "points is between 9, 3, of which the first is above"),
        ({"variety": {"eq": "a", "in": ["b", "c"]}}, "variety is 'a', and variety is one of 'b'"),
        ({"variety": {"in": ["a"], "not_in": ["a", "b"]}}, "variety is none of 'a', 'b'"),
        ({"variety": None, "and": [{"variety": "a"}]}, "variety is missing, and variety is 'a'"),
        ({"variety": {"null": True, "ne": "a"}}, "variety is missing, and variety is not 'a'"),
        ({"terms": {"all": ["x", "y"], "none": ["y"]}}, "terms has 'y', and terms has none of 'y'"),
        ({"variety": []}, "variety is compared with an empty list"),
        ({"or": []}, "there is nothing under or"),
        ({"variety": "Merlot"}, "No item matches: variety is 'Merlot'"),
        ({"variety": "Malbec", "points": 2**63 - 1},
         "each of which some match: variety is 'Malbec' (1); points is 9223372036854775807 (1)"),
    ],
)  # fmt: skip
def test_an_empty_answer_has_its_reason(spec: Any, reason: str) -> None:
    chosen = Filter.compile(spec, CATALOG)
    assert chosen.n_matching == 0
    assert reason in str(chosen.reason())


# What is kept -----------------------------------------------------------------------------------


def test_a_predicate_is_computed_once() -> None:
    catalog = Catalog(4, table=TABLE)
    rows({"price": {"lt": 30}, "variety": "Malbec"}, catalog)
    before = len(catalog.bitmaps)
    rows({"or": [{"variety": ["Malbec"]}, {"not": {"price": {"lt": 30.0}}}]}, catalog)
    assert len(catalog.bitmaps) == before == 2


def test_the_bitmaps_that_were_not_used_for_longest_are_forgotten() -> None:
    from kneighbors.items.bitmaps import Bitmaps

    kept = Bitmaps(most_bytes=2)
    computed = []

    def get(key: str) -> None:
        def compute() -> Any:
            computed.append(key)
            return np.ones(8, dtype=np.bool_)

        kept.get(key, compute)

    for key in "abacaba":
        get(key)
    assert "".join(computed) == "abcb"
    kept.get("wide", lambda: np.ones(80, dtype=np.bool_))
    assert len(kept) == 2


def test_a_mask_cannot_be_changed() -> None:
    mask = Filter.compile({}, CATALOG).mask()
    with pytest.raises(ValueError, match="read-only"):
        mask[0] = False


def test_filters_need_no_pandas(tmp_path: Path) -> None:
    path = tmp_path / "items.arrow"
    with pa.ipc.new_file(path, TABLE.schema) as writer:
        writer.write_table(TABLE)
    code = (
        "import sys, pyarrow as pa; from kneighbors.items import Catalog;"
        "from kneighbors.items.filters import Filter;"
        f"c = Catalog(4, table=pa.ipc.open_file({str(path)!r}).read_all());"
        "[Filter.compile(s, c).mask() for s in ({'points': [1, 2]}, {'variety': ['a', 'b']},"
        " {'variety': {'prefix': 'a', 'lt': 'b'}}, {'terms': ['x', 'y']}, {'organic': True},"
        " {'exact': {'lt': 1}}, {'exact': [1, 2]}, {'coded': 'a'}, {'picked': '2020-01-01'})];"
        "c.facets(); c.search_text('a', 'variety');"
        "print('pandas' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
