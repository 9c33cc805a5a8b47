"""The planner: what it chooses, that it is repeatable, and that a saved plan answers alike."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from kneighbors.errors import ArtifactError
from kneighbors.search.index import ExactIndex
from kneighbors.search.metrics import METRICS
from kneighbors.search.rows import ArrayRows


def wine_like(n: int, d: int = 96, dtype: Any = np.float32) -> Any:
    random = np.random.default_rng(9)
    centres = random.standard_normal((60, d)) * 0.85 ** np.arange(d)
    X = centres[random.integers(60, size=n)] + 0.2 * (
        random.standard_normal((n, d)) * 0.9 ** np.arange(d)
    )
    return X.astype(dtype)


@pytest.mark.parametrize("metric", sorted(METRICS))
def test_a_steep_spectrum_gets_a_small_head(metric: str) -> None:
    index = ExactIndex.build(ArrayRows(wine_like(20_000)), metric)
    assert index.plan["engine"] == "head"
    assert index.plan["head_size"] <= 48
    n_columns = index.plan["head_size"] + 1 + (metric != "inner_product")
    assert index.parts()["head"].shape == (n_columns, 20_000)


@pytest.mark.parametrize("metric", sorted(METRICS))
def test_isotropic_noise_gets_the_plain_product(metric: str) -> None:
    X = np.random.default_rng(1).standard_normal((20_000, 96)).astype(np.float32)
    plan = ExactIndex.build(ArrayRows(X), metric).plan
    assert plan["engine"] == "product"
    assert "flat" in plan["reason"]


def test_lengths_that_float32_products_cannot_hold_get_a_head() -> None:
    X = np.random.default_rng(1).standard_normal((20_000, 16)) * 1e100
    assert ExactIndex.build(ArrayRows(X), "euclidean").plan["engine"] == "head"


@pytest.mark.parametrize("metric", sorted(METRICS))
@pytest.mark.parametrize("kind", ["steep", "flat", "small"])
def test_an_index_is_its_rows_parts_and_plan(metric: str, kind: str) -> None:
    X = wine_like(3000) if kind == "steep" else np.random.default_rng(2).standard_normal((2000, 80))
    X = X[:50] if kind == "small" else X
    rows = ArrayRows(X)
    built = ExactIndex.build(rows, metric)
    plan = json.loads(json.dumps(built.plan))
    parts = {name: part.copy() for name, part in built.parts().items()}
    opened = ExactIndex.from_parts(rows, metric, parts, plan)
    for mine, other in zip(opened.kneighbors(X[:7], 5), built.kneighbors(X[:7], 5), strict=True):
        np.testing.assert_array_equal(mine, other)
    again = ExactIndex.build(rows, metric)
    assert again.plan == built.plan
    for name, part in again.parts().items():
        assert part.tobytes() == parts[name].tobytes()
    opened.warm_up()


@pytest.mark.parametrize("kind", ["steep", "flat"])
def test_parts_that_do_not_fit_are_refused(kind: str) -> None:
    X = wine_like(20_000) if kind == "steep" else np.random.default_rng(2).random((2000, 80))
    rows = ArrayRows(X)
    built = ExactIndex.build(rows, "euclidean")
    parts = built.parts()
    with pytest.raises(ArtifactError, match="engine 'head' or 'product', got 'tree'"):
        ExactIndex.from_parts(rows, "euclidean", parts, {**built.plan, "engine": "tree"})
    for name, part in parts.items():
        for wrong in (part[..., :-1], part.astype(np.float16), part[np.newaxis]):
            with pytest.raises(ArtifactError, match=repr(name)) as refusal:
                ExactIndex.from_parts(rows, "euclidean", {**parts, name: wrong}, built.plan)
            assert refusal.value.code == "artifact-invalid"
        rest = {other: parts[other] for other in parts if other != name}
        with pytest.raises(ArtifactError, match="got none"):
            ExactIndex.from_parts(rows, "euclidean", rest, built.plan)


def test_progress_is_told_of_every_row() -> None:
    told: list[tuple[str, int, int]] = []
    X = wine_like(20_000)
    ExactIndex.build(ArrayRows(X), "cosine", progress=lambda *step: told.append(step))
    assert {stage for stage, _, _ in told} >= {"surveying", "rotating"}
    assert all(done <= total == 20_000 for _, done, total in told)
    assert told[-1][1] == 20_000


class OneBlockRows(ArrayRows):
    """Rows that refuse to be read whole, as a corpus larger than memory would."""

    def slice(self, start: int, stop: int) -> Any:
        assert stop - start <= 25_000, "more than a block at a time"
        return super().slice(start, stop)


def test_a_corpus_is_never_read_whole() -> None:
    X = wine_like(60_000)
    index = ExactIndex.build(OneBlockRows(X), "cosine")
    assert index.kneighbors(X[:3], 2)[1][:, 0].tolist() == [0, 1, 2]
