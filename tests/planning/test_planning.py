from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kneighbors.planning import Workload, plan
from kneighbors.planning import constants as c
from kneighbors.planning.engines import Service
from kneighbors.planning.queueing import load, waits
from support.cli_run import Runner

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"
RECORDED = RESULTS / "engines.jsonl"
LARGE = Workload(10**9, 768, 500.0, 0.05)
SMALL = Workload(180_000, 300, 50.0, 0.03)


def by_name(found: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {(one["place"], one["engine"]): one for one in found["plans"]}


@pytest.fixture(scope="module")
def small() -> dict[tuple[str, str], dict[str, Any]]:
    return by_name(plan(SMALL))


@pytest.fixture(scope="module")
def large() -> dict[tuple[str, str], dict[str, Any]]:
    return by_name(plan(LARGE))


def recorded(corpus: str) -> tuple[tuple[int, int], dict[str, float]]:
    lines = [json.loads(line) for line in RECORDED.read_text().splitlines()]
    last = [line for line in lines if line.get("corpus") == corpus][-1]
    return tuple(last["shape"]), last["engines"]["kneighbors"]


def test_the_constants_are_those_of_the_recorded_benchmarks_within_their_errors() -> None:
    shape, isotropic = recorded("isotropic")
    flat_shape, flat = recorded("flat")
    both = [
        2e-3 * figures["batch32_ms"] / np.prod(sizes)
        for sizes, figures in ((shape, isotropic), (flat_shape, flat))
    ]
    assert 0.8 < np.mean(both) / c.BATCH.value < 1.2
    assert 0.5 < 2e-3 * flat["single_ms"] / np.prod(flat_shape) / c.CODE.value < 1.5
    assert 0.5 < 2 * flat["build_s"] / np.prod(flat_shape) / c.FIT.value < 2
    tail = [one["single_p95_ms"] / one["single_ms"] for one in (flat, isotropic)]
    assert 0.6 < np.mean(tail) / c.TAIL.value < 1.4


def test_what_asking_a_shard_costs_is_what_was_recorded_last() -> None:
    path = RESULTS / "cluster.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    found = [line for line in lines if line["what"] == "overhead" and line["shape"][0] >= 100_000]
    if not found:
        pytest.skip("benchmarks/cluster_overhead.py has recorded nothing yet")
    front = 1e-3 * found[-1]["fan_out"]["front"]["a_shard_ms"]
    assert 0.5 < front / c.CALL.value < 2, "set CALL to it, then run benchmarks/scale_figures.py"
    more = 1e-3 * found[-1]["ray_ms"]
    assert 0.5 < more / c.RAY.value < 1.5, "set RAY to it, then run benchmarks/scale_figures.py"


def test_a_small_corpus_needs_one_shard_and_no_fronts(
    small: dict[tuple[str, str], dict[str, Any]],
) -> None:
    for one in small.values():
        assert one["is_possible"]
        assert (1, 2, 2, 0) == (one["shards"], one["copies"], one["instances"], one["fronts"])
        assert one["median_ms"] <= one["p99_ms"] <= 30


def test_exact_search_of_a_thousand_million_rows_is_not_in_time_and_says_why(
    large: dict[tuple[str, str], dict[str, Any]],
) -> None:
    for place in ("ec2", "sagemaker"):
        one = large[place, "exact"]
        assert not one["is_possible"]
        assert one["fastest"]["p99_ms"] > 50
        assert "most of it asking the shards" in one["reason"]
        assert large[place, "hnsw"]["is_possible"]


def test_what_is_planned_fits_where_it_is_put(
    large: dict[tuple[str, str], dict[str, Any]],
) -> None:
    one = large["ec2", "hnsw"]
    assert max(one["pressure"].values()) <= 1.0
    assert one["pressure"][one["breaks_first"]] == max(one["pressure"].values())
    assert one["instances"] == one["shards"] * one["copies"]
    codes_and_links = (768 + 272 + 16) * 1e9 * one["copies"] / (1 << 30)
    assert one["vectors"] == "disk"
    assert one["memory_gib"] == pytest.approx(codes_and_links, rel=1e-3)
    assert one["usd_a_month"] == pytest.approx(sum(one["usd"].values()), abs=0.02)


def test_what_takes_part_in_an_answer_adds_up_to_its_time(
    large: dict[tuple[str, str], dict[str, Any]],
) -> None:
    for one in large.values():
        layout = one if one["is_possible"] else one["fastest"]
        assert sum(layout["p99_of"].values()) == pytest.approx(layout["p99_ms"], abs=0.05)


def test_more_queries_never_cost_less(small: dict[tuple[str, str], dict[str, Any]]) -> None:
    more = by_name(plan(replace(SMALL, qps=2000.0)))
    for name, one in more.items():
        if one["is_possible"]:
            assert one["usd_a_month"] >= small[name]["usd_a_month"]


def test_a_recall_that_was_not_measured_is_planned_for_exact_search_alone() -> None:
    found = by_name(plan(replace(SMALL, recall=1.0)))
    assert not found["ec2", "hnsw"]["is_possible"]
    assert found["ec2", "hnsw"]["reason"] == "its constants were measured at a recall of 0.993"
    assert found["ec2", "quantised"]["is_possible"]


def test_waits_grow_with_load_and_with_shards() -> None:
    service = Service(seconds=0.01, batch=1, servers=1)
    assert load(service, 70.0) == pytest.approx(0.7)
    light, heavy = waits(service, 10.0, 1), waits(service, 70.0, 1)
    assert light[0] < heavy[0] < waits(service, 90.0, 1)[0]
    assert heavy[1] < waits(service, 70.0, 100)[1]
    # Of M/D/1 at a load of 0.7 the mean wait is 0.7 / (2 x 0.3) services.
    assert heavy[0] == pytest.approx(0.7 / 0.6 * 0.01)


def test_the_waits_of_a_simulated_queue_are_within_a_factor_of_two() -> None:
    random = np.random.default_rng(0)
    service = Service(seconds=0.01, batch=1, servers=1)
    for qps in (30.0, 50.0, 70.0):
        arrivals = np.cumsum(random.exponential(1 / qps, 200_000))
        began = np.arange(len(arrivals)) * service.seconds
        # Each begins when it comes, or when the one before has ended.
        starts = np.maximum.accumulate(arrivals - began) + began
        waited = starts - arrivals
        mean, p99 = waits(service, qps, 1)
        assert mean == pytest.approx(waited.mean(), rel=0.1)
        assert 0.5 < np.quantile(waited, 0.99) / p99 < 2


def test_the_command_shows_the_plan_and_every_constant_with_error_and_source(cli: Runner) -> None:
    done = cli("plan", "--rows", "180000", "--dims", "300", "--qps", "50", "--p99", "30ms")
    assert done.code == 0, done.err
    for name, one in c.CONSTANTS.items():
        assert f"  {name} = " in done.out
        assert f"(error {one.error}): {one.source}" in done.out
    assert "list price, check before use" in done.out
    assert done.out.count("breaks first") == 6


def test_the_command_gives_one_json_document_and_refuses_by_code(cli: Runner) -> None:
    asked = ("--dims", "300", "--qps", "50", "--p99", "30ms", "--json")
    found = cli("plan", "--rows", "1000", *asked)
    assert [6, 1000] == [len(found.json["plans"]), found.json["workload"]["rows"]]
    refused = cli("plan", "--rows", "0", *asked)
    assert (2, "plan-rows") == (refused.code, refused.json["error"]["code"])
