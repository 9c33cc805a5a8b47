"""Generations of an artifact beside each other, and one pointer to that which counts.

A *place* is a directory, or a prefix of S3::

    CURRENT                        the pointer: which generation counts
    generations/
        000001-5f0c2a9b7d31/       an ordinary artifact
        000002-c41e88d0a6f2/       another one, published later; one in shards has them below it

`publish` writes a generation whole, checks what was written, and moves the pointer in one step that
fails if somebody else has moved it meanwhile. `rollback` moves it back. Readers follow it
(`Follower`): whatever they open was complete before the pointer named it. `docs/how-to/publish.md`
shows it all.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kneighbors.generations.detection import is_place
    from kneighbors.generations.follower import Follower
    from kneighbors.generations.generation import Generation
    from kneighbors.generations.listing import current, history
    from kneighbors.generations.loading import load, located, open_saved
    from kneighbors.generations.publishing import publish
    from kneighbors.generations.returning import rollback

_HOME_OF = {
    "Follower": "follower",
    "Generation": "generation",
    "current": "listing",
    "history": "listing",
    "is_place": "detection",
    "load": "loading",
    "located": "loading",
    "open_saved": "loading",
    "publish": "publishing",
    "rollback": "returning",
}

__all__ = [
    "Follower",
    "Generation",
    "current",
    "history",
    "is_place",
    "load",
    "located",
    "open_saved",
    "publish",
    "rollback",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'kneighbors.generations' has no attribute {name!r}")
    value = getattr(import_module(f"kneighbors.generations.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
