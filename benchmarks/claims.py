"""What the package claims of its speed, each with the figure that it must reach."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

Results = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Claim:
    """A figure with its limit.

    Attributes
    ----------
    text : str
    part : str
        The measurement that it is taken from.
    figure : callable
        From that measurement to the figure; KeyError where an engine was left out.
    limit : callable
        From that measurement to what the figure may be at most, or must be at least.
    at_most : bool
    """

    text: str
    part: str
    figure: Callable[[dict[str, Any]], float]
    limit: Callable[[dict[str, Any]], float]
    at_most: bool

    def judge(self, measured: dict[str, Any]) -> dict[str, Any]:
        """Return the claim with what was measured, and whether it holds."""
        try:
            figure, limit = self.figure(measured), self.limit(measured)
        except KeyError as error:
            return {"claim": self.text, "measured": None, "holds": None, "missing": str(error)}
        holds = figure <= limit if self.at_most else figure >= limit
        return {
            "claim": self.text,
            "measured": round(figure, 4),
            "wanted": round(limit, 4),
            "at_most": self.at_most,
            "holds": bool(holds),
        }


def judge(results: Results) -> Iterator[dict[str, Any]]:
    """Yield every claim whose measurement was made."""
    for claim in CLAIMS:
        if claim.part in results:
            yield claim.judge(results[claim.part])


def _ratio(key: str, over: str, under: str) -> Callable[[dict[str, Any]], float]:
    def figure(measured: dict[str, Any]) -> float:
        engines = measured["engines"]
        return float(engines[over][key] / engines[under][key])

    return figure


def _most(text: str, part: str, key: str, over: str, under: str, limit: float) -> Claim:
    return Claim(text, part, _ratio(key, over, under), lambda measured: limit, True)


def _least(text: str, part: str, key: str, over: str, under: str, limit: float) -> Claim:
    return Claim(text, part, _ratio(key, over, under), lambda measured: limit, False)


def _at_half(measured: dict[str, Any]) -> float:
    return float(next(o["open_p99_ms"] for o in measured["open_loop"] if o["share"] == 0.5))


_OURS, _BLAS, _FAISS = "kneighbors", "blas_product", "faiss_flat"
_ALONE = "wines, single query"
_BATCH = "wines, batches of 32"

CLAIMS = (
    _most(f"{_ALONE}: ours / BLAS", "wines", "single_ms", _OURS, _BLAS, 0.1),
    _least(f"{_ALONE}: FAISS flat / ours", "wines", "single_ms", _FAISS, _OURS, 20),
    _least(f"{_ALONE}: USearch exact / ours", "wines", "single_ms", "usearch_exact", _OURS, 20),
    _least(
        f"{_ALONE}: scikit-learn as the walk-through uses it / ours",
        *("wines", "single_ms", "scikit_learn_float64", _OURS, 200),
    ),
    _most(
        f"{_ALONE}: ours, exact / FAISS HNSW at recall 0.99",
        *("wines", "single_ms", _OURS, "faiss_hnsw", 4),
    ),
    Claim(
        "wines: recall of ours, exact",
        "wines",
        lambda measured: float(measured["engines"][_OURS]["recall"]),
        lambda measured: 1.0,
        False,
    ),
    _least("wines, fit: FAISS HNSW / ours", "wines", "build_s", "faiss_hnsw", _OURS, 10),
    _most(f"{_BATCH}: ours / BLAS", "wines", "batch32_ms", _OURS, _BLAS, 0.25),
    _least(f"{_BATCH}: FAISS flat / ours", "wines", "batch32_ms", _FAISS, _OURS, 15),
    _most(
        f"{_ALONE}: our HNSW / FAISS HNSW, both at recall 0.99",
        *("wines", "single_ms", "kneighbors_hnsw", "faiss_hnsw", 1.1),
    ),
    _most("flat spectrum, single query: ours / BLAS", "flat", "single_ms", _OURS, _BLAS, 0.5),
    _most("isotropic, single query: ours / BLAS", "isotropic", "single_ms", _OURS, _BLAS, 1.1),
    _most("clustered, single query: ours / BLAS", "clustered", "single_ms", _OURS, _BLAS, 1.1),
    _most(
        "duplicates and hubs, single query: ours / BLAS",
        *("duplicates", "single_ms", _OURS, _BLAS, 1.1),
    ),
    _most("a million wines, single query: ours / BLAS", "million", "single_ms", _OURS, _BLAS, 0.1),
    Claim(
        "HTTP, one client, ms (at most 2.5 times in process, plus 1)",
        "http",
        lambda measured: float(measured["alone_ms"]),
        lambda measured: 2.5 * float(measured["in_process_ms"]) + 1,
        True,
    ),
    Claim(
        "HTTP, 32 clients, requests/s (800, or 80 % of a constant handler's)",
        "http",
        lambda measured: float(measured["top_per_s"]),
        lambda measured: min(800.0, 0.8 * float(measured["constant_per_s"])),
        False,
    ),
    Claim("HTTP, open loop at half of that, p99, ms", "http", _at_half, lambda _: 15.0, True),
    Claim(
        "first healthy ping, page cache warm, s",
        "http",
        lambda measured: float(measured["first_ping_warm_s"]),
        lambda measured: 0.8,
        True,
    ),
    Claim(
        "ten million wines: memory of the fit, MiB",
        "ten_million",
        lambda measured: float(measured["fit_private_mib"]),
        lambda measured: float(measured["limit_mib"]),
        True,
    ),
    Claim(
        "ten million wines: memory of the server, MiB",
        "ten_million",
        lambda measured: float(measured["serve_private_mib"]),
        lambda measured: float(measured["limit_mib"]),
        True,
    ),
)
