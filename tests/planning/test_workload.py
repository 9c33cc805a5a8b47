from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kneighbors.errors import ParameterRefused
from kneighbors.planning import Workload

GOOD = {"rows": "1e6", "dims": "100", "qps": "10", "p99": "50ms"}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *(("rows", text) for text in ("0", "-1", "1.5", "nan", "inf", "many", "", "1_000", "1e14")),
        *(("dims", text) for text in ("0", "-768", "1e9", "٣", "768d")),
        *(("qps", text) for text in ("0", "-1", "nan", "inf", "fast")),
        *(
            ("p99", text)
            for text in ("50", "ms", "50 min", "-50ms", "0ms", "nan", "1e9s", "1e999s")
        ),
        *(("recall", text) for text in ("0", "1.01", "95%", "nan")),
        *(("copies", text) for text in ("0", "1.5", "101", "two")),
    ],
)
def test_what_cannot_be_planned_for_is_refused_by_name(name: str, text: str) -> None:
    with pytest.raises(ParameterRefused) as caught:
        Workload.of_texts(**{**GOOD, name: text})
    assert (f"plan-{name}", f"--{name}") == (caught.value.code, caught.value.where)
    assert repr(text[:40]) in caught.value.message


@pytest.mark.parametrize(
    ("text", "seconds"), [("50ms", 0.05), ("0.05s", 0.05), ("500 us", 5e-4), ("1e-2s", 0.01)]
)
def test_a_time_is_read_with_its_unit(text: str, seconds: float) -> None:
    assert math.isclose(seconds, Workload.of_texts(**{**GOOD, "p99": text}).p99_s)


@given(st.text(max_size=30))
def test_any_text_is_a_number_in_range_or_refused(text: str) -> None:
    for name in ("rows", "dims", "qps", "p99", "recall", "copies"):
        code = f"plan-{name}"
        try:
            Workload.of_texts(**{**GOOD, name: text})
        except ParameterRefused as refusal:
            code = refusal.code
        assert f"plan-{name}" == code
