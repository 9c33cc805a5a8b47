"""Every metric: its name, what it means, and each value that its labels may have.

Labels and their values are fixed by the table here, so that no client can make a metric grow.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

from kneighbors.server.statuses import STATUS_OF_CODE, STATUSES

#: Name of a path as a label; what is asked for beside these is "other".
ROUTES = (
    *("ping", "invocations", "execution-parameters", "metrics", "openapi", "healthz"),
    *("models", "model", "model-invoke", "explorer", "other"),
)

#: What the time of an invocation is spent on, in this order.
STAGES = ("body", "queue", "read", "search", "write")

_SECONDS = (
    *(0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5),
    *(1.0, 2.0, 5.0, 10.0, 30.0, 60.0),
)
_QUERIES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 1024.0, 4096.0, 16384.0)

_REQUESTS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0)
_SHARES = (1e-05, 3e-05, 0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)

#: What became of a search that was to be done again exactly.
OUTCOMES = ("done", "dropped", "failed")
#: What a window of such searches adds up to: neighbours found, neighbours there are, searches.
WINDOW = ("found", "wanted", "checks")
#: Bins of distances: a tenth of the held-out rows lies in each.
BINS = tuple(map(str, range(10)))
SIDES = ("held-out", "now")

Labels = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Family:
    """One metric.

    Parameters
    ----------
    name, kind, help : str
        As Prometheus has them.
    labels : mapping of str to tuple of str
        Every label with all its values.
    bounds : tuple of float
        Upper bounds of a histogram's buckets, without infinity.
    from_start : tuple of Labels
        Labels with which it is there from the start, at 0: an alert on growth misses the first of
        what begins at 1. Others are there once they have occurred.
    is_shown : bool, default=True
        Whether it is a metric as it is; others are what `kneighbors.server.derived` computes from.
    """

    name: str
    kind: str
    help: str
    labels: Mapping[str, Labels]
    bounds: tuple[float, ...] = ()
    from_start: tuple[Labels, ...] = ()
    is_shown: bool = True

    @property
    def size(self) -> int:
        """Numbers for one set of labels: one, or the buckets, the last one, and the sum."""
        return len(self.bounds) + 2 if self.kind == "histogram" else 1


FAMILIES = (
    Family(
        "kneighbors_requests_total",
        "counter",
        "Requests that were answered, by path and status.",
        {"route": ROUTES, "status": (*map(str, STATUSES), "other")},
        from_start=tuple(product(("invocations", "model-invoke"), ("200", "400", "500", "503"))),
    ),
    Family(
        "kneighbors_errors_total",
        "counter",
        "Errors that were answered, by code.",
        {"code": (*sorted(STATUS_OF_CODE), "other")},
        from_start=tuple((code,) for code, status in STATUS_OF_CODE.items() if status >= 500),
    ),
    Family("kneighbors_disconnects_total", "counter", "Clients that left before the answer.", {}),
    Family(
        "kneighbors_request_seconds",
        "histogram",
        "From the end of a request's headers to the end of its answer.",
        {"route": ("ping", "invocations", "model-invoke")},
        _SECONDS,
    ),
    Family(
        "kneighbors_stage_seconds",
        "histogram",
        "What the time of an invocation was spent on.",
        {"stage": STAGES},
        _SECONDS,
    ),
    Family(
        "kneighbors_request_queries",
        "histogram",
        "Queries in an invocation that was answered.",
        {},
        _QUERIES,
    ),
    Family(
        "kneighbors_batch_queries",
        "histogram",
        "Queries that were searched for together.",
        {},
        _QUERIES,
    ),
    Family(
        "kneighbors_batch_requests",
        "histogram",
        "Requests that were searched for together.",
        {},
        _REQUESTS,
    ),
    Family(
        "kneighbors_candidate_share",
        "histogram",
        "Share of the rows that the bound left to be scored exactly for a query, a batch's mean.",
        {},
        _SHARES,
    ),
    Family(
        "kneighbors_rechecks_total",
        "counter",
        "Approximate answers that were to be searched for again exactly, by what came of it.",
        {"outcome": OUTCOMES},
        from_start=tuple((outcome,) for outcome in OUTCOMES),
    ),
    Family("kneighbors_recheck_wanted_total", "counter", "Neighbours of those answers.", {}),
    Family("kneighbors_recheck_found_total", "counter", "Of these, those that were found.", {}),
    Family(
        "kneighbors_generation_swaps_total",
        "counter",
        "Times that a worker took a new generation of what it serves.",
        {},
    ),
    Family(
        "kneighbors_generation_refused_total",
        "counter",
        "Times that a worker refused a new generation and went on with the old one.",
        {},
    ),
    Family(
        "kneighbors_place_unread_total",
        "counter",
        "Times that a worker could not read the place that it follows.",
        {},
    ),
    Family(
        "kneighbors_partial_answers_total",
        "counter",
        "Answers without rows that no machine of a cluster held, to requests that allow that.",
        {},
    ),
    Family(
        "kneighbors_shard_moves_total",
        "counter",
        "Copies of shards that were moved to another machine of a cluster, to even them out.",
        {},
    ),
    Family("kneighbors_body_bytes_total", "counter", "Bytes of invocations' bodies.", {}),
    Family("kneighbors_answer_bytes_total", "counter", "Bytes of invocations' answers.", {}),
    Family("kneighbors_in_flight", "gauge", "Requests that are being answered.", {}),
    Family("kneighbors_waiting", "gauge", "Requests that wait for a thread, or for a batch.", {}),
    Family("kneighbors_models_open", "gauge", "Models that are open, over all workers.", {}),
    Family("kneighbors_buffered_bytes", "gauge", "Bytes of bodies that are held.", {}),
    Family("recheck_window", "gauge", "", {"part": WINDOW}, is_shown=False),
    Family("nearest_distances", "gauge", "", {"side": SIDES, "bin": BINS}, is_shown=False),
)
