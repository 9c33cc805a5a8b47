"""A gzip stream, inflated a piece at a time and never further than it may go."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import BinaryIO

from kneighbors.artifact.gzip_header import Seal
from kneighbors.errors import ArtifactError
from kneighbors.storage import translated

_READ_AT_ONCE = 1 << 16
_INFLATED_AT_ONCE = 1 << 20

#: An archive this small when unpacked may be compressed as far as it likes.
_RATIO_COUNTS_FROM = 1 << 26

#: zlib's code for a gzip header and trailer.
_GZIP_WINDOW = 31


@dataclass(frozen=True)
class ArchiveLimits:
    """How much of an archive is read before it is refused.

    Attributes
    ----------
    members : int
        Files and directories.
    bytes : int
        Unpacked, everything that is skipped included.
    ratio : int
        Unpacked over packed, from 64 MiB on. Deflate reaches 1,030 on zeros and 1.1 on vectors.
    """

    members: int = 10_000
    bytes: int = 1 << 42
    ratio: int = 200


class Inflated:
    """What a gzip file holds.

    Parameters
    ----------
    file : binary file
        At the start of the gzip stream.
    where : str
        Its path, for messages.
    limits : ArchiveLimits
        What is refused.
    """

    def __init__(self, file: BinaryIO, where: str, limits: ArchiveLimits) -> None:
        self._file = file
        self._where = where
        self._limits = limits
        self._inflate = zlib.decompressobj(_GZIP_WINDOW)
        self._ready = b""
        self._packed = b""
        self._seal: Seal | None = None
        self.bytes_in = 0
        self.bytes_out = 0

    def read(self, most: int) -> bytes:
        """Return some bytes, at most so many; nothing at the end.

        Raises
        ------
        ArtifactError
            ``artifact-damaged`` when the stream is broken or cut off, or, at its end, when it is
            not what its header says; ``artifact-too-large`` when it goes over a limit,
            ``artifact-unsafe`` when something follows it.
        """
        while not self._ready:
            if self._inflate.eof:
                self._finish()
                return b""
            self._fill()
        data, self._ready = self._ready[:most], self._ready[most:]
        return data

    def read_exactly(self, length: int) -> bytes:
        """Return so many bytes; fewer only at the end."""
        pieces = []
        while length and (piece := self.read(length)):
            pieces.append(piece)
            length -= len(piece)
        return b"".join(pieces)

    def _fill(self) -> None:
        if not self._packed:
            with translated(self._where):
                self._packed = self._file.read(_READ_AT_ONCE)
            self.bytes_in += len(self._packed)
            if not self._packed:
                raise self._damaged("it ends in the middle")
            if self._seal is None:
                self._seal = Seal(self._packed, self._where)
            else:
                self._seal.update(self._packed)
        try:
            self._ready = self._inflate.decompress(self._packed, _INFLATED_AT_ONCE)
        except zlib.error as error:
            raise self._damaged(str(error)) from error
        self._packed = self._inflate.unconsumed_tail
        self.bytes_out += len(self._ready)
        self._refuse_bombs()

    def _refuse_bombs(self) -> None:
        limits = self._limits
        if self.bytes_out > limits.bytes:
            raise ArtifactError(
                "artifact-too-large",
                f"Expected an archive of at most {limits.bytes:,} bytes unpacked, got more.",
                where=self._where,
            )
        if self.bytes_out > max(_RATIO_COUNTS_FROM, limits.ratio * self.bytes_in):
            raise ArtifactError(
                "artifact-too-large",
                f"Expected an archive that grows at most {limits.ratio} times when unpacked, "
                "got one that grows more.",
                where=self._where,
                hint="If you trust it, unpack it yourself and give the directory.",
            )

    def _finish(self) -> None:
        if self._inflate.unused_data or self._file.read(1):
            raise ArtifactError(
                "artifact-unsafe",
                "Expected nothing after the end of the gzip stream, got more bytes.",
                where=self._where,
            )
        if self._seal is not None:
            self._seal.check()

    def _damaged(self, what: str) -> ArtifactError:
        return ArtifactError(
            "artifact-damaged",
            f"Expected a whole gzip stream, got a broken one: {what}.",
            where=f"{self._where}, byte {self.bytes_in}",
            hint="Copy the archive again.",
        )
