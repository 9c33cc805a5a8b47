"""How good the answers are: against exact search, and against what people chose."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kneighbors.evaluate.index_recall_report import IndexRecall, index_recall
    from kneighbors.evaluate.interactions import Columns, Interactions, read_interactions
    from kneighbors.evaluate.recommendations import Evaluation, evaluate_interactions
    from kneighbors.evaluate.tuning import trade_off

__all__ = [
    "Columns",
    "Evaluation",
    "IndexRecall",
    "Interactions",
    "evaluate_interactions",
    "index_recall",
    "read_interactions",
    "trade_off",
]

_HOME_OF = {
    "Columns": "interactions",
    "Evaluation": "recommendations",
    "IndexRecall": "index_recall_report",
    "Interactions": "interactions",
    "evaluate_interactions": "recommendations",
    "index_recall": "index_recall_report",
    "read_interactions": "interactions",
    "trade_off": "tuning",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'kneighbors.evaluate' has no attribute {name!r}")
    value = getattr(import_module(f"kneighbors.evaluate.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
