"""S3 from within the control plane: the objects that clients see, without HTTP."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kneighbors.local.blobs import Blobs, copy_bytes
from kneighbors.local.faults import invalid

#: What S3 says of an object whose type nobody gave.
DEFAULT_TYPE = "binary/octet-stream"

#: Called with bucket and key when an object was written or removed from within.
Watcher = Callable[[str, str], None]


class Objects:
    """S3 from within, on the disk-backed store that clients see through moto.

    Parameters
    ----------
    blobs : Blobs
        Where the objects are.

    Examples
    --------
    >>> objects = Objects(Blobs(getfixture("tmp_path") / "objects"))
    >>> objects.make_bucket("cellar")
    >>> objects.write("cellar", "notes/one.txt", b"oak")
    >>> objects.list("cellar", "notes/")
    [('notes/one.txt', 3)]
    """

    def __init__(self, blobs: Blobs) -> None:
        self.blobs = blobs
        #: The view that clients have of the same objects, where it is built already.
        self.watcher: Watcher | None = None

    def exists(self, bucket: str, key: str) -> bool:
        """Tell whether there is an object."""
        return self.blobs.get(bucket, key) is not None

    def has_bucket(self, bucket: str) -> bool:
        """Tell whether there is a bucket."""
        return self.blobs.has_bucket(bucket)

    def make_bucket(self, bucket: str, region: str = "us-east-1") -> None:
        """Make a bucket; one that is there stays as it is."""
        self.blobs.put_bucket(bucket, region, time.time())
        self._changed(bucket, "")

    def list(self, bucket: str, prefix: str = "") -> list[tuple[str, int]]:
        """Return the keys that begin with a prefix, in order, and the sizes in bytes."""
        return [(key, entry.size) for key, entry in self.blobs.entries(bucket, prefix)]

    def read(self, bucket: str, key: str) -> bytes:
        """Return an object's bytes.

        Raises
        ------
        FileNotFoundError
            If there is no such object; its text is the object's address.
        """
        data: bytes = self._with_file(bucket, key, Path.read_bytes)
        return data

    def download(self, bucket: str, key: str, path: Path) -> None:
        """Copy an object to a file; its directory is made.

        A copy, not a link: what a job does to its input must not change the object.

        Raises
        ------
        FileNotFoundError
            If there is no such object.
        """
        path.parent.mkdir(parents=True, exist_ok=True)

        def copy(blob: Path) -> None:
            with blob.open("rb") as source, path.open("wb") as target:
                copy_bytes(source, target)

        self._with_file(bucket, key, copy)

    def write(self, bucket: str, key: str, data: bytes, content_type: str | None = None) -> None:
        """Write an object; it is on the disk when this returns.

        Raises
        ------
        FileNotFoundError
            If there is no such bucket.
        """
        self._put(bucket, key, data, content_type)

    def upload(self, path: Path, bucket: str, key: str) -> None:
        """Copy a file to an object; it is on the disk when this returns.

        Raises
        ------
        FileNotFoundError
            If there is no such bucket or file.
        """
        self._put(bucket, key, path, None)

    def delete(self, bucket: str, key: str) -> None:
        """Remove an object; there need be none."""
        self.blobs.remove(bucket, key)
        self._changed(bucket, key)

    def _put(self, bucket: str, key: str, source: bytes | Path, content_type: str | None) -> None:
        if not self.has_bucket(bucket):
            raise FileNotFoundError(f"s3://{bucket}")
        kept = self.blobs.keep(source)
        self.blobs.put(bucket, key, kept, fresh_attributes(content_type))
        self._changed(bucket, key)

    def _changed(self, bucket: str, key: str) -> None:
        if self.watcher is not None:
            self.watcher(bucket, key)

    def _with_file(self, bucket: str, key: str, use: Callable[[Path], Any]) -> Any:
        entry = self.blobs.get(bucket, key)
        while entry is not None:
            try:
                return use(self.blobs.path(entry))
            except FileNotFoundError:
                # Overwritten or removed since; what is there now is as good an answer.
                now = self.blobs.get(bucket, key)
                if now is not None and now.blob == entry.blob:
                    raise
                entry = now
        raise FileNotFoundError(f"s3://{bucket}/{key}")


def fresh_attributes(content_type: str | None = None) -> dict[str, Any]:
    """Return what S3 says of an object written now, from within."""
    return {
        # As of an upload in parts: no hash of the whole, which nobody asks for here.
        "etag": f"{secrets.token_hex(16)}-1",
        "modified": time.time(),
        "metadata": {"Content-Type": content_type or DEFAULT_TYPE},
    }


def split_s3(uri: str) -> tuple[str, str]:
    """Return bucket and key of an address.

    Raises
    ------
    Fault
        ``ValidationException`` for what is no address of S3.

    Examples
    --------
    >>> split_s3("s3://cellar/a/b")
    ('cellar', 'a/b')
    >>> split_s3("s3://cellar")
    ('cellar', '')
    """
    scheme, mark, rest = uri.partition("://")
    bucket, _, key = rest.partition("/")
    if scheme != "s3" or not mark or not bucket:
        raise invalid(f"The S3 URI {uri!r} must be of the form s3://bucket/key.")
    return bucket, key
