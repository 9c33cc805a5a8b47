"""The manifest: what an artifact says of itself, and the rules that it must keep.

Reading is strict, and nothing in a manifest is trusted further than these rules go: every number
is compared with the files before a file is mapped (see `reader`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from kneighbors.artifact import canonical
from kneighbors.artifact.names import MANIFEST
from kneighbors.artifact.rules import check_fields, check_layout
from kneighbors.errors import ArtifactError

FORMAT = "kneighbors-artifact"
FORMAT_VERSION = 1

#: Longest manifest. Ours have some kilobytes; the rest is room for ``source`` and ``plan``.
MAX_MANIFEST_BYTES = 1 << 20

#: Names that a later version may put into ``requires``: none are known yet.
KNOWN_REQUIREMENTS: frozenset[str] = frozenset()

_UPDATE_HINT = "Install a newer version of kneighbors, or save the index again with this one."


@dataclass(frozen=True)
class Part:
    """One file of an artifact.

    Attributes
    ----------
    name : str
        What it is: ``vectors``, ``vectors-blocks``, ``items``, an id array, or what the index
        calls it.
    role : str
        ``"vectors"``, ``"checksums"``, ``"index"``, ``"ids"``, ``"items"``, ``"lookup"``,
        ``"vocabulary"`` or ``"lists"``.
    file : str
        Its file in the directory.
    bytes : int
        Length of the file.
    sha256 : str
        SHA-256 of the file, 64 hexadecimal digits.
    dtype : str
        Such as ``"<f4"``; ``"arrow"`` for the items.
    shape : tuple of int
        Of the array; rows and columns of the items.
    """

    name: str
    role: str
    file: str
    bytes: int
    sha256: str
    dtype: str
    shape: tuple[int, ...]

    def fields(self) -> dict[str, Any]:
        """Return what the manifest holds under the part's name."""
        return {
            "bytes": self.bytes,
            "dtype": self.dtype,
            "file": self.file,
            "role": self.role,
            "sha256": self.sha256,
            "shape": list(self.shape),
        }


@dataclass(frozen=True)
class Manifest:
    """What an artifact says of itself.

    Attributes
    ----------
    metric : str
        Canonical name of the metric.
    n_samples, n_features : int
        Shape of the corpus.
    dtype : str
        ``"float32"`` or ``"float64"``.
    id_type : str
        ``"row"``, ``"integer"`` or ``"string"``.
    plan : dict
        What the index decided at fit, and why.
    parts : dict of str to Part
        All files beside the manifest.
    block_bytes : int
        Length of the blocks of the vectors' file that have a checksum each.
    created : str
        When it was written, in UTC, such as ``"2026-01-02T03:04:05Z"``.
    writer : dict of str to str
        Versions of kneighbors and numpy.
    source : dict
        Whatever the one who saved it said of where the corpus came from.
    requires : tuple of str
        What a reader must know beyond this version of the format; empty so far.

    Examples
    --------
    >>> from kneighbors.artifact import Manifest
    >>> Manifest.from_bytes(b"{}")
    Traceback (most recent call last):
        ...
    kneighbors.errors.ArtifactError: Expected the manifest of an artifact, got another file. At \
manifest.json.
    """

    metric: str
    n_samples: int
    n_features: int
    dtype: str
    id_type: str
    plan: Mapping[str, Any]
    parts: Mapping[str, Part]
    block_bytes: int
    created: str
    writer: Mapping[str, str]
    source: Mapping[str, Any] = field(default_factory=dict)
    requires: tuple[str, ...] = ()

    def to_bytes(self) -> bytes:
        """Return the text of ``manifest.json``."""
        return canonical.to_bytes(self.fields())

    def fields(self) -> dict[str, Any]:
        """Return what the text holds, its digest left away."""
        return {
            "block_bytes": self.block_bytes,
            "created": self.created,
            "dtype": self.dtype,
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "id_type": self.id_type,
            "metric": self.metric,
            "n_features": self.n_features,
            "n_samples": self.n_samples,
            "parts": {name: part.fields() for name, part in self.parts.items()},
            "plan": self.plan,
            "requires": list(self.requires),
            "source": self.source,
            "writer": self.writer,
        }

    @cached_property
    def digest(self) -> str:
        """The digest that `to_bytes` writes: one name for all bytes of the artifact."""
        digest: str = json.loads(self.to_bytes())["digest"]
        return digest

    @property
    def total_bytes(self) -> int:
        """Length of all parts together."""
        return sum(part.bytes for part in self.parts.values())

    @classmethod
    def from_bytes(cls, data: bytes, where: str = MANIFEST) -> Manifest:
        """Return what a ``manifest.json`` says, if every rule is kept.

        Parameters
        ----------
        data : bytes
            The file, whole.
        where : str
            Its path, for messages.

        Raises
        ------
        ArtifactError
            ``artifact-unknown`` when it is no manifest of ours, ``artifact-damaged`` when it does
            not agree with its digest, ``artifact-newer`` when this version cannot read it,
            ``artifact-invalid`` when it breaks a rule, ``artifact-too-large``.
        """
        if len(data) > MAX_MANIFEST_BYTES:
            raise too_large(len(data), where)
        _check_digest(data, where)
        fields = canonical.from_bytes(data, where)
        if fields.get("format") != FORMAT:
            raise _unknown(where)
        _check_version(fields, where)
        check_fields(fields, where)
        parts = {
            name: Part(name=name, **{**values, "shape": tuple(values["shape"])})
            for name, values in (
                (name, {key: values[key] for key in _PART_KEYS})
                for name, values in fields["parts"].items()
            )
        }
        check_layout(fields, parts, where)
        manifest = cls(
            parts=parts,
            requires=tuple(fields["requires"]),
            **{key: fields[key] for key in _PLAIN_KEYS},
        )
        # Fields that are not known and not required are ignored, but stay under the digest.
        manifest.__dict__["digest"] = fields["digest"]
        return manifest


_PART_KEYS = ("bytes", "dtype", "file", "role", "sha256", "shape")
_PLAIN_KEYS = (
    "block_bytes",
    "created",
    "dtype",
    "id_type",
    "metric",
    "n_features",
    "n_samples",
    "plan",
    "source",
    "writer",
)


def too_large(length: int, where: str) -> ArtifactError:
    """Return the refusal of a manifest that is too long."""
    return ArtifactError(
        "artifact-too-large",
        f"Expected a manifest of at most {MAX_MANIFEST_BYTES:,} bytes, got {length:,}.",
        where=where,
    )


def _check_digest(data: bytes, where: str) -> None:
    right = canonical.has_right_digest(data)
    if right:
        return
    if right is None:
        fields = _glance(data)
        if fields.get("format") != FORMAT:
            raise _unknown(where)
        # A later version may sign itself in another way.
        _refuse_newer(fields, where)
    raise ArtifactError(
        "artifact-damaged",
        "Expected a manifest that agrees with its digest, got one that was changed.",
        where=where,
        hint="Restore the artifact, or save it again.",
    )


def _glance(data: bytes) -> dict[str, Any]:
    """Return the fields of any JSON object, to be believed in nothing."""
    try:
        fields = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}


def _check_version(fields: Mapping[str, Any], where: str) -> None:
    _refuse_newer(fields, where)
    version = fields.get("format_version")
    if type(version) is not int or version < 1:
        shown = version if type(version) is int else type(version).__name__
        raise ArtifactError(
            "artifact-invalid", f"Expected format_version 1, got {shown}.", where=where
        )
    requires = fields.get("requires")
    names = requires if isinstance(requires, list) else []
    unknown = [n for n in names if not isinstance(n, str) or n not in KNOWN_REQUIREMENTS]
    if unknown:
        raise ArtifactError(
            "artifact-newer",
            f"Expected an artifact that needs nothing new, got one that needs {unknown[0]!r:.80}.",
            where=where,
            hint=_UPDATE_HINT,
        )


def _refuse_newer(fields: Mapping[str, Any], where: str) -> None:
    version = fields.get("format_version")
    if type(version) is int and version > FORMAT_VERSION:
        raise ArtifactError(
            "artifact-newer",
            f"Expected format version {FORMAT_VERSION}, got {version}.",
            where=where,
            hint=_UPDATE_HINT,
        )


def _unknown(where: str) -> ArtifactError:
    return ArtifactError(
        "artifact-unknown",
        "Expected the manifest of an artifact, got another file.",
        where=where,
    )
