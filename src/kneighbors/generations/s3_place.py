"""A place below a prefix of S3."""

from __future__ import annotations

import time
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from kneighbors.artifact.directory import damaged, wrong_length
from kneighbors.artifact.manifest import Manifest, Part
from kneighbors.artifact.names import MANIFEST, SIGNATURE
from kneighbors.artifact.opened import Opened
from kneighbors.artifact.signature import read_signature
from kneighbors.errors import ArtifactError, KNeighborsError, StorageError
from kneighbors.generations.detection import POINTER
from kneighbors.generations.generation import is_id, number_of
from kneighbors.generations.place import GENERATIONS, Place, in_order
from kneighbors.search.progress import Progress, ignore
from kneighbors.storage import Address, Entry

#: Parts without a manifest are a publisher's that has not finished. Nothing on S3 tells whether it
#: lives, but one that has added no part for so long does not.
STALE_S = 24 * 3600.0

_READ_AT_ONCE = 1 << 20


class S3Place(Place):
    """Generations as objects: of each, the parts come first and the manifest last.

    A generation without a manifest is none. S3 lists and reads what was written at once, so a
    reader that finds a manifest finds the parts.
    """

    def prepare(self, source: Path) -> None:
        """Refuse what is no place; sweep up after publishers that have died."""
        store, address = self.store, self.address
        if store.exists(address / MANIFEST) and not store.exists(address / POINTER):
            raise StorageError(
                "place-is-artifact",
                "Expected a place, got an artifact.",
                where=address.shown,
                hint="Choose a new prefix for the place.",
            )
        for objects in self._all().values():
            newest = max(one.modified_s for one in objects.values())
            if MANIFEST not in objects and time.time() - newest > STALE_S:
                self._delete(objects)

    def ids(self) -> list[str]:
        """Return the generations that are complete, the oldest first."""
        return in_order([one for one, objects in self._all().items() if MANIFEST in objects])

    def next_number(self) -> int:
        """Return a number above those of all generations, complete or not."""
        return 1 + max(map(number_of, self._all()), default=0)

    def add(self, generation: str, source: Opened, progress: Progress = ignore) -> None:
        """Send an artifact up, its manifest last."""
        top = self.address_of(generation)
        if self.store.exists(top / MANIFEST):
            raise _exists(top)
        sent: dict[str, Entry] = {}
        try:
            for part in source.manifest.parts.values():
                if source.open(part).sha256() != part.sha256:
                    where = str(source.path / part.file)
                    raise damaged(where, 0, part.bytes, "the SHA-256 differs")
                sent[part.file] = Entry(top / part.file, part.bytes)
                self.store.upload(source.path / part.file, top / part.file, progress)
            signature = read_signature(source.directory)
            if signature is not None:
                sent[SIGNATURE] = Entry(top / SIGNATURE, len(signature))
                self.store.put(top / SIGNATURE, signature)
        except BaseException:
            with suppress(KNeighborsError):
                self._delete(sent)
            raise
        try:
            self.store.put_if(top / MANIFEST, source.manifest_bytes, None)
        except StorageError as error:
            # The same artifact under the same name: the other one's objects are ours.
            raise _exists(top) if error.code == "storage-changed" else error from None

    def manifest_of(self, generation: str) -> bytes:
        """Return a generation's manifest."""
        try:
            return self.store.read_tagged(self.address_of(generation) / MANIFEST)[0]
        except StorageError as error:
            if error.code == "storage-missing":
                raise self.missing(generation) from error
            raise

    def signature_of(self, generation: str) -> bytes | None:
        """Return the signature beside a generation's manifest, if there is one."""
        try:
            return self.store.read_tagged(self.address_of(generation) / SIGNATURE)[0]
        except StorageError as error:
            if error.code == "storage-missing":
                return None
            raise

    def glance(self, generation: str) -> None:
        """Raise what is wrong with a generation as far as names and lengths tell."""
        objects = self._objects(generation)
        if MANIFEST not in objects:
            raise self.missing(generation)
        for part in self._parts(generation):
            found = objects.get(part.file)
            where = str(self.address_of(generation) / part.file)
            if found is None:
                raise _incomplete(part, where)
            if found.size_bytes != part.bytes:
                raise wrong_length(where, found.size_bytes, part.bytes)

    def check(self, generation: str, progress: Progress = ignore) -> None:
        """Read every byte of a generation, and raise what is wrong with it."""
        self.glance(generation)
        parts = self._parts(generation)
        done, total = 0, sum(part.bytes for part in parts)
        for part in parts:
            digest = sha256()
            address = self.address_of(generation) / part.file
            with self.store.open_read(address) as file:
                while piece := file.read(_READ_AT_ONCE):
                    digest.update(piece)
                    done += len(piece)
                    progress("verifying", done, total)
            if digest.hexdigest() != part.sha256:
                raise damaged(str(address), 0, part.bytes, "the SHA-256 differs")

    def published_s(self, generation: str) -> float:
        """Return when a generation was complete, in seconds since 1970 by the clock of S3."""
        found = self._objects(generation).get(MANIFEST)
        if found is None:
            raise self.missing(generation)
        return found.modified_s

    def remove(self, generation: str) -> None:
        """Remove a generation, unless the pointer turns to it at that moment."""
        objects = self._objects(generation)
        top = self.address_of(generation)
        manifest = self.manifest_of(generation)
        self.store.delete(top / MANIFEST)
        # Whoever turns the pointer looks afterwards, as we do: one of both notices the other.
        if self._is_current(generation):
            self.store.put(top / MANIFEST, manifest)
            return
        objects.pop(MANIFEST, None)
        self._delete(objects)

    def path_of(self, generation: str) -> None:
        """Return None: it is on no disk of this machine yet."""

    def _is_current(self, generation: str) -> bool:
        try:
            return self.pointer().generation == generation
        except KNeighborsError:
            return True  # if in doubt, nothing is removed

    def _parts(self, generation: str) -> list[Part]:
        where = str(self.address_of(generation) / MANIFEST)
        return [*Manifest.from_bytes(self.manifest_of(generation), where).parts.values()]

    def _objects(self, generation: str) -> dict[str, Entry]:
        return self._all(f"{generation}/").get(generation, {})

    def _all(self, below: str = "") -> dict[str, dict[str, Entry]]:
        """Return the objects of each generation by name, whether or not they are all there."""
        top = self.address / f"{GENERATIONS}/"
        found: dict[str, dict[str, Entry]] = {}
        for entry in self.store.list(top / below if below else top):
            generation, _, name = entry.address.key[len(top.key) :].partition("/")
            if is_id(generation) and name:
                found.setdefault(generation, {})[name] = entry
        return found

    def _delete(self, objects: dict[str, Entry]) -> None:
        for entry in objects.values():
            self.store.delete(entry.address)


def _exists(address: Address) -> StorageError:
    return StorageError(
        "artifact-exists",
        "Expected a new generation, got the name of one that is there.",
        where=address.shown,
    )


def _incomplete(part: Part, where: str) -> ArtifactError:
    return ArtifactError(
        "artifact-incomplete",
        f"Expected the part {part.name!r}, found nothing.",
        where=where,
        hint="Publish the artifact again.",
    )
