"""Which format an answer gets: RFC 9110, section 12.5.1, and what it leaves to us."""

from __future__ import annotations

import pytest

from kneighbors.errors import BodyRefused
from kneighbors.formats import CSV, JSON, JSONLINES, NPY, negotiate

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"


@pytest.mark.parametrize("source", [NPY, JSON, CSV, JSONLINES])
@pytest.mark.parametrize("accept", [None, "", " ", ",", "*/*", "*", "*/*;q=0.1", BROWSER])
def test_without_a_preference_the_answer_is_as_the_request(accept: str, source: str) -> None:
    assert negotiate(accept, source).name == source


@pytest.mark.parametrize(
    ("accept", "source", "chosen"),
    [
        ("application/json", NPY, JSON),
        ("APPLICATION/X-NPY", JSON, NPY),
        ("text/csv", JSON, CSV),
        ("text/*", JSON, CSV),
        ("application/*", CSV, JSON),
        ("application/*", NPY, NPY),
        ("application/*, text/csv;q=0.9", CSV, JSON),
        ("application/json, */*", NPY, JSON),  # what is named is wanted more
        ("*/*, application/json", NPY, JSON),
        ("application/json, text/plain, */*", CSV, JSON),
        ("application/json;q=0.5, application/x-npy", JSON, NPY),
        ("application/json;q=0.5, */*;q=0.1", NPY, JSON),
        ("application/json, application/x-npy", NPY, NPY),  # both as welcome: as the request
        ("application/json, application/x-npy", CSV, JSON),  # both as welcome: the one named first
        ("application/x-npy, application/json", CSV, NPY),
        ("application/json;q=0, */*", JSON, NPY),  # the precise range says no
        ("*/*;q=0.5, application/x-npy;q=0", NPY, JSON),
        ("text/csv;q=0, text/*", CSV, None),
        ("image/png, text/csv;q=0.1", JSON, CSV),
        ("application/json; charset=utf-8", NPY, JSON),
        ("application/json; verbose=true", JSON, JSON),
        ("application/jsonlines", JSON, JSONLINES),
        ("text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2", NPY, NPY),
    ],
)
def test_the_most_welcome_format_is_chosen(accept: str, source: str, chosen: str | None) -> None:
    if chosen is None:
        with pytest.raises(BodyRefused) as caught:
            negotiate(accept, source)
        assert caught.value.code == "accept-unsupported"
    else:
        assert negotiate(accept, source).name == chosen


@pytest.mark.parametrize("label", ["application/x-ndjson", "application/jsonl"])
def test_an_alias_is_answered_by_its_own_name(label: str) -> None:
    accepted = negotiate(label, JSON)
    assert (JSONLINES, label) == (accepted.name, accepted.content_type)


def test_a_header_line_may_be_asked_for() -> None:
    accepted = negotiate("text/csv; header=present", CSV)
    assert accepted.content_type == "text/csv; header=present"


@pytest.mark.parametrize(
    "accept",
    ["image/png", "application/xml, text/html", "*/*;q=0", "application/json;q=0", "text/plain"],
)
def test_what_cannot_be_served_is_refused_with_what_can(accept: str) -> None:
    with pytest.raises(BodyRefused, match="application/x-npy") as caught:
        negotiate(accept, JSON)
    assert caught.value.code == "accept-unsupported"


@pytest.mark.parametrize(("need", "code"), [("ragged", "accept-ragged"), ("items", "accept-items")])
@pytest.mark.parametrize("accept", [NPY, CSV, "text/*", "application/x-npy, text/csv;q=0.5"])
def test_formats_of_fixed_width_refuse_what_they_cannot_carry(
    accept: str, need: str, code: str
) -> None:
    with pytest.raises(BodyRefused, match="application/json") as caught:
        negotiate(accept, JSON, frozenset({need}))
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("accept", "source", "chosen"),
    [
        (None, NPY, JSON),
        ("*/*", CSV, JSON),
        (None, JSONLINES, JSONLINES),
        ("application/x-npy, application/json;q=0.1", NPY, JSON),
        ("application/x-npy, application/jsonlines;q=0.1", NPY, JSONLINES),
    ],
)
def test_a_client_that_leaves_room_gets_a_format_that_can(
    accept: str | None, source: str, chosen: str
) -> None:
    assert negotiate(accept, source, frozenset({"ragged"})).name == chosen
