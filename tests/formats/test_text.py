from __future__ import annotations

import pytest

from kneighbors.errors import BodyRefused
from kneighbors.formats.text import decode_text, nearest, shown


@pytest.mark.parametrize("body", [b"", b" ", b"\r\n\t "])
def test_an_empty_body_is_refused(body: bytes) -> None:
    with pytest.raises(BodyRefused) as caught:
        decode_text(body)
    assert (caught.value.code, caught.value.where) == ("body-empty", "byte 0")


def test_utf_8_is_read() -> None:
    assert decode_text('["château 😀"]'.encode()) == '["château 😀"]'


def test_us_ascii_is_held_to_its_word() -> None:
    assert decode_text(b"[1]", "us-ascii") == "[1]"
    with pytest.raises(BodyRefused) as caught:
        decode_text('["é"]'.encode(), "us-ascii")
    assert (caught.value.code, caught.value.where) == ("body-encoding", "byte 2")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig"])
def test_other_encodings_are_refused_at_the_first_byte(encoding: str) -> None:
    with pytest.raises(BodyRefused) as caught:
        decode_text("[1, 2]".encode(encoding))
    assert (caught.value.code, caught.value.where) == ("body-encoding", "byte 0")


def test_the_first_bad_byte_is_named() -> None:
    with pytest.raises(BodyRefused, match="0xe9") as caught:
        decode_text(b'["caf\xe9"]')
    assert caught.value.where == "byte 5"


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("a\x00b", id="nul"),
        pytest.param("\u202eabc", id="right-to-left"),
        pytest.param("\ud800", id="lone-surrogate"),
        pytest.param("\n\r", id="line-ends"),
        pytest.param("x" * 100_000, id="long"),
        pytest.param(10**5_000, id="integer-beyond-the-digits-that-python-writes"),
        pytest.param(-(10**400), id="huge-negative-integer"),
        pytest.param(1e308, id="float"),
    ],
)
def test_what_is_shown_is_short_and_printable(value: object) -> None:
    text = shown(value)
    assert text.isprintable()
    assert len(text) < 120
    assert text.encode()


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("n_neighbours", "n_neighbors"),
        ("N-Neighbors", "n_neighbors"),
        ("K", "k"),
        ("exclude-self", "exclude_self"),
        ("trace-id", None),
        ("tfs-model-name", None),
        ("x" * 1_000_000, None),
    ],
)
def test_a_misspelling_is_recognised_and_other_names_are_not(written: str, meant: str) -> None:
    names = ["n_neighbors", "k", "radius", "exclude_self", "exclude_ids", "include_items"]
    assert nearest(written, names) == meant
