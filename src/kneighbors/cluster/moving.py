"""Moving copies of shards to where they belong, one at a time, while requests go on."""

from __future__ import annotations

import threading
import time

from kneighbors.cluster.balance import next_move
from kneighbors.cluster.placing import LOG, Host, Hosts

#: Seconds between two looks at where copies are.
PERIOD_S = 10.0
#: Seconds for which a copy that is to go is waited for; then its tasks go to others.
_DRAIN_S = 60.0
_POLL_S = 0.05
#: A machine on which a copy could not be opened is left alone for so long, twice as long each time.
_REST_S, _LONGEST_REST_S = 30.0, 3600.0
_MOVED = "kneighbors_shard_moves_total"


class Mover:
    """Looks now and then whether a copy had better be elsewhere, and moves it.

    The new copy is opened first; then it takes the old one's place, which ends after its last
    task. So there are never fewer copies than there were.

    Parameters
    ----------
    hosts : Hosts
    period_s : float
        Seconds between two looks.
    """

    def __init__(self, hosts: Hosts, period_s: float) -> None:
        self._hosts = hosts
        self._period_s = period_s
        self._unfit: dict[str, tuple[float, float]] = {}
        self._is_closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="kneighbors-move", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Move nothing more; a copy that is being opened is given up."""
        self._is_closed.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._is_closed.wait(self._period_s):
            try:
                while self._move() and not self._is_closed.is_set():
                    pass
            except Exception as error:  # whatever Ray raises; the old copies are still there
                if not self._is_closed.is_set():
                    LOG.warning("a copy of a shard could not be moved: %s", error)

    def _move(self) -> bool:
        """Move one copy, if that helps."""
        hosts = self._hosts
        move = next_move(hosts.placement(), [node for node in hosts.nodes() if self._is_fit(node)])
        if move is None:
            return False
        old = hosts.of_shard[move.shard][move.copy]
        home = old.node
        new = hosts.start(move.shard, move.to)
        is_taken = False
        try:
            is_open = hosts.opened(new, self._is_closed, hosts.patience_s)
            is_taken = is_open and hosts.take(new, old, home)
            self._unfit.pop(move.to, None)
        except Exception:
            rest_s = min(_LONGEST_REST_S, 2 * self._unfit.get(move.to, (0.0, _REST_S / 2))[1])
            self._unfit[move.to] = (time.monotonic() + rest_s, rest_s)
            raise
        finally:
            if not is_taken:
                hosts.end(new)
        if is_taken:
            self._let_go(old)
            hosts.tell(_MOVED)
            LOG.info(
                "a copy of a shard was moved to another machine",
                extra={"facts": {"shard": move.shard, "from": home, "to": move.to}},
            )
        return is_taken

    def _is_fit(self, node: str) -> bool:
        return time.monotonic() >= self._unfit.get(node, (0.0, 0.0))[0]

    def _let_go(self, host: Host) -> None:
        until = time.monotonic() + _DRAIN_S
        while not self._hosts.is_idle(host) and time.monotonic() < until:
            if self._is_closed.wait(_POLL_S):
                break
        self._hosts.end(host)
