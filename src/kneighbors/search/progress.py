"""How long work tells how far it is."""

from __future__ import annotations

from collections.abc import Callable

#: Called as ``progress(stage, done, total)``: a short lower-case phrase and two counts. Whoever
#: passes one draws the bar; whoever calls one may do so often.
Progress = Callable[[str, int, int], None]


def ignore(stage: str, done: int, total: int) -> None:
    """Report to nobody."""
