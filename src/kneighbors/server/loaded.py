"""One of several models that one worker has open."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from kneighbors.server.kept import Kept, unknown
from kneighbors.server.registry import Entry

if TYPE_CHECKING:
    from kneighbors.sagemaker.hosting import Hosted

__all__ = ["Loaded", "unknown"]


class Loaded(Kept):
    """A model that this worker has open because a request asked for it.

    Parameters
    ----------
    entry : Entry
    hosted : Hosted
    held : int
        Descriptor that tells the others so.
    """

    def __init__(self, entry: Entry, hosted: Hosted, held: int) -> None:
        super().__init__(hosted)
        self.entry = entry
        self.touched_s = 0.0
        self._held = held

    def close(self) -> None:
        """Free the memory and close the files, then say so."""
        if self._hosted is not None:
            super().close()
            os.close(self._held)
