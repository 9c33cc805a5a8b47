"""``kneighbors evaluate``: how good the answers of an artifact are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from kneighbors.cli.console import progress_bars, stdout_console, write_json
from kneighbors.cli.evaluate_interactions import (
    evaluate_with_interactions,
    interaction_options,
    take_interaction_options,
)
from kneighbors.cli.trade_off import trade_off_table

if TYPE_CHECKING:
    from kneighbors.evaluate import IndexRecall

_EPILOG = """\b
Examples:
  kneighbors evaluate M
  kneighbors evaluate M --queries yesterday.npy -k 20
  kneighbors evaluate M --trade-off --plot trade-off.svg
  kneighbors evaluate M --interactions likes.csv --split time --plot likes.svg
  kneighbors evaluate M --json | jq .index_recall.by_distance.low

\b
Exit codes: 0 done; 1 the artifact, the queries or the interactions are at
fault; 2 wrong usage; 130 interrupted.
"""


@click.command(name="evaluate", epilog=_EPILOG)
@click.argument("path", metavar="M")
@click.option(
    "--queries", metavar="FILE", help="Vectors to ask: .npy, .csv, .json or .jsonl; - is stdin."
)
@click.option(
    "--sample", type=int, metavar="N", help="Without --queries: rows to ask, 500 by default."
)
@click.option("-k", "--n-neighbors", type=int, metavar="N", help="Neighbours of each query.")
@click.option(
    "--confidence", type=float, default=0.95, metavar="C", help="Of the intervals; 0.95 by default."
)
@click.option("--seed", type=int, default=0, metavar="N", help="Of what is drawn by chance.")
@click.option(
    "--trade-off",
    is_flag=True,
    help="Of an approximate M: measure wider and narrower searches, and exact search.",
)
@interaction_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(path: str, as_json: bool, trade_off: bool, **options: Any) -> None:
    """Compare the answers of an artifact with an exact scan: its index recall.

    M is a directory, a .tar.gz or a place. Rows of it are asked, each without itself,
    unless --queries gives vectors such as users send.

    With --interactions its recommendations are compared with what people went
    on to choose, and with recommending what is popular, or anything.
    """
    from kneighbors.generations import open_saved

    if options["queries"] is not None and options["sample"] is not None:
        raise click.UsageError("Expected either --queries or --sample, got both.")
    plot = options["plot"]
    if options["interactions"] is None:
        options["plot"] = None
    given = take_interaction_options(options)
    if given and trade_off:
        raise click.UsageError("Expected either --trade-off or --interactions, got both.")
    if given:
        _with_interactions(path, given, as_json=as_json, **options)
        return
    with open_saved(path) as artifact:
        asked = _asked(artifact, **options)
        settings = _trade_off(artifact, asked) if trade_off else None
        found = _index_recall(artifact, asked)
    if plot is not None:
        _write_plot(plot, found, settings)
    if as_json:
        more = {} if settings is None else {"trade_off": settings}
        write_json({"path": path, "index_recall": found.to_dict(), **more})
        return
    _show_index_recall(path, found)
    if settings is not None:
        stdout_console().print(trade_off_table(settings, found.n_neighbors))


def _with_interactions(
    path: str,
    given: dict[str, Any],
    queries: str | None,
    sample: int | None,
    n_neighbors: int | None,
    **options: Any,
) -> None:
    if queries is not None or sample is not None:
        raise click.UsageError("Expected no --queries and no --sample with --interactions.")
    evaluate_with_interactions(path, given, n_neighbors=n_neighbors, **options)


def _asked(
    artifact: Any,
    queries: str | None,
    sample: int | None,
    n_neighbors: int | None,
    confidence: float,
    seed: int,
) -> dict[str, Any]:
    """Return what every measurement is asked for."""
    from kneighbors.cli.vectors import read_vectors
    from kneighbors.evaluate.index_recall_report import SAMPLE

    vectors = None if queries is None else read_vectors(queries)
    if n_neighbors is None:
        n_neighbors = _default_n_neighbors(artifact, held_out=vectors is None)
    return {
        "queries": vectors,
        "n_neighbors": n_neighbors,
        "sample": SAMPLE if sample is None else sample,
        "confidence": confidence,
        "random_state": seed,
    }


def _index_recall(artifact: Any, asked: dict[str, Any]) -> IndexRecall:
    from kneighbors.evaluate import index_recall

    with progress_bars(wanted=True) as progress:
        return index_recall(artifact, **asked, progress=progress)


def _trade_off(artifact: Any, asked: dict[str, Any]) -> list[dict[str, Any]]:
    from kneighbors.evaluate import trade_off

    return trade_off(artifact, **asked)


def _write_plot(path: str, found: IndexRecall, settings: list[dict[str, Any]] | None) -> None:
    from kneighbors.evaluate.index_recall_figure import draw_index_recall
    from kneighbors.evaluate.tuning_figure import draw_trade_off
    from kneighbors.storage import Address
    from kneighbors.storage.local import writing_whole

    drawn = draw_index_recall(found) if settings is None else draw_trade_off(settings, None)
    with writing_whole(Address.parse(path)) as file:
        file.write(drawn.encode())


def _default_n_neighbors(artifact: Any, *, held_out: bool) -> int:
    """Return what the artifact answers when nobody says, as far as there are rows."""
    recorded = artifact.manifest.source.get("n_neighbors")
    wanted = recorded if type(recorded) is int and recorded >= 1 else 10
    return max(1, min(wanted, int(artifact.index.n_samples) - held_out))


def _show_index_recall(path: str, found: IndexRecall) -> None:
    from kneighbors.cli.tables import new_table, plain

    asked = "rows, each without itself" if found.queries == "rows" else "queries"
    table = new_table(f"Index recall of {plain(path)}")
    table.add_column(f"at {found.n_neighbors}")
    for heading in ("mean", f"{found.confidence:.0%} interval", "5th percentile", "worst"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, one in (("by id", found.by_id), ("by distance", found.by_distance)):
        between = f"{one.low:.4f} to {one.high:.4f}"
        table.add_row(name, f"{one.mean:.4f}", between, f"{one.p5:.2f}", f"{one.worst:.2f}")
    console = stdout_console()
    console.print(table)
    kind = "exact" if found.is_exact else "approximate"
    console.print(
        f"{found.n_queries:,} {asked}; engine {plain(found.engine)} ({kind}), "
        f"{found.query_ms:.3g} ms a query.",
        soft_wrap=True,
    )
