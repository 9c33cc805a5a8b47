"""The figures of merit are those of RecTools and ranx.

Both are asked in an environment of their own, for RecTools needs older versions of numpy and
pandas; `make test-peers` makes it. What they said is recorded in ``peers/peers.json``, so that the
comparison takes place everywhere.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kneighbors.evaluate.figures_of_merit import MERITS, coverage_of, merits_of
from kneighbors.evaluate.rankers import NOTHING
from kneighbors.evaluate.splits import Ragged, Split
from kneighbors.search.rows import ArrayRows

PEERS = Path(__file__).parent / "peers"
RECORDED: dict[str, Any] = json.loads((PEERS / "peers.json").read_text("utf-8"))
PYTHON = Path(__file__).parents[2] / ".venv-peers/bin/python"
CASES = range(len(RECORDED["cases"]))


def ragged(lists: list[list[int]]) -> Ragged:
    starts = np.cumsum([0, *map(len, lists)])
    return Ragged(np.array([row for rows in lists for row in rows]), starts)


def ours(case: dict[str, Any]) -> dict[str, Any]:
    likes = ragged(case["likes"])
    split = Split(
        name="time",
        users=list(range(len(likes))),
        likes=likes,
        weights=None,
        held_out=ragged(case["held_out"]),
        popularity=np.bincount(likes.rows, minlength=len(case["vectors"])),
        n_train_users=len(likes),
    )
    answers = np.full((len(likes), case["k"]), NOTHING)
    for user, rows in enumerate(case["answers"]):
        answers[user, : len(rows)] = rows
    vectors = ArrayRows(np.array(case["vectors"]))
    found: dict[str, Any] = dict(merits_of(answers, split, vectors, "cosine"))
    return found | {"coverage": coverage_of(answers, len(case["vectors"]))}


def assert_agree(document: dict[str, Any]) -> int:
    compared = 0
    for case in document["cases"]:
        found = ours(case)
        for peer in ("rectools", "ranx"):
            for name, theirs in case[peer].items():
                np.testing.assert_allclose(
                    found[name], theirs, rtol=0, atol=1e-9, err_msg=f"{name} of {peer}"
                )
                compared += 1
    return compared


def test_every_figure_agrees_with_what_rectools_and_ranx_said() -> None:
    # Of four cases, one has lists of a single item, which have no diversity.
    assert 4 * (len(MERITS) + 1) - 1 + 4 * 6 == assert_agree(RECORDED)


@pytest.mark.parametrize("number", CASES)
def test_the_recorded_cases_are_worth_comparing(number: int) -> None:
    case = RECORDED["cases"][number]
    precisions = np.array(case["rectools"]["precision"])
    assert 0 < precisions.mean() < 1
    assert len(np.unique(case["rectools"]["ndcg"])) > 2 - (case["k"] == 1)


@pytest.mark.skipif(not PYTHON.exists(), reason=".venv-peers is made by `make test-peers`")
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_figure_agrees_with_what_rectools_and_ranx_say_now(tmp_path: Path) -> None:
    done = subprocess.run(
        [str(PYTHON), "-W", "ignore", str(PEERS / "measure.py")], cwd=tmp_path,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert_agree(said)
    assert [case["answers"] for case in RECORDED["cases"]] == [
        case["answers"] for case in said["cases"]
    ]
