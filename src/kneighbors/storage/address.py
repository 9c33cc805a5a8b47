"""Where a file lies: a path of this machine, or a bucket and a key of S3.

An address is text that was looked at, nothing more: making one touches neither a disk nor a
network. What cannot be an address is refused here, by name, so that no store meets it.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn
from urllib.parse import unquote_to_bytes

from kneighbors.errors import StorageError

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
#: Today's names have 3 to 63 characters; the oldest buckets of us-east-1 are more liberal.
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]")
_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_MAX_KEY_BYTES = 1024
#: What people write instead of the two schemes that are read, and what to write in its place.
_OTHER_SCHEMES = {
    "s3a": "Write s3:// instead.",
    "s3n": "Write s3:// instead.",
    "http": "Download it first, and give its path.",
    "https": "Download it first, and give its path.",
    "gs": "Copy it to this machine or to S3 first.",
    "az": "Copy it to this machine or to S3 first.",
    "abfs": "Copy it to this machine or to S3 first.",
    "hdfs": "Copy it to this machine or to S3 first.",
}


@dataclass(frozen=True, slots=True)
class Address:
    """One file, one directory, or one object or prefix of S3.

    Make one with `parse`; the fields are trusted.

    Attributes
    ----------
    scheme : {"file", "s3"}
        Which store keeps it.
    bucket : str
        The bucket; empty for files.
    key : str
        The key without a leading slash, or the path as it was given.

    Examples
    --------
    >>> address = Address.parse("s3://wines/train/")
    >>> address.bucket, address.key, address.is_prefix
    ('wines', 'train/', True)
    >>> str(address / "part-0.npy")
    's3://wines/train/part-0.npy'
    >>> str(Address.parse("file:///data/two%20words.npy"))
    '/data/two words.npy'
    """

    scheme: str
    bucket: str
    key: str

    @classmethod
    def parse(cls, value: str | bytes | os.PathLike[str] | os.PathLike[bytes] | Address) -> Address:
        """Return the address that `value` spells.

        Parameters
        ----------
        value : str, path or Address
            A path, ``file:///path`` with percent-encoding, or ``s3://bucket/key`` as it is (no
            percent-encoding, as in the command-line tools of AWS). A ``pathlib.Path`` is always a
            path.

        Raises
        ------
        StorageError
            With code ``storage-scheme`` for a scheme that is not read here, or
            ``storage-address`` for text that is no address: empty, with a NUL, without a bucket,
            with a key that no client can send.
        """
        if isinstance(value, Address):
            return value
        text = os.fsdecode(value)
        if not text:
            _refuse(text, "Expected a path, a file:// URL or s3://bucket/key, got nothing.")
        if "\0" in text:
            _refuse(text, "Expected an address without NUL characters.")
        if text.lower().startswith("s3:/") and not text.lower().startswith("s3://"):
            # pathlib.Path("s3://bucket/key") has lost a slash.
            _refuse(text, "Expected two slashes after s3:.", "Pass the address as text.")
        found = _SCHEME.match(text)
        scheme = found[1].lower() if found else ""
        if scheme == "s3":
            return _s3(text)
        if scheme == "file" or text.startswith("file:/"):
            return _file_url(text)
        if found:
            raise StorageError(
                "storage-scheme",
                f"Expected a path, file:// or s3://, got the scheme {found[1]!r}.",
                where=shown(text),
                hint=_OTHER_SCHEMES.get(scheme),
            )
        return cls("file", "", text)

    def __str__(self) -> str:
        """Return the text that `parse` makes this address of."""
        return f"s3://{self.bucket}/{self.key}" if self.scheme == "s3" else self.key

    def __truediv__(self, name: str) -> Address:
        """Return the address of `name` below this one.

        Raises
        ------
        StorageError
            With code ``storage-address`` when `name` leads anywhere but below.
        """
        parts = name.split("/")
        if "\0" in name or any(part in ("", ".", "..") for part in parts[:-1] or parts):
            _refuse(name, f"Expected a relative name below {self.shown}.")
        if parts[-1] in (".", ".."):
            _refuse(name, f"Expected a relative name below {self.shown}.")
        base = self.key if not self.key or self.key.endswith("/") else self.key + "/"
        if self.scheme == "s3":
            _check_key(base + name, str(self) + "/" + name)
        return Address(self.scheme, self.bucket, base + name)

    @property
    def shown(self) -> str:
        """The address on one line, for messages: escaped where it does not print."""
        return shown(str(self))

    @property
    def name(self) -> str:
        """The last part, without a slash at its end; empty for a whole bucket.

        Examples
        --------
        >>> Address.parse("/data/wines.npy").name, Address.parse("s3://wines/train/").name
        ('wines.npy', 'train')
        """
        return self.key.rstrip("/").rpartition("/")[2]

    @property
    def is_prefix(self) -> bool:
        """Whether the spelling alone says that this is a directory, a prefix or a bucket."""
        return self.key.endswith("/") or (self.scheme == "s3" and not self.key)

    @property
    def path(self) -> Path:
        """The path of a file.

        Raises
        ------
        StorageError
            With code ``storage-not-local`` for an address of S3.
        """
        if self.scheme != "file":
            raise StorageError(
                "storage-not-local",
                "Expected a path of this machine, got an address of S3.",
                where=self.shown,
            )
        return Path(self.key)


def shown(text: str) -> str:
    r"""Return `text` as it can stand in one line of a log.

    Examples
    --------
    >>> shown("two words.npy"), shown("two\nlines.npy")
    ('two words.npy', "'two\\nlines.npy'")
    """
    return text if text.isprintable() and text else ascii(text)


def _s3(text: str) -> Address:
    bucket, _, key = text[len("s3://") :].partition("/")
    if not bucket:
        _refuse(text, "Expected s3://bucket/key, got no bucket.")
    if not _BUCKET.fullmatch(bucket) or ".." in bucket:
        _refuse(
            text,
            f"Expected the name of a bucket (3 or more letters, digits, '.', '-' or '_'), got "
            f"{bucket!a}.",
        )
    _check_key(key, text)
    return Address("s3", bucket, key)


def _check_key(key: str, text: str) -> None:
    # S3 itself allows these, but clients rewrite them on the way, and then name another object.
    if _CONTROL.search(key):
        _refuse(text, "Expected a key without control characters.")
    if key and any(part in ("", ".", "..") for part in key.removesuffix("/").split("/")):
        _refuse(text, "Expected a key without empty parts, '.' and '..'.")
    try:
        length = len(key.encode())
    except UnicodeEncodeError:
        _refuse(text, "Expected a key that UTF-8 can hold.")
    if length > _MAX_KEY_BYTES:
        _refuse(text, f"Expected a key of at most {_MAX_KEY_BYTES} bytes, got {length}.")


def _file_url(text: str) -> Address:
    rest = text[len("file:") :]
    host = ""
    if rest.startswith("//"):
        host, slash, rest = rest[2:].partition("/")
        rest = slash + rest
    if host.lower() not in ("", "localhost"):
        _refuse(
            text,
            f"Expected file:///path on this machine, got the host {host!a}.",
            "Write three slashes before an absolute path.",
        )
    if not rest:
        _refuse(text, "Expected file:///path, got no path.")
    if "?" in rest or "#" in rest:
        _refuse(text, "Expected a path, got a query or a fragment.", "Write ? as %3F and # as %23.")
    if _BROKEN_ESCAPE.search(rest):
        _refuse(text, "Expected two hexadecimal digits after each %.", "Write % itself as %25.")
    raw = unquote_to_bytes(rest)
    if b"\0" in raw:
        _refuse(text, "Expected an address without NUL characters.")
    return Address("file", "", os.fsdecode(raw))


def _refuse(text: str, message: str, hint: str | None = None) -> NoReturn:
    raise StorageError("storage-address", message, where=shown(text) or "''", hint=hint)
