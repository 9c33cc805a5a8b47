"""What is hosted, until nobody uses it any more."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING
from weakref import ref

from kneighbors.server.refusals import HTTPRefused
from kneighbors.server.workpool import Hold

if TYPE_CHECKING:
    from kneighbors.sagemaker.hosting import Hosted


class Kept(Hold):
    """Something hosted, which is closed after its last use once it is to leave.

    Parameters
    ----------
    hosted : Hosted

    Attributes
    ----------
    generation : bytes
        Which artifact it is, as answers say it; empty where that is not known.

    Notes
    -----
    The methods belong to the event loop's thread, but for `close`.
    """

    def __init__(self, hosted: Hosted) -> None:
        self.generation = hosted.facts.get("generation", "").encode()
        self._hosted: Hosted | None = hosted
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
        """Count one use less; after the last one of what is leaving, let go of it."""
        self._users -= 1
        self._close_if_unused()

    def leave(self) -> None:
        """Let go of it once nobody uses it."""
        self._is_leaving = True
        self._close_if_unused()

    def _close_if_unused(self) -> None:
        if self._is_leaving and not self._users and not self._is_closing:
            self._is_closing = True
            # Not now: whoever has just released it still has it at hand.
            loop = asyncio.get_running_loop()
            loop.call_soon(loop.run_in_executor, None, self.close)

    def close(self) -> None:
        """Free the memory and close the files."""
        hosted, self._hosted = self._hosted, None
        if hosted is None:
            return
        artifact = getattr(hosted, "artifact", None)
        if artifact is not None:
            artifact.close()
        gone = ref(hosted)
        del artifact, hosted
        if gone() is not None:
            gc.collect()  # an error's traceback may have kept a part


def unknown() -> HTTPRefused:
    """Return the refusal of a name that no loaded model has."""
    return HTTPRefused("model-unknown", "Expected the name of a model that is loaded.")
