"""``kneighbors evaluate --interactions`` says how good recommendations are, or what is wrong."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from support.cli_run import Runner


@pytest.fixture
def likes(tmp_path: Path) -> Path:
    """Twelve users, of whom one likes one wine only."""
    rng = np.random.default_rng(0)
    lines = ["user,item,time,weight"]
    for user in range(11):
        for day, wine in enumerate(rng.choice(60, 4, replace=False), 1):
            lines.append(f"u{user},w{wine},2026-01-{day + user:02d},{1 + day % 3}")
    lines.append("u11,w3,2026-01-01,2")
    path = tmp_path / "likes.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_json_holds_every_figure_of_all_three(cli: Runner, wines: Path, likes: Path) -> None:
    done = cli("evaluate", wines, "--interactions", likes, "-k", "3", "--json")
    assert (done.code, done.err) == (0, "")
    found = done.json["recommendations"]
    assert ["recommender", "popular", "random"] == list(found["measured"])
    assert (3, 60, "cosine") == (found["n_neighbors"], found["n_samples"], found["metric"])
    assert (11, 33, 11, 1) == tuple(
        found["split"][name]
        for name in ("users", "likes", "held_out", "users_with_one_interaction")
    )
    assert 10 == len(found["measured"]["recommender"]["merits"])


def test_the_table_names_figures_intervals_and_what_was_left_out(
    cli: Runner, wines: Path, likes: Path
) -> None:
    done = cli("evaluate", wines, "--interactions", likes)
    assert (done.code, done.err) == (0, "")
    for words in (
        "at 10", "hit_recall", "popular", "95%", "coverage",
        "11 users, told 33 likes; 11 held out (leave-one-out); 60 items.",
        "Left out: 1 users with one interaction.",
    ):  # fmt: skip
        assert words in done.out
    assert all(len(line) <= 110 for line in done.out.splitlines())


def test_the_split_by_time_tells_its_cutoff(cli: Runner, wines: Path, likes: Path) -> None:
    options = ("--split", "time", "--cutoff", "2026-01-08", "--json")
    found = cli("evaluate", wines, "--interactions", likes, *options).json["recommendations"]
    assert ("time", 1767830400.0) == (found["split"]["name"], found["split"]["cutoff"])


def test_a_strategy_and_a_diversity_are_asked_for(cli: Runner, wines: Path, likes: Path) -> None:
    options = ("--strategy", "best_score", "--diversity", "0.5", "--json")
    found = cli("evaluate", wines, "--interactions", likes, *options).json["recommendations"]
    assert {"strategy": "best_score", "diversity": 0.5} == found["parameters"]


def test_a_picture_is_written(cli: Runner, wines: Path, likes: Path, tmp_path: Path) -> None:
    picture = tmp_path / "likes.svg"
    done = cli("evaluate", wines, "--interactions", likes, "--plot", picture)
    assert (0, f"Wrote {picture}.\n") == (done.code, done.err)
    assert "11 users" in "".join(ElementTree.fromstring(picture.read_text()).itertext())  # noqa: S314


def test_columns_are_called_as_they_are(cli: Runner, wines: Path, tmp_path: Path) -> None:
    path = tmp_path / "likes.csv"
    path.write_text("who,wine\n1,w1\n1,w2\n")
    options = ("--user-column", "who", "--item-column", "wine", "--json")
    done = cli("evaluate", wines, "--interactions", path, *options)
    assert 1 == done.json["recommendations"]["split"]["users"]


@pytest.mark.parametrize(
    ("text", "options", "code"),
    [
        ("user,item\na,w1\na,nothing\n", (), "interactions-item-unknown"),
        ("user,item\na,w1\nb,w2\n", (), "interactions-too-few"),
        ("user,item\na,w1\na,w2\n", ("--split", "time"), "split-needs-times"),
        ("user,item,time\na,w1,1\na,w2,noon\n", (), "interactions-time"),
        ("user,item\na,w1\na,w2\n", ("-k", "61"), "n-neighbors-range"),
        ("user,item\na,w1\na,w2\n", ("--strategy", "worst"), "parameter-range"),
        ("user,item,time\na,w1,1\na,w2,2\n", ("--split", "time", "--cutoff", "noon"),
         "interactions-time"),
        ("user,thing\na,w1\n", (), "interactions-column"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_an_error_in_a_line(
    cli: Runner, wines: Path, tmp_path: Path, text: str, options: tuple[str, ...], code: str
) -> None:
    path = tmp_path / "likes.csv"
    path.write_text(text)
    done = cli("evaluate", wines, "--interactions", path, *options)
    # What an option says is usage; what a file holds is data.
    is_usage = code in {"split-needs-times", "n-neighbors-range", "parameter-range"}
    assert (1 + is_usage, "") == (done.code, done.out)
    assert done.err.startswith(f"error: [{code}] ")


def test_unknown_items_are_skipped_when_that_is_asked_for(
    cli: Runner, wines: Path, tmp_path: Path
) -> None:
    path = tmp_path / "likes.csv"
    path.write_text("user,item\na,w1\na,w2\na,nothing\n")
    done = cli("evaluate", wines, "--interactions", path, "--unknown", "skip")
    assert 0 == done.code
    assert "Left out: 1 lines of items that the corpus does not hold." in done.out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--split", "time"), "Expected --interactions with --split"),
        (("--interactions", "F", "--sample", "3"), "Expected no --queries and no --sample"),
        (("--interactions", "F", "--split", "thirds"), "Invalid value for '--split'"),
    ],
)
def test_options_that_do_not_go_together_are_wrong_usage(
    cli: Runner, wines: Path, options: tuple[str, ...], message: str
) -> None:
    done = cli("evaluate", wines, *options)
    assert 2 == done.code
    assert message in done.err
