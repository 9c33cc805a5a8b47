"""``kneighbors evaluate`` and the options of a graph, from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from support.cli_run import Runner
from support.graphs import embeddings


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    np.save(tmp_path / "corpus.npy", embeddings(1200))
    np.save(tmp_path / "queries.npy", embeddings(150, seed=2))
    return tmp_path


def trained(cli: Runner, folder: Path, *options: str) -> Path:
    out = cli(
        "train", "--train", folder / "corpus.npy", "--model-dir", folder / "M", "--no-progress",
        "--output-data-dir", folder / "O", *options,
    )  # fmt: skip
    assert out.code == 0, out.err
    return folder / "M"


GRAPH = ("--algorithm", "hnsw", "--hnsw-m", "4", "--hnsw-ef-construction", "20")


def test_an_exact_artifact_has_a_recall_of_one(cli: Runner, corpus: Path) -> None:
    model = trained(cli, corpus)
    found = cli("evaluate", model, "--sample", "50", "--json").json["index_recall"]
    assert (found["by_id"]["mean"], found["by_distance"]["p5"]) == (1.0, 1.0)
    assert (found["is_exact"], found["n_queries"], found["n_neighbors"]) == (True, 50, 10)
    table = cli("evaluate", model, "--sample", "50").out
    assert "by distance" in table
    assert "(exact)" in table


def test_a_graph_is_trained_measured_and_shown(cli: Runner, corpus: Path) -> None:
    model = trained(cli, corpus, *GRAPH, "--hnsw-ef-search", "16")
    asked = cli(
        "evaluate", model, "--queries", corpus / "queries.npy", "-k", "5", "--trade-off",
        "--plot", corpus / "t.svg", "--json",
    ).json  # fmt: skip
    assert asked["index_recall"]["is_exact"] is False
    assert asked["trade_off"][-1]["engine"] == "exact"
    assert (corpus / "t.svg").read_text().startswith("<svg")
    table = cli("evaluate", model, "--sample", "60", "--trade-off", "--plot", corpus / "r.svg").out
    assert "(approximate)" in table
    assert "ef_search" in table
    shown = cli("inspect", model).out
    assert "M 4, ef_construction 20, ef_search 16" in shown
    assert "approximate" in shown


def test_a_target_recall_leaves_its_table_and_its_plot(cli: Runner, corpus: Path) -> None:
    options = ("--target-recall", "0.8", "--sample-queries", str(corpus / "queries.npy"))
    model = trained(cli, corpus, *GRAPH, *options)
    assert (corpus / "O" / "trade-off.svg").exists()
    report = json.loads((corpus / "O" / "report.json").read_text())
    assert report["plan"]["tuning"]["target_recall"] == 0.8
    shown = cli("inspect", model).out
    assert "recall 0.8 with 95% confidence, 150 queries given" in shown
    assert "Trade-off" in shown


def test_answers_of_a_graph_say_that_they_are_approximate(cli: Runner, corpus: Path) -> None:
    model = trained(cli, corpus, *GRAPH)
    by_row = cli("query", model, "--row", "3", "--json").json["predictions"][0]
    assert by_row["approximate"] is True
    within = cli("query", model, "--row", "3", "--radius", "0.01", "--json").json["predictions"][0]
    assert "approximate" not in within


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (("--target-recall", "1.5"), "target-recall-range"),
        (("--target-recall", "much"), "parameter-type"),
        (("--algorithm", "ivf"), "algorithm-unknown"),
        (("--algorithm", "hnsw", "--hnsw-m", "1"), "graph-params"),
        (("--algorithm", "hnsw", "--target-recall", "0.999"), "recall-sample"),
    ],
    ids=str,
)
def test_what_cannot_be_trained_is_refused(
    cli: Runner, corpus: Path, options: tuple[str, ...], code: str
) -> None:
    done = cli(
        "train", "--train", corpus / "corpus.npy", "--model-dir", corpus / "M", "--no-progress",
        *options,
    )  # fmt: skip
    assert done.code == 2
    assert f"[{code}]" in done.err
    assert not (corpus / "M").exists()


def test_options_that_exclude_each_other_are_wrong_usage(cli: Runner, corpus: Path) -> None:
    queries = ("--queries", corpus / "queries.npy")
    assert cli("evaluate", corpus, *queries, "--sample", "5").code == 2
    assert cli("evaluate", corpus, "--trade-off", "--interactions", "likes.csv").code == 2


def test_an_exact_artifact_has_no_trade_off(cli: Runner, corpus: Path) -> None:
    done = cli("evaluate", trained(cli, corpus), "--trade-off")
    assert (done.code, "[trade-off-exact]" in done.err) == (2, True)
