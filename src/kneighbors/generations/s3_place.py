"""A place below a prefix of S3."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from kneighbors.artifact.directory import damaged, wrong_length
from kneighbors.artifact.manifest import Manifest, Part
from kneighbors.artifact.names import MANIFEST, SHARDS, SIGNATURE
from kneighbors.artifact.signature import read_signature
from kneighbors.errors import ArtifactError, KNeighborsError, StorageError
from kneighbors.generations.detection import POINTER
from kneighbors.generations.generation import is_id, number_of
from kneighbors.generations.place import GENERATIONS, Place, in_order
from kneighbors.generations.source import Source
from kneighbors.generations.top import TOPS, Top, member_of
from kneighbors.search.progress import Progress, ignore
from kneighbors.shards.manifest import MAX_BYTES, ShardEntry, ShardsManifest
from kneighbors.shards.member import missing_shard
from kneighbors.storage import Address, Entry

#: Parts without a manifest are a publisher's that has not finished. Nothing on S3 tells whether it
#: lives, but one that has added no part for so long does not.
STALE_S = 24 * 3600.0

_READ_AT_ONCE = 1 << 20


class S3Place(Place):
    """Generations as objects: of each, the parts come first and the manifest last.

    Of one in shards, the manifests of shards come with their parts, and ``shards.json`` last. A
    generation without a manifest is none. S3 lists and reads what was written at once, so a
    reader that finds a manifest finds the parts.
    """

    def prepare(self, source: Path) -> None:
        """Refuse what is no place; sweep up after publishers that have died."""
        store, address = self.store, self.address
        if any(store.exists(address / one) for one in TOPS) and not store.exists(address / POINTER):
            raise StorageError(
                "place-is-artifact",
                "Expected a place, got an artifact.",
                where=address.shown,
                hint="Choose a new prefix for the place.",
            )
        for objects in self._all().values():
            newest = max(one.modified_s for one in objects.values())
            if not _is_complete(objects) and time.time() - newest > STALE_S:
                self._delete(objects)

    def ids(self) -> list[str]:
        """Return the generations that are complete, the oldest first."""
        return in_order([one for one, objects in self._all().items() if _is_complete(objects)])

    def next_number(self) -> int:
        """Return a number above those of all generations, complete or not."""
        return 1 + max(map(number_of, self._all()), default=0)

    def add(self, generation: str, source: Source, progress: Progress = ignore) -> None:
        """Send an artifact up, its manifest last."""
        home = self.address_of(generation)
        if self.store.exists(home / source.top.name):
            raise _exists(home)
        sent: dict[str, Entry] = {}
        try:
            self._send(home, source, sent, progress)
        except BaseException:
            with suppress(KNeighborsError):
                self._delete(sent)
            raise
        try:
            self.store.put_if(home / source.top.name, source.top.data, None)
        except StorageError as error:
            # The same artifact under the same name: the other one's objects are ours.
            raise _exists(home) if error.code == "storage-changed" else error from None

    def _send(
        self, home: Address, source: Source, sent: dict[str, Entry], progress: Progress
    ) -> None:
        """Send all files but the manifest at the top, and note each before it is sent."""
        for folder, opened in source.folders():
            base = home / f"{folder}/" if folder else home
            small = {SIGNATURE: None if folder else read_signature(opened.directory)}
            if folder:
                small[MANIFEST] = opened.manifest_bytes
            for part in opened.manifest.parts.values():
                if opened.open(part).sha256() != part.sha256:
                    where = str(opened.path / part.file)
                    raise damaged(where, 0, part.bytes, "the SHA-256 differs")
                sent[f"{folder}/{part.file}"] = Entry(base / part.file, part.bytes)
                self.store.upload(opened.path / part.file, base / part.file, progress)
            for name, data in small.items():
                if data is not None:
                    sent[f"{folder}/{name}"] = Entry(base / name, len(data))
                    self.store.put(base / name, data)

    def top_of(self, generation: str) -> Top:
        """Return a generation's manifest, or its shards'."""
        home = self.address_of(generation)
        try:
            return Top(MANIFEST, self.store.read_tagged(home / MANIFEST)[0], str(home / MANIFEST))
        except StorageError as error:
            if error.code != "storage-missing":
                raise
        address = home / SHARDS
        try:
            # A thousand shards have 8 MB of centres, which is too much for a tagged read.
            size = self.store.size(address)
            if size > MAX_BYTES:
                raise ArtifactError(
                    "artifact-too-large",
                    f"Expected a {SHARDS} of at most {MAX_BYTES:,} bytes, got {size:,}.",
                    where=address.shown,
                )
            return Top(SHARDS, self.store.read(address), str(address))
        except StorageError as error:
            if error.code == "storage-missing":
                raise self.missing(generation) from error
            raise

    def member_of(
        self, generation: str, manifest: ShardsManifest, entry: ShardEntry
    ) -> tuple[Manifest, bytes]:
        """Return what the manifest of a shard says, and its text.

        Raises
        ------
        ArtifactError
            ``shards-incomplete`` without one; ``shards-generation`` or ``shards-differ`` if it is
            not that of the shard that is meant.
        """
        address = self.address_of(generation) / f"{entry.folder}/{MANIFEST}"
        try:
            data = self.store.read_tagged(address)[0]
        except StorageError as error:
            if error.code == "storage-missing":
                raise missing_shard(entry, address.shown) from error
            raise
        return member_of(data, entry, manifest, str(address)), data

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
        if not _is_complete(objects):
            raise self.missing(generation)
        for file, part in self._parts(generation):
            found = objects.get(file)
            where = str(self.address_of(generation) / file)
            if found is None:
                raise incomplete(part, where)
            if found.size_bytes != part.bytes:
                raise wrong_length(where, found.size_bytes, part.bytes)

    def check(self, generation: str, progress: Progress = ignore) -> None:
        """Read every byte of a generation, and raise what is wrong with it."""
        self.glance(generation)
        parts = [*self._parts(generation)]
        done, total = 0, sum(part.bytes for _, part in parts)
        for name, part in parts:
            digest = sha256()
            address = self.address_of(generation) / name
            with self.store.open_read(address) as file:
                while piece := file.read(_READ_AT_ONCE):
                    digest.update(piece)
                    done += len(piece)
                    progress("verifying", done, total)
            if digest.hexdigest() != part.sha256:
                raise damaged(str(address), 0, part.bytes, "the SHA-256 differs")

    def published_s(self, generation: str) -> float:
        """Return when a generation was complete, in seconds since 1970 by the clock of S3."""
        objects = self._objects(generation)
        if not _is_complete(objects):
            raise self.missing(generation)
        return next(objects[name] for name in TOPS if name in objects).modified_s

    def remove(self, generation: str) -> None:
        """Remove a generation, unless the pointer turns to it at that moment."""
        objects = self._objects(generation)
        top = self.top_of(generation)
        address = self.address_of(generation) / top.name
        self.store.delete(address)
        # Whoever turns the pointer looks afterwards, as we do: one of both notices the other.
        if self._is_current(generation):
            self.store.put(address, top.data)
            return
        objects.pop(top.name, None)
        self._delete(objects)

    def path_of(self, generation: str) -> None:
        """Return None: it is on no disk of this machine yet."""

    def _is_current(self, generation: str) -> bool:
        try:
            return self.pointer().generation == generation
        except KNeighborsError:
            return True  # if in doubt, nothing is removed

    def _parts(self, generation: str) -> Iterator[tuple[str, Part]]:
        """Yield all parts, those of shards too, with their names below the generation."""
        top = self.top_of(generation)
        shards = top.shards
        if shards is None:
            yield from ((part.file, part) for part in top.manifest.parts.values())
            return
        for entry in shards.shards:
            manifest, _ = self.member_of(generation, shards, entry)
            for part in manifest.parts.values():
                yield f"{entry.folder}/{part.file}", part

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


def _is_complete(objects: dict[str, Entry]) -> bool:
    return any(name in objects for name in TOPS)


def incomplete(part: Part, where: str) -> ArtifactError:
    """Return the refusal of a part that is not there."""
    return ArtifactError(
        "artifact-incomplete",
        f"Expected the part {part.name!r}, found nothing.",
        where=where,
        hint="Publish the artifact again.",
    )
