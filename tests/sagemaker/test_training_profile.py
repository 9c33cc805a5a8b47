from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from kneighbors.sagemaker import profile
from kneighbors.sagemaker.profile import profile_corpus


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_figures_are_those_of_numpy(dtype: type) -> None:
    rng = np.random.default_rng(5)
    X: NDArray[Any] = rng.normal(size=(500, 7)).astype(dtype)
    X[[3, 40, 41]] = 0
    X[100:120] = X[200:220]
    found = profile_corpus(X)
    norms = np.linalg.norm(X.astype(np.float64), axis=1)
    assert found.zero_rows == 3
    assert found.duplicate_rows == len(X) - len(np.unique(X, axis=0))
    assert found.duplicate_rows == 22
    assert found.norms == pytest.approx(
        {
            "min": 0.0,
            "median": float(np.median(norms)),
            "mean": float(norms.mean()),
            "max": float(norms.max()),
        }
    )


def test_rows_that_differ_in_the_sign_of_a_zero_are_duplicates() -> None:
    assert profile_corpus(np.array([[0.0, 1.0], [-0.0, 1.0]])).duplicate_rows == 1


def test_blocks_do_not_change_the_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    X = np.random.default_rng(0).integers(0, 3, size=(1000, 3)).astype(np.float32)
    whole = profile_corpus(X)
    monkeypatch.setattr(profile, "_BLOCK_BYTES", 7 * 24)
    seen: list[tuple[str, int, int]] = []
    assert profile_corpus(X, lambda *step: seen.append(step)) == whole
    assert seen[0] == ("profiling", 7, 1000)
    assert seen[-1] == ("profiling", 1000, 1000)


@pytest.mark.parametrize("size", [1e-300, 1e-320, 1e300, 1.7e308])
def test_tiny_and_huge_norms_stay_finite(size: float) -> None:
    found = profile_corpus(np.array([[size, 0.0], [size, 0.0], [0.0, -size]]))
    assert found.zero_rows == 0
    assert found.norms == pytest.approx(dict.fromkeys(("min", "median", "mean", "max"), size))


def test_a_norm_beyond_the_largest_float_is_the_largest_float() -> None:
    found = profile_corpus(np.full((1, 4), 1.7e308))
    assert found.norms["max"] == np.finfo(np.float64).max


def test_a_mapped_corpus_is_read_where_it_is(tmp_path: Path) -> None:
    X = np.arange(12, dtype=np.float32).reshape(6, 2)
    np.save(tmp_path / "x.npy", X)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert profile_corpus(mapped) == profile_corpus(X)
