"""Tar archives: headers written in one form, members walked as streams.

Nothing is ever extracted by name. A walk yields the files at the top of an archive that an artifact
can have, skips what may keep them company, and refuses everything else: links, devices, names that
lead elsewhere, names that some systems take for the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from kneighbors.artifact.gunzip import ArchiveLimits, Inflated
from kneighbors.artifact.names import MANIFEST, PART_FILE, SIGNATURE, SKIPPED_TREES
from kneighbors.errors import ArtifactError

BLOCK = 512

#: The size field holds eleven octal digits; larger files have it in binary, as GNU tar writes it.
_LARGEST_OCTAL = 8**11 - 1

#: Extended headers (pax, GNU long names) are read into memory, ours never have any.
_LONGEST_EXTENSION = 1 << 16

_FILE, _DIRECTORY = b"0", b"5"
_KINDS = {b"\0": _FILE, b"0": _FILE, b"5": _DIRECTORY}
_EXTENSIONS = frozenset(b"xgLK"[place : place + 1] for place in range(4))
_REFUSED_KINDS = {
    b"1": "a hard link",
    b"2": "a symbolic link",
    b"3": "a device",
    b"4": "a device",
    b"6": "a FIFO",
    b"S": "a sparse file",
}
_PAX_RECORD = re.compile(rb"([0-9]{1,8}) ([^=]{1,256})=")


@dataclass(frozen=True)
class Member:
    """A file at the top of an archive that may belong to an artifact.

    Attributes
    ----------
    name : str
        ``manifest.json``, ``manifest.sig``, or the name of a part's file.
    size : int
        Length.
    """

    name: str
    size: int


def build_header(name: str, size: int) -> bytes:
    r"""Return the 512 bytes before a file: USTAR, owned by nobody, made at the epoch.

    Examples
    --------
    >>> header = build_header("head.npy", 1024)
    >>> len(header), header[124:136]
    (512, b'00000002000\x00')
    """
    octal = b"%011o\0" % size if size <= _LARGEST_OCTAL else b"\x80" + size.to_bytes(11, "big")
    fields = [
        name.encode().ljust(100, b"\0"),
        b"0000644\0" + b"0000000\0" * 2,
        octal,
        b"%011o\0" % 0,
        b" " * 8,
        _FILE.ljust(101, b"\0"),
        b"ustar\x0000",
    ]
    header = b"".join(fields).ljust(BLOCK, b"\0")
    return header[:148] + b"%06o\0 " % sum(header) + header[156:]


def padding(size: int) -> int:
    """Return how many zeros follow a file of this length."""
    return -size % BLOCK


class Walk:
    """The members of an archive, in their order.

    Parameters
    ----------
    stream : Inflated
        The archive, unpacked.
    where : str
        Its path, for messages.
    limits : ArchiveLimits
        What is refused.
    """

    def __init__(self, stream: Inflated, where: str, limits: ArchiveLimits) -> None:
        self._stream = stream
        self._where = where
        self._limits = limits
        self._rest = 0
        self._padding = 0
        self._seen: set[str] = set()
        self._count = 0

    def members(self) -> Iterator[Member]:
        """Yield the files that may belong to an artifact, each to be read by `chunks` or left.

        Raises
        ------
        ArtifactError
            ``artifact-unsafe``, ``artifact-damaged`` or ``artifact-too-large``.
        """
        extended: dict[str, str] = {}
        while (header := self._header()) is not None:
            kind = header[156:157]
            size = self._number(header[124:136])
            self._count += 1
            if self._count > self._limits.members:
                raise ArtifactError(
                    "artifact-too-large",
                    f"Expected an archive of at most {self._limits.members:,} members, got more.",
                    where=self._where,
                )
            if kind in _EXTENSIONS:
                extended |= self._extension(kind, size)
                continue
            size = int(extended.get("size", size))
            name = self._name(header, extended)
            extended = {}
            self._rest, self._padding = size, padding(size)
            own = self._own_name(name, kind)
            if own is not None:
                yield Member(own, size)
            self._skip()

    def chunks(self) -> Iterator[bytes]:
        """Yield the content of the current member, a piece at a time."""
        while self._rest:
            piece = self._stream.read(self._rest)
            if not piece:
                raise self._damaged("it ends in the middle of a file")
            self._rest -= len(piece)
            yield piece

    def _skip(self) -> None:
        for _ in self.chunks():
            pass
        filling = self._stream.read_exactly(self._padding)
        if len(filling) < self._padding:
            raise self._damaged("it ends after a file")
        if filling.count(0) != len(filling):
            raise self._unsafe("bytes between two files", "")
        self._padding = 0

    def _header(self) -> bytes | None:
        """Return the next header, or None at an orderly end."""
        header = self._stream.read_exactly(BLOCK)
        if header == bytes(BLOCK):
            if self._stream.read_exactly(BLOCK) != bytes(BLOCK):
                raise self._damaged("it has no end mark")
            self._refuse_garbage()
            return None
        if len(header) < BLOCK:
            raise self._damaged("it ends without an end mark")
        if self._number(header[148:156]) != sum(header[:148] + b" " * 8 + header[156:]):
            raise self._damaged("the checksum of a header differs")
        return header

    def _refuse_garbage(self) -> None:
        # Writers fill up to a multiple of 10 KiB, or of what they were told.
        while piece := self._stream.read(1 << 16):
            if piece.count(0) != len(piece):
                raise self._unsafe("bytes after the end mark", "")

    def _number(self, field: bytes) -> int:
        if field[0] == 0x80:
            return int.from_bytes(field[1:], "big")
        digits = field.strip(b"\0 ")
        if not re.fullmatch(rb"[0-7]{1,12}", digits):
            raise self._damaged("a header holds no number where one belongs")
        return int(digits, 8)

    def _extension(self, kind: bytes, size: int) -> dict[str, str]:
        if size > _LONGEST_EXTENSION:
            raise ArtifactError(
                "artifact-too-large",
                f"Expected an extended header of at most {_LONGEST_EXTENSION:,} bytes, "
                f"got {size:,}.",
                where=self._where,
            )
        data = self._stream.read_exactly(size)
        if len(data) < size:
            raise self._damaged("it ends in a header")
        self._padding = padding(size)
        self._skip()
        if kind == b"K":
            return {}
        if kind == b"L":
            return {"path": self._text(data.rstrip(b"\0"))}
        records = self._records(data)
        if any(key.startswith("GNU.sparse") for key in records):
            raise self._unsafe("a sparse file", "")
        known: dict[str, str] = {k: records[k] for k in ("path", "size") if k in records}
        if kind == b"g" and known:
            raise self._unsafe("one name or size for all members", "")
        if not re.fullmatch("[0-9]{1,15}", known.get("size", "0")):
            raise self._damaged("an extended header holds no size where one belongs")
        return known

    def _records(self, data: bytes) -> dict[str, str]:
        """Return the records of a pax header, each ``length key=value`` and a line break."""
        records = {}
        start = 0
        while start < len(data):
            match = _PAX_RECORD.match(data, start)
            stop = start + int(match[1]) if match else 0
            if match is None or not match.end() < stop <= len(data) or data[stop - 1] != 10:
                raise self._damaged("an extended header is broken")
            records[self._text(match[2])] = self._text(data[match.end() : stop - 1])
            start = stop
        return records

    def _name(self, header: bytes, extended: dict[str, str]) -> str:
        if "path" in extended:
            return extended["path"]
        name, prefix = header[:100], header[345:500] if header[257:263] == b"ustar\0" else b""
        whole = b"/".join(part.partition(b"\0")[0] for part in (prefix, name) if part.strip(b"\0"))
        if any(part.partition(b"\0")[2].strip(b"\0") for part in (name, prefix)):
            raise self._unsafe("a name with bytes after its end", "")
        return self._text(whole)

    def _text(self, data: bytes) -> str:
        return data.decode("utf-8", "surrogateescape")

    def _own_name(self, name: str, kind: bytes) -> str | None:
        """Return the name of a file that may belong to the artifact, None for one to be skipped.

        What no archive needs is refused.
        """
        if kind not in _KINDS:
            raise self._unsafe(_REFUSED_KINDS.get(kind, "a member of an unknown kind"), name)
        is_directory = _KINDS[kind] == _DIRECTORY
        parts = (name.removesuffix("/") if is_directory else name).split("/")
        if parts[0] == ".":
            parts = parts[1:]
        if "\0" in name or name.startswith("/") or any(part in {"", "..", "."} for part in parts):
            raise self._unsafe("a name that leads elsewhere", name)
        if not parts:
            return None
        key = "/".join(parts).casefold()
        if key in self._seen:
            raise self._unsafe("a name that occurred before, perhaps in other case", name)
        self._seen.add(key)
        if parts[0] in SKIPPED_TREES:
            return None
        if len(parts) > 1 or is_directory:
            raise ArtifactError(
                "artifact-unsafe",
                f"Expected the artifact's files at the top of the archive, got {name!r:.100}.",
                where=self._where,
                hint="Pack the content of the directory, not the directory: tar -C DIR .",
            )
        is_own = parts[0] in {MANIFEST, SIGNATURE} or PART_FILE.fullmatch(parts[0])
        return parts[0] if is_own else None

    def _damaged(self, what: str) -> ArtifactError:
        return ArtifactError(
            "artifact-damaged",
            f"Expected a whole tar archive, got a broken one: {what}.",
            where=f"{self._where}, byte {self._stream.bytes_out} unpacked",
            hint="Copy the archive again.",
        )

    def _unsafe(self, got: str, name: str) -> ArtifactError:
        named = f" ({name!r:.100})" if name else ""
        return ArtifactError(
            "artifact-unsafe",
            f"Expected regular files with plain names, got {got}{named}.",
            where=self._where,
        )
