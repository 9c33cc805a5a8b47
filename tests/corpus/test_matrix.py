from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kneighbors.corpus import matrix
from kneighbors.corpus.matrix import Matrix
from kneighbors.errors import CorpusRefused


@given(
    st.lists(
        st.tuples(st.integers(0, 9), st.sampled_from(["f4", "f8", "f2", "i2", "i8"])), max_size=12
    ),
    st.integers(1, 5),
    st.sampled_from([None, "float32", "float64"]),
    st.integers(0, 40),
)
def test_batches_come_out_one_after_another(
    batches: list[tuple[int, str]], width: int, dtype: Any, expected: int
) -> None:
    block_bytes, matrix._BLOCK_BYTES = matrix._BLOCK_BYTES, 100
    try:
        rows = Matrix(None if dtype is None else np.dtype(dtype))
        rows.n_features = width
        rows.expect(expected)
        arrays = []
        for n, (count, kind) in enumerate(batches):
            arrays.append((np.arange(count * width).reshape(count, width) + n).astype(kind))
            rows.add(arrays[-1], "x")
        result = rows.finish()
    finally:
        matrix._BLOCK_BYTES = block_bytes
    assert result.shape == (sum(count for count, _ in batches), width)
    assert result.flags.c_contiguous
    assert result.dtype in (np.float32, np.float64)
    if dtype is not None and batches:
        assert result.dtype == dtype
    if arrays:
        np.testing.assert_array_equal(result, np.concatenate(arrays))


def test_a_matrix_beyond_all_memory_is_refused() -> None:
    rows = Matrix()
    rows.n_features = 300
    rows.expect(1 << 50)
    with pytest.raises(CorpusRefused) as caught:
        rows.room(1, np.dtype(np.float64))
    assert caught.value.code == "corpus-memory"
    assert "2,702,159,776,422,297,600 bytes" in str(caught.value)


def test_importing_corpus_loads_no_heavy_package() -> None:
    program = "import sys, kneighbors.corpus; print(*sorted(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert not {"obstore", "pyarrow", "sklearn", "scipy", "pandas"} & set(done.stdout.split())
