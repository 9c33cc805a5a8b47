"""Hearing of what happens to the copies of shards behind a model, where there are such."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kneighbors.sagemaker.hosting import Hosted


def attend(hosted: Hosted, tell: Callable[[str], None]) -> None:
    """Have the names of the counters of what happens to a model's hosts told; from any thread."""
    index = getattr(getattr(hosted, "artifact", None), "index", None)
    listen = getattr(getattr(index, "executor", None), "listen", None)
    if listen is not None:
        listen(tell)
