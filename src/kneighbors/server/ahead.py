"""Checking the vectors before queries touch them, at a pace that nobody notices.

A block of the vectors is hashed when it is first touched, so the first queries after a start take
longer than those that follow. One thread of each worker does it beforehand: some blocks, then a
longer rest. It reads every block once, which also brings the file into the system's cache; of a
file that would fill the memory, nothing is read ahead.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from kneighbors.errors import KNeighborsError
from kneighbors.server.memory import available_memory
from kneighbors.server.spare import give_way

if TYPE_CHECKING:
    from collections.abc import Callable

    from kneighbors.sagemaker.hosting import Hosted

_BYTES_AT_ONCE = 1 << 18
#: Rests are so many times as long as what they follow: a twentieth of a core at most is used.
_REST = 19


def check_ahead(
    hosted: Hosted,
    stop: threading.Event,
    on_error: Callable[[BaseException], None] = lambda error: None,
    *,
    rest: float = _REST,
) -> bool:
    """Check all vectors of a model; return whether that was finished.

    Parameters
    ----------
    hosted : Hosted
        A script's own model has nothing to check.
    stop : Event
        Set from another thread, ends it before the next few blocks.
    on_error : callable, optional
        Told what is wrong with the vectors, if something is.
    rest : float, default=19
        How many times as long as what they follow rests are. Who asks for shorter ones waits for
        the end, so the thread keeps its priority then.
    """
    artifact = getattr(hosted, "artifact", None)
    if artifact is None:
        return True
    rows = artifact.index.rows
    n_rows, width = rows.shape
    row_bytes = width * rows.dtype.itemsize
    if n_rows * row_bytes > available_memory() // 2:
        return False
    step = max(1, _BYTES_AT_ONCE // row_bytes)
    # Rows that are read from a file need not be read twice.
    check = getattr(rows, "check", rows.slice)
    if rest >= _REST:
        give_way()
    for start in range(0, n_rows, step):
        begin = time.perf_counter()
        try:
            check(start, start + step)
        except (KNeighborsError, OSError) as error:
            on_error(error)
            return False
        if stop.wait(rest * (time.perf_counter() - begin)):
            return False
    return True
