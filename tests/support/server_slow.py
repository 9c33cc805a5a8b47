"""The real server, with a model that loads when it is told to, or searches slowly."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kneighbors.sagemaker.model import Model
from kneighbors.sagemaker.query import Found, Query
from kneighbors.server.app import create_app
from kneighbors.server.board import Slot
from kneighbors.server.exchange import ASGIApp
from kneighbors.server.opening import opener_of
from kneighbors.server.run import serve, serve_app
from kneighbors.server.settings import Settings


def run(given: dict[str, Any]) -> int:
    """Serve; with ``delay_s``, ``fails_at`` or ``gate`` among the settings, slowly or badly.

    A search takes `delay_s`, and the `fails_at`-th one fails; a model is opened once the file
    `gate` is there.
    """
    delay_s, gate = given.pop("delay_s", 0.0), given.pop("gate", None)
    fails_at = given.pop("fails_at", 0)
    if not delay_s and not fails_at and gate is None:
        return serve(given.pop("model"), **given)

    def make_app(settings: Settings, slot: Slot) -> ASGIApp:
        def opener() -> Model:
            while gate is not None and not Path(gate).exists():
                time.sleep(0.01)
            model = opener_of(settings)()
            assert isinstance(model, Model)
            if delay_s or fails_at:
                _slow_down(model, delay_s, fails_at)
            return model

        return create_app(settings, slot=slot, opener=opener)

    return serve_app(make_app, Settings(**given))


def _slow_down(model: Model, delay_s: float, fails_at: int) -> None:
    find = model.find
    count = 0

    def slowly(queries: Sequence[Query]) -> list[Found]:
        nonlocal count
        # The warm-up asks without attributes of its own; a test marks its queries by k=2.
        if any(query.n_neighbors == 2 for query in queries):
            time.sleep(delay_s)
            count += 1
            if count == fails_at:
                raise RuntimeError("a search that fails")
        return find(queries)

    model.find = slowly  # type: ignore[method-assign]
