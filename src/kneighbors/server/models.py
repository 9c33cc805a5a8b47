"""One worker's part in hosting several models: opening, keeping and letting go of them.

A load is done by the worker that is asked, and noted in the registry. The others open the model
when they are first asked for it, with the same warm-up. A model that was unloaded is let go of by
every worker as soon as its last request is answered.
"""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import time
import traceback
from collections.abc import Callable, Mapping

from kneighbors.errors import KNeighborsError
from kneighbors.server.loaded import Loaded, unknown
from kneighbors.server.logs import LOG
from kneighbors.server.memory import available_memory, memory_of
from kneighbors.server.model_paths import checked_path
from kneighbors.server.opening import opener_of
from kneighbors.server.refusals import HTTPRefused
from kneighbors.server.registry import Entry, Registry
from kneighbors.server.settings import Settings
from kneighbors.server.workpool import WorkPool

_THREADS = 8  # that load, and wait for what is unloaded
_WAITING = 64
_TOUCH_S = 0.1  # how often the use of a model is noted


class Models:
    """The models that this worker has open, and the loading and unloading of those of all.

    Parameters
    ----------
    settings : Settings
        ``model`` is the directory below which models lie.
    registry : Registry
    worker : int
        Its number.
    environ : mapping of str to str, optional
        A container's variables; given, models may have code.
    on_change : callable, optional
        Told how many are open.

    Notes
    -----
    The methods belong to the event loop's thread.
    """

    def __init__(
        self,
        settings: Settings,
        registry: Registry,
        worker: int,
        environ: Mapping[str, str] | None = None,
        on_change: Callable[[int], None] = lambda _: None,
    ) -> None:
        self.registry = registry
        self._settings = settings
        self._worker = worker
        self._environ = environ
        self._on_change = on_change
        self._budget = settings.model_memory_bytes or available_memory() * 3 // 4
        self._pool = WorkPool(_THREADS, _WAITING)
        self._opening = threading.Lock()  # scripts are modules, of which there is one namespace
        self._open: dict[str, Loaded] = {}
        self._coming: dict[str, asyncio.Task[None]] = {}

    def start(self) -> None:
        """Listen to what other workers unload."""
        bell = self.registry.bell(self._worker)
        asyncio.get_running_loop().add_reader(bell, self._on_bell, bell)

    def _on_bell(self, bell: int) -> None:
        os.read(bell, 1 << 16)
        self._sweep()

    def _sweep(self) -> None:
        """Let go of what is not loaded any more."""
        for name, loaded in list(self._open.items()):
            if not self._is_current(loaded.entry):
                del self._open[name]
                loaded.leave()
        self._on_change(len(self._open))

    def _is_current(self, entry: Entry) -> bool:
        now = self.registry.get(entry.name)
        return now is not None and now.token == entry.token

    # Loading

    async def load(self, name: str, url: object) -> Entry:
        """Load a model for all workers.

        Raises
        ------
        HTTPRefused
            With code ``model-loaded``, ``model-url``, ``model-missing``, ``models-full`` or
            ``model-failed``.
        """
        loop = asyncio.get_running_loop()
        seconds = self._settings.answer_timeout_s
        entry, _ = await self._pool.run(lambda: self._load(name, url, loop), seconds)
        return entry

    def _load(self, name: str, url: object, loop: asyncio.AbstractEventLoop) -> Entry:
        with self.registry.changing():
            if self.registry.get(name) is not None:
                raise HTTPRefused("model-loaded", "Expected a model that is not loaded yet.")
            path = checked_path(url, self._settings.model)
            try:
                cost = memory_of(path, self._settings.worker_count)
            except KNeighborsError as error:
                raise _failed(error) from None
            self._make_room(cost)
            entry = Entry(name, str(url), str(path), os.urandom(16).hex(), cost)
            loaded = self._opened(entry)
            self.registry.put(entry)
        # Whether or not anybody waits for it still.
        loop.call_soon_threadsafe(self._keep, loaded)
        return entry

    def _make_room(self, cost: int) -> None:
        """Refuse a model for which there is no room, or unload others."""
        while True:
            used = sum(entry.cost for entry in self.registry.entries())
            if used + cost <= self._budget:
                return
            oldest = self.registry.least_recent()
            if self._settings.when_full != "unload" or oldest is None or cost > self._budget:
                raise full(cost, used, self._budget)
            if self.registry.remove(oldest.name) is not None:
                LOG.info("a model was unloaded", extra={"facts": {"model": oldest.name}})
            if not self.registry.wait_until_unused(oldest.token, self._settings.answer_timeout_s):
                raise full(cost, used, self._budget)

    def _opened(self, entry: Entry) -> Loaded:
        """Open a model and let it answer its first query."""
        begin = time.perf_counter()
        held = self.registry.hold(entry.token)
        opener = opener_of(self._settings, environ=self._environ, model=entry.path)
        try:
            with self._opening:
                hosted = opener()
                hosted.warm_up(items=False)
        except BaseException as error:
            os.close(held)
            if isinstance(error, MemoryError):
                raise full(entry.cost, 0, self._budget) from None
            if isinstance(error, Exception):
                raise _failed(error) from None
            raise
        seconds = round(time.perf_counter() - begin, 3)
        LOG.info("model open", extra={"facts": {"model": entry.name, "seconds": seconds}})
        return Loaded(entry, hosted, held)

    def _keep(self, loaded: Loaded) -> None:
        """Have a model that was opened, unless it is here already."""
        name = loaded.entry.name
        before = self._open.get(name)
        if before is not None and before.entry.token == loaded.entry.token:
            loaded.leave()
            return
        if before is not None:
            before.leave()
        self._open[name] = loaded
        self._sweep()  # it may have been unloaded before it got here

    # Asking

    async def model(self, name: str) -> Loaded:
        """Return a model that is loaded, opening it if another worker has loaded it.

        Raises
        ------
        HTTPRefused
            With code ``model-unknown`` or ``model-failed``.
        """
        if name not in self._open:
            coming = self._coming.get(name)
            if coming is None:
                coming = asyncio.create_task(self._fetch(name))
                self._coming[name] = coming
                coming.add_done_callback(lambda task: self._came(name, task))
            await asyncio.shield(coming)
        loaded = self._open.get(name)
        if loaded is None:
            raise unknown()
        self._touch(loaded)
        return loaded

    async def _fetch(self, name: str) -> None:
        loop = asyncio.get_running_loop()
        seconds = self._settings.answer_timeout_s
        await self._pool.run(lambda: self._open_known(name, loop), seconds)

    def _came(self, name: str, task: asyncio.Task[None]) -> None:
        del self._coming[name]
        if not task.cancelled():
            task.exception()  # which those who wait have got, if there are any

    def _open_known(self, name: str, loop: asyncio.AbstractEventLoop) -> None:
        entry = self.registry.get(name)
        if entry is None:
            raise unknown()
        loop.call_soon_threadsafe(self._keep, self._opened(entry))

    def _touch(self, loaded: Loaded) -> None:
        now = time.monotonic()
        if self._settings.when_full == "unload" and now - loaded.touched_s > _TOUCH_S:
            loaded.touched_s = now
            self.registry.touch(loaded.entry)

    # Unloading

    async def unload(self, name: str) -> Entry:
        """Unload a model everywhere; what is in flight is answered first.

        Raises
        ------
        HTTPRefused
            With code ``model-unknown``; ``model-busy``, if requests in flight take too long. The
            model is gone then for new requests, and freed after the last of the old ones.
        """
        entry = self.registry.remove(name)
        if entry is None:
            raise unknown()
        self._sweep()
        seconds = self._settings.answer_timeout_s
        is_free, _ = await self._pool.run(
            lambda: self.registry.wait_until_unused(entry.token, seconds), seconds + 1.0
        )
        if not is_free:
            raise HTTPRefused(
                "model-busy",
                f"Expected the requests in flight to be answered within {seconds:g} s. The model "
                "is freed after the last of them.",
            )
        return entry


def full(cost: int, used: int, budget: int) -> HTTPRefused:
    """Return the refusal of a model for which there is no memory."""
    return HTTPRefused(
        "models-full",
        f"Expected a model of at most {max(0, budget - used)} bytes of memory, got one of {cost}; "
        f"{used} of {budget} are in use.",
    )


def _failed(error: Exception) -> HTTPRefused:
    """Return what a client learns of a model that cannot be opened, and tell the log the rest."""
    if isinstance(error, KNeighborsError):
        LOG.error("a model could not be loaded: [%s] %s", error.code, error)
        code = error.code
    else:
        LOG.error("a model could not be loaded", exc_info=error)
        code = type(error).__name__
    _let_go(error)
    return HTTPRefused(
        "model-failed",
        f"Expected a model that can be loaded, got one that cannot: {code}. The log says more.",
    )


def _let_go(error: BaseException | None) -> None:
    """Free what the frames of an error hold, the files that it came from among them."""
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__
    gc.collect()  # functions within functions, and the threads that ran them, refer to each other
