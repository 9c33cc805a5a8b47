"""Making the shards of an artifact on a cluster, each by a task that may be killed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kneighbors.cluster.connecting import connect
from kneighbors.cluster.placing import last_line
from kneighbors.errors import ClusterError, KNeighborsError
from kneighbors.search.progress import Progress, ignore

#: How often a task is begun again whose process was killed.
_RETRIES = 5


def build_shards(
    write: Callable[[int], Any],
    n_shards: int,
    address: str = "auto",
    *,
    memory_bytes: int | None = None,
    environ: tuple[str, ...] = (),
    progress: Progress = ignore,
) -> None:
    """Make all shards, as many at a time as there are cores.

    Parameters
    ----------
    write : callable
        Picklable; makes one shard by its number. Called again for a shard whose task was killed,
        so it must leave a shard that is there as it is, and make the same bytes.
    n_shards : int
    address : str, default="auto"
        As of `kneighbors.cluster.connect`.
    memory_bytes : int, optional
        What one task may take: the system refuses it more, and Ray runs no more tasks on a machine
        than it has memory for.
    environ : tuple of str
        Names of this process's variables that tasks need, such as those of AWS.
    progress : Progress, optional

    Raises
    ------
    KNeighborsError
        What `write` refuses; ``cluster-memory`` where a task ran out of memory, and which;
        ``cluster-task`` where it was killed again and again.
    """
    ray = connect(address)
    options: dict[str, Any] = {"num_cpus": 1, "max_retries": _RETRIES}
    if memory_bytes is not None:
        options["memory"] = memory_bytes
    variables = {name: os.environ[name] for name in environ if name in os.environ}
    options["runtime_env"] = {"env_vars": {"OPENBLAS_NUM_THREADS": "1", **variables}}
    remote = ray.remote(**options)(_write_one)
    numbers = {remote.remote(write, number, memory_bytes): number for number in range(n_shards)}
    waiting = list(numbers)
    try:
        while waiting:
            done, waiting = ray.wait(waiting, timeout=1.0)
            for reference in done:
                _raise_of(ray, reference, numbers[reference], memory_bytes)
                progress("shards", n_shards - len(waiting), n_shards)
    except BaseException:
        for reference in waiting:
            ray.cancel(reference, force=True)
        raise


def _write_one(write: Callable[[int], Any], number: int, memory_bytes: int | None) -> Any:
    if memory_bytes is not None:
        _limit_memory(memory_bytes)
    try:
        write(number)
    except KNeighborsError as error:
        return error
    except MemoryError:
        return MemoryError()
    return None


def _limit_memory(memory_bytes: int) -> None:
    """Let the system refuse this process more memory of its own than so much beyond today's."""
    import resource

    held = int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (held + memory_bytes, hard))


def _raise_of(ray: Any, reference: Any, number: int, memory_bytes: int | None) -> None:
    try:
        failure = ray.get(reference)
    except ray.exceptions.OutOfMemoryError:
        failure = MemoryError()
    except ray.exceptions.RayError as error:
        raise ClusterError(
            "cluster-task",
            f"Expected shard {number} to be made, got a task that ended {_RETRIES + 1} times: "
            f"{last_line(error)}",
            where=f"shard {number}",
        ) from None
    if isinstance(failure, MemoryError):
        limit = "the memory of its machine" if memory_bytes is None else f"{memory_bytes} bytes"
        raise ClusterError(
            "cluster-memory",
            f"Expected shard {number} to be made within {limit}, got out of memory.",
            where=f"shard {number}",
            hint="Make more shards with --shards, or allow more with --memory-per-task.",
        )
    if failure is not None:
        raise failure
