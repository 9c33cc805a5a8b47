"""Objects of one bucket of S3, by obstore.

Whoever imports this module needs the extra ``s3``. Objects are read in ranges, a few of them
under way at once, each tried again if its answer breaks off, and all of them of one version of the
object.
"""

from __future__ import annotations

import io
import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

from kneighbors.errors import StorageError
from kneighbors.search.progress import Progress, ignore
from kneighbors.storage.address import Address
from kneighbors.storage.local import LocalStore, writing_whole
from kneighbors.storage.reading import RangeReader, Source
from kneighbors.storage.s3_client import connect, obstore
from kneighbors.storage.s3_conditional import ConditionalWriter
from kneighbors.storage.s3_failures import translated_s3
from kneighbors.storage.settings import Settings, read_settings
from kneighbors.storage.store import Entry

#: One range. Four of these under way bound what reading keeps in memory to 32 MiB.
RANGE_BYTES = 8 << 20
_RANGES_AHEAD = 4
#: Part of an upload; S3 takes 10,000 of them, so that very large files need larger ones.
_PART_BYTES = 8 << 20
_MAX_PARTS = 9_000
_PARTS_AT_ONCE = 4
#: Names of directory buckets, the only ones whose listings come in no order.
_UNORDERED = "--x-s3"


class S3Store:
    """One bucket.

    Parameters
    ----------
    bucket : str
        Its name; addresses of other buckets must not be passed.
    settings : Settings, optional
        How to reach it; read from the environment if not given.

    Raises
    ------
    StorageError
        See `kneighbors.storage.settings.read_settings`.

    Notes
    -----
    Addressing is by path (``endpoint/bucket/key``), which AWS and all emulators understand. Plain
    HTTP is spoken only to an endpoint that says ``http://``. Requests that get no answer, a 5xx
    or a broken answer are sent again, ``AWS_MAX_ATTEMPTS`` times in all (4 unless set).
    """

    def __init__(self, bucket: str, settings: Settings | None = None) -> None:
        self.settings = read_settings() if settings is None else settings
        self._bucket = bucket
        with translated_s3(Address("s3", bucket, ""), self.settings):
            self._store = connect(bucket, self.settings)

    def list(self, address: Address) -> Iterator[Entry]:
        """Yield the objects below a prefix in the order of their keys, a thousand at a time.

        Empty objects that stand for directories, as consoles make them, are left out.

        Raises
        ------
        StorageError
            With code ``storage-missing`` if there is no such bucket. A prefix that nothing begins
            with yields nothing.
        """
        entries = self._objects(address)
        if self._bucket.endswith(_UNORDERED):
            entries = iter(sorted(entries, key=lambda entry: entry.address.key))
        held: Entry | None = None
        for entry in entries:
            if held and not (
                held.size_bytes == 0 and entry.address.key.startswith(held.address.key + "/")
            ):
                yield held
            held = entry
        if held:
            yield held

    def _objects(self, address: Address) -> Iterator[Entry]:
        prefix = address.key.rstrip("/")
        with translated_s3(address, self.settings):
            for page in obstore.list(self._store, prefix or None):
                for found in page:
                    if found["path"] != prefix:
                        address = Address("s3", self._bucket, found["path"])
                        yield Entry(address, found["size"], found["last_modified"].timestamp())

    def size(self, address: Address) -> int:
        """Return the length of an object.

        Raises
        ------
        StorageError
            With code ``storage-missing``, and whether it is the key or the bucket.
        """
        return self._head(address).size_bytes

    def exists(self, address: Address) -> bool:
        """Tell whether there is an object or, where the address ends in a slash, any below it."""
        if address.is_prefix:
            return next(self.list(address), None) is not None
        try:
            self._head(address)
        except StorageError as error:
            if error.code == "storage-missing":
                return False
            raise
        return True

    def open_read(self, address: Address) -> BinaryIO:
        """Open an object for reading in ranges; `seek` reads nothing."""
        head = self._head(address)
        reader = RangeReader(
            head.size_bytes, lambda start: self._ranges(head, start, head.size_bytes)
        )
        return io.BufferedReader(reader, 1 << 20)

    def read(self, address: Address, start: int = 0, stop: int | None = None) -> bytes:
        """Return a part of an object."""
        head = self._head(address)
        stop = head.size_bytes if stop is None else stop
        return b"".join(self._ranges(head, start, stop))

    def download(self, address: Address, path: Path, progress: Progress = ignore) -> int:
        """Copy an object into a file, whole or not at all."""
        head = self._head(address)
        done = 0
        with writing_whole(Address("file", "", os.fspath(path))) as file:
            for chunk in self._ranges(head, 0, head.size_bytes):
                file.write(chunk)
                done += len(chunk)
                progress("downloading", done, head.size_bytes)
        return done

    def put(self, address: Address, data: bytes | bytearray | memoryview) -> None:
        """Write an object, whole or not at all."""
        with translated_s3(address, self.settings):
            self._put(address, bytes(data), len(data))

    def put_if(
        self, address: Address, data: bytes | bytearray | memoryview, expected: str | None
    ) -> str:
        """Write an object if its version is the expected one; the tag is S3's ETag.

        Raises
        ------
        StorageError
            With code ``storage-changed``; or why it could not be written or, without an answer,
            is not known to be.
        """
        return self._conditional.put(address, _key(address), bytes(data), expected)

    def read_tagged(self, address: Address) -> tuple[bytes, str]:
        """Return all bytes of a small object and its ETag, of one version.

        Raises
        ------
        StorageError
            With code ``storage-too-large`` for more than 2 MiB, and as `read`.
        """
        return self._conditional.read(address, _key(address))

    def upload(self, path: Path, address: Address, progress: Progress = ignore) -> int:
        """Copy a file into an object, whole or not at all, large ones in parts.

        An upload that fails is withdrawn, parts and all.
        """
        with LocalStore().open_read(Address("file", "", os.fspath(path))) as file:
            total = os.fstat(file.fileno()).st_size
            source = Source(file, path, total, progress)
            try:
                with translated_s3(address, self.settings):
                    # What is sent in parts is read part by part; the rest fits into one request.
                    data = iter(source) if total > _PART_BYTES else b"".join(source)
                    self._put(address, data, total)
            except StorageError:
                # obstore wraps what its source raises; the cause is clearer.
                if source.failure is not None:
                    raise source.failure from None
                raise
        return total

    def delete(self, address: Address) -> None:
        """Remove an object; there need be none."""
        with translated_s3(address, self.settings):
            obstore.delete(self._store, _key(address))

    @cached_property
    def _conditional(self) -> ConditionalWriter:
        return ConditionalWriter(self._bucket, self.settings)

    def _put(self, address: Address, data: Any, size: int) -> None:
        obstore.put(
            self._store,
            _key(address),
            data,
            use_multipart=size > _PART_BYTES,
            chunk_size=max(_PART_BYTES, size // _MAX_PARTS + 1),
            max_concurrency=_PARTS_AT_ONCE,
        )

    def _head(self, address: Address) -> _Head:
        try:
            with translated_s3(address, self.settings):
                meta = obstore.head(self._store, _key(address))
        except StorageError as error:
            if error.code in ("storage-missing", "storage-forbidden", "storage-failed"):
                self._explain(address)
            raise
        return _Head(address, meta["size"], meta.get("e_tag"))

    def _explain(self, address: Address) -> None:
        """Raise why a HEAD failed: its answer has no body that says so; that to a listing has."""
        try:
            with translated_s3(address, self.settings):
                next(iter(obstore.list(self._store, chunk_size=1)), None)
        except StorageError as error:
            if error.code != "storage-address":  # that would be about another object
                raise

    def _ranges(self, head: _Head, start: int, stop: int) -> Iterator[bytes]:
        """Yield the bytes from `start` to `stop` in order, fetching a few ranges ahead."""
        if not 0 <= start <= stop <= head.size_bytes:
            raise StorageError(
                "storage-truncated",
                f"Expected bytes {start} to {stop}, got an object of {head.size_bytes}.",
                where=head.address.shown,
            )
        spans = ((a, min(a + RANGE_BYTES, stop)) for a in range(start, stop, RANGE_BYTES))
        with ThreadPoolExecutor(_RANGES_AHEAD, "kneighbors-s3") as pool:
            under_way: deque[Future[bytes]] = deque()
            try:
                for span in spans:
                    under_way.append(pool.submit(self._range, head, *span))
                    if len(under_way) == _RANGES_AHEAD:
                        yield under_way.popleft().result()
                while under_way:
                    yield under_way.popleft().result()
            finally:
                for future in under_way:
                    future.cancel()

    def _range(self, head: _Head, start: int, stop: int) -> bytes:
        for attempt in range(1, self.settings.attempts + 1):
            try:
                return self._range_once(head, start, stop)
            except StorageError as error:
                # obstore itself repeats requests without an answer. What is repeated here is an
                # answer that broke off.
                if error.code != "storage-truncated" or attempt == self.settings.attempts:
                    raise
        raise AssertionError("there is at least one attempt")

    def _range_once(self, head: _Head, start: int, stop: int) -> bytes:
        options: Any = {"range": (start, stop)}
        if head.e_tag:
            options["if_match"] = head.e_tag
        with translated_s3(head.address, self.settings):
            answer = obstore.get(self._store, head.address.key, options=options)
        broken: str | None = None
        try:
            data = bytes(answer.bytes())
        except Exception as error:
            data, broken = b"", type(error).__name__
        if len(data) != stop - start:
            what = "an answer that broke off" if broken else str(len(data))
            raise StorageError(
                "storage-truncated",
                f"Expected {stop - start} bytes from byte {start} on, got {what}, in "
                f"{self.settings.attempts} attempts.",
                where=head.address.shown,
            )
        return data


@dataclass(frozen=True, slots=True)
class _Head:
    address: Address
    size_bytes: int
    e_tag: str | None


def _key(address: Address) -> str:
    if address.is_prefix:
        # obstore would drop the slash, and so name another object.
        raise StorageError(
            "storage-not-a-file", "Expected an object, got a prefix.", where=address.shown
        )
    return address.key
