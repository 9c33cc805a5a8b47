"""Signing an artifact, and checking who has signed one.

A digest tells that nothing was changed by accident; a signature tells by whom it was made. The
private key signs the bytes of ``manifest.json``; the signature lies beside it as ``manifest.sig``,
in an archive too. Whoever opens the artifact with ``require_signature`` checks it before anything
of the manifest is believed.
"""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from kneighbors.artifact.directory import Directory
from kneighbors.artifact.keys import PUBLIC, PublicKeys, name_of, new_key, read_private_key
from kneighbors.artifact.manifest import Manifest
from kneighbors.artifact.names import SIGNATURE
from kneighbors.artifact.opened import read_manifest
from kneighbors.artifact.publishing import resolved
from kneighbors.artifact.signature import Signature, message_of, read_signature
from kneighbors.artifact.verification import verify as verify_parts
from kneighbors.errors import ArtifactError, ParameterRefused
from kneighbors.search.progress import Progress
from kneighbors.storage import Address
from kneighbors.storage.local import writing_whole

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

__all__ = ["PUBLIC", "PublicKeys", "new_key", "read_private_key", "sign", "verify"]


def sign(
    path: str | os.PathLike[str],
    private_key: str | os.PathLike[str] | Ed25519PrivateKey,
    *,
    progress: Progress | None = None,
) -> str:
    """Sign an artifact, having read every byte of it.

    Parameters
    ----------
    path : str or path
        The directory of the artifact. An archive takes the signature along when it is packed.
    private_key : str, path or Ed25519PrivateKey
        The key, or its file in PEM.
    progress : callable, optional
        Called as ``progress("verifying", done, total)`` in bytes.

    Returns
    -------
    str
        Name of the key.

    Raises
    ------
    ParameterRefused
        ``sign-archive`` when it is a file; ``key-malformed`` or ``key-kind``.
    ArtifactError
        When it is no whole artifact: what is damaged is not signed.
    StorageError
        What the system refuses; then the old signature, if any, is still there.
    MissingExtra
        When the extra ``signing`` is not installed.

    Notes
    -----
    Takes the time of `kneighbors.artifact.verify`, about 1 ms a megabyte.
    """
    source = resolved(path)
    if source.is_file():
        raise ParameterRefused(
            "sign-archive",
            "Expected the directory of an artifact, got a file.",
            where=str(source),
            hint="Sign the directory and pack it again; an archive takes the signature along.",
        )
    if isinstance(private_key, (str, os.PathLike)):
        private_key = read_private_key(private_key)
    _refuse_damage(source, progress)
    manifest = read_manifest(Directory(source))
    name = name_of(private_key.public_key())
    signature = Signature(
        name, sha256(manifest).hexdigest(), private_key.sign(message_of(manifest))
    )
    with writing_whole(Address.parse(source / SIGNATURE)) as file:
        file.write(signature.to_bytes())
    return name


def verify(
    path: str | os.PathLike[str], public_keys: str | os.PathLike[str] | PublicKeys
) -> tuple[str, Manifest]:
    """Check who signed an artifact, a directory or a ``.tar.gz``.

    Parameters
    ----------
    path : str or path
    public_keys : str, path or PublicKeys
        The keys to believe, or their file in PEM.

    Returns
    -------
    key : str
        Name of the key that signed it.
    manifest : Manifest
        Believed now. The parts are not read: opening compares them with it.

    Raises
    ------
    ArtifactError
        ``signature-missing``, ``signature-malformed``, ``signature-untrusted`` or
        ``signature-mismatch``; or what the manifest is refused for.
    ParameterRefused, StorageError, MissingExtra
        When the keys or the artifact cannot be read.
    """
    keys = public_keys if isinstance(public_keys, PublicKeys) else PublicKeys.read(public_keys)
    source = resolved(path)
    if source.is_dir():
        directory = Directory(source)
        manifest, signature = read_manifest(directory), read_signature(directory)
    else:
        from kneighbors.artifact.unpacking import read_head

        manifest, signature = read_head(source)
    return keys.check(manifest, signature, str(source)), Manifest.from_bytes(manifest, str(source))


def _refuse_damage(source: Path, progress: Progress | None) -> None:
    for report in verify_parts(source, progress=progress):
        if not report.is_whole and report.file != SIGNATURE:
            raise ArtifactError(
                "artifact-damaged",
                f"Expected a whole artifact, got a damaged part: {report.faults[0]}.",
                where=str(source / report.file),
                hint="Restore the artifact, or save it again.",
            )
