"""A directory whose manifest has been read, and believed as far as its rules and its keys go."""

from __future__ import annotations

from kneighbors.artifact.directory import Directory, OpenFile, wrong_length
from kneighbors.artifact.keys import PublicKeys
from kneighbors.artifact.manifest import MAX_MANIFEST_BYTES, Manifest, Part, too_large
from kneighbors.artifact.names import MANIFEST, SHARDS
from kneighbors.artifact.npy import Header
from kneighbors.artifact.signature import read_signature
from kneighbors.errors import ArtifactError, StorageError


class Opened:
    """A directory whose manifest has been read, and whose files can be opened.

    Parameters
    ----------
    directory : Directory
        The opened directory.
    keys : PublicKeys, optional
        One of them must have signed the manifest, which is checked before it is understood.

    Raises
    ------
    ArtifactError
        When the manifest is missing or refused, or its signature is.
    """

    def __init__(self, directory: Directory, keys: PublicKeys | None = None) -> None:
        self.path = directory.path
        self.directory = directory
        self.manifest_bytes = read_manifest(directory)
        #: Name of the key that signed it, if that was asked for.
        self.signed_by: str | None = None
        if keys is not None:
            signature = read_signature(directory)
            self.signed_by = keys.check(self.manifest_bytes, signature, str(self.path))
        self.manifest = Manifest.from_bytes(self.manifest_bytes, str(self.path / MANIFEST))

    def open(self, part: Part) -> OpenFile:
        """Return a part's file, as long as the manifest says."""
        where = str(self.path / part.file)
        try:
            file = self.directory.open(part.file)
        except FileNotFoundError:
            raise ArtifactError(
                "artifact-incomplete",
                f"Expected the part {part.name!r}, found nothing.",
                where=where,
                hint="Restore the artifact, or save it again.",
            ) from None
        if file.bytes != part.bytes:
            raise wrong_length(where, file.bytes, part.bytes)
        return file

    def header(self, part: Part, file: OpenFile) -> Header:
        """Return the header of a part's file, which must say what the manifest says."""
        header = file.header()
        check_header(part, header, file.where)
        return header


def read_manifest(directory: Directory) -> bytes:
    """Return the text of a directory's manifest, of which nothing is believed.

    Raises
    ------
    ArtifactError
        ``artifact-unknown`` when it is missing, ``artifact-too-large``, ``artifact-unsafe``.
    StorageError
        When it cannot be read.
    """
    try:
        file = directory.open(MANIFEST)
    except FileNotFoundError:
        if directory.identity_of(SHARDS) is not None:
            raise ArtifactError(
                "shards-unsupported",
                f"Expected an artifact in one piece, got one in shards ({SHARDS}).",
                where=str(directory.path),
                hint="Give a single shard, or train without --shards.",
            ) from None
        raise ArtifactError(
            "artifact-unknown",
            f"Expected an artifact, got a directory without {MANIFEST}.",
            where=str(directory.path),
            hint="Give the directory that holds it, or save the index again.",
        ) from None
    if file.bytes > MAX_MANIFEST_BYTES:
        raise too_large(file.bytes, file.where)
    return file.read(0, file.bytes)


def check_header(part: Part, header: Header, where: str) -> None:
    """Refuse a header that says other things than the manifest."""
    if (header.dtype, header.shape) != (part.dtype, part.shape):
        raise ArtifactError(
            "artifact-invalid",
            f"Expected {part.dtype} of shape {part.shape}, "
            f"got {header.dtype} of shape {header.shape}.",
            where=where,
        )


def is_current(directory: Directory, manifest: tuple[int, int, int] | None) -> bool:
    """Tell whether a path still leads to the directory, and the manifest, that it led to."""
    try:
        now = Directory(directory.path)
    except StorageError:
        return False
    return now.identity == directory.identity and now.identity_of(MANIFEST) == manifest
