"""The text of ``manifest.sig``: who says that a manifest is theirs.

A signature stands for the manifest's bytes, and the manifest for every byte of every part. Nothing
of the manifest needs to be understood to check it. The text is canonical JSON with a digest over
itself, as the manifest is, so that it has one spelling only.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256

from kneighbors.artifact import canonical
from kneighbors.artifact.directory import Directory
from kneighbors.artifact.names import SIGNATURE
from kneighbors.errors import ArtifactError

ALGORITHM = "ed25519"
FORMAT = "kneighbors-signature"
FORMAT_VERSION = 1

#: Ours have 480 bytes.
MAX_SIGNATURE_BYTES = 4096

#: Goes before the manifest in what is signed: the key may sign other things as well, and none of
#: them begins so.
_PREFACE = b"kneighbors manifest 1\n"

_KEY = re.compile(r"[0-9a-f]{16}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_SIGNED = re.compile(r"[0-9a-f]{128}")

_RULES: dict[str, Callable[[object], bool]] = {
    "algorithm": lambda value: value == ALGORITHM,
    "format": lambda value: value == FORMAT,
    "format_version": lambda value: type(value) is int and value == FORMAT_VERSION,
    "key": lambda value: isinstance(value, str) and _KEY.fullmatch(value) is not None,
    "manifest": lambda value: isinstance(value, str) and _SHA256.fullmatch(value) is not None,
    "signature": lambda value: isinstance(value, str) and _SIGNED.fullmatch(value) is not None,
}


@dataclass(frozen=True)
class Signature:
    """What a ``manifest.sig`` says.

    Attributes
    ----------
    key : str
        Name of the public key: the first 16 hexadecimal digits of its SHA-256.
    manifest : str
        SHA-256 of the ``manifest.json`` that was signed.
    signature : bytes
        64 bytes, by Ed25519.
    """

    key: str
    manifest: str
    signature: bytes

    def to_bytes(self) -> bytes:
        """Return the text of the file."""
        return canonical.to_bytes(
            {
                "algorithm": ALGORITHM,
                "format": FORMAT,
                "format_version": FORMAT_VERSION,
                "key": self.key,
                "manifest": self.manifest,
                "signature": self.signature.hex(),
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes, where: str = SIGNATURE) -> Signature:
        """Return what a text says, if every rule is kept.

        Raises
        ------
        ArtifactError
            ``signature-malformed``.

        Examples
        --------
        >>> Signature.from_bytes(Signature("0" * 16, "1" * 64, bytes(64)).to_bytes()).key
        '0000000000000000'
        """
        if len(data) > MAX_SIGNATURE_BYTES or not canonical.has_right_digest(data):
            raise malformed("a text that does not agree with its digest", where)
        try:
            fields = canonical.from_bytes(data, where)
        except ArtifactError as error:
            raise malformed("another text", where) from error
        for name, holds in _RULES.items():
            if not holds(fields.get(name)):
                raise malformed(f"another {name!r}", where)
        if fields.keys() - _RULES.keys() != {"digest"}:
            raise malformed("more fields", where)
        return cls(fields["key"], fields["manifest"], bytes.fromhex(fields["signature"]))

    def check_subject(self, manifest: bytes, where: str) -> None:
        """Refuse a signature of another manifest; no key is needed to tell.

        Raises
        ------
        ArtifactError
            ``signature-mismatch``.
        """
        if sha256(manifest).hexdigest() != self.manifest:
            raise mismatch("that of another one", where)


def message_of(manifest: bytes) -> bytes:
    """Return what is signed."""
    return _PREFACE + manifest


def faults_of(signature: bytes, manifest: bytes) -> tuple[str, ...]:
    """Tell what can be seen to be wrong with a signature without a key."""
    try:
        Signature.from_bytes(signature).check_subject(manifest, SIGNATURE)
    except ArtifactError as error:
        return (error.message,)
    return ()


def read_signature(directory: Directory) -> bytes | None:
    """Return the text of a directory's signature; None where it has none.

    Raises
    ------
    ArtifactError
        ``signature-malformed`` when it is too long, ``artifact-unsafe`` when it is no plain file.
    StorageError
        When it cannot be read.
    """
    try:
        file = directory.open(SIGNATURE)
    except FileNotFoundError:
        return None
    if file.bytes > MAX_SIGNATURE_BYTES:
        raise malformed(f"{file.bytes:,} bytes", file.where)
    return file.read(0, file.bytes)


def malformed(got: str, where: str) -> ArtifactError:
    """Return the refusal of a text that is no signature."""
    return ArtifactError(
        "signature-malformed",
        f"Expected the signature of a manifest, got {got}.",
        where=where,
        hint="Sign the artifact again: kneighbors sign M --key FILE.",
    )


def missing(where: str) -> ArtifactError:
    """Return the refusal of an artifact that nobody has signed."""
    return ArtifactError(
        "signature-missing",
        f"Expected a signed artifact, got one without {SIGNATURE}.",
        where=where,
        hint="Sign it: kneighbors sign M --key FILE.",
    )


def mismatch(got: str, where: str) -> ArtifactError:
    """Return the refusal of a signature that is not that of this manifest."""
    return ArtifactError(
        "signature-mismatch",
        f"Expected the signature of this manifest, got {got}.",
        where=where,
        hint="Do not use the artifact until you know who changed it; then sign it again.",
    )
