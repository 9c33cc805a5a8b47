"""One worker's model: loaded and warmed in the background, and whether it may be asked.

Until the first query has been answered, and after a failure, requests get 503. The reason of a
failure goes to the log, not to clients: it may name paths.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from kneighbors.server.ahead import check_ahead
from kneighbors.server.board import Slot, State
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
    """

    def __init__(self, opener: Opener | None, slot: Slot) -> None:
        self._opener = opener
        self._thread: threading.Thread | None = None
        self._settled = threading.Event()
        self._ending = threading.Event()
        self.slot = slot
        self.facts: dict[str, str] = {}
        self._hosted: Hosted | None = None
        self._is_scripted = False

    def start(self) -> None:
        """Begin to load; calling it again does nothing."""
        if self._opener is None:
            self.facts = _facts(None)
            self.slot.state = State.READY
            self._settled.set()
        elif self._thread is None:
            self.slot.state = State.LOADING
            self._thread = threading.Thread(
                target=self._load, args=(self._opener,), name="kneighbors-load", daemon=True
            )
            self._thread.start()

    @property
    def is_settled(self) -> bool:
        """Whether the model answers or has failed."""
        return self._settled.is_set()

    @property
    def is_scripted(self) -> bool:
        """Whether a user's script answers."""
        return self._is_scripted

    @property
    def hosted(self) -> Hosted:
        """What answers requests.

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
        if self._hosted is None:
            raise _not_ready(self.slot.state)
        return self._hosted

    def check_open(self) -> None:
        """Refuse unless the whole server is ready; constant time.

        Raises
        ------
        HTTPRefused
            With code ``not-ready`` or ``stopping``.
        """
        if not self.slot.is_open:
            raise _not_ready(self.slot.state)

    def fail(self, error: BaseException) -> None:
        """Say that no answer of this worker can be relied on any more."""
        if self._opener is not None and self.slot.state is State.READY:
            self.slot.state = State.FAILED
            LOG.error("the artifact is at fault, so /ping says 503 from now on: %s", error)

    def stop(self) -> None:
        """Say that this worker is about to end; requests that it has are answered still."""
        self.slot.state = State.STOPPING
        self._ending.set()

    def _load(self, opener: Opener) -> None:
        begin = time.perf_counter()
        try:
            hosted = opener()
            hosted.warm_up(items=False)
        except BaseException as error:
            self._failed(error)
        else:
            self._is_scripted = not hasattr(hosted, "find")
            self._hosted = hosted
            self.facts = _facts(hosted)
            if self.slot.state is State.LOADING:
                self.slot.state = State.READY
            took = {"seconds": round(time.perf_counter() - begin, 3)}
            LOG.info("ready", extra={"facts": took | self.facts})
            self._settled.set()
            _warm_items(hosted)
            check_ahead(hosted, self._ending, self.fail)
        finally:
            self._settled.set()

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
