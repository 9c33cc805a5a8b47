"""A model that one worker has open, until nobody uses it any more."""

from __future__ import annotations

import asyncio
import gc
import os
from typing import TYPE_CHECKING

from kneighbors.server.refusals import HTTPRefused
from kneighbors.server.registry import Entry
from kneighbors.server.workpool import Hold

if TYPE_CHECKING:
    from kneighbors.sagemaker.hosting import Hosted


class Loaded(Hold):
    """A model that this worker has open.

    Parameters
    ----------
    entry : Entry
    hosted : Hosted
    held : int
        Descriptor that tells the others so.
    """

    def __init__(self, entry: Entry, hosted: Hosted, held: int) -> None:
        self.entry = entry
        self.touched_s = 0.0
        self._hosted: Hosted | None = hosted
        self._held = held
        self._users = 0
        self._is_leaving = False
        self._is_closing = False

    @property
    def hosted(self) -> Hosted:
        """What answers requests."""
        if self._hosted is None or self._is_closing:
            raise unknown()
        return self._hosted

    def acquire(self) -> None:
        """Count one more use."""
        self._users += 1

    def release(self) -> None:
        """Count one use less; after the last one of a model that is leaving, let go of it."""
        self._users -= 1
        self._close_if_unused()

    def leave(self) -> None:
        """Let go of the model once nobody uses it."""
        self._is_leaving = True
        self._close_if_unused()

    def _close_if_unused(self) -> None:
        if self._is_leaving and not self._users and not self._is_closing:
            self._is_closing = True
            # Not now: whoever has just released it still has it at hand.
            loop = asyncio.get_running_loop()
            loop.call_soon(loop.run_in_executor, None, self.close)

    def close(self) -> None:
        """Free the memory and close the files, then say so."""
        if self._hosted is None:
            return
        artifact = getattr(self._hosted, "artifact", None)
        self._hosted = None
        if artifact is not None:
            artifact.close()
        del artifact
        gc.collect()  # an error's traceback may have kept a part
        os.close(self._held)


def unknown() -> HTTPRefused:
    """Return the refusal of a name that no loaded model has."""
    return HTTPRefused("model-unknown", "Expected the name of a model that is loaded.")
