"""What is to be planned for, and the refusal of what cannot be."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from kneighbors.errors import ParameterRefused

_MOST_ROWS, _MOST_DIMS, _MOST_COPIES = 10**13, 65_536, 100
_TIME = re.compile(r"([0-9.eE+-]+) *(us|ms|s)")
_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0}


@dataclass(frozen=True)
class Workload:
    """A corpus and how it is asked, for the ten nearest rows.

    Parameters
    ----------
    rows, dims : int
        Shape of the corpus, of float32.
    qps : float
        Queries a second.
    p99_s : float
        Seconds that 99 of 100 queries may take at most.
    recall : float
        Share of the true neighbours that must be found.
    copies : int
        Of each shard, at least.
    """

    rows: int
    dims: int
    qps: float
    p99_s: float
    recall: float = 0.95
    copies: int = 2

    @classmethod
    def of_texts(
        cls,
        rows: str,
        dims: str,
        qps: str,
        p99: str,
        recall: str = "0.95",
        copies: str = "2",
    ) -> Workload:
        """Read it as it was typed.

        Raises
        ------
        ParameterRefused
            ``plan-rows``, ``plan-dims``, ``plan-qps``, ``plan-p99``, ``plan-recall`` or
            ``plan-copies``.

        Examples
        --------
        >>> Workload.of_texts("1e9", "768", "500", "50ms")
        Workload(rows=1000000000, dims=768, qps=500.0, p99_s=0.05, recall=0.95, copies=2)
        """
        found = _TIME.fullmatch(p99.strip())
        seconds = _number(found[1]) * _SECONDS[found[2]] if found else math.nan
        if not 1e-6 <= seconds <= 3600:
            raise _refused("p99", "a time with its unit, from 1us to 3600s, such as 50ms", p99)
        return cls(
            _whole("rows", rows, _MOST_ROWS),
            _whole("dims", dims, _MOST_DIMS),
            _between("qps", qps, 1e-6, 1e9),
            seconds,
            _between("recall", recall, 0.01, 1.0),
            _whole("copies", copies, _MOST_COPIES),
        )


def _whole(name: str, text: str, most: int) -> int:
    value = _number(text)
    if not (1 <= value <= most and value == int(value)):
        raise _refused(name, f"a whole number from 1 to {most:,}, such as 1000 or 1e3", text)
    return int(value)


def _between(name: str, text: str, least: float, most: float) -> float:
    value = _number(text)
    if not least <= value <= most:
        raise _refused(name, f"a number from {least:g} to {most:g}", text)
    return value


def _number(text: str) -> float:
    """Return a number, or NaN, which is in no range; ``1_000`` and other alphabets are none."""
    if not text.isascii() or "_" in text:
        return math.nan
    try:
        return float(text)
    except ValueError:
        return math.nan


def _refused(name: str, expected: str, got: str) -> ParameterRefused:
    return ParameterRefused(
        f"plan-{name}", f"Expected {expected}, got {got[:40]!r}.", where=f"--{name}"
    )
