"""Loaded by every Python that `kneighbors local run` starts, since its folder is on PYTHONPATH.

Standard library only, and no newer Python than 3.8.
"""

from __future__ import annotations

import os
import sys
from importlib.machinery import PathFinder
from importlib.util import module_from_spec

import kneighbors_redirect  # type: ignore[import-not-found]


def _load_hidden() -> None:
    """Load the module of this name that this one hides, if the environment has one."""
    here = os.path.realpath(os.path.dirname(__file__))  # noqa: PTH120
    others = [place for place in sys.path if os.path.realpath(place or ".") != here]
    spec = PathFinder.find_spec("sitecustomize", others)
    if spec is not None and spec.loader is not None:
        hidden = module_from_spec(spec)
        sys.modules["sitecustomize"] = hidden
        spec.loader.exec_module(hidden)


kneighbors_redirect.install()
_load_hidden()
