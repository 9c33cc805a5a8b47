"""Exact nearest neighbours of embeddings, fitted like scikit-learn and served like SageMaker.

The public names load on first use, so that ``import kneighbors`` costs what numpy costs.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as _numpy  # noqa: F401  the one dependency that every part needs

if TYPE_CHECKING:
    from kneighbors.client import Client
    from kneighbors.generations import load
    from kneighbors.neighbors import KNeighborsTransformer, NearestNeighbors
    from kneighbors.recommend import Recommender

__version__ = "0.1.0"

__all__ = [
    "Client",
    "KNeighborsTransformer",
    "NearestNeighbors",
    "Recommender",
    "__version__",
    "load",
]

_HOME_OF = {
    "Client": "kneighbors.client",
    "KNeighborsTransformer": "kneighbors.neighbors",
    "NearestNeighbors": "kneighbors.neighbors",
    "Recommender": "kneighbors.recommend",
    "load": "kneighbors.generations",
}
_MODULES = ("datasets", "errors", "evaluate")


def __getattr__(name: str) -> Any:
    if name in _HOME_OF:
        value = getattr(import_module(_HOME_OF[name]), name)
        globals()[name] = value
        return value
    if name in _MODULES:
        return import_module(f"kneighbors.{name}")
    raise AttributeError(f"module 'kneighbors' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, *_MODULES])
