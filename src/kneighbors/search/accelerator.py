"""NumKong's product of small integers, where it is installed (the extra ``fast``).

It decides how long a query takes, never what the answer is: the product is exact.
"""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

Int8Array = NDArray[np.int8]
Int32Array = NDArray[np.int32]

#: Rows that one product covers: the products of two pieces stay in the cache.
_PIECE_ROWS = 1 << 17
#: Rows below which a second thread takes longer to wake than to work.
_WORTH_A_THREAD = 1 << 15
#: What programs set to say how many threads arithmetic may use.
_THREAD_LIMITS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


def pack(codes: Int8Array) -> PackedCodes | None:
    """Return codes ready to be multiplied; None where NumKong is not installed."""
    return PackedCodes(codes) if find_spec("numkong") is not None else None


class PackedCodes:
    """Codes in the order in which NumKong multiplies them: a private copy.

    Parameters
    ----------
    codes : ndarray of shape (n_samples, n_columns), dtype int8
    """

    def __init__(self, codes: Int8Array) -> None:
        import numkong

        self._multiply = numkong.dots_packed
        self._wrap = numkong.from_dlpack
        n_samples = len(codes)
        self._has_helper = n_samples >= _WORTH_A_THREAD and _may_use_two_threads()
        self.piece_rows = _PIECE_ROWS
        if self._has_helper:
            self.piece_rows = min(_PIECE_ROWS, -(-n_samples // 2))
        self.pieces = [
            numkong.dots_pack(np.ascontiguousarray(codes[start : start + self.piece_rows]))
            for start in range(0, n_samples, self.piece_rows)
        ]

    def multiply(self, integers: Int8Array, first: int, out: Int32Array) -> None:
        """Write the products with one query into `out`, from row `first`, where a piece begins.

        Parameters
        ----------
        integers : ndarray of shape (1, n_columns), dtype int8
        first : int
        out : ndarray of shape (n_rows,), dtype int32
            C-contiguous; ends where a piece ends.
        """
        rows = self.piece_rows
        piece = first // rows
        tasks = [
            (self.pieces[piece + i], out[start : start + rows])
            for i, start in enumerate(range(0, len(out), rows))
        ]
        if len(tasks) > 1 and self._has_helper and _helper.is_idle.acquire(blocking=False):
            try:
                half = (len(tasks) + 1) // 2
                helped = _helper.pool.submit(self._run, integers, tasks[half:])
                self._run(integers, tasks[:half])
                helped.result()
            finally:
                _helper.is_idle.release()
        else:
            self._run(integers, tasks)

    def _run(self, integers: Int8Array, tasks: list[tuple[Any, Int32Array]]) -> None:
        for piece, out in tasks:
            self._multiply(integers, piece, out=self._wrap(out.reshape(1, -1)))


class _Helper:
    """A second thread for products, which one query at a time may use."""

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        """Start anew."""
        self.pool = ThreadPoolExecutor(1, "kneighbors-product")
        self.is_idle = threading.Lock()


_helper = _Helper()
# A child process has no threads but its own, nor the lock's owner.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_helper.renew)


def _may_use_two_threads() -> bool:
    if any(os.environ.get(name, "").strip() == "1" for name in _THREAD_LIMITS):
        return False
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0)) > 1
    return (os.cpu_count() or 1) > 1
