"""RFC 9110, sections 5.6 (tokens, quoted strings, lists), 8.3 (Content-Type), 12.5.1 (Accept)."""

from __future__ import annotations

import pytest

from kneighbors.errors import BodyRefused
from kneighbors.formats.media import MAX_HEADER_LENGTH, parse_accept, parse_content_type


@pytest.mark.parametrize(
    ("header", "name", "parameters"),
    [
        ("application/json", "application/json", {}),
        ("APPLICATION/Json", "application/json", {}),
        ("  application/json\t", "application/json", {}),
        ("application/json; charset=utf-8", "application/json", {"charset": "utf-8"}),
        ("application/json;charset=UTF-8", "application/json", {"charset": "UTF-8"}),
        ("application/json ; CHARSET=utf-8", "application/json", {"charset": "utf-8"}),
        ('text/csv; charset="utf-8"', "text/csv", {"charset": "utf-8"}),
        ('text/csv; x="a;b,c"', "text/csv", {"x": "a;b,c"}),
        (r'text/csv; x="a\"b\\c"', "text/csv", {"x": r'a"b\c'}),
        ('text/csv; x=""', "text/csv", {"x": ""}),
        ("text/csv;", "text/csv", {}),
        ("text/csv; ; header=present;", "text/csv", {"header": "present"}),
        (
            "text/csv; header=present; label_size=0",
            "text/csv",
            {"header": "present", "label_size": "0"},
        ),
        ("application/vnd.apache.arrow.stream", "application/vnd.apache.arrow.stream", {}),
    ],
)
def test_a_content_type_is_read(header: str, name: str, parameters: dict[str, str]) -> None:
    media = parse_content_type(header)
    assert (name, parameters) == (media.name, media.parameters)


@pytest.mark.parametrize(
    "header",
    [
        "json",
        "application/",
        "/json",
        "application / json",
        "application/json text/csv",
        "application/json, text/csv",
        "application/json; charset",
        "application/json; charset=",
        "application/json; =utf-8",
        "application/json; charset =utf-8",
        "application/json; charset= utf-8",
        'application/json; charset="utf-8',
        'application/json; charset="utf-8\\"',
        "application/json; charset=utf-8; charset=latin-1",
        "application/json; charset=utf-8; Charset=utf-8",
        "application/js(on)",
        "applicationé/json",
        "application/json\n",
        "application/json\0",
        "*",
        "x" * (MAX_HEADER_LENGTH + 1),
        'a/b;x="' + "\\a" * 2_000,
    ],
)
def test_a_malformed_content_type_is_refused(header: str) -> None:
    with pytest.raises(BodyRefused) as caught:
        parse_content_type(header)
    assert caught.value.code == "content-type-malformed"


@pytest.mark.parametrize(
    ("header", "ranges"),
    [
        ("", []),
        (" , ,, ", []),
        ("application/json", [("application/json", 1.0)]),
        ("text/*;q=0.3, text/plain;q=0.7", [("text/*", 0.3), ("text/plain", 0.7)]),
        ("*/*;q=0", [("*/*", 0.0)]),
        ("text/csv;Q=0.25", [("text/csv", 0.25)]),
        ("text/csv;q=1.000,text/plain ; q=0.", [("text/csv", 1.0), ("text/plain", 0.0)]),
        ('text/csv;x="a,b;q=0";q=0.5', [("text/csv", 0.5)]),
        # What Java's HttpURLConnection sends of its own accord.
        (
            "text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2",
            [("text/html", 1), ("image/gif", 1), ("image/jpeg", 1), ("*/*", 0.2), ("*/*", 0.2)],
        ),
    ],
)
def test_an_accept_header_is_read(header: str, ranges: list[tuple[str, float]]) -> None:
    assert ranges == [(one.name, one.weight) for one in parse_accept(header)]


@pytest.mark.parametrize(
    "header",
    [
        "json",
        "application/json;q=2",
        "application/json;q=1.5",
        "application/json;q=-1",
        "application/json;q=high",
        "application/json;q=nan",
        "application/json;q=0.5.5",
        'application/json;q=""',
        "application/json application/x-npy",
        "application/json; q",
        "application/json;q=0.1;q=0.2",
        'text/csv;x="open',
        "\x00",
        "," * (MAX_HEADER_LENGTH + 1),
    ],
)
def test_a_malformed_accept_header_is_refused(header: str) -> None:
    with pytest.raises(BodyRefused) as caught:
        parse_accept(header)
    assert caught.value.code == "accept-malformed"
