"""Objects of S3 that are replaced only by who knows their version (If-Match, If-None-Match).

A request that got no answer may have been carried out all the same, and if it is simply sent again,
S3 refuses it because of its own first try. So these requests are sent once each, and after one
without an answer the object is looked at before the next.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from kneighbors.errors import StorageError
from kneighbors.storage.address import Address
from kneighbors.storage.conditional import MAX_BYTES, changed, too_large
from kneighbors.storage.s3_client import connect, obstore
from kneighbors.storage.s3_failures import translated_s3
from kneighbors.storage.settings import Settings

#: What leaves open whether a write happened.
_UNSURE = frozenset({"storage-unreachable", "storage-failed"})
#: Between two attempts, in seconds, growing with their number.
_PAUSE_S = 0.2


class ConditionalWriter:
    """Reads and writes small objects of one bucket by their versions.

    Parameters
    ----------
    bucket : str
    settings : Settings
    """

    def __init__(self, bucket: str, settings: Settings) -> None:
        self._settings = settings
        with translated_s3(Address("s3", bucket, ""), settings):
            self._reading = connect(bucket, settings)
            self._writing = connect(bucket, replace(settings, attempts=1))

    def read(self, address: Address, key: str) -> tuple[bytes, str]:
        """Return all bytes of a small object and its ETag; see `Store.read_tagged`."""
        for attempt in range(1, self._settings.attempts + 1):
            with translated_s3(address, self._settings):
                answer = obstore.get(self._reading, key)
            tag = answer.meta.get("e_tag")
            if not tag:
                raise StorageError(
                    "storage-failed",
                    "Expected an answer with an ETag, got one without.",
                    where=address.shown,
                )
            if answer.meta["size"] > MAX_BYTES:
                raise too_large(address, answer.meta["size"])
            try:
                return bytes(answer.bytes()), tag
            except Exception as error:
                if attempt == self._settings.attempts:
                    raise StorageError(
                        "storage-truncated",
                        f"Expected {answer.meta['size']} bytes, got an answer that broke off, in "
                        f"{attempt} attempts.",
                        where=address.shown,
                    ) from error
        raise AssertionError("there is at least one attempt")

    def put(self, address: Address, key: str, data: bytes, expected: str | None) -> str:
        """Write an object if its version is the expected one; return its new ETag."""
        try:
            return self._put(address, key, data, expected)
        except StorageError as error:
            bare = None if expected is None else expected.strip('"')
            if error.code != "storage-changed" or bare == expected:
                raise
            # Ceph's gateway before version 17 compares the quotes as well, and so finds no version
            # to be the expected one. It does if the version is the expected one all the same.
            if self._tag(address, key) != expected:
                raise
            return self._put(address, key, data, bare)

    def _put(self, address: Address, key: str, data: bytes, expected: str | None) -> str:
        for attempt in range(1, self._settings.attempts + 1):
            try:
                return self._put_once(address, key, data, expected)
            except StorageError as error:
                if error.code not in _UNSURE:
                    raise
                done = self._look(address, key, data, expected)
                if done is not None:
                    return done
                if attempt == self._settings.attempts:
                    raise
                time.sleep(_PAUSE_S * attempt)
        raise AssertionError("there is at least one attempt")

    def _put_once(self, address: Address, key: str, data: bytes, expected: str | None) -> str:
        mode: Any = "create" if expected is None else {"e_tag": expected}
        try:
            with translated_s3(address, self._settings):
                done = obstore.put(self._writing, key, data, mode=mode, use_multipart=False)
        except StorageError as error:
            gone = error.code == "storage-missing" and expected is not None
            if error.code == "storage-changed" or (gone and self._has_bucket(address)):
                raise changed(address, expected) from None
            raise
        tag = done["e_tag"]
        if not tag:
            raise StorageError(
                "storage-failed",
                "Expected an answer with an ETag, got one without.",
                where=address.shown,
            )
        return tag

    def _look(self, address: Address, key: str, data: bytes, expected: str | None) -> str | None:
        """Return the tag of what was written after all; None if nothing was, by anybody."""
        try:
            there, tag = self.read(address, key)
        except StorageError as error:
            if error.code != "storage-missing":
                raise
            there, tag = b"", None
        if tag == expected or (tag is not None and tag.strip('"') == expected):
            return None
        if tag is not None and there == data:
            return tag
        raise changed(address, expected)

    def _tag(self, address: Address, key: str) -> str | None:
        try:
            return self.read(address, key)[1]
        except StorageError:
            return None

    def _has_bucket(self, address: Address) -> bool:
        try:
            with translated_s3(address, self._settings):
                next(iter(obstore.list(self._reading, chunk_size=1)), None)
        except StorageError as error:
            return error.code != "storage-missing"
        return True
