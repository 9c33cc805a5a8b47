"""One worker's model: loaded and warmed in the background, and whether it may be asked.

Until the first query has been answered, and after a failure, requests get 503. The reason of a
failure goes to the log, not to clients: it may name paths. What is served from a place is followed
by what is published there later (`kneighbors.server.following`).
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from kneighbors.server.ahead import check_ahead
from kneighbors.server.attending import attend
from kneighbors.server.board import Slot, State
from kneighbors.server.following import Following
from kneighbors.server.kept import Kept
from kneighbors.server.logs import LOG, failure_facts
from kneighbors.server.refusals import HTTPRefused

if TYPE_CHECKING:
    from kneighbors.sagemaker.hosting import Hosted

Opener = Callable[[], "Hosted"]


class Endpoint:
    """A model that is being loaded, answers, or could not be loaded.

    Parameters
    ----------
    opener : callable or None
        Opens the model; called once, in a thread of its own. None where requests load models.
    slot : Slot
        Where the state is kept, for this process and the others.
    on_event : callable, optional
        Told the names of the counters of what happens to generations; in the event loop's thread.
    """

    def __init__(
        self,
        opener: Opener | None,
        slot: Slot,
        on_event: Callable[[str], None] = lambda name: None,
    ) -> None:
        self._opener = opener
        self._on_event = on_event
        self._thread: threading.Thread | None = None
        self._settled = threading.Event()
        self._ending = threading.Event()
        self._no_check = threading.Event()  # of what is not served any more
        self.slot = slot
        self.facts: dict[str, str] = {}
        self._kept: Kept | None = None
        self._is_scripted = False

    def start(self) -> None:
        """Begin to load; calling it again does nothing."""
        if self._opener is None:
            self.facts = _facts(None)
            self.slot.state = State.READY
            self._settled.set()
        elif self._thread is None:
            self.slot.state = State.LOADING
            loop = asyncio.get_running_loop()
            self._thread = threading.Thread(
                target=self._load, args=(self._opener, loop), name="kneighbors-load", daemon=True
            )
            self._thread.start()
            if isinstance(self._opener, Following):
                threading.Thread(
                    target=self._follow,
                    args=(self._opener, loop),
                    name="kneighbors-follow",
                    daemon=True,
                ).start()

    @property
    def is_settled(self) -> bool:
        """Whether the model answers or has failed."""
        return self._settled.is_set()

    @property
    def is_scripted(self) -> bool:
        """Whether a user's script answers."""
        return self._is_scripted

    @property
    def kept(self) -> Kept:
        """What answers requests, to be held while it does.

        Raises
        ------
        HTTPRefused
            With code ``not-ready``, or ``model-unnamed`` where there are several.
        """
        if self._opener is None:
            raise HTTPRefused(
                "model-unnamed",
                "Expected the path to say which model; there are several here.",
                where="/models/{model_name}/invoke",
            )
        if self._kept is None:
            raise _not_ready(self.slot.state)
        return self._kept

    @property
    def hosted(self) -> Hosted:
        """What answers requests; refused as `kept` is."""
        return self.kept.hosted

    @property
    def generation(self) -> bytes:
        """Of what answers requests now, empty where that is not known."""
        return b"" if self._kept is None else self._kept.generation

    def check_open(self) -> None:
        """Refuse unless the whole server is ready; constant time.

        Raises
        ------
        HTTPRefused
            With code ``not-ready`` or ``stopping``.
        """
        if not self.slot.is_open:
            raise _not_ready(self.slot.state)

    def fail(self, error: BaseException, generation: bytes | None = None) -> None:
        """Say that no answer of this worker can be relied on any more.

        Parameters
        ----------
        error : BaseException
        generation : bytes, optional
            Of what is at fault: if another one answers by now, nothing is to be said.
        """
        if self._opener is None or generation not in (None, self.generation):
            return
        if self.slot.state is State.READY:
            self.slot.state = State.FAILED
            LOG.error("the artifact is at fault, so /ping says 503 from now on: %s", error)

    def stop(self) -> None:
        """Say that this worker is about to end; requests that it has are answered still."""
        self.slot.state = State.STOPPING
        self._ending.set()
        self._no_check.set()

    def _load(self, opener: Opener, loop: asyncio.AbstractEventLoop) -> None:
        begin = time.perf_counter()
        try:
            hosted = opener()
            attend(hosted, self._teller(loop))
            hosted.warm_up(items=False)
        except BaseException as error:
            self._failed(error)
        else:
            self._is_scripted = not hasattr(hosted, "find")
            self._kept = Kept(hosted)
            self.facts = _facts(hosted)
            if self.slot.state is State.LOADING:
                self.slot.state = State.READY
            took = {"seconds": round(time.perf_counter() - begin, 3)}
            LOG.info("ready", extra={"facts": took | self.facts})
            self._settled.set()
            _warm_items(hosted)
            generation = self.generation
            check_ahead(hosted, self._no_check, lambda error: self.fail(error, generation))
        finally:
            self._settled.set()

    def _follow(self, following: Following, loop: asyncio.AbstractEventLoop) -> None:
        """Take what is published later, one after the other; in a thread of its own."""
        self._settled.wait()

        tell = self._teller(loop)

        def take(hosted: Hosted) -> None:
            attend(hosted, tell)
            loop.call_soon_threadsafe(self._swap, hosted)

        following.follow(self._ending, take, tell)

    def _teller(self, loop: asyncio.AbstractEventLoop) -> Callable[[str], None]:
        def tell(name: str) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._on_event, name)

        return tell

    def _swap(self, hosted: Hosted) -> None:
        """Let another model answer from the next request on; between two requests."""
        if self.slot.state is State.STOPPING:
            return
        before, self._kept = self._kept, Kept(hosted)
        self._no_check.set()  # the new one has been checked
        self.facts = _facts(hosted)
        self.slot.state = State.READY
        self._on_event("kneighbors_generation_swaps_total")
        LOG.info("another generation is served", extra={"facts": self.facts})
        if before is not None:
            before.leave()

    def _failed(self, error: BaseException) -> None:
        facts = failure_facts(error)
        if self.slot.board.ends_on_failure:
            self.slot.failure = facts
        else:
            reason = facts.pop("reason")
            LOG.error(
                "the model could not be loaded, so /ping says 503: %s",
                reason,
                extra={"facts": facts},
            )
        if self.slot.state is State.LOADING:
            self.slot.state = State.FAILED


def _warm_items(hosted: Hosted) -> None:
    """Touch the attributes as well, which takes longer and which not every client asks for."""
    try:
        if hosted.has_items:
            hosted.warm_up()
    except BaseException:
        # It was no client's request, and the next one that needs them will get the error.
        LOG.exception("the attributes of the items could not be read")


def _not_ready(state: State) -> HTTPRefused:
    if state is State.STOPPING:
        return HTTPRefused("stopping", "Expected a server that goes on, but this one is stopping.")
    if state is State.FAILED:
        return HTTPRefused(
            "not-ready", "Expected a model, but it could not be loaded. The log says why."
        )
    return HTTPRefused("not-ready", "Expected a model that is ready, but it is being loaded.")


def _facts(hosted: Hosted | None) -> dict[str, str]:
    """Return what is served, as labels; ``generation`` tells artifacts apart."""
    from kneighbors import __version__

    known = dict.fromkeys(("generation", "metric", "n_samples", "n_features"), "")
    return {"version": __version__} | known | ({} if hosted is None else hosted.facts)
