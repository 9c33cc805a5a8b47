"""Files of one generation of a place on S3, copied to a disk and compared on the way."""

from __future__ import annotations

from collections.abc import Iterable

from kneighbors.artifact.directory import damaged
from kneighbors.artifact.manifest import Part
from kneighbors.artifact.names import SIGNATURE
from kneighbors.artifact.staging import Stage
from kneighbors.errors import StorageError
from kneighbors.generations.s3_place import S3Place, incomplete
from kneighbors.search.progress import Progress

_READ_AT_ONCE = 1 << 20


class Fetching:
    """Copies files of one generation, and tells how far it is with all of them.

    Parameters
    ----------
    place : S3Place
    generation : str
    total : int
        Bytes of all parts that are to be fetched.
    progress : callable
        Called as ``progress("downloading", done, total)``.
    """

    def __init__(self, place: S3Place, generation: str, total: int, progress: Progress) -> None:
        self._place = place
        self._generation = generation
        self._total = total
        self._progress = progress
        self._done = 0

    def parts(self, stage: Stage, parts: Iterable[Part], folder: str = "") -> None:
        """Copy parts into a stage, those of a shard from its folder.

        Raises
        ------
        ArtifactError
            ``artifact-incomplete`` or ``artifact-damaged``.
        StorageError
            As of `kneighbors.storage.Store.open_read`, and what the disk refuses.
        """
        for part in parts:
            self._part(stage, part, f"{folder}/{part.file}" if folder else part.file)

    def signature(self, stage: Stage) -> None:
        """Copy the signature into a stage, if there is one."""
        signature = self._place.signature_of(self._generation)
        if signature is not None:
            file = stage.create(SIGNATURE)
            file.write(signature)
            file.close()

    def _part(self, stage: Stage, part: Part, name: str) -> None:
        address = self._place.address_of(self._generation) / name
        copy = stage.create(part.file)
        try:
            with self._place.store.open_read(address) as file:
                while copy.bytes <= part.bytes and (piece := file.read(_READ_AT_ONCE)):
                    copy.write(piece)
                    self._progress("downloading", self._done + copy.bytes, self._total)
        except StorageError as error:
            if error.code != "storage-missing":
                raise
            raise incomplete(part, address.shown) from error
        copy.close()
        if copy.sha256 != part.sha256:
            raise damaged(str(address), 0, part.bytes, "the SHA-256 differs")
        self._done += part.bytes
