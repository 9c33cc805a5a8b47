"""The limits of hosting: AWS's, unless a variable says otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

_PREFIX = "KNEIGHBORS_LOCAL_"


@dataclass(frozen=True, slots=True)
class HostingSettings:
    """Limits in seconds; each is set by the variable ``KNEIGHBORS_LOCAL_<NAME>``.

    Parameters
    ----------
    invocation_timeout_s : float, default=60
        For an answer of a container.
    stream_timeout_s : float, default=480
        For all of a streamed answer.
    startup_timeout_s : float, optional
        In place of what an endpoint's configuration says.
    serverless_idle_s : float, default=300
        After which a serverless endpoint without calls has no container any more.
    drain_s : float, default=60
        For the calls under way when their fleet is replaced.
    watch_s : float, default=0.5
        Between two looks at whether a container's process has ended.
    ping_s : float, default=5
        Between two pings of a container in service.
    """

    invocation_timeout_s: float = 60.0
    stream_timeout_s: float = 480.0
    startup_timeout_s: float | None = None
    serverless_idle_s: float = 300.0
    drain_s: float = 60.0
    watch_s: float = 0.5
    ping_s: float = 5.0

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> HostingSettings:
        """Return the settings that variables give.

        Examples
        --------
        >>> HostingSettings.from_environment({"KNEIGHBORS_LOCAL_PING_S": "1"}).ping_s
        1.0
        """
        given = {}
        for field in fields(cls):
            text = environ.get(_PREFIX + field.name.upper(), "").strip()
            if text:
                given[field.name] = float(text)
        return cls(**given)
