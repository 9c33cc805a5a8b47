"""Recommendations by brute force, from the rules of docs/reference/recommend.md alone."""

from __future__ import annotations

from typing import Any

import numpy as np


def distance(metric: str, x: Any, y: Any) -> float:
    """Return the textbook's distance of two vectors; that of equal ones is exact."""
    x, y = np.asarray(x, np.longdouble), np.asarray(y, np.longdouble)
    if metric == "inner_product":
        return -float((x * y).sum())
    if metric == "cosine":
        x, y = x / np.sqrt((x * x).sum()), y / np.sqrt((y * y).sum())
        return float(((x - y) ** 2).sum() / 2)
    squared = float(((x - y) ** 2).sum())
    return squared if metric == "sqeuclidean" else float(np.sqrt(squared))


def mean(metric: str, pairs: list[tuple[Any, float]]) -> Any:
    vectors = [np.asarray(v, np.float64) for v, _ in pairs]
    if metric == "cosine":
        vectors = [v / np.sqrt((v * v).sum()) for v in vectors]
    return sum(v * w for v, (_, w) in zip(vectors, pairs, strict=True)) / sum(w for _, w in pairs)


def ranked(X: Any, metric: str, ask: dict[str, Any]) -> list[tuple[int, float, int, float]]:
    """Return class, cost, row and distance of every row, sorted; likes are vectors and weights."""
    like, dislike = ask["like"], ask["dislike"]
    out = []
    if ask.get("strategy") != "best_score":
        q = like[0][0] if len(like) == 1 and not dislike else mean(metric, like)
        q = q + (q - mean(metric, dislike)) if dislike else q
        out = [(0, gap, row, gap) for row, x in enumerate(X) for gap in [distance(metric, x, q)]]
    for row, x in enumerate(X if not out else ()):
        p = min((distance(metric, x, v) for v, _ in like), default=np.inf)
        n = min((distance(metric, x, v) for v, _ in dislike), default=np.inf)
        out.append((0, p, row, p) if p < n else (1, -n, row, p if like else n))
    return sorted(out)


def answer(X: Any, metric: str, ask: dict[str, Any]) -> tuple[list[int], list[float], str | None]:
    """Return rows and distances of the answers, and the reason where they are too few."""
    included = ask.get("included", set(range(len(X))))
    matching = included & ask.get("matching", included)
    allowed = matching - ask["excluded"]
    least, most = ask.get("min_distance", -np.inf), ask.get("radius", np.inf)
    candidates = [one for one in ranked(X, metric, ask) if one[2] in allowed]
    window = [one for one in candidates if least <= one[3] <= most]
    k, t, fold = ask["k"], ask.get("diversity", 0), ask.get("fold_within", -np.inf)
    groups, most_of = ask.get("groups"), ask.get("max_per_group", 1)
    taken: list[tuple[int, float, int, float]] = []
    counts: dict[Any, int] = {}
    for one in window:
        group = None if groups is None else groups[one[2]]
        if len(taken) == (max(100, 4 * k) if t else k):
            break
        if any(distance(metric, X[one[2]], X[other[2]]) <= fold for other in taken):
            continue
        if group is not None and counts.get(group, 0) >= most_of:
            continue
        taken.append(one)
        counts[group] = counts.get(group, 0) + 1
    short = len(taken) < k
    reason = (
        reason_of(ask, included, matching, candidates, window, taken, counts) if short else None
    )
    if t:
        pool, taken = taken, []
        while pool and len(taken) < k:
            gaps = [
                min((distance(metric, X[c[2]], X[s[2]]) for s in taken), default=0) for c in pool
            ]
            worth = [(c[0], (1 - t) * c[1] - t * g) for c, g in zip(pool, gaps, strict=True)]
            taken.append(pool.pop(worth.index(min(worth))))
    return [one[2] for one in taken], [one[3] for one in taken], reason


def reason_of(
    ask: dict[str, Any],
    included: set[int],
    matching: set[int],
    candidates: list[Any],
    window: list[Any],
    taken: list[Any],
    counts: dict[Any, int],
) -> str:
    """Return why there are fewer answers than were asked for."""
    groups, rows = ask.get("groups"), {one[2] for one in taken}
    waiting = [one[2] for one in window if one[2] not in rows]
    if groups and any(
        counts.get(groups[row], 0) >= ask.get("max_per_group", 1) for row in waiting if groups[row]
    ):
        return "group"
    if waiting:
        return "folded"
    if any(one[3] < ask.get("min_distance", -np.inf) for one in candidates):
        return "min_distance"
    if len(window) < len(candidates):
        return "radius"
    if matching & ask["excluded"]:
        return "excluded"
    return "included" if matching == included else "filter"
