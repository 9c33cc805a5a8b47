"""The pointer: a small file that names the generation which counts."""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass
from typing import Any, Self

from kneighbors.artifact import canonical
from kneighbors.errors import ArtifactError
from kneighbors.generations.generation import is_id

FORMAT = "kneighbors-pointer"
FORMAT_VERSION = 1
MAX_POINTER_BYTES = 1 << 16

_SHA256 = re.compile(r"[0-9a-f]{64}")
_KEYS = {"digest", "format", "format_version", "generation", "manifest_sha256", "moved"}


@dataclass(frozen=True, slots=True)
class Pointer:
    """Which generation counts.

    Attributes
    ----------
    generation : str
        Its name.
    manifest_sha256 : str
        SHA-256 of its ``manifest.json``, so that no other one can take its place.
    moved : str
        When the pointer came to be so, in UTC.
    """

    generation: str
    manifest_sha256: str
    moved: str

    @classmethod
    def to(cls, generation: str, manifest_sha256: str) -> Self:
        """Return the pointer that names a generation from now on."""
        return cls(generation, manifest_sha256, utc(time.time()))

    def to_bytes(self) -> bytes:
        """Return what ``CURRENT`` holds."""
        return canonical.to_bytes(
            {
                "format": FORMAT,
                "format_version": FORMAT_VERSION,
                "generation": self.generation,
                "manifest_sha256": self.manifest_sha256,
                "moved": self.moved,
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes, where: str) -> Self:
        """Return what a pointer says, if it is whole.

        Raises
        ------
        ArtifactError
            ``pointer-newer`` if a later version wrote it, ``pointer-invalid`` if it is damaged or
            something else.
        """
        if canonical.has_right_digest(data) is not True or len(data) > MAX_POINTER_BYTES:
            _refuse_newer(_glance(data), where)
            raise _invalid("it does not agree with its own digest", where)
        try:
            fields = canonical.from_bytes(data, where)
        except ArtifactError as error:
            raise _invalid(error.message, where) from error
        _refuse_newer(fields, where)
        if set(fields) != _KEYS:
            raise _invalid("its keys are others", where)
        if (fields["format"], fields["format_version"]) != (FORMAT, FORMAT_VERSION):
            raise _invalid("its format is another", where)
        generation, sha256, moved = (
            fields[key] for key in ("generation", "manifest_sha256", "moved")
        )
        if not is_id(generation):
            raise _invalid("it names no generation", where)
        if not isinstance(sha256, str) or not _SHA256.fullmatch(sha256):
            raise _invalid("manifest_sha256 is no SHA-256", where)
        if not isinstance(moved, str) or len(moved) > len("2026-01-02T03:04:05Z"):
            raise _invalid("moved is no time", where)
        return cls(generation, sha256, moved)


def utc(seconds: float) -> str:
    """Return a time since 1970 as text.

    Examples
    --------
    >>> utc(0)
    '1970-01-01T00:00:00Z'
    """
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _glance(data: bytes) -> dict[str, Any]:
    """Return the fields of any small JSON object, to be believed in nothing."""
    try:
        fields = json.loads(data[:MAX_POINTER_BYTES])
    except (ValueError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}


def _refuse_newer(fields: dict[str, Any], where: str) -> None:
    version = fields.get("format_version")
    if fields.get("format") == FORMAT and type(version) is int and version > FORMAT_VERSION:
        raise ArtifactError(
            "pointer-newer",
            f"Expected a pointer of version {FORMAT_VERSION}, got version {version}.",
            where=where,
            hint="Install a newer version of kneighbors.",
        )


def _invalid(reason: str, where: str) -> ArtifactError:
    return ArtifactError(
        "pointer-invalid",
        f"Expected a pointer to a generation, got something else: {reason}.",
        where=where,
        hint="Publish again, or point at a generation with `kneighbors rollback PLACE --to ID`.",
    )
