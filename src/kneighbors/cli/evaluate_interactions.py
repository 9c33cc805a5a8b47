"""``kneighbors evaluate --interactions``: how good the recommendations of an artifact are."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from kneighbors.cli.console import progress_bars, remark, stdout_console, write_json

if TYPE_CHECKING:
    from kneighbors.evaluate import Evaluation
    from kneighbors.evaluate.bootstrap import Estimate

F = TypeVar("F", bound=Callable[..., None])

_OPTIONS = (
    click.option(
        "--interactions",
        metavar="FILE",
        help="Who chose what: .csv or .parquet with user, item and perhaps time and weight.",
    ),
    click.option(
        "--split",
        type=click.Choice(["leave-one-out", "time"]),
        help="Hold out each user's last one, or what came after a time; leave-one-out by default.",
    ),
    click.option("--test-share", type=float, metavar="S", help="Share held out by time; 0.2."),
    click.option("--cutoff", metavar="TIME", help="Time to split at, instead: 2026-11-28."),
    click.option("--min-weight", type=float, metavar="W", help="Leave out what weighs less."),
    click.option("--weighted", is_flag=True, default=None, help="Weigh likes by their weights."),
    click.option(
        "--unknown",
        type=click.Choice(["refuse", "skip"]),
        help="What is done about items that M does not hold; refuse by default.",
    ),
    click.option("--max-users", type=int, metavar="N", help="Evaluate so many, drawn by chance."),
    click.option("--strategy", metavar="NAME", help="mean (default) or best_score."),
    click.option("--diversity", type=float, metavar="D", help="Of the lists: 0 (default) to 1."),
    click.option("--resamples", type=int, metavar="N", help="Draws for the intervals; 1000."),
    click.option("--plot", metavar="FILE", help="Write a picture, as SVG."),
    click.option("--user-column", metavar="NAME", help="What the column is called; user."),
    click.option("--item-column", metavar="NAME", help="Likewise; item."),
    click.option("--time-column", metavar="NAME", help="Likewise; time."),
    click.option("--weight-column", metavar="NAME", help="Likewise; weight."),
)
_NAMES = (
    "interactions", "split", "test_share", "cutoff", "min_weight", "weighted", "unknown",
    "max_users", "strategy", "diversity", "resamples", "plot", "user_column", "item_column",
    "time_column", "weight_column",
)  # fmt: skip
_PASSED_ON = (
    "split", "test_share", "min_weight", "weighted", "unknown", "max_users", "strategy",
    "diversity", "resamples",
)  # fmt: skip


def interaction_options(command: F) -> F:
    """Add the options of an evaluation with interactions; each is None where it is not given."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def take_interaction_options(options: dict[str, Any]) -> dict[str, Any]:
    """Take these options out of all; nothing is left of them if there are no interactions.

    Raises
    ------
    click.UsageError
        For one of them without ``--interactions``.
    """
    taken = {name: options.pop(name) for name in _NAMES}
    given = {name: value for name, value in taken.items() if value is not None}
    if given and "interactions" not in given:
        name = next(iter(given)).replace("_", "-")
        raise click.UsageError(f"Expected --interactions with --{name}, got none.")
    return given


def evaluate_with_interactions(
    path: str,
    given: dict[str, Any],
    *,
    n_neighbors: int | None,
    confidence: float,
    seed: int,
    as_json: bool,
) -> None:
    """Evaluate the recommendations of an artifact, and show what came of it."""
    from kneighbors.evaluate import Columns, evaluate_interactions
    from kneighbors.evaluate.interaction_columns import time_of
    from kneighbors.evaluate.recommendations import DEFAULT_N_NEIGHBORS
    from kneighbors.generations import open_saved
    from kneighbors.recommend.recommender import Recommender

    passed_on = {name: given[name] for name in _PASSED_ON if name in given}
    if "cutoff" in given:
        passed_on["cutoff"] = time_of(given["cutoff"], "--cutoff")
    columns = {
        name.removesuffix("_column"): value
        for name, value in given.items()
        if name.endswith("_column")
    }
    with open_saved(path) as artifact, progress_bars(wanted=True) as progress:
        found = evaluate_interactions(
            Recommender.of(artifact),
            given["interactions"],
            n_neighbors=DEFAULT_N_NEIGHBORS if n_neighbors is None else n_neighbors,
            columns=Columns(**columns),
            confidence=confidence,
            random_state=seed,
            progress=progress,
            **passed_on,
        )
    if "plot" in given:
        _write_plot(given["plot"], found)
    if as_json:
        write_json({"path": path, "recommendations": found.to_dict()})
    else:
        _show(path, found)


def _write_plot(path: str, found: Evaluation) -> None:
    from kneighbors.evaluate.figure import draw_evaluation
    from kneighbors.storage import Address
    from kneighbors.storage.local import writing_whole

    with writing_whole(Address.parse(path)) as file:
        file.write(draw_evaluation(found).encode())
    remark(f"Wrote {path}.")


def _show(path: str, found: Evaluation) -> None:
    from kneighbors.cli.tables import new_table, plain
    from kneighbors.evaluate.recommendations import POPULAR, RECOMMENDER

    table = new_table(f"Recommendations of {plain(path)}")
    table.add_column(f"at {found.n_neighbors}", no_wrap=True)
    interval = f"{found.confidence:.0%} interval"
    for heading in (
        RECOMMENDER,
        interval,
        *list(found.measured)[1:],
        "more than popular",
        interval,
    ):
        table.add_column(heading, justify="right", no_wrap=True)
    for merit, one in found.measured[RECOMMENDER].merits.items():
        gain = found.gains[POPULAR][merit]
        others = [_shown(found.measured[name].merits[merit].value) for name in found.gains]
        table.add_row(
            merit, _shown(one.value), _between(one), *others,
            _shown(gain.value, sign="+"), _between(gain, sign="+"),
        )  # fmt: skip
    table.add_row("coverage", *_coverages(found))
    console = stdout_console()
    console.print(table)
    for line in _remarks(found):
        console.print(plain(line), soft_wrap=True)


def _coverages(found: Evaluation) -> list[str]:
    first, *others = (_shown(one.coverage) for one in found.measured.values())
    return [first, "", *others, "", ""]


def _remarks(found: Evaluation) -> list[str]:
    """Return what was counted, and what was left out."""
    read, split = found.interactions, found.split
    lines = [
        f"{split['users']:,} users, told {split['likes']:,} likes; {split['held_out']:,} held out "
        f"({split['name']}); {found.n_samples:,} items."
    ]
    left_out = {
        "lines of items that the corpus does not hold": read["unknown"],
        "lines that weigh too little": read["light"],
        "repeated lines": read["repeated"],
        "users with one interaction": split["users_with_one_interaction"],
        "users after the cutoff only": split["users_after_cutoff_only"],
        "users before the cutoff only": split["users_before_cutoff_only"],
    }
    named = [f"{count:,} {what}" for what, count in left_out.items() if count]
    if named:
        lines.append(f"Left out: {', '.join(named)}.")
    short = found.measured["recommender"].n_short
    if short:
        lines.append(f"{short:,} users got fewer than {found.n_neighbors} recommendations.")
    return lines


def _between(one: Estimate, sign: str = "") -> str:
    if one.low is None or one.high is None:
        return ""
    return f"{_shown(one.low, sign)} to {_shown(one.high, sign)}"


def _shown(value: float | None, sign: str = "") -> str:
    if value is None:
        return "none"
    return f"{value:{sign}.4f}" if abs(value) < 10 else f"{value:{sign}.1f}"
