"""Channels in Pipe mode: a named pipe an epoch, through which all objects flow."""

from __future__ import annotations

import errno
import gzip
import os
import random
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kneighbors.local.channels import Source

if TYPE_CHECKING:
    from kneighbors.local.plane import Plane

_RECORDIO_MAGIC = 0xCED7230A
_POLL_S = 0.05
_CHUNK_BYTES = 1 << 16


class Pipe:
    """Feeds one channel of one host, epoch after epoch, for as long as somebody reads.

    Parameters
    ----------
    plane : Plane
    channel : dict
        Of the job's InputDataConfig.
    sources : list of Source
    folder : Path
        ``input/data``; the pipes are ``<channel>_0``, ``<channel>_1`` and so on.
    """

    def __init__(
        self, plane: Plane, channel: dict[str, Any], sources: list[Source], folder: Path
    ) -> None:
        self._plane = plane
        self._channel = channel
        self._sources = sources
        self._folder = folder
        self._stop = threading.Event()
        self._thread = threading.Thread(
            target=self._feed, name=f"pipe {channel['ChannelName']}", daemon=True
        )

    def start(self) -> None:
        """Make the first pipe, and feed what is read."""
        self._folder.mkdir(parents=True, exist_ok=True)
        os.mkfifo(self._path(0))
        self._thread.start()

    def stop(self) -> None:
        """Feed no more; there need not have been a start."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _path(self, epoch: int) -> Path:
        return self._folder / f"{self._channel['ChannelName']}_{epoch}"

    def _feed(self) -> None:
        epoch = 0
        while (descriptor := self._opened(epoch)) is not None:
            # The next one is there before a reader can have seen this one's end.
            os.mkfifo(self._path(epoch + 1))
            try:
                for piece in self._pieces(epoch):
                    if not self._write(descriptor, piece):
                        break
            except FileNotFoundError:
                pass  # an object that is gone ends the epoch
            finally:
                os.close(descriptor)
            epoch += 1

    def _opened(self, epoch: int) -> int | None:
        """Return the pipe's descriptor once somebody reads it; None when it is over."""
        while not self._stop.is_set():
            try:
                return os.open(self._path(epoch), os.O_WRONLY | os.O_NONBLOCK)
            except OSError as error:
                if error.errno not in (errno.ENXIO, errno.ENOENT):
                    raise
                self._stop.wait(_POLL_S)
        return None

    def _write(self, descriptor: int, piece: bytes) -> bool:
        """Write all of a piece; False where the reader has gone or it is over."""
        view = memoryview(piece)
        while view and not self._stop.is_set():
            try:
                view = view[os.write(descriptor, view) :]
            except BlockingIOError:
                self._stop.wait(0.002)
            except BrokenPipeError:
                return False
        return not self._stop.is_set()

    def _pieces(self, epoch: int) -> Iterator[bytes]:
        sources = list(self._sources)
        if shuffle := self._channel.get("ShuffleConfig"):
            random.Random(shuffle["Seed"] + epoch).shuffle(sources)  # noqa: S311
        for source in sources:
            data = self._plane.objects.read(source.bucket, source.key)
            if self._channel.get("CompressionType") == "Gzip":
                data = gzip.decompress(data)
            if self._channel.get("RecordWrapperType") == "RecordIO":
                data = wrapped(data)
            for start in range(0, len(data), _CHUNK_BYTES):
                yield data[start : start + _CHUNK_BYTES]


def wrapped(record: bytes) -> bytes:
    """Return a record of RecordIO: its mark, its length, the bytes, up to three more to align it.

    Examples
    --------
    >>> wrapped(b"oak").hex()
    '0a23d7ce030000006f616b00'
    """
    return struct.pack("<II", _RECORDIO_MAGIC, len(record)) + record + b"\0" * (-len(record) % 4)
