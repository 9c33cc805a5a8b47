"""What a real server counts of its answers, and that the pages and files about it are true."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from kneighbors.artifact import save
from kneighbors.server.families import FAMILIES
from support.graphs import embeddings, graph
from support.project_docs import anchors
from support.server_process import ROOT, ServerProcess, wait_for

OPERATIONS = ROOT / "operations"
PAGE = ROOT / "docs" / "reference" / "metrics.md"
RUNBOOK = ROOT / "docs" / "how-to" / "runbook.md"
JSON = {"Content-Type": "application/json"}
LABELS: dict[str, dict[str, set[str]]] = {
    family.name: {name: set(values) for name, values in family.labels.items()}
    for family in FAMILIES
}


def ask(server: ServerProcess, X: Any, **parameters: Any) -> None:
    body = json.dumps({"instances": X.tolist(), **parameters}).encode()
    assert 200 == server.request("POST", "/invocations", body, JSON)[0]


@pytest.fixture(scope="module")
def approximate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("graph") / "model"
    save(folder, graph(embeddings()))
    return folder


def test_a_server_knows_the_recall_of_its_approximate_answers(
    approximate: Path, tmp_path: Path
) -> None:
    with ServerProcess(tmp_path, approximate, workers=1, recheck_share=1.0) as server:

        def is_known() -> bool:
            ask(server, embeddings(1, seed=int(server.metric("kneighbors_rechecks_total"))), k=10)
            return server.metric("kneighbors_index_recall") > 0

        wait_for(is_known, "enough answers to be checked")
        assert 0.9 <= server.metric("kneighbors_index_recall") <= 1
        done = server.metric('kneighbors_rechecks_total{outcome="done"}')
        assert 10 * done == server.metric("kneighbors_recheck_wanted_total")
        assert 0 == server.metric('kneighbors_rechecks_total{outcome="failed"}')


def test_a_server_knows_what_the_bound_leaves(artifact: Path, tmp_path: Path) -> None:
    with ServerProcess(tmp_path, artifact, workers=1) as server:
        ask(server, embeddings(8, 16), k=5)
        assert 1 == server.metric("kneighbors_candidate_share_count")
        share = server.metric("kneighbors_candidate_share_sum")
        assert 5 / 400 <= share <= 1
        assert 0 == server.metric('kneighbors_rechecks_total{outcome="done"}')
        assert 0 == server.metric('kneighbors_requests_total{route="invocations",status="500"}')
        assert "\nkneighbors_index_recall " not in server.request("GET", "/metrics")[2].decode()


def told(server: ServerProcess) -> dict[str, tuple[str, str]]:
    """Return kind and help of each metric of a server."""
    text = server.request("GET", "/metrics")[2].decode()
    kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M))
    assert {f.name for f in text_string_to_metric_families(text)}
    helps = re.findall(r"^# HELP (\S+) (.*)$", text, re.M)
    return {name: (kinds[name], help_) for name, help_ in helps}


def test_the_page_lists_every_metric_as_the_server_tells_it(server: ServerProcess) -> None:
    rows = {
        cells[0].strip("`"): tuple(cells[1:])
        for cells in (
            [cell.strip() for cell in line.strip("| ").split(" | ")]
            for line in PAGE.read_text().splitlines()
            if line.startswith("| `kneighbors_")
        )
    }
    expected = {
        name: (kind, ", ".join(LABELS.get(name, ())), help_)
        for name, (kind, help_) in told(server).items()
    }
    labels = "version, generation, metric, n_samples, n_features"
    expected["kneighbors_info"] = ("gauge", labels, expected["kneighbors_info"][2])
    assert expected == {name: (row[0], row[1], row[2]) for name, row in rows.items()}


def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((OPERATIONS / "grafana-dashboard.json").read_text())
    return found


def rules() -> list[dict[str, Any]]:
    found = yaml.safe_load((OPERATIONS / "alerts.yml").read_text())
    return [rule for group in found["groups"] for rule in group["rules"]]


def expressions() -> list[str]:
    board = dashboard()
    targets = [one["expr"] for panel in board["panels"] for one in panel.get("targets", ())]
    notes = [one["expr"] for one in board["annotations"]["list"]]
    return [*targets, *notes, *(rule["expr"] for rule in rules())]


@pytest.mark.parametrize("expression", expressions())
def test_an_expression_is_promql_over_metrics_and_labels_that_there_are(
    server: ServerProcess, expression: str
) -> None:
    promql_parser.parse(expression.replace("$__rate_interval", "5m"))
    names = set(re.findall(r"\bkneighbors_\w+", expression))
    known = told(server)
    for name in names:
        family = re.sub(r"_(bucket|sum|count)$", "", name)
        assert name in known or known[family][0] == "histogram"
    for name, selectors in re.findall(r"\b(kneighbors_\w+)\{([^}]*)\}", expression):
        labels = LABELS.get(re.sub(r"_(bucket|sum|count)$", "", name), {})
        for label, operator, value in re.findall(r'(\w+)(=~|=)"([^"]*)"', selectors):
            if label in ("job", "instance"):
                continue
            for one in value.split("|") if operator == "=~" else [value]:
                assert any(re.fullmatch(one, there) for there in labels[label]), one


def test_every_metric_is_on_the_dashboard_or_said_to_be_elsewhere(server: ServerProcess) -> None:
    shown = " ".join(expressions())
    assert [name for name in told(server) if name not in shown] == [
        "kneighbors_query_drift_queries"
    ]


def test_panels_of_the_dashboard_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    ids = [panel["id"] for panel in dashboard()["panels"]]
    assert len(ids) == len(set(ids))
    for panel in dashboard()["panels"]:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells


def test_each_alert_has_its_section_in_the_runbook_and_each_section_its_alert() -> None:
    alerts = {rule["alert"]: rule for rule in rules()}
    assert len(alerts) == len(rules())
    sections = re.findall(r"^## (Kneighbors\w+)$", RUNBOOK.read_text(), re.M)
    assert list(alerts) == sections
    for name, rule in alerts.items():
        url, _, anchor = rule["annotations"]["runbook_url"].partition("#")
        assert url.endswith("/how-to/runbook/")
        assert anchor == name.lower()
        assert anchor in anchors(RUNBOOK)
        assert rule["labels"]["severity"] in ("page", "warn", "info")
