"""How many cores there are for us, and how many threads a matrix product takes of them.

When a server starts, numpy is loaded and has read the environment variables already; so the number
is set by calling into the library that is loaded, before the fork, and the workers inherit it.
Nothing here runs a product: a process that has run one must not fork.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

# Symbols that set the number of threads, by BLAS. Wheels of numpy carry OpenBLAS with a prefix,
# and a suffix where integers have 64 bits.
_SETTERS = (
    "scipy_openblas_set_num_threads64_",
    "scipy_openblas_set_num_threads",
    "openblas_set_num_threads64_",
    "openblas_set_num_threads",
    "MKL_Set_Num_Threads",
    "bli_thread_set_num_threads",
)
_GETTERS = (
    "scipy_openblas_get_num_threads64_",
    "scipy_openblas_get_num_threads",
    "openblas_get_num_threads64_",
    "openblas_get_num_threads",
    "MKL_Get_Max_Threads",
    "bli_thread_get_num_threads",
)
_NAMES = ("openblas", "mkl_rt", "libblis", "libblas")


def available_cores() -> int:
    """Return how many cores this process may use: affinity and a container's quota count."""
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:  # pragma: no cover - other than Linux
        cores = os.cpu_count() or 1
    return max(1, min(cores, _quota(Path("/sys/fs/cgroup/cpu.max"))))


def _quota(file: Path) -> int:
    """Return the cores that a cgroup may use, rounded up; a large number if there is no bound."""
    try:
        quota, period = file.read_text().split()
        return -(-int(quota) // int(period))
    except (OSError, ValueError):
        return 1 << 16


def set_blas_threads(count: int) -> int | None:
    """Set the number of threads of matrix products in this process.

    Parameters
    ----------
    count : int
        At least 1.

    Returns
    -------
    int or None
        What the library says afterwards; None if none was found that can be told, and the number
        of threads is what it was.
    """
    # Libraries that are loaded later, and child processes, read these.
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(count)
    seen: int | None = None
    for library in _loaded_blas():
        setter = _first(library, _SETTERS)
        getter = _first(library, _GETTERS)
        if setter is not None and getter is not None:
            setter(ctypes.c_int(count))
            seen = int(getter())
    return seen


def _loaded_blas() -> list[ctypes.CDLL]:
    try:
        maps = Path("/proc/self/maps").read_text()
    except OSError:  # pragma: no cover - other than Linux
        return []
    paths = {line.split(maxsplit=5)[5] for line in maps.splitlines() if ".so" in line}
    return [ctypes.CDLL(p) for p in sorted(paths) if any(n in Path(p).name for n in _NAMES)]


def _first(library: ctypes.CDLL, names: tuple[str, ...]) -> ctypes._NamedFuncPointer | None:
    for name in names:
        if hasattr(library, name):
            found: ctypes._NamedFuncPointer = getattr(library, name)
            return found
    return None
