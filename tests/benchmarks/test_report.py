"""The page on performance says what the results say."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import growth_figures
import pytest
import report
import results
from claims import judge
from losses import losses
from plot import Chart, crossing


def test_the_page_and_its_figures_are_those_of_the_results() -> None:
    assert report.page() == report.PAGE.read_text("utf-8"), "run benchmarks/report.py"
    charts = growth_figures.figures(results.read("growth"))
    found = {path.stem: path.read_text("utf-8") for path in report.FIGURES.glob("*.svg")}
    assert {name: chart.svg() for name, chart in charts.items()} == found


def test_what_was_measured_last_is_on_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "FOLDER", tmp_path)
    monkeypatch.setattr(results.read, "__defaults__", (tmp_path,))
    assert report.page().count("Not measured yet.") == 4
    for figure in (4.0, 0.0375):
        results.append("engines", _line("wines", kneighbors=figure, blas_product=5.0), tmp_path)
    results.append("claims", _claims(), tmp_path)
    results.append("http", _http(), tmp_path)
    results.append("ten_million", _ten_million(), tmp_path)
    for rows in (1000, 10_000):
        results.append("growth", {"axis": "rows", **_line("wines", rows, kneighbors=1.0)}, tmp_path)
    page = report.page()
    assert "Not measured yet." not in page
    assert "| kneighbors | 0.04 (1.0) |" in page
    assert "4.00 (1.0)" not in page
    assert "| a claim | 2 | at most 1 | **does not hold** |" in page
    assert "open loop, 450/s (50% of the top rate) | 2.00 | 3.00 | 4.00 |" in page
    assert "12 GB of generated wines, fitted in 70 s" in page
    assert "![Single query and rows](performance/rows-single.svg)" in page


def test_an_engine_that_is_ahead_is_named_with_how_far() -> None:
    line = _line("isotropic", kneighbors=2.0, blas_product=1.0, faiss_hnsw=0.5, faiss_flat=1.95)
    assert [
        "Isotropic, 1,000 x 300, a query alone (2 ms ours): FAISS HNSW (0.5, 4.0 times less, at "
        "recall 0.990); one product with BLAS, nothing selected (1, 2.0 times less, selecting "
        "nothing)."
    ] == [said for said in losses(line) if "alone" in said]


def test_a_claim_holds_up_to_its_limit_and_no_further() -> None:
    said = {
        figure: next(judge({"isotropic": _line("isotropic", kneighbors=figure, blas_product=1.0)}))
        for figure in (1.1, 1.11)
    }
    assert {1.1: True, 1.11: False} == {figure: one["holds"] for figure, one in said.items()}
    assert said[1.11]["claim"] == "isotropic, single query: ours / BLAS"


def test_a_claim_about_an_engine_that_was_left_out_is_neither_held_nor_failed() -> None:
    verdicts = list(judge({"wines": _line("wines", kneighbors=1.0, blas_product=20.0)}))
    assert verdicts[0]["holds"] is True
    missing = [one for one in verdicts if "FAISS flat" in one["claim"]]
    assert [None, None] == [one["holds"] for one in missing]
    assert missing[0]["missing"] == "'faiss_flat'"


def test_lines_cross_where_they_meet_on_logarithmic_axes() -> None:
    exact = [(1e3, 1.0), (1e5, 100.0)]
    graph = [(1e3, 10.0), (1e5, 10.0)]
    assert crossing(exact, graph) == pytest.approx(1e4)
    assert crossing(graph, exact) is None
    assert crossing([(10.0, 2.0), (20.0, 2.0)], [(10.0, 1.0), (20.0, 1.0)]) == 10.0


def test_a_chart_is_whole_and_has_every_line() -> None:
    lines = {"a & b": [(1.0, 2.0), (10.0, 20.0)], "c": [(1.0, 2.0), (10.0, 20.0)]}
    chart = Chart("Rows", "rows", "ms", lines, mark=(3.0, "here"))
    root = ElementTree.fromstring(chart.svg())  # noqa: S314
    texts = [text.text for text in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"Rows", "rows", "ms", "a & b", "c", "here", "1", "10"} <= set(texts)
    assert len(list(root.iter("{http://www.w3.org/2000/svg}circle"))) == 4


def _line(corpus: str, rows: int = 1000, **single_ms: float) -> dict[str, Any]:
    engines = {
        name: {"build_s": 1.0, "recall": 0.99, "single_ms": value, "batch32_ms": 1.0}
        for name, value in single_ms.items()
    }
    return {"corpus": corpus, "shape": [rows, 300], "k": 10, "engines": engines}


def _claims() -> dict[str, Any]:
    one = {"claim": "a claim", "measured": 2.0, "wanted": 1.0, "at_most": True, "holds": False}
    return {"scale": 1, "claims": [one]}


def _http() -> dict[str, Any]:
    found: dict[str, Any] = {"shape": [1000, 300], "workers": 2, "clients": 32}
    for name in ("in_process", "alone"):
        found |= {f"{name}_ms": 1.0, f"{name}_p95_ms": 1.0, f"{name}_p99_ms": 1.0}
    found["open_loop"] = [
        {"share": 0.5, "rate_per_s": 450, "open_ms": 2, "open_p95_ms": 3, "open_p99_ms": 4}
    ]
    numbers = ("top_per_s", "constant_per_s", "first_ping_warm_s", "first_ping_cold_s")
    return found | dict.fromkeys((*numbers, "pss_mib", "private_mib"), 1.0)


def _ten_million() -> dict[str, Any]:
    names = (
        *("save_s", "fit_private_mib", "first_ping_s", "serve_private_mib", "serve_pss_mib"),
        *("in_process_ms", "alone_ms", "alone_p99_ms", "limit_mib"),
    )
    return {"shape": [10_000_000, 300], "fit_s": 70.0, **dict.fromkeys(names, 1)}
