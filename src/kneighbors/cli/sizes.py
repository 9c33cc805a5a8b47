"""Sizes of memory as people write them."""

from __future__ import annotations

import re

from kneighbors.errors import ParameterRefused

_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?) *([kmgt]?)i?b?", re.IGNORECASE)


def bytes_of(text: str) -> int:
    """Return a size in bytes.

    Examples
    --------
    >>> bytes_of("1.5GiB"), bytes_of("300 MB"), bytes_of("4096")
    (1610612736, 314572800, 4096)
    """
    found = _SIZE.fullmatch(text.strip())
    if not found:
        raise ParameterRefused(
            "parameter-type", f"Expected a size such as 2GiB, got {text[:40]!r}.", where="memory"
        )
    return int(float(found[1]) * _UNITS[found[2].lower()])
