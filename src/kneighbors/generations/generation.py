"""One generation, and how generations are called."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from kneighbors.errors import ParameterRefused

_ID = re.compile(r"([0-9]{6,12})-([0-9a-f]{12})")
_DIGEST_DIGITS = 12


@dataclass(frozen=True, slots=True)
class Generation:
    """What is known of one generation of a place.

    Attributes
    ----------
    id : str
        A number that grows, and the first 12 digits of the artifact's digest, by which servers
        name what they serve: ``000007-c41e88d0a6f2``.
    place : str
        The directory or prefix that it belongs to.
    address : str
        Where it lies there.
    manifest_sha256 : str
        SHA-256 of its ``manifest.json``; empty where that cannot be read.
    published : str
        When it was complete, in UTC, such as ``"2026-01-02T03:04:05Z"``.
    n_samples, n_features : int
        Shape of its corpus; 0 where the manifest cannot be read.
    metric : str
    bytes : int
        Length of all its parts.
    is_current : bool
        Whether the pointer names it.
    fault : str or None
        What is wrong with it, as far as was looked.
    path : Path or None
        Directory of this machine that can be opened; None for one of S3 that was not fetched.
    """

    id: str
    place: str
    address: str
    manifest_sha256: str
    published: str
    n_samples: int
    n_features: int
    metric: str
    bytes: int
    is_current: bool
    fault: str | None = None
    path: Path | None = None

    @property
    def number(self) -> int:
        """The number at the beginning of its name."""
        return number_of(self.id)

    @property
    def digest(self) -> str:
        """The first 12 digits of the artifact's digest, which servers call its generation."""
        return digest_of(self.id)


def make_id(number: int, digest: str) -> str:
    """Return the name of a generation.

    Examples
    --------
    >>> make_id(7, "c41e88d0a6f2" + "0" * 52)
    '000007-c41e88d0a6f2'
    """
    return f"{number:06}-{digest[:_DIGEST_DIGITS]}"


def is_id(text: object) -> bool:
    """Tell whether a text is the name of a generation, and so no way to anywhere else.

    Examples
    --------
    >>> is_id("000007-c41e88d0a6f2"), is_id("../../etc"), is_id("7-c41e88d0a6f2")
    (True, False, False)
    """
    return isinstance(text, str) and _ID.fullmatch(text) is not None


def check_id(text: object) -> str:
    """Return the name of a generation that a caller gave.

    Raises
    ------
    ParameterRefused
        With code ``generation-id``.
    """
    if not isinstance(text, str) or not is_id(text):
        raise ParameterRefused(
            "generation-id",
            f"Expected the name of a generation, such as 000007-c41e88d0a6f2, got {text!r:.100}.",
            hint="List them with `kneighbors generations`.",
        )
    return text


def number_of(generation: str) -> int:
    """Return the number at the beginning of a generation's name."""
    return int(generation.partition("-")[0])


def digest_of(generation: str) -> str:
    """Return the digits at the end of a generation's name."""
    return generation.partition("-")[2]
