"""How good the answers are: against exact search, and against what people chose."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kneighbors.evaluate.index_recall_report import IndexRecall, index_recall

__all__ = ["IndexRecall", "index_recall"]

_HOME_OF = {"IndexRecall": "index_recall_report", "index_recall": "index_recall_report"}


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'kneighbors.evaluate' has no attribute {name!r}")
    value = getattr(import_module(f"kneighbors.evaluate.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
