"""What is recommended equals a brute force that shares no code with the package."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from kneighbors.items import Catalog
from kneighbors.recommend import Recommender
from kneighbors.sagemaker.model import Model
from kneighbors.search.index import ExactIndex
from kneighbors.search.rows import ArrayRows
from support.recommend_oracle import answer

METRICS = ("cosine", "euclidean", "sqeuclidean", "inner_product")
CORPORA = 8


def corpus(random: np.random.Generator) -> tuple[NDArray[Any], dict[str, list[Any]]]:
    """Return rows of which some repeat others to the bit, and attributes of them."""
    n, d = int(random.integers(5, 90)), int(random.integers(2, 12))
    X = random.standard_normal((n, d)) * random.uniform(0.2, 5)
    X = X[random.integers(max(1, n // 3), size=n)] if random.random() < 0.2 else X
    copies = random.random(n) < 0.1
    X[copies] = X[random.integers(n, size=int(copies.sum()))]
    names = np.array(["red", "white", "rosé", None], dtype=object)
    return X.astype(np.float32 if random.random() < 0.5 else np.float64), {
        "colour": names[random.choice(4, size=n, p=[0.5, 0.3, 0.1, 0.1])].tolist(),
        "price": random.permutation(n).astype(float).tolist(),
    }


def request(
    X: NDArray[Any], items: dict[str, list[Any]], metric: str, random: np.random.Generator
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a random request: its JSON, and what the brute force is told."""
    n = len(X)
    body: dict[str, Any] = {"k": int(random.integers(1, n + 1))}
    told: dict[str, Any] = {"k": body["k"], "excluded": set(), "like": [], "dislike": []}
    best = random.random() < 0.35
    if best:
        body["strategy"] = told["strategy"] = "best_score"
    for name, most, least in (("like", 4, 0 if best else 1), ("dislike", 3, 0)):
        for _ in range(int(random.integers(least, most))):
            row = int(random.integers(n))
            weight = 1.0 if best or random.random() < 0.5 else float(random.uniform(0.1, 3))
            if random.random() < 0.7:
                body.setdefault(name, []).append({"id": f"w{row}", "weight": weight})
                told[name].append((X[row], weight))
                told["excluded"].add(row)
            else:
                vector = random.standard_normal((X.shape[1],))
                body.setdefault(name, []).append({"vector": vector.tolist(), "weight": weight})
                told[name].append((vector, weight))
    if not told["like"] and not told["dislike"]:
        body["dislike"] = ["w0"]
        told["dislike"], told["excluded"] = [(X[0], 1.0)], {0}
    if random.random() < 0.2:
        body["exclude_self"], told["excluded"] = False, set()
    if random.random() < 0.4:
        rows = set(random.integers(n, size=random.integers(n + 1)).tolist())
        body["exclude_ids"] = [f"w{row}" for row in sorted(rows)]
        told["excluded"] |= rows
    if random.random() < 0.25:
        told["included"] = set(random.integers(n, size=random.integers(n + 1)).tolist())
        body["include_ids"] = [f"w{row}" for row in sorted(told["included"])]
    if random.random() < 0.5:
        dear = float(random.choice([0, 0.02, 0.1, 0.5, 0.9, 1])) * n  # of every selectivity
        body["filter"] = {"price": {"lt": dear}}
        told["matching"] = {row for row in range(n) if items["price"][row] < dear}
    if random.random() < 0.25:
        body["group_by"], told["groups"] = "colour", items["colour"]
        body["max_per_group"] = told["max_per_group"] = int(random.integers(1, 4))
    scale = {"cosine": 1.0, "inner_product": 4.0}.get(metric, 4.0)
    for name, chance in (("radius", 0.25), ("min_distance", 0.2), ("fold_within", 0.3)):
        if random.random() < chance:
            low = -scale if metric == "inner_product" else 0.0
            bound = float(random.uniform(low, scale))
            if name == "fold_within" and metric != "inner_product" and random.random() < 0.4:
                bound = 0.0
            body[name] = told[name] = bound
    if random.random() < 0.3:
        # Not a half: where a copy of the query is the first answer, all others would tie then.
        body["diversity"] = told["diversity"] = float(random.choice([0.1, 0.45, 0.9, 1.0]))
    return body, told


def said(body: dict[str, Any]) -> dict[str, Any]:
    """Return a request in JSON as Python's arguments."""
    arguments = {name: value for name, value in body.items() if name != "k"}
    for name in ("like", "dislike"):
        arguments[name] = [
            one if isinstance(one, str) else (one.get("id", one.get("vector")), one["weight"])
            for one in body.get(name, ())
        ]
        arguments[name] = [
            (np.array(one[0]), one[1]) if isinstance(one[0], list) else one
            for one in arguments[name]
        ]
    return {**arguments, "n_neighbors": body["k"]}


def check(seed: int, n_requests: int) -> None:
    random = np.random.default_rng(seed)
    X, items = corpus(random)
    metric = METRICS[seed % len(METRICS)]
    catalog = Catalog(len(X), [f"w{row}" for row in range(len(X))], pa.table(items))
    index = ExactIndex.build(ArrayRows(X), metric)
    recommender, model = Recommender(index, catalog), Model(index, catalog)
    for number in range(n_requests):
        body, told = request(X, items, metric, random)
        rows, distances, reason = answer(X, metric, told)
        found = recommender.recommend(**said(body))
        context = f"seed {seed}, request {number}: {metric}, {len(X)} rows, {body}"
        assert rows == found.indices.tolist(), context
        assert reason == found.reason, context
        np.testing.assert_allclose(found.distances, distances, rtol=1e-9, atol=1e-9)
        reply = model.invoke(json.dumps(body).encode(), "application/json")
        (prediction,) = json.loads(reply.body)["predictions"]
        assert found.indices.tolist() == prediction["indices"], context
        assert found.distances.tolist() == prediction["distances"], context
        assert found.ids == prediction["ids"] == [f"w{row}" for row in rows], context
        assert (reason, reason and len(rows)) == (
            prediction.get("reason"),
            prediction.get("n_found"),
        ), context


@pytest.mark.parametrize("seed", range(CORPORA))
def test_random_requests_equal_the_brute_force(seed: int) -> None:
    check(seed, 5)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 200))
def test_two_thousand_random_requests_equal_the_brute_force(seed: int) -> None:
    check(seed, 20)
