"""Answers as tables: one for each query, a line for each neighbour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kneighbors.errors import missing_extra

if TYPE_CHECKING:
    from rich.table import Table

#: Columns that say what a row is, in the order of preference; they come before other attributes.
_NAMES = ("name", "title", "label")
_LONGEST_LIST = 6
#: Characters of a column of text before it wraps.
_WIDEST_TEXT = 32
#: Characters between two columns.
_PADDING = 3
_REASONS = {"radius": "within the radius", "excluded": "left by the exclusions"}


def answer_table(prediction: Mapping[str, Any], width: int, title: str | None = None) -> Table:
    """Return the neighbours of one query as a table.

    Parameters
    ----------
    prediction : mapping
        An element of ``predictions`` of an answer in JSON: ``distances``, ``indices``, ``ids`` and
        perhaps ``items``.
    width : int
        Characters of a line. Attributes that do not fit are named below the table.
    title : str, optional
        Which query it answers.
    """
    columns = [
        Column("", [str(rank) for rank in range(1, len(prediction["indices"]) + 1)], True),
        Column("distance", [shown_distance(one) for one in prediction["distances"]], True),
        Column("row", [str(row) for row in prediction["indices"]], True),
    ]
    # Row numbers that are the ids need no second column.
    if list(prediction.get("ids") or []) != list(prediction["indices"]):
        columns.append(Column("id", [plain(one) for one in prediction["ids"]], False))
    shown, left_out = _fitting(columns, _attributes(prediction.get("items") or []), width)
    table = new_table(title, _caption(prediction, left_out))
    for column in shown:
        table.add_column(
            plain(column.name),
            justify="right" if column.is_number else "left",
            # A number cut in two is another number.
            no_wrap=column.is_number,
            overflow="fold",
        )
    for cells in zip(*(column.cells for column in shown), strict=True):
        table.add_row(*cells)
    return table


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Parameters
    ----------
    name : str
        Its heading.
    cells : list of str
        From top to bottom, ready to be shown.
    is_number : bool
        Whether all cells are numbers.
    """

    name: str
    cells: list[str]
    is_number: bool

    @property
    def width(self) -> int:
        """Characters that it takes if long text is wrapped."""
        longest = max(map(len, [self.name, *self.cells]))
        return longest if self.is_number else min(longest, _WIDEST_TEXT)


def _attributes(items: Sequence[Mapping[str, Any]]) -> list[Column]:
    """Return the attributes as columns, what a row is called first."""
    if not items:
        return []
    named = [name for name in _NAMES if name in items[0]]
    return [
        Column(
            name,
            [plain(shown_value(item.get(name))) for item in items],
            all(isinstance(item.get(name), int | float | None) for item in items),
        )
        for name in [*named, *(name for name in items[0] if name not in named)]
    ]


def _fitting(
    columns: list[Column], attributes: list[Column], width: int
) -> tuple[list[Column], list[str]]:
    """Return the columns that fit side by side, and the names of those that do not."""
    left = width - sum(column.width + _PADDING for column in columns)
    shown, left_out = list(columns), []
    for number, column in enumerate(attributes):
        left -= column.width + _PADDING
        # The first one is what a person looks for; it may wrap.
        if left >= 0 or number == 0:
            shown.append(column)
        else:
            left_out.append(column.name)
            left += column.width + _PADDING
    return shown, left_out


def new_table(title: str | None = None, caption: str | None = None) -> Table:
    """Return an empty table in the one style of all commands."""
    try:
        from rich.box import SIMPLE_HEAD
        from rich.table import Table
    except ModuleNotFoundError:
        raise missing_extra("rich", "cli") from None
    return Table(
        title=title,
        title_justify="left",
        title_style="bold",
        caption=caption,
        caption_justify="left",
        box=SIMPLE_HEAD,
        pad_edge=False,
    )


def shown_distance(distance: float) -> str:
    """Return a distance with as many digits as tell neighbours apart."""
    return f"{distance:.6g}" if abs(distance) >= 1 else f"{distance:.6f}"


def shown_value(value: Any) -> str:
    """Return an attribute as text: lists shortened, nothing for null."""
    if value is None:
        return ""
    if isinstance(value, list):
        more = ", ..." if len(value) > _LONGEST_LIST else ""
        return ", ".join(str(one) for one in value[:_LONGEST_LIST]) + more
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def plain(value: Any) -> str:
    r"""Return text that a terminal shows as it is: no markup, no control characters.

    Examples
    --------
    >>> print(plain("Ch\x1b[31mâteau [red]"))
    Ch�[31mâteau \[red]
    """
    from rich.markup import escape

    text = "".join(
        # A surrogate cannot be printed, an escape sequence must not.
        char if char.isprintable() and not "\ud800" <= char <= "\udfff" else "\ufffd"
        for char in str(value)
    )
    return escape(text)


def _caption(prediction: Mapping[str, Any], left_out: Sequence[str]) -> str | None:
    lines = []
    reason = prediction.get("reason")
    if reason is not None:
        count = prediction.get("n_found", len(prediction["distances"]))
        lines.append(f"{count} {_REASONS.get(reason, reason)}")
    if left_out:
        lines.append(f"Not shown: {', '.join(map(plain, left_out))}. Choose by --columns.")
    return "\n".join(lines) or None
