from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from kneighbors.corpus import read_corpus, records
from kneighbors.corpus.numerals import Fault
from kneighbors.corpus.text_vectors import parse_cell, parse_column
from kneighbors.errors import KNeighborsError

Write = Callable[[str | bytes], Path]
RANDOM = np.random.default_rng(0)


def refused(path: Path, **options: Any) -> KNeighborsError:
    with pytest.raises(KNeighborsError) as caught:
        read_corpus(path, **options)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    return caught.value


def reviews(path: Path, texts: list[str], column: str = "review_vector") -> Path:
    """Write the layout of the published wine embeddings, by pandas."""
    frame = pd.DataFrame(
        {"Title": [f'Wine "{n}", no. {n}' for n in range(len(texts))], column: texts}
    )
    frame.to_csv(path, index=False)
    return path


@pytest.mark.parametrize("width", [1, 2, 7, 300])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_numpy_prints_comes_back(tmp_path: Path, width: int, dtype: Any) -> None:
    values = RANDOM.standard_normal((40, width)).astype(dtype) * 10.0 ** RANDOM.integers(
        -9, 9, (40, 1)
    ).astype(dtype)
    path = reviews(tmp_path / "x.csv", [str(row) for row in values])
    corpus = read_corpus(path)
    expected = np.array([[float(word) for word in str(row)[1:-1].split()] for row in values])
    np.testing.assert_array_equal(corpus.X, expected)
    assert corpus.items is not None
    assert corpus.items.column_names == ["Title"]
    assert corpus.items.column("Title")[3].as_py() == 'Wine "3", no. 3'


def test_a_vector_printed_in_full_comes_back_exactly(tmp_path: Path) -> None:
    values = RANDOM.standard_normal((20, 30))
    with np.printoptions(floatmode="unique", precision=17):
        path = reviews(tmp_path / "x.csv", [str(row) for row in values])
    np.testing.assert_array_equal(read_corpus(path).X, values)


@pytest.mark.parametrize(
    "write",
    [
        lambda row: json.dumps(row),
        lambda row: str(row),
        lambda row: json.dumps(row, indent=1),
        lambda row: ",".join(map(repr, row)),
        lambda row: " ".join(map(repr, row)),
        lambda row: f"  [\t{' '.join(map(repr, row))}\r\n]\n",
    ],
)
def test_lists_with_commas_or_spaces_come_back_exactly(
    tmp_path: Path, write: Callable[[list[float]], str]
) -> None:
    values = RANDOM.standard_normal((20, 5)).tolist()
    path = reviews(tmp_path / "x.csv", [write(row) for row in values])
    assert read_corpus(path).X.tolist() == values


def test_rows_may_be_written_differently(tmp_path: Path) -> None:
    texts = ["[1 2 3]", "[4, 5, 6]", "7 8 9", "10,11,12", "[ 1.3e1  -.5\n +4.]"]
    X = read_corpus(reviews(tmp_path / "x.csv", texts)).X
    assert X.tolist() == [[1, 2, 3], [4, 5, 6], [7, 8, 9], [10, 11, 12], [13, -0.5, 4]]


def test_the_vector_is_found_by_its_look_or_named(tmp_path: Path) -> None:
    path = reviews(tmp_path / "x.csv", ["[1 2]", "[3 4]"], column="embedding")
    assert read_corpus(path).X.tolist() == [[1, 2], [3, 4]]
    path = reviews(tmp_path / "y.csv", ["1 2", "3 4"], column="embedding")
    assert refused(path).code == "corpus-columns"
    assert read_corpus(path, vector_column="embedding").X.tolist() == [[1, 2], [3, 4]]


def test_the_well_known_name_goes_before_other_vectors(csv: Write) -> None:
    path = csv("d0,d1,other,review_vector\n1,2,[3 4],[5 6]\n")
    assert read_corpus(path).X.tolist() == [[5, 6]]
    assert read_corpus(path, vector_column="other").X.tolist() == [[3, 4]]
    assert read_corpus(path, columns="d").X.tolist() == [[1, 2]]


def test_without_a_header_the_vector_is_found_by_its_look(csv: Write) -> None:
    corpus = read_corpus(csv('w1,"[1\n2]",12\nw2,[3 4],13\n'))
    assert corpus.X.tolist() == [[1, 2], [3, 4]]
    assert corpus.items is not None
    assert corpus.items.to_pydict() == {"column_1": ["w1", "w2"], "column_3": [12, 13]}


def test_many_vectors_over_several_lines_cross_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "BLOCK_BYTES", 1000)
    values = RANDOM.standard_normal((300, 40)).round(6)
    path = reviews(tmp_path / "x.csv", [str(row) for row in values])
    assert path.read_text().count("\n") > 5 * 300
    X = read_corpus(path).X
    np.testing.assert_array_equal(X, values)


@pytest.mark.parametrize(
    ("text", "code", "words", "line"),
    [
        ("[ 0.1 0.2 ...\n 0.8 0.9]", "corpus-vector-truncated", "cannot be had back", 4),
        ("[0.1 0.2]", "corpus-ragged", "Expected 3 numbers, got 2.", 4),
        ("[0.1 0.2 0.3 0.4]", "corpus-ragged", "Expected 3 numbers, got 4.", 4),
        ("[1 2\n x]", "corpus-not-a-number", "'x', as number 3 of the vector", 5),
        ("[1 2\n 1_0]", "corpus-not-a-number", "underscore", 5),
        ("[1\n 2\n nan]", "array-not-finite", "'nan', as number 3", 6),
        ("[1 2 1e999]", "array-not-finite", "'1e999'", 4),
        ("[1, 2, null]", "corpus-not-a-number", "'null'", 4),
        ("[1, , 3]", "corpus-cell-empty", "got nothing, as number 2", 4),
        ("[1, 2, 3,]", "corpus-cell-empty", "as number 4", 4),
        ("[1 2, 3]", "corpus-not-a-number", "'1 2'", 4),
        ("[[1 2 3]]", "corpus-vector-text", "brackets within brackets", 4),
        ("[1 2 3] [4]", "corpus-vector-text", "brackets within brackets", 4),
        ("[1 2 3", "corpus-vector-text", "a bracket at the end", 4),
        ("1 2 3]", "corpus-vector-text", "brackets", 4),
        ("array([1, 2, 3])", "corpus-vector-text", "brackets", 4),
        ("tensor(1 2 3)", "corpus-vector-text", "'tensor(1'", 4),
        ("[]", "corpus-ragged", "Expected 3 numbers, got 0.", 4),
        ("", "corpus-cell-empty", "Expected a vector, got nothing", 4),
        ("nan", "array-not-finite", "'nan'", 4),
        ("[١ ٢ ٣]", "corpus-not-a-number", "digits 0 to 9", 4),
    ],
)
def test_a_vector_that_cannot_be_read_is_named(
    csv: Write, text: str, code: str, words: str, line: int
) -> None:
    path = csv(f'id,review_vector\na,[1 2 3]\nb,[1 2 3]\nc,"{text}"\nd,[1 2 3]\n')
    error = refused(path)
    assert error.code == code
    assert words in str(error)
    assert error.where == f"{path}, line {line}, column 2 ('review_vector')"


def test_the_first_vector_may_be_the_fault(csv: Write) -> None:
    assert refused(csv("id,review_vector\na,[]\n")).code == "corpus-cell-empty"
    path = csv('id,review_vector\na,"[1 ... 2]"\n')
    assert refused(path).code == "corpus-vector-truncated"


def test_what_numpy_leaves_out_is_not_made_up(tmp_path: Path) -> None:
    path = reviews(tmp_path / "x.csv", [str(row) for row in RANDOM.standard_normal((3, 1500))])
    error = refused(path)
    assert error.code == "corpus-vector-truncated"
    assert "numpy.set_printoptions" in str(error)


@given(
    hnp.arrays(
        st.sampled_from([np.float32, np.float64]),
        hnp.array_shapes(min_dims=2, max_dims=2, max_side=12),
        elements={"allow_nan": False, "allow_infinity": False},
    )
)
def test_any_printed_array_is_read_as_python_reads_its_numbers(values: Any) -> None:
    texts = [str(row) for row in values]
    expected = [[float(word) for word in text[1:-1].split()] for text in texts]
    found = parse_column(pa.array(texts), None)
    assert found is not None
    assert found.tolist() == expected
    assert [parse_cell(text, None) for text in texts] == expected


@given(st.text("0123456789.eE+-_ ,[]\nna", max_size=20))
def test_the_fast_and_the_exact_parser_never_disagree(text: str) -> None:
    exact = parse_cell(text, None)
    fast = parse_column(pa.array([text]), None)
    if isinstance(exact, Fault):
        assert fast is None
    elif fast is not None:
        assert fast.tolist() == [exact]
