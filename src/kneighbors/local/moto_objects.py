"""moto's S3 on top of the objects on the disk.

moto keeps buckets and keys in its memory. Here every key's bytes are a file of `Blobs`, and every
change of a bucket's keys is noted, so that it is on the disk before the answer goes out.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from kneighbors.local.blobs import Blobs, Entry
from kneighbors.local.moto_inside import Inside

_FACTS = (
    "encryption",
    "kms_key_id",
    "checksum_algorithm",
    "checksum_value",
    "checksum_type",
    "checksum_parts",
    "website_redirect_location",
    "_storage_class",
)
_STRIPES = 64


class Buffer:
    """A key's bytes, in a file that is opened when it is read: thousands need no descriptors.

    Parameters
    ----------
    path : Path
    blob : str
        Its name in `Blobs`.
    """

    def __init__(self, path: Path, blob: str) -> None:
        self._path = path
        self.blob = blob
        self._file: BinaryIO | None = None

    def seek(self, place: int, whence: int = 0) -> int:
        """Move in the file."""
        return self._opened().seek(place, whence)

    def tell(self) -> int:
        """Return the place in the file."""
        return self._opened().tell()

    def read(self, size: int = -1) -> bytes:
        """Return bytes from here; after the last the descriptor is given back."""
        data = self._opened().read(size)
        if size < 0 or not data:
            self.close()
        return data

    def close(self) -> None:
        """Give the descriptor back."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _opened(self) -> BinaryIO:
        if self._file is None:
            self._file = self._path.open("rb")
        return self._file


class MotoObjects:
    """The view that moto's S3 has of `Blobs`.

    Parameters
    ----------
    inside : Inside
        moto.
    blobs : Blobs
        Where the objects are; what is there is shown from the start.
    account : str
    """

    def __init__(self, inside: Inside, blobs: Blobs, account: str) -> None:
        self._inside = inside
        self._blobs = blobs
        self._account = account
        self._touched = threading.local()
        self._stripes = [threading.RLock() for _ in range(_STRIPES)]
        self._make_key_store = _noting_store(inside, self._note)
        inside.s3.buckets = _noting_buckets(self._new_bucket, blobs.drop_bucket)
        for name, region, created in blobs.buckets():
            self._show_bucket(name, region, created)
        self._touched.keys = set()

    def changed(self, bucket: str, key: str) -> None:
        """Show what was written or removed from within."""
        if bucket not in self._inside.s3.buckets:
            for name, region, created in self._blobs.buckets():
                if name == bucket:
                    self._show_bucket(name, region, created)
        elif key:
            with self._stripe(bucket, key):
                self._restore(bucket, key)
                self._noted().discard((bucket, key))

    def note(self, bucket: str, key: str) -> None:
        """Have a key written by the next `commit`, though moto does not say that it changed."""
        if bucket in self._inside.s3.buckets:
            self._noted().add((bucket, key))

    def commit(self) -> None:
        """Write what this thread's request changed; it is on the disk when this returns.

        Raises
        ------
        OSError
            Such as that the disk is full; the objects are then what they were before.
        """
        noted = self._noted()
        while noted:
            bucket, key = noted.pop()
            with self._stripe(bucket, key):
                try:
                    self._write(bucket, key)
                except BaseException:
                    self._restore(bucket, key)
                    noted.clear()
                    raise
        # moto keeps all that there ever was, for its own tests.
        self._inside.key.instances_tracked.clear()
        self._inside.multipart.instances_tracked.clear()

    def roll_back(self) -> None:
        """Undo what this thread's request changed in memory, since its answer is an error."""
        noted = self._noted()
        for bucket, key in list(noted):
            with self._stripe(bucket, key):
                self._restore(bucket, key)
        noted.clear()

    def _write(self, bucket: str, key: str) -> None:
        held = self._inside.s3.buckets.get(bucket)
        while held is not None:
            shown = held.keys.get(key)
            if not isinstance(shown, self._inside.key):
                break
            try:
                kept = self._kept(shown)
            except ValueError:
                # Overwritten since, which closed the buffer: the newer one is what counts.
                if held.keys.get(key) is shown:
                    raise
                continue
            facts = self._attributes(shown)
            entry = self._blobs.put(bucket, key, kept, facts, spare=held.is_versioned)
            self._point(shown, entry)
            return
        self._blobs.remove(bucket, key, spare=held is not None and held.is_versioned)

    def _kept(self, shown: Any) -> tuple[str, int]:
        buffer = shown._value_buffer
        if isinstance(buffer, Buffer):
            return buffer.blob, shown.contentsize
        with shown.lock:
            buffer.seek(0)
            return self._blobs.keep(buffer)

    def _point(self, shown: Any, entry: Entry) -> None:
        with shown.lock:
            before = shown._value_buffer
            if not isinstance(before, Buffer):
                shown._value_buffer = Buffer(self._blobs.path(entry), entry.blob)
                before.close()
        if shown.multipart is not None:
            # moto would hold the parts in memory as long as the object.
            shown.multipart.dispose()
            shown.multipart = None

    def _attributes(self, shown: Any) -> dict[str, Any]:
        facts = {name: getattr(shown, name, None) for name in _FACTS}
        return {
            "etag": shown.etag.strip('"'),
            "modified": shown.last_modified.timestamp(),
            "metadata": dict(shown.metadata),
            "tags": self._inside.s3.tagger.get_tag_dict_for_resource(shown.arn),
            **{name: value for name, value in facts.items() if value is not None},
        }

    def _restore(self, bucket: str, key: str) -> None:
        """Show a key as it is on the disk."""
        held = self._inside.s3.buckets.get(bucket)
        if held is None:
            return
        entry = self._blobs.get(bucket, key)
        if entry is not None:
            held.keys.setlist(key, [self._key(bucket, key, entry)])
        elif key in held.keys:
            held.keys.pop(key)

    def _key(self, bucket: str, key: str, entry: Entry) -> Any:
        facts = entry.attributes
        shown = self._inside.key(
            key,
            b"",
            account_id=self._account,
            region_name="us-east-1",
            etag=facts["etag"],
            version_id="null",
            bucket_name=bucket,
        )
        shown.last_modified = datetime.fromtimestamp(facts["modified"], UTC)
        shown.metadata.update(facts["metadata"])
        for name in _FACTS:
            if name in facts:
                setattr(shown, name, facts[name])
        shown.contentsize = entry.size
        self._point(shown, entry)
        if facts.get("tags"):
            tagger = self._inside.s3.tagger
            tagger.tag_resource(shown.arn, tagger.convert_dict_to_tags_input(facts["tags"]))
        return shown

    def _show_bucket(self, name: str, region: str, created: float) -> None:
        bucket = self._inside.bucket(name=name, account_id=self._account, region_name=region)
        bucket.creation_date = datetime.fromtimestamp(created, UTC)
        self._inside.s3.buckets[name] = bucket
        for key, entry in self._blobs.entries(name):
            bucket.keys.setlist(key, [self._key(name, key, entry)])
        self._noted().clear()

    def _new_bucket(self, bucket: Any) -> None:
        self._blobs.put_bucket(bucket.name, bucket.region_name, bucket.creation_date.timestamp())
        bucket.keys = self._make_key_store(bucket.name)

    def _note(self, bucket: str, key: str) -> None:
        self._noted().add((bucket, key))

    def _noted(self) -> set[tuple[str, str]]:
        if not hasattr(self._touched, "keys"):
            self._touched.keys = set()
        noted: set[tuple[str, str]] = self._touched.keys
        return noted

    def _stripe(self, bucket: str, key: str) -> threading.RLock:
        return self._stripes[hash((bucket, key)) % _STRIPES]


def _noting_store(inside: Inside, note: Callable[[str, str], None]) -> Callable[[str], Any]:
    """Return a maker of stores that say which keys change."""

    class NotingStore(inside.key_store):  # type: ignore[misc, name-defined]
        def __init__(self, bucket: str) -> None:
            super().__init__()
            self.bucket = bucket

        def __setitem__(self, key: str, value: Any) -> None:
            note(self.bucket, key)
            super().__setitem__(key, value)

        def setlist(self, key: str, list_: Any) -> None:
            note(self.bucket, key)
            super().setlist(key, list_)

        def pop(self, key: str) -> None:
            note(self.bucket, key)
            super().pop(key)

    return NotingStore


def _noting_buckets(new: Callable[[Any], None], gone: Callable[[str], None]) -> dict[str, Any]:
    """Return a dict whose buckets are on the disk before they are in it."""

    class NotingBuckets(dict[str, Any]):
        def __setitem__(self, name: str, bucket: Any) -> None:
            new(bucket)
            super().__setitem__(name, bucket)

        def pop(self, name: str, *default: Any) -> Any:
            gone(name)
            return super().pop(name, *default)

    return NotingBuckets()
