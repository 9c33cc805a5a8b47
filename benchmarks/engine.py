"""What the benchmarks know of an engine."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

Array = NDArray[Any]
Search = Callable[[Array, int], Array]

THREADS = 2
#: Libraries read these when they are loaded, so they are set before that.
_THREAD_VARIABLES = (
    "OPENBLAS_NUM_THREADS",
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)


@dataclass(frozen=True)
class Built:
    """An index that answers.

    Attributes
    ----------
    search : callable
        From queries of shape (n, d) and k to the rows of their neighbours, of shape (n, k).
    tune : callable, optional
        Sets how much an approximate engine looks at.
    """

    search: Search
    tune: Callable[[int], None] | None = None


@dataclass(frozen=True)
class Engine:
    """One way to find neighbours.

    Attributes
    ----------
    title : str
        What tables call it.
    build : callable
        From a corpus to an index; raises ImportError where its package is not installed.
    efforts : tuple of int
        What an approximate engine can be tuned to, from quick to thorough.
    selects : bool
        Whether it answers with neighbours; a mere product does not, and has no recall.
    """

    title: str
    build: Callable[[Array], Built]
    efforts: tuple[int, ...] = ()
    selects: bool = True


def pin_threads() -> None:
    """Let every library of this process and of those that it starts use two threads."""
    for name in _THREAD_VARIABLES:
        os.environ.setdefault(name, str(THREADS))
