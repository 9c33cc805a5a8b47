"""``.npz`` as a corpus: one matrix, and arrays of one value a row as ids and attributes.

An ``.npz`` is a zip, and a zip may lie about everything. Its list of members is judged before any
of them is opened, and each member's own header before anything is inflated.
"""

from __future__ import annotations

import errno
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from kneighbors.corpus.npy_file import copy_matrix
from kneighbors.corpus.npy_header import (
    Header,
    check_length,
    check_matrix,
    read_header,
)
from kneighbors.corpus.roles import Roles, Wanted
from kneighbors.corpus.sink import File, Sink
from kneighbors.errors import CorpusRefused, KNeighborsError
from kneighbors.storage import translated

if TYPE_CHECKING:
    import pyarrow as pa

#: Names under which the matrix is found though there are others.
VECTOR_NAMES = ("vectors", "X", "arr_0")
_MAX_MEMBERS = 64
#: Embeddings hardly compress at all. What compresses better than this is no embedding, and small
#: files may claim what they like.
_MAX_RATIO = 100
_SMALL_BYTES = 64 << 20
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
#: What zipfile raises about damage. RuntimeError is its word for a password.
_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    OverflowError,
    RuntimeError,
    ValueError,
)


def read_npz(file: File, wanted: Wanted, sink: Sink) -> None:
    """Add the rows of an ``.npz`` file to `sink`.

    Raises
    ------
    CorpusRefused
        With code ``corpus-npz`` for members that are not understood, ``corpus-too-large`` for
        one that would inflate beyond reason, ``corpus-columns``, and as `read_npy`.
    """
    with _opened(file) as archive:
        headers = _headers(archive, file.shown)
        name = _vector_member(headers, wanted, file.shown)
        n_rows = headers[name].shape[0]
        others = {other: header for other, header in headers.items() if other != name}
        for other, header in others.items():
            _check_other(header, n_rows, f"{file.shown}, member {other!a}")
        if wanted.id_column is not None and wanted.id_column not in others:
            raise CorpusRefused(
                "corpus-columns",
                f"Expected ids in a member {wanted.id_column!a}, got none of that name.",
                where=file.shown,
            )
        sink.begin(file, tuple(headers), Roles(name, (), tuple(others)))
        items = _items(archive, others, file.shown)
        with archive.open(name + ".npy") as data:
            read_header(data, file.shown)  # type: ignore[arg-type]
            copy_matrix(data, headers[name], file.shown, sink)  # type: ignore[arg-type]
            if data.read(1):
                raise CorpusRefused("corpus-damaged", "Expected no more bytes.", where=file.shown)
        if items is not None:
            sink.batches.append(items)
    sink.end()


@contextmanager
def _opened(file: File) -> Iterator[zipfile.ZipFile]:
    with translated(file.shown):
        try:
            with zipfile.ZipFile(file.path) as archive:
                yield archive
        except KNeighborsError:
            raise
        except OSError as error:
            if error.errno != errno.EINVAL:  # a seek to where a damaged directory points
                raise
            raise _damaged(file, error) from error
        except _BROKEN as error:
            raise _damaged(file, error) from error


def _damaged(file: File, error: Exception) -> CorpusRefused:
    return CorpusRefused(
        "corpus-damaged", f"Expected a whole .npz file: {error}.", where=file.shown
    )


def _headers(archive: zipfile.ZipFile, where: str) -> dict[str, Header]:
    """Return the header of each member, once all of them are found harmless."""
    members = archive.infolist()
    if not 1 <= len(members) <= _MAX_MEMBERS:
        raise _refusal(where, f"Expected 1 to {_MAX_MEMBERS} members, got {len(members)}.")
    names = [member.filename for member in members]
    if len({name.casefold() for name in names}) < len(names):
        raise _refusal(where, "Expected members whose names differ, got two of one name.")
    for member in members:
        _check_member(member, f"{where}, member {member.filename!a}")
    total, packed = sum(m.file_size for m in members), sum(m.compress_size for m in members)
    if total > _SMALL_BYTES and total > _MAX_RATIO * packed:
        raise CorpusRefused(
            "corpus-too-large",
            f"Expected data that inflates at most {_MAX_RATIO} times, got {packed:,} bytes that "
            f"claim to be {total:,}.",
            where=where,
            hint="Save the matrix with numpy.save.",
        )
    headers = {}
    for member in members:
        place = f"{where}, member {member.filename!a}"
        with archive.open(member) as data:
            header = read_header(data, place)  # type: ignore[arg-type]
        check_length(header, member.file_size, place)
        headers[member.filename.removesuffix(".npy")] = header
    return headers


def _check_member(member: zipfile.ZipInfo, where: str) -> None:
    name = member.filename
    if not name.endswith(".npy") or "/" in name or "\\" in name or not name.isprintable():
        raise _refusal(where, "Expected members named NAME.npy, without directories.")
    if member.flag_bits & 0x1:
        raise _refusal(where, "Expected a member that is not encrypted.")
    if member.compress_type not in _METHODS:
        raise _refusal(where, "Expected a member that is stored or deflated.")


def _vector_member(headers: dict[str, Header], wanted: Wanted, where: str) -> str:
    if wanted.columns is not None:
        raise CorpusRefused(
            "corpus-columns", "Expected no columns for an .npz file; it has members.", where=where
        )
    matrices = [name for name, header in headers.items() if len(header.shape) == 2]
    named = [name for name in VECTOR_NAMES if name in headers]
    found = named if len(named) == 1 else matrices
    if wanted.vector_column is not None:
        found = [wanted.vector_column] if wanted.vector_column in headers else []
    if len(found) != 1:
        members = ", ".join(f"{name!a} {header.shape}" for name, header in headers.items())
        raise CorpusRefused(
            "corpus-columns",
            f"Expected one matrix, or one member named {', '.join(VECTOR_NAMES)}, got {members}.",
            where=where,
            hint="Name the matrix with vector_column.",
        )
    check_matrix(headers[found[0]], f"{where}, member {found[0]!a}")
    return found[0]


def _check_other(header: Header, n_rows: int, where: str) -> None:
    if header.shape != (n_rows,):
        raise _refusal(
            where,
            f"Expected one value for each of the {n_rows} rows, got the shape {header.shape}.",
            "Save the matrix, the ids and attributes of one value a row, and nothing else.",
        )


def _items(archive: zipfile.ZipFile, headers: dict[str, Header], where: str) -> pa.Table | None:
    import pyarrow as pa

    if not headers:
        return None
    columns = []
    for name, header in headers.items():
        with archive.open(name + ".npy") as data:
            read_header(data, where)  # type: ignore[arg-type]
            raw = data.read(header.data_bytes)
        array = np.frombuffer(raw, header.dtype)
        native: np.ndarray[Any, Any] = array.astype(header.dtype.newbyteorder("="))
        try:
            columns.append(pa.array(native.tolist() if native.dtype.kind == "U" else native))
        except (UnicodeError, pa.ArrowException) as error:
            raise CorpusRefused(
                "corpus-encoding",
                "Expected texts of Unicode characters.",
                where=f"{where}, member {name!a}",
            ) from error
    return pa.table(columns, names=list(headers))


def _refusal(where: str, message: str, hint: str | None = None) -> CorpusRefused:
    return CorpusRefused("corpus-npz", message, where=where, hint=hint)
