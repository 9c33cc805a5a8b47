"""What numpy writes is read as numpy reads it; the rest is in `fuzz/bodies/npy`."""

from __future__ import annotations

import io
import os
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from numpy.lib import format as numpy_format
from numpy.typing import NDArray

from kneighbors.errors import BodyRefused
from kneighbors.formats import Answer, Limits, decode
from kneighbors.formats.npy import encode, read_array, write_array
from support.wire_bodies import npy_body

DTYPES = ["f2", "f4", "f8", "i1", "u1", "i2", "i4", "i8"]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("fortran", [False, True])
@pytest.mark.parametrize("shape", [(5,), (1, 5), (3, 4), (1, 1)])
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_numeric_array_is_read_exactly(
    dtype: str, shape: tuple[int, ...], fortran: bool, order: str
) -> None:
    values = np.random.default_rng(1).uniform(-100, 100, shape)
    array = np.asarray(values if dtype[0] == "f" else np.abs(values), dtype=order + dtype)
    if fortran:
        array = np.asfortranarray(array)
    found = read_array(npy_body(array))
    np.testing.assert_array_equal(array.astype(np.float64), found)
    assert found.dtype in (np.float32, np.float64)
    assert found.dtype.isnative
    assert found.flags.c_contiguous
    assert found.flags.aligned


@pytest.mark.parametrize(
    ("dtype", "read_as"),
    [
        *[("f2", "f4"), ("i1", "f4"), ("u1", "f4"), ("i2", "f4"), ("f4", "f4")],
        *[("i4", "f8"), ("i8", "f8"), ("f8", "f8")],
    ],
)
def test_a_type_is_read_as_the_smallest_that_holds_it(dtype: str, read_as: str) -> None:
    assert read_array(npy_body(np.ones(3, dtype))).dtype == np.dtype(read_as)


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_all_versions_of_the_format_are_read(version: tuple[int, int]) -> None:
    file = io.BytesIO()
    numpy_format.write_array(file, np.arange(6.0).reshape(2, 3), version=version)
    np.testing.assert_array_equal([[0, 1, 2], [3, 4, 5]], read_array(file.getvalue()))


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '<f8', 'fortran_order': False, 'shape': (2,), }",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (2,)}",
        "{'shape':(2,),'fortran_order':False,'descr':'<f8'}\n",
        "{ 'fortran_order' : False , 'shape' : ( 2 , ) , 'descr' : '<f8' , }   \n",
        "{'descr': '<f8', 'fortran_order': True, 'shape': (1, 2), }",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (2, 1,), }",
    ],
)
def test_headers_of_other_writers_are_read(header: str) -> None:
    body = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode()
    found = read_array(body + np.array([1.5, 2.5]).tobytes())
    assert found.ravel().tolist() == [1.5, 2.5]


def test_data_at_an_odd_address_is_aligned() -> None:
    header = "{'descr': '<f8', 'fortran_order': False, 'shape': (2,)}"
    for blanks in range(16):
        text = header + " " * blanks
        body = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()
        assert read_array(body + np.array([1.5, 2.5]).tobytes()).flags.aligned


def test_float32_is_not_copied() -> None:
    body = npy_body(np.ones((1000, 300), np.float32))
    tracemalloc.start()
    array = read_array(body)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert not array.flags.owndata
    assert peak < 100_000


@pytest.mark.parametrize("shape", [(4,), (2, 3), (2, 5, 3)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_what_is_written_is_what_numpy_writes(
    dtype: type[np.generic], shape: tuple[int, ...]
) -> None:
    array = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    assert npy_body(array) == write_array(array)
    assert npy_body(np.ascontiguousarray(array.T)) == write_array(array.T)


def test_an_answer_is_distances_over_rows() -> None:
    distances, rows = np.array([[0.1, 0.2], [0.3, 0.4]]), np.array([[7, 2**53 - 1], [1, 0]])
    batch = np.load(io.BytesIO(encode(Answer(distances, rows), {})))
    assert ((2, 2, 2), np.float64) == (batch.shape, batch.dtype)
    np.testing.assert_array_equal([distances, rows], batch)
    lone = np.load(io.BytesIO(encode(Answer(distances[:1], rows[:1], single=True), {})))
    np.testing.assert_array_equal([distances[0], rows[0]], lone)


def test_an_object_array_is_never_unpickled(tmp_path: Path) -> None:
    trace = tmp_path / "ran"

    class Evil:
        def __reduce__(self) -> tuple[object, ...]:
            return os.mkdir, (str(trace),)

    file = io.BytesIO()
    np.save(file, np.array([Evil()] * 2, dtype=object), allow_pickle=True)
    body = file.getvalue()
    with pytest.raises(BodyRefused) as caught:
        decode(body, "application/x-npy")
    assert caught.value.code == "body-dtype"
    assert not trace.exists()
    # The trap works: numpy, told to trust it, springs it.
    np.load(io.BytesIO(body), allow_pickle=True)
    assert trace.exists()


@pytest.mark.parametrize("array", [np.ones((1, 1, 1)), np.float32(1)], ids=["3-d", "0-d"])
def test_other_dimensions_are_refused_where_they_are_not_expected(
    array: NDArray[np.float64],
) -> None:
    with pytest.raises(BodyRefused) as caught:
        read_array(npy_body(array))
    assert caught.value.code == "body-shape"


def test_the_largest_numbers_of_rows_and_bytes_pass() -> None:
    body = npy_body(np.zeros((10_000, 2), np.int8))
    limits = Limits(max_body_bytes=len(body), max_rows=10_000)
    assert decode(body, "application/x-npy", limits=limits).n_queries == 10_000


def test_the_module_leaves_numpys_reader_alone() -> None:
    assert not hasattr(sys.modules["kneighbors.formats.npy"], "ast")
    source = Path(str(sys.modules["kneighbors.formats.npy"].__file__)).read_text()
    assert "np.load(" not in source
    assert "eval(" not in source
