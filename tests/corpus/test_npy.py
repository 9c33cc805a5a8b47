from __future__ import annotations

import io
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from kneighbors.corpus import read_corpus
from kneighbors.corpus.npy_header import check_length, check_matrix, read_header
from kneighbors.errors import CorpusRefused, KNeighborsError

X = np.random.default_rng(0).standard_normal((7, 3)).astype(np.float32)


def npy(descr: str, shape: str, data: bytes = b"", version: int = 1, order: str = "False") -> bytes:
    header = f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}\n".encode()
    length = len(header).to_bytes(2 if version == 1 else 4, "little")
    return b"\x93NUMPY" + bytes([version, 0]) + length + header + data


def refused(path: Path, **options: Any) -> CorpusRefused:
    with pytest.raises(CorpusRefused) as caught:
        read_corpus(path, **options)
    assert str(path) in str(caught.value)
    return caught.value


@pytest.mark.parametrize("dtype", ["<f4", "<f8"])
def test_native_floats_in_rows_stay_where_they_are(tmp_path: Path, dtype: str) -> None:
    np.save(tmp_path / "x.npy", X.astype(dtype))
    corpus = read_corpus(tmp_path / "x.npy")
    assert isinstance(corpus.X, np.memmap)
    assert not corpus.X.flags.writeable
    assert corpus.X.dtype == dtype
    assert corpus.X.flags.c_contiguous
    np.testing.assert_array_equal(corpus.X, X)
    assert corpus.ids is None
    assert corpus.items is None
    assert corpus.sources[0]["rows"] == 7
    assert corpus.sources[0]["bytes"] == (tmp_path / "x.npy").stat().st_size


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize(
    ("dtype", "kept"),
    [
        ("f2", "f4"),
        (">f2", "f4"),
        ("<f4", "f4"),
        (">f4", "f4"),
        (">f8", "f8"),
        ("i1", "f4"),
        ("u1", "f4"),
        (">i2", "f4"),
        ("<u2", "f4"),
        ("<i4", "f8"),
        (">u4", "f8"),
        ("<i8", "f8"),
        ("<u8", "f8"),
    ],
)
def test_other_numbers_are_converted_without_loss(
    tmp_path: Path, dtype: str, kept: str, order: Any
) -> None:
    values = np.array(np.arange(600).reshape(200, 3) % 120, dtype=dtype, order=order)
    np.save(tmp_path / "x.npy", values)
    corpus = read_corpus(tmp_path / "x.npy")
    assert corpus.X.dtype == np.dtype(kept)
    assert corpus.X.dtype.isnative
    assert corpus.X.flags.c_contiguous
    np.testing.assert_array_equal(corpus.X, values)


def test_a_large_array_in_columns_comes_out_in_rows(tmp_path: Path) -> None:
    values = np.random.default_rng(1).standard_normal((70_001, 37))
    np.save(tmp_path / "x.npy", np.asfortranarray(values))
    X = read_corpus(tmp_path / "x.npy").X
    assert X.flags.c_contiguous
    np.testing.assert_array_equal(X, values)


def test_a_type_may_be_asked_for(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", X)
    same = read_corpus(tmp_path / "x.npy", dtype="float32").X
    assert isinstance(same, np.memmap)
    wide = read_corpus(tmp_path / "x.npy", dtype="float64").X
    assert wide.dtype == np.float64
    np.testing.assert_array_equal(wide, X)
    with pytest.raises(KNeighborsError, match="'float32' or 'float64'"):
        read_corpus(tmp_path / "x.npy", dtype="float16")


def test_a_number_that_does_not_fit_the_type_is_refused(tmp_path: Path) -> None:
    values = np.ones((5, 2))
    values[3, 1] = 1e39
    np.save(tmp_path / "x.npy", values)
    with pytest.raises(KNeighborsError, match="float32 can hold, got 1e\\+39") as caught:
        read_corpus(tmp_path / "x.npy", dtype="float32")
    assert caught.value.code == "array-overflow"
    assert caught.value.where == f"{tmp_path / 'x.npy'}, row 3"


@pytest.mark.parametrize("version", [1, 2, 3])
def test_every_version_of_the_header_is_read(tmp_path: Path, version: int) -> None:
    (tmp_path / "x.npy").write_bytes(npy("'<f4'", "(7, 3)", X.tobytes(), version))
    np.testing.assert_array_equal(read_corpus(tmp_path / "x.npy").X, X)


@pytest.mark.parametrize(
    ("data", "code", "words"),
    [
        (npy("'|O'", "(1, 1)", b"\x80\x04."), "corpus-dtype", "Python objects"),
        (npy("'<c8'", "(1, 1)", bytes(8)), "corpus-dtype", "complex"),
        (npy("'<M8[s]'", "(1, 1)", bytes(8)), "corpus-dtype", "dates"),
        (npy("'|b1'", "(1, 1)", bytes(1)), "corpus-dtype", "booleans"),
        (npy("'|S4'", "(1, 1)", bytes(4)), "corpus-dtype", "bytes"),
        (npy("'<U4'", "(1, 1)", bytes(16)), "corpus-dtype", "texts"),
        (npy("'|V0'", "(1000000000, 1)"), "corpus-dtype", "raw"),
        (npy("'|S0'", "(1000000000, 1)"), "corpus-dtype", "bytes"),
        (npy("'<U0'", "(1000000000, 1)"), "corpus-dtype", "texts"),
        (npy("[('a', '<f4')]", "(1, 1)", bytes(4)), "corpus-dtype", "structured"),
        (npy("'<f16'", "(1, 1)", bytes(16)), "corpus-dtype", "float128"),
        (npy("'nonsense'", "(1, 1)"), "corpus-damaged", "name of a type"),
        (npy("'<f4'", "(3,)", bytes(12)), "corpus-shape", "shape (3,)"),
        (npy("'<f4'", "()", bytes(4)), "corpus-shape", "shape ()"),
        (npy("'<f4'", "(1, 1, 1)", bytes(4)), "corpus-shape", "shape (1, 1, 1)"),
        (npy("'<f4'", "(0, 3)"), "corpus-empty", "(0, 3)"),
        (npy("'<f4'", "(3, 0)"), "corpus-empty", "(3, 0)"),
        (npy("'<f4'", "(0, 1000000000000000000)"), "corpus-empty", "(0, 1000000000000000000)"),
        (npy("'<f4'", "(2000000000000, 1)"), "corpus-truncated", "Expected 8000000000"),
        (npy("'<f4'", "(9999999999999999999, 9999999999)"), "corpus-truncated", "Expected"),
        (npy("'<f4'", "(-1, 3)"), "corpus-damaged", "lengths"),
        (npy("'<f4'", "(True, 3)", bytes(12)), "corpus-damaged", "lengths"),
        (npy("'<f4'", "(1.0, 3)", bytes(12)), "corpus-damaged", "lengths"),
        (npy("'<f4'", "[1, 3]", bytes(12)), "corpus-damaged", "lengths"),
        (npy("'<f4'", "(1, 3)", bytes(12), order="1"), "corpus-damaged", "True or False"),
        (npy("'<f4'", "(1, 3)", bytes(13)), "corpus-damaged", "got"),
        (npy("'<f4'", "__import__('os').abort()"), "corpus-damaged", "literals"),
        (npy("'<f4'", "(" * 1000), "corpus-damaged", "literals"),
        (npy("'<f4'", "(" + "-" * 3500 + "1, 1)"), "corpus-damaged", "literals"),
        (npy("'<f4'", "(1, 3), 'more': 1", bytes(12)), "corpus-damaged", "descr"),
        (npy("'<f4'", "(1, 3)" + " " * 5000, bytes(12)), "corpus-damaged", "4096 bytes"),
        (b"\x93NUMPY\x01\x00\x04\x00[1]\n", "corpus-damaged", "descr"),
        (b"\x93NUMPY\x02\x00\xff\xff\xff\xff", "corpus-damaged", "4096 bytes"),
        (b"\x93NUMPY\x04\x00\x10\x00", "corpus-damaged", "version 1, 2 or 3"),
        (b"\x93NUMPY", "corpus-truncated", "got 6 of 8"),
        (b"PAR1 something else", "corpus-damaged", "begins with"),
        (b"\x93NUMPY\x01\x00\x76\x00{'descr'", "corpus-truncated", "got 8 of 118"),
    ],
)
def test_a_hostile_or_damaged_file_is_refused(
    tmp_path: Path, data: bytes, code: str, words: str
) -> None:
    (tmp_path / "x.npy").write_bytes(data)
    error = refused(tmp_path / "x.npy")
    assert error.code == code
    assert words in str(error)


def test_a_file_cut_off_anywhere_says_what_is_missing(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    np.save(buffer, X)
    whole = buffer.getvalue()
    for length in range(1, len(whole)):
        (tmp_path / "x.npy").write_bytes(whole[:length])
        assert refused(tmp_path / "x.npy").code == "corpus-truncated"
    (tmp_path / "x.npy").write_bytes(whole[:150])
    assert f"Expected {len(whole)} bytes for shape (7, 3) of float32, got 150." in str(
        refused(tmp_path / "x.npy")
    )


def test_objects_are_never_unpickled(tmp_path: Path) -> None:
    witness = tmp_path / "witness"

    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (witness,)

    np.save(tmp_path / "x.npy", np.array([[Trap()]], dtype=object), allow_pickle=True)
    assert refused(tmp_path / "x.npy").code == "corpus-dtype"
    assert not witness.exists()


def test_columns_cannot_be_asked_for_by_name(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", X)
    for options in ({"vector_column": "v"}, {"id_column": "id"}, {"columns": ["d0"]}):
        assert refused(tmp_path / "x.npy", **options).code == "corpus-columns"


@given(st.binary(max_size=200))
def test_any_bytes_are_a_header_or_refused(data: bytes) -> None:
    for text in (data, b"\x93NUMPY\x01\x00\x20\x00" + data):
        with suppress(CorpusRefused):
            header = read_header(io.BytesIO(text), "x.npy")
            check_matrix(header, "x.npy")
            check_length(header, len(text), "x.npy")
            np.testing.assert_equal(len(np.load(io.BytesIO(text))), header.shape[0])


@given(
    hnp.arrays(
        st.sampled_from(["<f4", ">f8", "<f2", "<i8", "u1"]),
        hnp.array_shapes(min_dims=2, max_dims=2, max_side=8),
    )
)
def test_any_matrix_comes_back(values: np.ndarray[Any, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder) / "x.npy", values)
        X = read_corpus(Path(folder) / "x.npy").X
        np.testing.assert_array_equal(X, values.astype(X.dtype))
