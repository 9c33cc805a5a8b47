"""The neighbours of every row of a file, or of a corpus among themselves: a join, by batches.

`join` reads queries and writes answers a part at a time, each whole or not there at all, so that
both may be larger than memory and a run that was ended goes on where it was. `estimate` says
beforehand what it will take. Nothing here imports scikit-learn.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kneighbors.join.estimate import Estimate, estimate
    from kneighbors.join.joining import join
    from kneighbors.join.report import JoinReport
    from kneighbors.join.settings import JoinSettings

_HOME_OF = {
    "Estimate": "estimate",
    "JoinReport": "report",
    "JoinSettings": "settings",
    "estimate": "estimate",
    "join": "joining",
}

__all__ = ["Estimate", "JoinReport", "JoinSettings", "estimate", "join"]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'kneighbors.join' has no attribute {name!r}")
    value = getattr(import_module(f"kneighbors.join.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
