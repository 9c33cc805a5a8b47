"""Archives of whole trees, unpacked without trust: a job's code, a model, the models of hosts.

Members are read as streams and written one by one. Links, devices, names that lead elsewhere and
names that come twice are refused, before any of it is at its place.
"""

from __future__ import annotations

import gzip
import shutil
import tarfile
import tempfile
import zlib
from pathlib import Path, PurePosixPath
from typing import Self

from kneighbors.errors import StorageError
from kneighbors.storage import Address, open_store, translated

#: More members than any model has; each costs an inode.
_MOST_MEMBERS = 200_000
#: Room that is left on the disk, for whatever runs with the files.
_RESERVE_BYTES = 64 << 20
_CHUNK_BYTES = 1 << 20
#: A name and some facts of one file.
_MOST_EXTENSION_BYTES = 1 << 16
_EXTENSIONS = frozenset(
    {
        tarfile.XHDTYPE,
        tarfile.XGLTYPE,
        tarfile.SOLARIS_XHDTYPE,
        tarfile.GNUTYPE_LONGNAME,
        tarfile.GNUTYPE_LONGLINK,
    }
)
_DOUBLED = "a name that came before"


def fetched(address: str, folder: Path) -> Path:
    """Return a file of this machine that is what lies at an address.

    Parameters
    ----------
    address : str
        A path, ``file://`` or ``s3://``.
    folder : Path
        Where what comes from S3 is written to.

    Raises
    ------
    StorageError
        If it cannot be had.
    """
    parsed = Address.parse(address)
    if parsed.scheme == "file":
        return parsed.path
    path = folder / (parsed.name or "archive")
    open_store(parsed).download(parsed, path)
    return path


def unpack_tree(archive: Path, folder: Path, *, max_bytes: int | None = None) -> None:
    """Unpack a ``.tar.gz``: all of it appears in `folder`, or none.

    Parameters
    ----------
    archive : Path
        A file.
    folder : Path
        New, or empty; its parent must exist.
    max_bytes : int, optional
        Most bytes of all files together; by default what the disk has room for.

    Raises
    ------
    StorageError
        With code ``archive-damaged`` if it is no whole archive; ``archive-unsafe`` for links,
        devices, absolute names, ``..`` and names that come twice; ``archive-too-large``; or what
        the system refuses.
    """
    with translated(folder):
        if max_bytes is None:
            max_bytes = max(shutil.disk_usage(folder.parent).free - _RESERVE_BYTES, 0)
        growing = Path(tempfile.mkdtemp(prefix=".kneighbors-", dir=folder.parent))
        try:
            with translated(archive):
                archive.stat()
            _unpack(archive, growing, max_bytes)
            growing.chmod(0o755)
            growing.replace(folder)
        except BaseException:
            shutil.rmtree(growing, ignore_errors=True)
            raise


class _Member(tarfile.TarInfo):
    """A header whose extensions, which are read into memory as a whole, are short."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        """Read a block; ReadError where it announces an extension that is too long."""
        found = super().frombuf(buf, encoding, errors)
        if found.type in _EXTENSIONS and found.size > _MOST_EXTENSION_BYTES:
            raise tarfile.ReadError(f"an extended header of {found.size:,} bytes")
        return found


def _unpack(archive: Path, folder: Path, max_bytes: int) -> None:
    where = str(archive)
    seen: set[str] = set()
    left = max_bytes
    try:
        # As a stream: nothing is looked up by a name that comes later.
        with (
            gzip.open(archive) as stream,
            tarfile.open(
                fileobj=stream, mode="r|", bufsize=_CHUNK_BYTES, tarinfo=_Member
            ) as members,
        ):
            for member in members:
                name = _safe_name(member, where)
                if name is None:
                    continue
                if name in seen and not member.isdir():
                    raise _unsafe(where, member.name, _DOUBLED)
                seen.add(name)
                left -= member.size
                if left < 0 or len(seen) > _MOST_MEMBERS:
                    raise _too_large(where, max_bytes)
                try:
                    _write(members, member, folder / name)
                except (FileExistsError, NotADirectoryError):
                    # In other case on some disks, or a file where a directory is to be.
                    raise _unsafe(where, member.name, _DOUBLED) from None
            # Only the end of the stream tells whether all of it was right.
            while chunk := stream.read(_CHUNK_BYTES):
                left -= len(chunk)
                if left < 0:
                    raise _too_large(where, max_bytes)
    # One extended header after another is a recursion of tarfile's.
    except (tarfile.TarError, zlib.error, EOFError, ValueError, RecursionError) as error:
        raise _damaged(where, error) from error
    except OSError as error:
        # gzip's own have no number.
        if isinstance(error, StorageError) or error.errno:
            raise
        raise _damaged(where, error) from error


def _safe_name(member: tarfile.TarInfo, where: str) -> str | None:
    """Return the name of a file or a directory below the folder; None for the folder itself."""
    if not (member.isreg() or member.isdir()) or member.issparse():
        raise _unsafe(where, member.name, "a link, a device or another thing that is no plain file")
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts or "\0" in member.name or "\\" in member.name:
        raise _unsafe(where, member.name, "a name that leads elsewhere")
    return str(path) if path.parts else None


def _write(members: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    if member.isdir():
        target.mkdir(parents=True, exist_ok=True)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    source = members.extractfile(member)
    if source is None:
        raise tarfile.ReadError(f"no bytes for {member.name!r}")
    with target.open("xb") as file:
        shutil.copyfileobj(source, file, _CHUNK_BYTES)
    if target.stat().st_size != member.size:
        raise tarfile.ReadError("it ends in the middle of a file")
    # What else a mode can say (setuid) is nobody's business here.
    target.chmod(0o755 if member.mode & 0o100 else 0o644)


def _unsafe(where: str, name: str, what: str) -> StorageError:
    return StorageError(
        "archive-unsafe",
        f"Expected plain files and directories, got {what}: {name!a:.100}.",
        where=where,
    )


def _too_large(where: str, max_bytes: int) -> StorageError:
    return StorageError(
        "archive-too-large",
        f"Expected at most {max_bytes:,} bytes in {_MOST_MEMBERS:,} files, got more.",
        where=where,
        hint="Without another bound it is what the disk has room for; make more of it.",
    )


def _damaged(where: str, error: Exception) -> StorageError:
    return StorageError(
        "archive-damaged", f"Expected a whole .tar.gz, got none ({error!s:.200}).", where=where
    )
