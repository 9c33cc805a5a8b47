"""What RecTools and ranx say about lists of recommendations, as one JSON document.

Run in an environment that has them (`make test-peers` makes one):

    python measure.py > peers.json

The lists are drawn by the standard library's generator, whose numbers do not change.
"""

from __future__ import annotations

import json
import random
import sys
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd
import rectools.metrics as rectools
from ranx import Qrels, Run, evaluate
from rectools.metrics.distances import PairwiseDistanceCalculator

N_ITEMS = 60
#: Users, places of a list, and the most items held out of a user.
CASES = [(40, 10, 1), (40, 5, 8), (25, 10, 12), (30, 1, 3)]
RANX = {"precision": "precision", "hit_recall": "recall", "map": "map", "ndcg": "ndcg",
        "mrr": "mrr", "hit_rate": "hit_rate"}  # fmt: skip


def main() -> None:
    rng = random.Random(0)
    packages = ("rectools", "ranx", "numpy", "pandas")
    document = {
        "versions": {name: version(name) for name in packages},
        "cases": [_measured(_case(rng, *shape)) for shape in CASES],
    }
    json.dump(document, sys.stdout)
    sys.stdout.write("\n")


def _case(rng: random.Random, n_users: int, k: int, most_held_out: int) -> dict[str, Any]:
    """Draw users; a few get shorter lists than asked for, all hold something out."""
    items = range(N_ITEMS)
    likes, held_out, answers = [], [], []
    for user in range(n_users):
        chosen = rng.sample(items, rng.randint(1, 15) + most_held_out)
        n_held_out = rng.randint(1, most_held_out)
        held_out.append(chosen[:n_held_out])
        likes.append(chosen[most_held_out:])
        others = [item for item in items if item not in likes[-1]]
        # Every other list is made to hit something.
        first = held_out[-1][: rng.randint(0, 3)] if user % 2 else []
        rest = [item for item in rng.sample(others, min(2 * k, len(others))) if item not in first]
        listed = (first + rest)[:k]
        rng.shuffle(listed)
        answers.append(listed if user % 7 else listed[: max(2, k - 2)])
    return {
        "k": k,
        "likes": likes,
        "held_out": held_out,
        "answers": answers,
        "vectors": [[rng.uniform(-1, 1) for _ in range(4)] for _ in items],
    }


def _measured(case: dict[str, Any]) -> dict[str, Any]:
    return {**case, "rectools": _by_rectools(case), "ranx": _by_ranx(case)}


def _by_ranx(case: dict[str, Any]) -> dict[str, list[float]]:
    """Return the figures by user."""
    relevant = {f"{user:03d}": {str(item): 1 for item in items}
                for user, items in enumerate(case["held_out"])}  # fmt: skip
    listed = {f"{user:03d}": {str(item): -float(place) for place, item in enumerate(items)}
              for user, items in enumerate(case["answers"])}  # fmt: skip
    k = case["k"]
    qrels, run = Qrels(relevant), Run(listed)
    return {
        name: [float(one) for one in evaluate(qrels, run, f"{theirs}@{k}", return_mean=False)]
        for name, theirs in RANX.items()
    }


def _by_rectools(case: dict[str, Any]) -> dict[str, Any]:
    """Return the figures by user, save the coverage."""
    k, users = case["k"], range(len(case["answers"]))
    listed = pd.DataFrame(
        [(user, item, place) for user in users
         for place, item in enumerate(case["answers"][user], 1)],
        columns=["user_id", "item_id", "rank"],
    )  # fmt: skip
    asked, known = _pairs(case["held_out"]), _pairs(case["likes"])
    of_likes = known.join(known["item_id"].value_counts().rename("popularity"), on="item_id")
    popularity = rectools.AvgRecPopularity(k).calc_per_user(listed, known)
    found = {
        "precision": rectools.Precision(k).calc_per_user(listed, asked),
        "hit_recall": rectools.Recall(k).calc_per_user(listed, asked),
        "map": rectools.MAP(k).calc_per_user(listed, asked),
        "ndcg": rectools.NDCG(k, divide_by_achievable=True).calc_per_user(listed, asked),
        "mrr": rectools.MRR(k).calc_per_user(listed, asked),
        "hit_rate": rectools.HitRate(k).calc_per_user(listed, asked),
        "novelty": rectools.MeanInvUserFreq(k).calc_per_user(listed, known),
        "popularity": popularity,
        "popularity_bias": popularity / of_likes.groupby("user_id")["popularity"].mean(),
    }
    if k > 1:
        distances = Cosine(np.array(case["vectors"]))
        found["diversity"] = rectools.IntraListDiversity(k, distances).calc_per_user(listed)
    measured: dict[str, Any] = {
        name: series.reindex(list(users)).astype(float).tolist() for name, series in found.items()
    }
    coverage = rectools.CatalogCoverage(k, normalize=True)
    return measured | {"coverage": float(coverage.calc(listed, list(range(N_ITEMS))))}


def _pairs(lists: list[list[int]]) -> pd.DataFrame:
    return pd.DataFrame(
        [(user, item) for user, items in enumerate(lists) for item in items],
        columns=["user_id", "item_id"],
    )


class Cosine(PairwiseDistanceCalculator):  # type: ignore[misc, unused-ignore]
    """Cosine distances of items by their vectors."""

    def __init__(self, vectors: Any) -> None:
        self._unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def _get_distances_for_item_pairs(self, items_0: Any, items_1: Any) -> Any:
        left, right = self._unit[items_0.astype(int)], self._unit[items_1.astype(int)]
        return 1.0 - (left * right).sum(axis=1)


if __name__ == "__main__":
    main()
