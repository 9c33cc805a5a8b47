"""A place: its pointer, which all places treat alike, and its generations, which each keeps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from pathlib import Path

from kneighbors.errors import ArtifactError, KNeighborsError, StorageError
from kneighbors.generations.detection import POINTER
from kneighbors.generations.generation import Generation, number_of
from kneighbors.generations.pointer import Pointer, utc
from kneighbors.generations.source import Source
from kneighbors.generations.top import Top
from kneighbors.search.progress import Progress, ignore
from kneighbors.storage import Address, open_store

GENERATIONS = "generations"


class Place(ABC):
    """Generations and the pointer to one of them; made by `open_place`.

    Parameters
    ----------
    address : Address
        Of the directory or prefix, with a slash at its end.
    """

    def __init__(self, address: Address) -> None:
        self.address = address
        self.store = open_store(address)

    # The pointer

    @property
    def pointer_address(self) -> Address:
        """Where the pointer lies."""
        return self.address / POINTER

    def read(self) -> tuple[bytes | None, str | None]:
        """Return what the pointer holds, and its version; nothing and None if there is none."""
        try:
            return self.store.read_tagged(self.pointer_address)
        except StorageError as error:
            if error.code not in ("storage-missing", "storage-not-a-directory"):
                raise
            return None, None

    def parsed(self, data: bytes | None) -> Pointer:
        """Return what a pointer says.

        Raises
        ------
        StorageError
            ``place-unknown`` if there is none.
        ArtifactError
            ``pointer-invalid`` or ``pointer-newer``.
        """
        if data is None:
            raise StorageError(
                "place-unknown",
                f"Expected a place that something was published to, found no {POINTER}.",
                where=self.address.shown,
                hint="Publish to it first: kneighbors publish M --to PLACE.",
            )
        return Pointer.from_bytes(data, self.pointer_address.shown)

    def pointer(self) -> Pointer:
        """Return the pointer as it is now."""
        return self.parsed(self.read()[0])

    def move(self, pointer: Pointer, tag: str | None) -> str:
        """Move the pointer if it still has the version that was read; return the new version.

        Raises
        ------
        StorageError
            With code ``storage-changed``.
        """
        return self.store.put_if(self.pointer_address, pointer.to_bytes(), tag)

    # Generations

    @abstractmethod
    def prepare(self, source: Path) -> None:
        """Make the place if there is none, and refuse what is none; sweep up after the dead."""

    @abstractmethod
    def ids(self) -> list[str]:
        """Return the generations that are complete, the oldest first."""

    @abstractmethod
    def next_number(self) -> int:
        """Return a number above those of all generations, complete or not."""

    @abstractmethod
    def add(self, generation: str, source: Source, progress: Progress = ignore) -> None:
        """Copy an artifact, whole or not at all.

        Raises
        ------
        StorageError
            ``artifact-exists`` if there is a generation of this name.
        ArtifactError
            If the artifact is damaged.
        """

    @abstractmethod
    def top_of(self, generation: str) -> Top:
        """Return a generation's manifest, or its shards'; ``generation-missing`` without."""

    @abstractmethod
    def glance(self, generation: str) -> None:
        """Raise what is wrong with a generation as far as names and lengths tell."""

    @abstractmethod
    def check(self, generation: str, progress: Progress = ignore) -> None:
        """Read every byte of a generation, and raise what is wrong with it."""

    @abstractmethod
    def published_s(self, generation: str) -> float:
        """Return when a generation was complete, in seconds since 1970."""

    @abstractmethod
    def remove(self, generation: str) -> None:
        """Remove a generation, unless the pointer turns to it at that moment."""

    @abstractmethod
    def path_of(self, generation: str) -> Path | None:
        """Return the directory of this machine that holds a generation, if one does."""

    def address_of(self, generation: str) -> Address:
        """Return where a generation lies."""
        return self.address / f"{GENERATIONS}/{generation}/"

    def known(self, generation: str, *, is_current: bool) -> Generation:
        """Return what a generation's manifest says of it.

        Raises
        ------
        StorageError, ArtifactError
            If there is none, or it cannot be read.
        """
        top = self.top_of(generation)
        manifest = top.manifest
        return replace(
            self._unread(generation, is_current),
            manifest_sha256=top.sha256,
            published=utc(self.published_s(generation)),
            n_samples=manifest.n_samples,
            n_features=manifest.n_features,
            metric=manifest.metric,
            bytes=manifest.total_bytes,
        )

    def described(self, generation: str, *, is_current: bool, verify: bool = False) -> Generation:
        """Return what is known of a generation; what is wrong with it is part of that."""
        known = self._unread(generation, is_current)
        try:
            known = self.known(generation, is_current=is_current)
            self.check(generation) if verify else self.glance(generation)
        except KNeighborsError as error:
            return replace(known, fault=f"[{error.code}] {error}")
        return known

    def _unread(self, generation: str, is_current: bool) -> Generation:
        return Generation(
            id=generation,
            place=str(self.address),
            address=str(self.address_of(generation)),
            manifest_sha256="",
            published="",
            n_samples=0,
            n_features=0,
            metric="",
            bytes=0,
            is_current=is_current,
            path=self.path_of(generation),
        )

    def missing(self, generation: str) -> ArtifactError:
        """Return the refusal of a generation that is not there."""
        return ArtifactError(
            "generation-missing",
            f"Expected the generation {generation}, found nothing, or not all of it.",
            where=self.address.shown,
            hint="List those that are there with `kneighbors generations`.",
        )


def in_order(ids: list[str]) -> list[str]:
    """Return names of generations, those that were published earlier first."""
    return sorted(ids, key=lambda one: (number_of(one), one))
