"""The table of what recall costs, for every command that shows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table


def trade_off_table(
    settings: Sequence[Mapping[str, Any]], n_neighbors: int, chosen: int | None = None
) -> Table:
    """Return a line for each setting; the chosen one has a star.

    Parameters
    ----------
    settings : sequence of mapping
        As `kneighbors.search.graph_tuning.Setting` has them.
    n_neighbors : int
    chosen : int, optional
        Place of the setting that was taken.
    """
    from kneighbors.cli.tables import new_table

    table = new_table(f"Trade-off, recall at {n_neighbors} by distance")
    for heading in ("", "search"):
        table.add_column(heading)
    for heading in ("M", "ef_search", "recall", "at least", "5th percentile", "ms"):
        table.add_column(heading, justify="right", no_wrap=True)
    for place, one in enumerate(settings):
        numbers = [f"{one[name]:.4f}" for name in ("recall", "low")]
        table.add_row(
            "*" if place == chosen else "",
            one["engine"],
            *("" if one[name] is None else str(one[name]) for name in ("M", "ef_search")),
            *numbers,
            f"{one['p5']:.2f}",
            f"{one['query_ms']:.3g}",
        )
    return table
