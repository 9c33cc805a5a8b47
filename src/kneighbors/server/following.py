"""Following a place: what is published there is opened beside what is served, then takes its place.

Each worker looks every few seconds whether the pointer has moved. One at a time opens what is new,
compares it with what it serves, reads all of it once for the server, and lets it answer queries;
only then does it take the old one's place. So workers differ for as long as that takes all of them,
and what is bad is refused before a request meets it.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from kneighbors.errors import ArtifactError, ClusterError, KNeighborsError, StorageError
from kneighbors.server.ahead import check_ahead
from kneighbors.server.logs import LOG

if TYPE_CHECKING:
    from kneighbors.generations import Generation
    from kneighbors.sagemaker.hosting import Hosted

#: A generation is read at a quarter of a core before it is served.
_REST = 3.0
#: After a place could not be read, the pauses double up to this.
_LONGEST_PAUSE_S = 60.0
_REFUSED, _UNREAD = "kneighbors_generation_refused_total", "kneighbors_place_unread_total"


class Following:
    """Opens what a place's pointer names, at first and whenever it moves; one worker's.

    Parameters
    ----------
    place : str
        A directory or ``s3://bucket/prefix``.
    room : Path
        Directory that the workers of one server share.
    open_path : callable
        Opens an artifact.
    period_s : float
        Seconds between two looks at the pointer.
    cache_dir : str
        For copies of generations on S3; empty takes a directory in the room.
    vectors : bool, default=True
        False where a cluster has the vectors, so that only ids and attributes are copied.
    """

    def __init__(
        self,
        place: str,
        room: Path,
        open_path: Callable[[Path], Hosted],
        period_s: float,
        cache_dir: str = "",
        *,
        vectors: bool = True,
    ) -> None:
        from kneighbors.generations import Follower

        self._follower = Follower(place, cache_dir or room / "cache", vectors=vectors)
        self._room = room
        self._open_path = open_path
        self._period_s = self._pause_s = period_s
        self._served: Generation | None = None
        self._facts: dict[str, str] = {}
        self._said: str | None = None

    def __call__(self) -> Hosted:
        """Open what is to be served first.

        A worker that takes the place of a dead one serves what the others serve, if what the
        pointer names is of no use.
        """
        with self._alone():
            try:
                generation = self._follower.poll()
                if generation is None:  # pragma: no cover - the first look finds something
                    raise StorageError("place-unknown", "Expected a pointer.", where="the place")
                return self._taken(generation, self._open(generation))
            except KNeighborsError as error:
                noted = self._noted()
                if noted is None:
                    raise
                LOG.error("a generation was refused, the others' is served: %s", _text(error))
                hosted = self._open_path(noted)
                self._facts = hosted.facts
                return hosted

    def follow(
        self,
        stop: threading.Event,
        take: Callable[[Hosted], None],
        tell: Callable[[str], None],
    ) -> None:
        """Open what is published later, until told to stop.

        Parameters
        ----------
        stop : Event
        take : callable
            Given what is to be served from now on, warmed up.
        tell : callable
            Told the name of the counter of what went wrong.
        """
        while not stop.wait(self._pause_s):
            self._look(stop, take, tell)

    def _look(
        self,
        stop: threading.Event,
        take: Callable[[Hosted], None],
        tell: Callable[[str], None],
    ) -> None:
        generation: Generation | None = None
        try:
            with self._alone():
                generation = self._follower.poll()
                if generation is not None and not self._is_served(generation):
                    take(self._taken(generation, self._checked(generation, stop)))
            self._pause_s, self._said = self._period_s, None
        except Exception as error:
            if not stop.is_set():
                self._refuse(error, generation, tell)
            _let_go(error)

    def _refuse(
        self, error: Exception, generation: Generation | None, tell: Callable[[str], None]
    ) -> None:
        """Say what keeps the worker from serving what was published; once for each reason."""
        text = _text(error)
        is_storage = isinstance(error, StorageError)
        is_unread = is_storage and generation is None
        if is_storage or isinstance(error, ClusterError):
            # A disk, a network or a machine may be well again: try again, but ever more seldom.
            self._follower.forget()
            self._pause_s = min(_LONGEST_PAUSE_S, 2 * self._pause_s)
        else:
            self._pause_s = self._period_s
        if is_unread:
            tell(_UNREAD)
        if text == self._said:
            return
        self._said = text
        if not is_unread:
            tell(_REFUSED)
        facts = {} if generation is None else {"refused": generation.id}
        what = "the place cannot be read" if is_unread else "a new generation was refused"
        LOG.error("%s, the old one is served on: %s", what, text, extra={"facts": facts})

    def _is_served(self, generation: Generation) -> bool:
        served = self._served
        return served is not None and (
            (served.id, served.manifest_sha256) == (generation.id, generation.manifest_sha256)
        )

    def _open(self, generation: Generation) -> Hosted:
        """Open a generation; a copy from an earlier day that is damaged is fetched anew."""
        try:
            return self._open_path(_path(generation))
        except ArtifactError as error:
            if not self._follower.mend(generation):
                raise
            _let_go(error)
        again = self._follower.poll()
        return self._open_path(_path(again or generation))

    def _checked(self, generation: Generation, stop: threading.Event) -> Hosted:
        """Return a generation that can take the place of what is served, ready to answer."""
        hosted = self._open(generation)
        try:
            self._demand_alike(generation, hosted.facts)
            hosted.warm_up(items=False)
            self._check_all(generation, hosted, stop)
            hosted.warm_up()
        except BaseException:
            # Of shards on a cluster, the hosts would go on.
            if (artifact := getattr(hosted, "artifact", None)) is not None:
                artifact.close()
            raise
        return hosted

    def _demand_alike(self, generation: Generation, facts: dict[str, str]) -> None:
        """Refuse what would answer the same clients otherwise: another width or metric."""
        for name in ("n_features", "metric"):
            before, now = self._facts.get(name, facts[name]), facts[name]
            if before != now:
                raise ArtifactError(
                    "generation-differs",
                    f"Expected {name} {before}, as what is served has, got {now}.",
                    where=generation.address,
                    hint="Serve it from another place, or start the server anew.",
                )

    def _check_all(self, generation: Generation, hosted: Hosted, stop: threading.Event) -> None:
        """Read all vectors, unless another worker has."""
        mark = self._room / f"checked-{generation.id}-{generation.manifest_sha256[:12]}"
        if mark.exists():
            return
        faults: list[BaseException] = []
        if check_ahead(hosted, stop, faults.append, rest=_REST):
            mark.touch()
        if faults:
            raise faults[0]

    def _taken(self, generation: Generation, hosted: Hosted) -> Hosted:
        """Note what is served from now on, for workers that come later."""
        before, self._served, self._facts = self._served, generation, hosted.facts
        note = {"path": str(_path(generation))}
        fresh = self._room / f"serving-{os.getpid()}"
        fresh.write_text(json.dumps(note))
        fresh.replace(self._room / "serving")
        with suppress(KNeighborsError):  # copies that cannot be removed do no harm
            self._follower.tidy(generation, *([before] if before else []))
        return hosted

    def _noted(self) -> Path | None:
        with suppress(OSError):
            return Path(json.loads((self._room / "serving").read_text())["path"])
        return None

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Let one worker at a time open and check: the others are there to answer."""
        number = os.open(self._room / "opening", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(number, fcntl.LOCK_EX)
            yield
        finally:
            os.close(number)


def _path(generation: Generation) -> Path:
    if generation.path is None:
        raise StorageError("generation-missing", "Expected a copy.", where=generation.address)
    return generation.path


def _text(error: BaseException) -> str:
    code = getattr(error, "code", type(error).__name__)
    return f"[{code}] {error}"


def _let_go(error: BaseException | None) -> None:
    """Free what the frames of an error hold: a generation that was opened in vain."""
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__
