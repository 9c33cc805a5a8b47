from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kneighbors.corpus import read_corpus, records
from kneighbors.corpus.csv_file import _parsed, _parsed_slowly
from kneighbors.corpus.csv_layout import layout_of
from kneighbors.corpus.records import Block
from kneighbors.corpus.roles import Wanted
from support.corpus_csv import written

Write = Callable[[str | bytes], Path]
RANDOM = np.random.default_rng(0)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every file longer than a block."""
    monkeypatch.setattr(records, "BLOCK_BYTES", 64)


def test_plain_numbers_are_read_as_they_are(csv: Write) -> None:
    corpus = read_corpus(csv("0.1,-2e-3,3\n4.,.5,+6E+1\n"))
    assert corpus.X.tolist() == [[0.1, -2e-3, 3.0], [4.0, 0.5, 60.0]]
    assert corpus.X.dtype == np.float64
    assert corpus.X.flags.c_contiguous
    assert corpus.ids is None
    assert corpus.items is None


def test_a_header_names_dimensions_ids_and_attributes(csv: Write) -> None:
    corpus = read_corpus(
        csv(
            "name,d0,d1,id,price,postcode\n"
            'Ch\u00e2teau,0.5,1,w1,12.5,007\n"a ""b"", c",-1,2e3,w2,,012\n,0,0,w3,3,123\n'
        )
    )
    assert corpus.X.tolist() == [[0.5, 1.0], [-1.0, 2000.0], [0.0, 0.0]]
    assert corpus.ids is not None
    assert corpus.ids.to_pylist() == ["w1", "w2", "w3"]
    assert corpus.items is not None
    assert corpus.items.to_pydict() == {
        "name": ["Ch\u00e2teau", 'a "b", c', None],
        "price": [12.5, None, 3.0],
        "postcode": ["007", "012", "123"],
    }


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("tail", ["", "\n", "\n\n\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_line_ends_and_a_mark_of_the_encoding_do_not_matter(
    csv: Write, line_end: str, tail: str, mark: str
) -> None:
    text = mark + "id,x1,x2\na,0.5,1\nb,2,3" + tail
    corpus = read_corpus(csv(text.replace("\n", line_end)))
    assert corpus.X.tolist() == [[0.5, 1.0], [2.0, 3.0]]
    assert corpus.ids is not None
    assert corpus.ids.to_pylist() == ["a", "b"]


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("0,1,2", [[0.5, 1.5, 2.5]]),
        ("d0,d1,d2", [[0.5, 1.5, 2.5]]),
        ("dim_000,dim_001,dim_002", [[0.5, 1.5, 2.5]]),
        ("x3,x1,x2", [[1.5, 2.5, 0.5]]),
        ("1,2,3", [[0.5, 1.5, 2.5]]),
        ("d7,d8,d9", [[0.5, 1.5, 2.5]]),
        ("d0,d1,price", [[0.5, 1.5]]),
        ("price,d0,d1", [[1.5, 2.5]]),
        ("Unnamed: 0,0,1", [[1.5, 2.5]]),
        (",0,1", [[1.5, 2.5]]),
        ("id,0,1", [[1.5, 2.5]]),
        ("d0, d1 ,\td2", [[0.5, 1.5, 2.5]]),
    ],
)
def test_dimensions_are_told_by_their_names(
    csv: Write, header: str, expected: list[list[float]]
) -> None:
    assert read_corpus(csv(f"{header}\n0.5,1.5,2.5\n")).X.tolist() == expected


def test_dimensions_may_be_named(csv: Write) -> None:
    path = csv("lon,lat,price\n1.5,2,30\n-1,0,40\n")
    corpus = read_corpus(path, columns=["lat", "lon"])
    assert corpus.X.tolist() == [[2.0, 1.5], [0.0, -1.0]]
    assert corpus.items is not None
    assert corpus.items.to_pydict() == {"price": [30, 40]}
    path = csv("a1,a2,b1,b2\n1,2,3,4\n")
    assert read_corpus(path, columns="b").X.tolist() == [[3.0, 4.0]]


def test_without_a_header_every_column_of_numbers_is_a_dimension(csv: Write) -> None:
    corpus = read_corpus(csv("w1,0.5,France,2\nw2,1,Italy,3\n"))
    assert corpus.X.tolist() == [[0.5, 2.0], [1.0, 3.0]]
    assert corpus.items is not None
    assert corpus.items.to_pydict() == {"column_1": ["w1", "w2"], "column_3": ["France", "Italy"]}
    corpus = read_corpus(csv("17,0.5\n18,1.5\n"), id_column="column_1")
    assert corpus.X.tolist() == [[0.5], [1.5]]
    assert corpus.ids is not None
    assert corpus.ids.to_pylist() == [17, 18]


@pytest.mark.parametrize("index", [True, False])
@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("width", [2, 9])
def test_what_pandas_writes_comes_back(
    tmp_path: Path, index: bool, header: bool, width: int
) -> None:
    values = RANDOM.standard_normal((50, width))
    pd.DataFrame(values).to_csv(tmp_path / "x.csv", index=index, header=header)
    if index and not header:
        # Nothing tells a column of row numbers from a dimension, unless it is named.
        X = read_corpus(tmp_path / "x.csv", id_column="column_1").X
    else:
        corpus = read_corpus(tmp_path / "x.csv")
        X = corpus.X
        assert corpus.ids is None
        assert corpus.items is None
    np.testing.assert_array_equal(X, values)


@pytest.mark.parametrize("form", ["%.18e", "%.9g", " %+.17g"])
def test_what_numpy_writes_comes_back(tmp_path: Path, form: str) -> None:
    values = RANDOM.standard_normal((50, 7)).astype(np.float32)
    np.savetxt(tmp_path / "x.csv", values.astype(float), fmt=form, delimiter=",")
    corpus = read_corpus(tmp_path / "x.csv")
    np.testing.assert_array_equal(corpus.X.astype(np.float32), values)
    np.testing.assert_array_equal(read_corpus(tmp_path / "x.csv", dtype="float32").X, values)


def test_compressed_text_is_the_same_text(tmp_path: Path) -> None:
    text = "id,d0,d1\n" + "".join(f"w{n},{n / 8},{-n}\n" for n in range(5_000))
    half = len(text) // 2
    (tmp_path / "x.csv.gz").write_bytes(
        gzip.compress(text[:half].encode()) + gzip.compress(text[half:].encode())
    )
    (tmp_path / "x.csv").write_text(text)
    packed, plain = read_corpus(tmp_path / "x.csv.gz"), read_corpus(tmp_path / "x.csv")
    np.testing.assert_array_equal(packed.X, plain.X)
    assert packed.ids == plain.ids


@pytest.mark.usefixtures("small_blocks")
def test_blocks_end_between_records_wherever_quotes_hold_lines(csv: Write) -> None:
    rows = [["id", "note", "d0", "d1"]]
    notes = ["", "plain", 'a "quoted" word', "two\nlines", "\n", '"', "\r\n", "x" * 100, ",,,"]
    for n in range(200):
        rows.append([f"w{n}", notes[n % len(notes)], str(n / 4), str(-n)])
    for line_end in ("\n", "\r\n"):
        for quote_all in (False, True):
            corpus = read_corpus(csv(written(rows, line_end, quote_all)))
            assert corpus.X.tolist() == [[n / 4, -float(n)] for n in range(200)]
            assert corpus.items is not None
            notes_read = corpus.items.column("note").to_pylist()
            expected = [row[1] for row in rows[1:]]
            assert notes_read == [note or ("" if quote_all else None) for note in expected]


@pytest.mark.usefixtures("small_blocks")
def test_a_row_longer_than_a_block_is_read(csv: Write) -> None:
    values = RANDOM.standard_normal((5, 300))
    text = "\n".join(",".join(map(repr, row)) for row in values.tolist())
    np.testing.assert_array_equal(read_corpus(csv(text)).X, values)


@pytest.mark.usefixtures("small_blocks")
def test_a_header_is_not_parted_from_a_first_row_longer_than_a_block(csv: Write) -> None:
    values = RANDOM.standard_normal((2, 300))
    text = "id,review_vector\n" + "".join(f'{n},"{row.tolist()}"\n' for n, row in enumerate(values))
    np.testing.assert_array_equal(read_corpus(csv(text)).X, values)


def test_a_row_longer_than_what_a_thread_is_given_is_read(csv: Write) -> None:
    values = RANDOM.standard_normal((3, 6_000))
    text = "\n".join(",".join(f"{value!r:>300}" for value in row) for row in values.tolist())
    np.testing.assert_array_equal(read_corpus(csv(text)).X, values)


@given(st.data())
def test_any_finite_numbers_come_back_exactly(data: Any) -> None:
    width = data.draw(st.integers(2, 6))
    rows = data.draw(st.lists(st.lists(NUMBERS, min_size=width, max_size=width), min_size=1))
    forms = data.draw(st.sampled_from(["{!r}", "{:.17g}", " {!r}", "{!r}\t", '"{!r}"', "{:+.17e}"]))
    text = "".join(",".join(forms.format(value) for value in row) + "\n" for row in rows)
    header = ",".join(f"d{n}" for n in range(width)) + "\n"
    block = Block((header + text).encode().rstrip(b"\n"), 1, "x.csv")
    layout = layout_of(block, Wanted())
    rest = block.without_first(1)
    for parse in (_parsed, _parsed_slowly):
        vectors, items = parse(rest, layout, None)
        np.testing.assert_array_equal(vectors, rows)
        assert items is None


@given(
    st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r")), min_size=1)
)
def test_any_texts_come_back_beside_the_vector(texts: list[str]) -> None:
    rows = [["name", "d0", "d1"], *([text, "0.5", "1"] for text in texts)]
    block = Block(written(rows, quote_all=True).encode().rstrip(b"\n"), 1, "x.csv")
    block.check()
    layout = layout_of(block, Wanted())
    for parse in (_parsed, _parsed_slowly):
        _, items = parse(block.without_first(1), layout, None)
        assert items is not None
        assert items.column("name").to_pylist() == texts


def test_reading_reports_how_far_it_is(csv: Write) -> None:
    path = csv("".join(f"{n},{n / 8}\n" for n in range(2, 400_000)))
    seen: list[tuple[str, int, int]] = []
    read_corpus(path, progress=lambda *now: seen.append(now))
    size = path.stat().st_size
    assert seen[-1] == ("reading", size, size)
    assert len(seen) > 1
    assert [done for _, done, _ in seen] == sorted(done for _, done, _ in seen)
    assert {(stage, total) for stage, _, total in seen} == {("reading", size)}


def test_the_source_is_described(csv: Write) -> None:
    path = csv("0.5,1\n2,3\n")
    assert read_corpus(path).sources == [
        {
            "name": str(path),
            "rows": 2,
            "bytes": 10,
            "sha256": "43427673023cc38e2434029342e557adfa427d08241775afda80a2b3109c10f2",
        }
    ]
