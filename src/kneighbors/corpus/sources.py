"""Which files a corpus is made of, and having them on this machine for as long as it takes."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kneighbors.corpus.sink import File
from kneighbors.errors import CorpusRefused, StorageError
from kneighbors.search.progress import Progress
from kneighbors.storage import Address, Entry, Store, shown, translated

#: The end of a name to the kind of file. The longest end decides.
KINDS = {
    ".npy": "npy",
    ".npz": "npz",
    ".csv": "csv",
    ".csv.gz": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".arrow": "arrow",
    ".arrows": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
}
#: How files begin, to say what one with another name probably is.
_BEGINNINGS = {
    b"\x93NUMPY": "npy",
    b"PK\x03\x04": "npz",
    b"PAR1": "parquet",
    b"ARROW1": "arrow",
    b"\x1f\x8b": "csv.gz",
}
_PARTITION = re.compile(r"[^/=]+=[^/]*")
_KNOWN = ", ".join(KINDS)


@dataclass(frozen=True, slots=True)
class Source:
    """One file of a corpus, wherever it lies.

    Attributes
    ----------
    address : Address
        Where.
    size_bytes : int
        Its length.
    kind : str
        What is in it, by the end of its name; a value of `KINDS`.
    """

    address: Address
    size_bytes: int
    kind: str

    @property
    def is_compressed(self) -> bool:
        """Whether gzip is around it."""
        return self.address.name.lower().endswith(".gz")


def find_sources(address: Address, store: Store) -> list[Source]:
    """Return the files of a corpus in the order of their names.

    A file is itself. Of a directory or a prefix, all files are taken, at any depth, but those
    with a part of their name that begins with ``.`` or ``_``.

    Raises
    ------
    CorpusRefused
        With code ``corpus-empty``, ``corpus-kind``, ``corpus-mixed`` or ``corpus-partitioned``.
    StorageError
        With code ``storage-missing`` and others.
    """
    if not address.is_prefix and store.exists(address):
        return [_source(Entry(address, store.size(address)), store)]
    entries = [entry for entry in _listing(address, store) if not _is_hidden(entry, address)]
    if not entries:
        raise CorpusRefused(
            "corpus-empty",
            f"Expected files that end in {_KNOWN}, found none.",
            where=address.shown,
            hint="Names that begin with '.' or '_' are passed over.",
        )
    for entry in entries:
        _refuse_partition(entry, address)
    sources = [_source(entry, store) for entry in entries]
    odd = next((source for source in sources if source.kind != sources[0].kind), None)
    if odd is not None:
        raise CorpusRefused(
            "corpus-mixed",
            f"Expected files of one kind, got {sources[0].address.shown} and {odd.address.shown}.",
            where=address.shown,
            hint="Name the one file, or begin the names of the others with '_'.",
        )
    return sources


@contextmanager
def as_file(
    source: Source, store: Store, progress: Progress, before: int, total: int
) -> Iterator[File]:
    """Give a source as a file of this machine; what was fetched for it is removed in the end.

    Parameters
    ----------
    source : Source
        The source.
    store : Store
        Where it lies.
    progress : callable
        Called as ``progress("downloading", done, total)``.
    before, total : int
        Bytes of the earlier sources, and of all.
    """
    if source.address.scheme == "file":
        path = source.address.path
        yield File(path, source.address.shown, source.size_bytes, source.is_compressed)
        return
    with _folder() as folder:
        path = Path(folder) / "part"
        size = store.download(
            source.address, path, lambda _, done, __: progress("downloading", before + done, total)
        )
        yield File(path, source.address.shown, size, source.is_compressed)


@contextmanager
def _folder() -> Iterator[str]:
    with translated(tempfile.gettempdir()):
        folder = tempfile.TemporaryDirectory(prefix="kneighbors-")
    with folder as path:
        yield path


def _listing(address: Address, store: Store) -> list[Entry]:
    try:
        found = list(store.list(address))
    except StorageError as error:
        if error.code == "storage-not-a-directory":
            store.size(address)  # says what it is, if it is no file either
        raise
    if not found and address.scheme == "s3":
        raise StorageError(
            "storage-missing",
            "Expected an object, or objects below this prefix, found neither.",
            where=address.shown,
        )
    # Objects without a byte and without an end of a name stand for directories.
    return [e for e in found if e.size_bytes or "." in e.address.name or e.address.scheme == "file"]


def _parts_below(entry: Entry, top: Address) -> Sequence[str]:
    base = top.key.rstrip("/") + "/" if top.key else ""
    return entry.address.key.removeprefix(base).split("/")


def _is_hidden(entry: Entry, top: Address) -> bool:
    return any(part.startswith((".", "_")) for part in _parts_below(entry, top))


def _refuse_partition(entry: Entry, top: Address) -> None:
    found = [part for part in _parts_below(entry, top)[:-1] if _PARTITION.fullmatch(part)]
    if found:
        raise CorpusRefused(
            "corpus-partitioned",
            f"Expected directories that are no columns, got {shown(found[0])}, whose value is in "
            "none of its files.",
            where=entry.address.shown,
            hint="Write the data set again without partitions.",
        )


def _source(entry: Entry, store: Store) -> Source:
    name = entry.address.name.lower()
    ends = [end for end in KINDS if name.endswith(end)]
    if not ends:
        with store.open_read(entry.address) as file:
            start = file.read(8)
        like = next((kind for magic, kind in _BEGINNINGS.items() if start.startswith(magic)), None)
        raise CorpusRefused(
            "corpus-kind",
            f"Expected a name that ends in {_KNOWN}.",
            where=entry.address.shown,
            hint=f"It begins as a .{like} file does; rename it." if like else None,
        )
    if entry.size_bytes == 0:
        raise CorpusRefused(
            "corpus-empty", "Expected a file with something in it.", where=entry.address.shown
        )
    return Source(entry.address, entry.size_bytes, KINDS[max(ends, key=len)])
