from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kneighbors.corpus import read_corpus, records
from kneighbors.errors import ArrayRefused, CorpusRefused, KNeighborsError

Write = Callable[[str | bytes], Path]
HEADER = "id,d0,d1\n"


def refused(path: Path, **options: Any) -> KNeighborsError:
    with pytest.raises(KNeighborsError) as caught:
        read_corpus(path, **options)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    ("cell", "code", "words"),
    [
        ("", "corpus-cell-empty", "got nothing"),
        ('""', "corpus-cell-empty", "got nothing"),
        ("   ", "corpus-cell-empty", "got nothing"),
        ("1_000", "corpus-not-a-number", "underscore"),
        ("١٢٣", "corpus-not-a-number", "digits 0 to 9"),
        ("１２", "corpus-not-a-number", "digits 0 to 9"),
        ("1#2", "corpus-not-a-number", "no comments"),
        ("1 # note", "corpus-not-a-number", "no comments"),
        ("abc", "corpus-not-a-number", "'abc'"),
        ("None", "corpus-not-a-number", "Remove the row"),
        ("NA", "corpus-not-a-number", "Remove the row"),
        ("0x10", "corpus-not-a-number", "decimal"),
        ("1d5", "corpus-not-a-number", "'1d5'"),
        ("1e", "corpus-not-a-number", "'1e'"),
        (".", "corpus-not-a-number", "'.'"),
        ("--1", "corpus-not-a-number", "'--1'"),
        ("1 2", "corpus-not-a-number", "'1 2'"),
        ('"1,5"', "corpus-not-a-number", "a point"),
        ("1\u00a0", "corpus-not-a-number", "'1\\xa0'"),
        ("true", "corpus-not-a-number", "'true'"),
        ("[1 2]", "corpus-not-a-number", "vector_column"),
        ("1\0", "corpus-not-a-number", "'1\\x00'"),
        ("nan", "array-not-finite", "'nan'"),
        ("NaN", "array-not-finite", "'NaN'"),
        ("-inf", "array-not-finite", "'-inf'"),
        ("Infinity", "array-not-finite", "'Infinity'"),
        ("1e400", "array-not-finite", "'1e400'"),
        ("9" * 400, "array-not-finite", "..."),
        ("9" * 5000, "array-not-finite", "..."),
    ],
)
def test_a_cell_that_is_no_number_is_named_by_line_and_column(
    csv: Write, cell: str, code: str, words: str
) -> None:
    path = csv(f'{HEADER}a,1,2\n"b\nb",3,4\nc,5,{cell}\nd,7,8\n')
    error = refused(path)
    assert error.code == code
    assert isinstance(error, ArrayRefused if code == "array-not-finite" else CorpusRefused)
    assert words in str(error)
    assert error.where == f"{path}, line 5, column 3 ('d1')"


@pytest.mark.parametrize("n_before", [0, 1, 5_000, 120_000])
def test_the_line_is_right_however_far_down(csv: Write, n_before: int) -> None:
    path = csv(HEADER + "".join(f'"w\n{n}",{n},0.25\n' for n in range(n_before)) + "x,1,oops\n")
    assert refused(path).where == f"{path}, line {2 * n_before + 2}, column 3 ('d1')"


@pytest.mark.parametrize(
    ("row", "got", "column"),
    [("b,3", 2, 3), ("b,3,4,5", 4, 4), ("", 1, 2), ("b,3,4,", 4, 4), ('"b,3,4"', 1, 2)],
)
def test_a_row_of_another_length_is_named(csv: Write, row: str, got: int, column: int) -> None:
    path = csv(f"{HEADER}a,1,2\n{row}\nc,5,6\n")
    error = refused(path)
    assert error.code == "corpus-ragged"
    assert f"Expected 3 cells, got {got}." in str(error)
    assert error.where == f"{path}, line 3, column {column}"


def test_a_first_row_of_another_length_than_the_header_is_named(csv: Write) -> None:
    assert refused(csv("id,d0,d1\na,1\n")).code == "corpus-ragged"
    assert refused(csv("id,d0,d1\na,1,2,3\n")).code == "corpus-ragged"


def test_a_blank_line_is_only_nothing_at_the_end(csv: Write) -> None:
    assert read_corpus(csv("0.5\n1\n\n\n")).X.tolist() == [[0.5], [1.0]]
    error = refused(csv("0.5\n\n1\n"))
    assert error.code == "corpus-cell-empty"
    assert "line 2, column 1" in str(error)
    assert refused(csv("\n0.5\n")).code == "corpus-ragged"
    assert refused(csv("0.5,1\n  \n")).code == "corpus-ragged"


def test_blank_lines_over_the_end_of_a_block_are_counted(
    csv: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "BLOCK_BYTES", 8)
    assert read_corpus(csv("0.5,1\n2,3\n" + "\n" * 20)).X.tolist() == [[0.5, 1.0], [2.0, 3.0]]
    path = csv("0.5,1\n2,3\n" + "\n" * 20 + "4,5\n")
    error = refused(path)
    assert (error.code, error.where) == ("corpus-ragged", f"{path}, line 3, column 2")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('a,1,2\nb"b,3,4\n', 3),
        ('a,1,2\n"b"b,3,4\n', 3),
        ('a,1,2\n"b,3,4\nc,5,6\n', 3),
        ('a,1,2\nb,"3,4\n', 3),
        ('a,1,2\n"b\n\nb"x,3,4\n', 5),
        ('a,1,2\nb ,"3" ,4\n', 3),
        ('a,1,2\nb, "3",4\n', 3),
    ],
)
def test_a_stray_or_open_quote_is_named_by_its_line(csv: Write, text: str, line: int) -> None:
    path = csv(HEADER + text)
    error = refused(path)
    assert error.code == "corpus-quotes"
    assert error.where == f"{path}, line {line}"


def test_a_quote_that_is_never_closed_does_not_fill_the_memory(
    csv: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "BLOCK_BYTES", 1 << 10)
    monkeypatch.setattr(records, "MAX_RECORD_BYTES", 1 << 12)
    path = csv(HEADER + "a,1,2\n" * 300 + '"b' + ",3,4\n" * 2_000)
    error = refused(path)
    assert error.code == "corpus-quotes"
    assert error.where == f"{path}, line 302"


@pytest.mark.parametrize("text", ["id,d0,d1\ra,1,2\rb,3,4\r", "id,d0,d1\na,1,2\rb,3,4\n"])
def test_a_carriage_return_alone_ends_no_line(csv: Write, text: str) -> None:
    assert refused(csv(text)).code == "corpus-line-ends"


def test_a_carriage_return_in_quotes_is_text(csv: Write) -> None:
    corpus = read_corpus(csv('name,d0,d1\n"a\rb",1,2\n'))
    assert corpus.items is not None
    assert corpus.items.column("name").to_pylist() == ["a\rb"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-32", "latin-1"])
def test_another_encoding_is_refused(csv: Write, encoding: str) -> None:
    data = "\ufeff" * (encoding == "utf-16-be") + "id,d0,d1\nü,1,2\n"
    error = refused(csv(data.encode(encoding)))
    assert error.code == "corpus-encoding"
    assert "UTF-8" in str(error)


def test_a_byte_that_is_no_utf8_is_named_by_line_and_column(csv: Write) -> None:
    path = csv(HEADER.encode() + b"a,1,2\n\xfcb,3,4\n")
    error = refused(path)
    assert (error.code, error.where) == ("corpus-encoding", f"{path}, line 3, column 1 ('id')")
    assert "0xfc" in str(error)


@pytest.mark.parametrize("text", ["\n\n", "\ufeff", "\r\n"])
def test_a_file_without_rows_is_refused(csv: Write, text: str) -> None:
    assert refused(csv(text)).code == "corpus-empty"


def test_a_header_without_rows_is_refused(csv: Write) -> None:
    error = refused(csv(HEADER))
    assert error.code == "corpus-empty"
    assert "header alone" in str(error)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("lon,lat\n1,2\n", "'lon', 'lat'"),
        ("a1,a2,b1,b2\n1,2,3,4\n", "'a1' to 'a2' and 'b1' to 'b2'"),
        ("d0,d1,d3\n1,2,3\n", "2 is missing"),
        ("term1,term2,term3\na,b,3\n", "'term1', 'term2', 'term3'"),
        ("d0,d1,d01\n1,2,3\n", "1 occurs twice"),
        ("d0,d0\n1,2\n", "several columns named 'd0'"),
        ("u,v\n[1 2],[3 4]\n", "one series of numbered columns, got 'u', 'v'."),
        ("u,d0,d1\n[1 2],3,4\n", "got 'u' and 'd0' to 'd1'."),
        ("name,text\na,b\n", "'name', 'text'"),
        ("0,1\n1,0\n", "which may be either"),
        ("d0;d1\n1;2\n", "semicolons"),
        ("d0\td1\n1\t2\n", "tabs"),
    ],
)
def test_a_layout_that_is_not_clear_is_refused_with_the_options(
    csv: Write, text: str, words: str
) -> None:
    error = refused(csv(text))
    assert error.code == "corpus-columns"
    assert words in str(error)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"vector_column": "none"}, "vector_column names"),
        ({"id_column": "none"}, "id_column names"),
        ({"columns": ["d0", "none"]}, "columns names"),
        ({"columns": []}, "each of them once"),
        ({"columns": ["d0", "d0"]}, "each of them once"),
        ({"columns": "e"}, "named 'e' and consecutive"),
        ({"columns": ["d0"], "vector_column": "id"}, "got both"),
        ({"columns": ["d0"], "id_column": "d0"}, "as both"),
    ],
)
def test_a_column_that_is_not_there_is_refused(
    csv: Write, options: dict[str, Any], words: str
) -> None:
    error = refused(csv(HEADER + "a,1,2\n"), **options)
    assert error.code == "corpus-columns"
    assert words in str(error)


@pytest.mark.parametrize("cut", [1, 5, 15, 30, -1, -4, -8, -9])
def test_compressed_text_that_is_cut_off_is_refused(tmp_path: Path, cut: int) -> None:
    random = np.random.default_rng(0).standard_normal((200, 3))
    data = gzip.compress("\n".join(",".join(map(repr, r)) for r in random.tolist()).encode())
    (tmp_path / "x.csv.gz").write_bytes(data[:cut])
    assert refused(tmp_path / "x.csv.gz").code in ("corpus-truncated", "corpus-damaged")


def test_compressed_text_with_a_changed_byte_is_refused(tmp_path: Path) -> None:
    data = bytearray(gzip.compress(b"0.5,1\n2,3\n" * 100))
    data[-8] ^= 1  # of the checksum
    (tmp_path / "x.csv.gz").write_bytes(data)
    assert refused(tmp_path / "x.csv.gz").code == "corpus-damaged"
    (tmp_path / "x.csv.gz").write_bytes(b"0.5,1\n")
    assert refused(tmp_path / "x.csv.gz").code == "corpus-damaged"
