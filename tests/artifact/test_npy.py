"""Headers of ``.npy`` files: numpy's own are read, everything else is refused."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from kneighbors.artifact.npy import DTYPES, build_header, dtype_code, parse_header
from kneighbors.errors import ArtifactError


def npy(array: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


shapes = arrays.array_shapes(min_dims=1, max_dims=2, min_side=0, max_side=300)


@given(st.sampled_from(sorted(DTYPES)), shapes)
def test_headers_are_those_of_numpy(dtype: str, shape: tuple[int, ...]) -> None:
    data = npy(np.zeros(shape, dtype))
    header = parse_header(data[:4096], len(data), "x.npy")
    assert (header.dtype, header.shape) == (dtype, shape)
    assert header.data_bytes == len(data) - header.offset
    ours = build_header(dtype, shape)
    assert parse_header(ours, len(ours) + header.data_bytes, "x.npy").shape == shape
    assert np.load(io.BytesIO(ours + data[header.offset :])).shape == shape


@given(st.integers(0, 10**18), st.integers(0, 10**18))
def test_lengths_of_any_size_cannot_overflow(rows: int, columns: int) -> None:
    header = build_header("<f8", (rows, columns))
    expected = len(header) + rows * columns * 8
    if rows < 10**18 and columns < 10**18:
        assert parse_header(header, expected, "x").data_bytes == rows * columns * 8
    with pytest.raises(ArtifactError):
        parse_header(header, expected + 1, "x")


GOOD = build_header("<f4", (2, 3))


def with_line(line: str, total: int = 128) -> bytes:
    return GOOD[:8] + (total - 10).to_bytes(2, "little") + line.ljust(total - 11).encode() + b"\n"


@pytest.mark.parametrize(
    "header",
    [
        b"",
        GOOD[:9],
        GOOD[:127],
        b"PK\x03\x04" + GOOD[4:],
        GOOD[:6] + b"\x02\x00" + GOOD[8:],
        GOOD[:8] + b"\xff\xff" + GOOD[10:],
        GOOD[:8] + b"\x00\x00" + GOOD[10:],
        GOOD[:-1] + b" ",
        with_line("{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }"),
        with_line("{'descr': '>f4', 'fortran_order': False, 'shape': (2, 3), }"),
        with_line("{'descr': '|O', 'fortran_order': False, 'shape': (2, 3), }"),
        with_line("{'descr': '<c8', 'fortran_order': False, 'shape': (2, 3), }"),
        with_line("{'descr': '|V0', 'fortran_order': False, 'shape': (1000000000,), }"),
        with_line("{'descr': '|S0', 'fortran_order': False, 'shape': (1000000000,), }"),
        with_line("{'descr': '<M8', 'fortran_order': False, 'shape': (2, 3), }"),
        with_line("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2, 3), }"),
        with_line("{'descr': '<f4', 'fortran_order': False, 'shape': (), }"),
        with_line("{'descr': '<f4', 'fortran_order': False, 'shape': (6), }"),
        with_line("{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2, 3), }"),
        with_line("{'descr': '<f4', 'fortran_order': False, 'shape': (-2, 3), }"),
        with_line("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1" + "0" * 18 + "), }"),
        with_line("{'descr': '<f4', 'fortran_order': False, 'shape': (\u0662, 3), }", 128),
        with_line("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), 'x': 1}"),
        with_line("{'descr': '<f4', 'shape': (2, 3), 'fortran_order': False, }"),
        with_line("(" * 100),
        with_line("__import__('os').system('true')"),
    ],
)
def test_headers_of_another_form_are_refused(header: bytes) -> None:
    with pytest.raises(ArtifactError) as caught:
        parse_header(header, 128 + 24, "x.npy")
    assert caught.value.code == "artifact-invalid"
    assert "x.npy, byte" in str(caught.value)


@pytest.mark.parametrize("length", [0, 127, 128, 151, 153, 10**15])
def test_a_file_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(ArtifactError, match="Expected 152 bytes"):
        parse_header(GOOD, length, "x.npy")


def test_a_long_header_is_read_up_to_its_limit() -> None:
    line = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }"
    assert parse_header(with_line(line, 4096), 4096 + 24, "x").offset == 4096
    with pytest.raises(ArtifactError, match="up to 4096"):
        parse_header(with_line(line, 4160), 4160 + 24, "x")


@pytest.mark.parametrize("dtype", ["object", "complex64", "datetime64[s]", "U3", "bool", "V4"])
def test_arrays_that_are_no_plain_numbers_cannot_be_stored(dtype: str) -> None:
    with pytest.raises(TypeError, match="cannot be stored"):
        dtype_code(np.dtype(dtype))


@pytest.mark.parametrize("shape", [(), (1, 2, 3)])
def test_arrays_of_other_dimensions_cannot_be_stored(shape: tuple[int, ...]) -> None:
    with pytest.raises(TypeError, match="dimensions"):
        build_header("<f4", shape)
