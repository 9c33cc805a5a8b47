"""Metrics that a job prints, found by regular expressions while it runs."""

from __future__ import annotations

import threading
import time
from typing import Any

# As `re`, which would hold the interpreter for as long as a pattern takes.
import regex

from kneighbors.local.faults import invalid

Definition = dict[str, str]
#: More of a line is not looked at: a pattern's time grows with it, in the worst case as a power.
_LINE_CHARACTERS = 4096
#: Longest that a pattern may take for a line.
_TIMEOUT_S = 1.0


def check_metrics(definitions: list[Definition]) -> None:
    """Refuse what is no regular expression with a group.

    Raises
    ------
    Fault
    """
    for definition in definitions:
        name, pattern = definition["Name"], definition["Regex"]
        try:
            groups = regex.compile(pattern).groups
        except regex.error as error:
            raise invalid(f"The Regex of metric {name} is none: {error}, in {pattern!r}.") from None
        if groups < 1:
            raise invalid(
                f"The Regex of metric {name} must have a group around the number, got {pattern!r}."
            )


class Metrics:
    """The last value of each metric; safe to use from several threads.

    Parameters
    ----------
    definitions : list of dict
        ``Name`` and ``Regex``, whose first group is the number.

    Examples
    --------
    >>> metrics = Metrics([{"Name": "recall", "Regex": "recall=([0-9.]+)"}])
    >>> metrics.see("recall=0.5", 1.0)
    []
    >>> metrics.see("recall=0.75", 2.0)
    []
    >>> metrics.final
    [{'MetricName': 'recall', 'Value': 0.75, 'Timestamp': 2.0}]
    """

    def __init__(self, definitions: list[Definition]) -> None:
        self._patterns = {one["Name"]: regex.compile(one["Regex"]) for one in definitions}
        self._lock = threading.Lock()
        self._last: dict[str, tuple[float, float]] = {}
        #: How often something was found.
        self.count = 0

    def see(self, line: str, at: float | None = None) -> list[str]:
        """Look for metrics in a line of output; `at` is the time, now by default.

        Returns
        -------
        list of str
            What the job's log is to say: which metrics are not looked for any more.
        """
        line = line[:_LINE_CHARACTERS]
        dropped = []
        for name, pattern in list(self._patterns.items()):
            try:
                found = pattern.search(line, timeout=_TIMEOUT_S, concurrent=True)
            except TimeoutError:
                if self._patterns.pop(name, None) is not None:
                    dropped.append(
                        f"The Regex of metric {name} takes more than {_TIMEOUT_S:g} s for a line "
                        "and is not looked for any more."
                    )
                continue
            value = None if found is None else _number(found[1])
            if value is not None:
                with self._lock:
                    self._last[name] = value, time.time() if at is None else at
                    self.count += 1
        return dropped

    @property
    def final(self) -> list[dict[str, Any]]:
        """What DescribeTrainingJob shows of them."""
        with self._lock:
            return [
                {"MetricName": name, "Value": value, "Timestamp": at}
                for name, (value, at) in self._last.items()
            ]


def _number(text: str | None) -> float | None:
    try:
        return float(text or "")
    except ValueError:
        return None
