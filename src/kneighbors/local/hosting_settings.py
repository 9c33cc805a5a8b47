"""The limits of hosting: AWS's, unless a variable says otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

from kneighbors.errors import ParameterRefused

_PREFIX = "KNEIGHBORS_LOCAL_"
_MOST_S = 86_400


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

        Raises
        ------
        ParameterRefused
            ``setting-type`` or ``setting-range``, with the variable's name.

        Examples
        --------
        >>> HostingSettings.from_environment({"KNEIGHBORS_LOCAL_PING_S": "1"}).ping_s
        1.0
        """
        given = {}
        for field in fields(cls):
            variable = _PREFIX + field.name.upper()
            text = environ.get(variable, "").strip()
            if text:
                given[field.name] = _seconds(variable, text)
        return cls(**given)


def _seconds(variable: str, text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        raise ParameterRefused(
            "setting-type", f"Expected a number of seconds, got {text!r:.50}.", where=variable
        ) from None
    if not 0 < seconds <= _MOST_S:
        raise ParameterRefused(
            "setting-range",
            f"Expected more than 0 and at most {_MOST_S} seconds, got {text}.",
            where=variable,
        )
    return seconds
