"""Requests that moto answers, with what it lacks around it: objects on the disk, and streaming."""

from __future__ import annotations

import gc
import re
import urllib.parse
from collections.abc import Iterable, Iterator
from typing import Any

from kneighbors.local.answers import Environ, StartResponse
from kneighbors.local.blobs import Blobs, Entry
from kneighbors.local.faults import Fault
from kneighbors.local.moto_objects import MotoObjects
from kneighbors.local.plane import REGION

#: Objects from this size on are sent from the disk; moto would read them into memory twice.
_LARGE_BYTES = 1 << 20
_PIECE_BYTES = 1 << 20
_COLLECTED_BYTES = 64 << 20
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_LOGS_REGION = re.compile(r"/[\w-]+/logs/aws4_request")


class MotoFront:
    """moto's application, as the plane uses it.

    Parameters
    ----------
    app : callable
        moto's WSGI application.
    objects : MotoObjects
        Told to write what a request changed before its answer goes out.
    blobs : Blobs
        Where the objects are.
    """

    def __init__(self, app: Any, objects: MotoObjects, blobs: Blobs) -> None:
        self._app = app
        self._objects = objects
        self._blobs = blobs
        self._uncollected = 0

    def answer(self, environ: Environ, start: StartResponse) -> Iterable[bytes]:
        """Answer a request.

        Raises
        ------
        Fault
            ``NotImplemented`` for what moto does not have.
        OSError
            If what the request changed cannot be written; it is then not changed.
        """
        _turn_to_region(environ)
        large = self._large(environ)
        if large is not None:
            return self._send_large(environ, start, large)
        status, headers, body = self._ask(environ)
        start(status, headers)
        return body

    def _ask(self, environ: Environ) -> tuple[str, list[tuple[str, str]], list[bytes]]:
        """Return moto's answer, once what it did is on the disk."""
        head: list[Any] = []

        def note(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> None:
            head[:] = [status, headers]

        try:
            pieces = self._app(environ, note)
            body = list(pieces)
            if hasattr(pieces, "close"):
                pieces.close()
        except NotImplementedError as error:
            self._objects.roll_back()
            what = str(error) or f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}"
            raise Fault(
                "NotImplemented", f"kneighbors local does not have it: {what}", 501
            ) from None
        except BaseException:
            self._objects.roll_back()
            raise
        if "tagging" in environ.get("QUERY_STRING", ""):
            self._objects.note(*_place(environ))
        self._objects.commit()
        self._collect(int(environ.get("CONTENT_LENGTH") or 0))
        return head[0], head[1], body

    def _collect(self, size: int) -> None:
        """Free the bodies of requests now and then: moto's requests hold themselves in a circle."""
        self._uncollected += size
        if self._uncollected >= _COLLECTED_BYTES:
            self._uncollected = 0
            gc.collect()

    def _large(self, environ: Environ) -> Entry | None:
        """Return the object that is asked for, if it is a large one."""
        query = urllib.parse.parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True)
        if environ["REQUEST_METHOD"] != "GET" or any(
            name != "x-id" and not name.startswith("X-Amz-") for name in query
        ):
            return None
        bucket, key = _place(environ)
        entry = self._blobs.get(bucket, key) if key else None
        return None if entry is None or entry.size < _LARGE_BYTES else entry

    def _send_large(self, environ: Environ, start: StartResponse, entry: Entry) -> Iterable[bytes]:
        """Have moto say all that a HEAD says, and send the file's bytes."""
        asked, size = environ.pop("HTTP_RANGE", ""), entry.size
        file = self._blobs.path(entry).open("rb")
        status, headers, _ = self._ask(environ | {"REQUEST_METHOD": "HEAD"})
        if not status.startswith("200"):
            file.close()
            start(status, headers)
            return []
        fields = {name.lower(): (name, value) for name, value in headers}
        begin, end = _range(asked, size)
        if begin >= end:
            file.close()
            raise Fault("InvalidRange", "The requested range is not satisfiable", 416)
        fields["content-length"] = ("Content-Length", str(end - begin))
        if asked and _RANGE.fullmatch(asked):
            status = "206 Partial Content"
            fields["content-range"] = ("Content-Range", f"bytes {begin}-{end - 1}/{size}")
        if status.startswith("206") or entry.attributes.get("checksum_type") == "COMPOSITE":
            # A checksum of the whole says nothing of a part, nor do those of the parts of a whole.
            fields = {n: f for n, f in fields.items() if not n.startswith("x-amz-checksum")}
        start(status, list(fields.values()))
        return _pieces(file, begin, end)


def _turn_to_region(environ: Environ) -> None:
    """Have logs read from the one region that has them, whatever region the client is in."""
    signed = environ.get("HTTP_AUTHORIZATION", "")
    if "/logs/aws4_request" in signed:
        environ["HTTP_AUTHORIZATION"] = _LOGS_REGION.sub(
            f"/{REGION}/logs/aws4_request", signed, count=1
        )


def _place(environ: Environ) -> tuple[str, str]:
    """Return bucket and key of a request in path style."""
    path = environ["PATH_INFO"].encode("latin-1").decode("utf-8", "replace")
    bucket, _, key = path.lstrip("/").partition("/")
    return bucket, key


def _range(asked: str, size: int) -> tuple[int, int]:
    found = _RANGE.fullmatch(asked)
    if found is None or not (found[1] or found[2]):
        return 0, size
    if not found[1]:
        return max(0, size - int(found[2])), size
    return int(found[1]), min(size, int(found[2]) + 1 if found[2] else size)


def _pieces(file: Any, begin: int, end: int) -> Iterator[bytes]:
    with file:
        file.seek(begin)
        while begin < end:
            piece = file.read(min(_PIECE_BYTES, end - begin))
            if not piece:
                raise OSError("the object's file is shorter than the object")
            begin += len(piece)
            yield piece
