"""Where answers go: parts that are there whole or not at all, and in the end a list of them.

A part carries the digest of the plan that it belongs to. What is there after a run was ended is
looked at part by part, and what is missing is made. ``_SUCCESS.json`` is written last: a directory
without it is not finished.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from kneighbors.artifact import canonical
from kneighbors.errors import StorageError
from kneighbors.join.plan import JoinPlan
from kneighbors.storage import Address, open_store, translated

if TYPE_CHECKING:
    import pyarrow as pa

JOURNAL = "_journal.json"
SUCCESS = "_SUCCESS.json"
_PART = re.compile(r"part-[0-9]{8}\.parquet")
_UNFINISHED = re.compile(r"\.kneighbors-[0-9a-f]{16}\.part")
_KEY = b"kneighbors.join"
_MAX_JOURNAL_BYTES = 1 << 26


class Output:
    """A directory or a prefix of answers.

    Parameters
    ----------
    address : str
    """

    def __init__(self, address: str) -> None:
        self._address = Address.parse(address.rstrip("/") + "/")
        self._store = open_store(self._address)
        self.shown = self._address.shown
        self._names = {
            entry.address.key.removeprefix(self._address.key): entry.address
            for entry in (self._store.list(self._address) if self._is_there() else ())
        }

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes of this machine from writing here.

        Raises
        ------
        StorageError
            With code ``join-busy``.
        """
        if self._address.scheme != "file":
            yield
            return
        import fcntl
        import os

        path = self._address.path
        with translated(path):
            path.mkdir(parents=True, exist_ok=True)
            number = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            try:
                fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise StorageError(
                    "join-busy",
                    "Expected an output that no other join writes to.",
                    where=self.shown,
                    hint="Wait for it to end, or choose another output.",
                ) from None
            yield
        finally:
            os.close(number)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is there."""
        return not self._names

    def earlier(self) -> tuple[JoinPlan, bool] | None:
        """Return what an earlier run was to do and whether it is done; None if there was none."""
        for name, done in ((SUCCESS, True), (JOURNAL, False)):
            if name in self._names:
                where = self._names[name].shown
                data = self._store.read(self._names[name])[:_MAX_JOURNAL_BYTES]
                if not canonical.has_right_digest(data):
                    raise StorageError(
                        "join-journal", "Expected the journal of a join, got another.", where=where
                    )
                fields = canonical.from_bytes(data, where)
                return JoinPlan.from_fields(fields["plan"] if done else fields, where), done
        return None

    def refuse_foreign(self) -> None:
        """Refuse a directory with anything in it that no join wrote.

        Raises
        ------
        StorageError
            With code ``storage-exists``.
        """
        for name in self._names:
            ours = (
                name in (JOURNAL, SUCCESS) or _PART.fullmatch(name) or _UNFINISHED.fullmatch(name)
            )
            if not ours:
                raise StorageError(
                    "storage-exists",
                    f"Expected a new output, or one of a join, got {name!r:.80} there.",
                    where=self.shown,
                    hint="Choose another; what no join wrote is never overwritten.",
                )

    def clear(self) -> None:
        """Remove what is there, the sign that it is whole first."""
        self.refuse_foreign()
        for name in sorted(self._names, key=lambda name: (name != SUCCESS, name)):
            self._store.delete(self._names[name])
        self._names = {}

    def sweep(self) -> None:
        """Remove what a run that was ended left unfinished."""
        for name in [name for name in self._names if _UNFINISHED.fullmatch(name)]:
            self._store.delete(self._names.pop(name))

    def begin(self, plan: JoinPlan) -> None:
        """Write down what is to be done."""
        self._put(JOURNAL, plan.to_bytes())

    def has_part(self, plan: JoinPlan, part: int) -> bool:
        """Tell whether a part is there, whole and of this plan.

        Raises
        ------
        StorageError
            With code ``join-part`` if something else is in its place.
        """
        name = name_of(part)
        if name not in self._names:
            return False
        import pyarrow as pa
        from pyarrow import parquet

        first, stop = plan.span(part)
        where = self._names[name].shown
        try:
            read = parquet.read_metadata(pa.BufferReader(self._store.read(self._names[name])))
            right = (
                read.num_rows == stop - first
                and (read.metadata or {}).get(_KEY) == f"{plan.digest} {part}".encode()
            )
        except (pa.ArrowException, OSError, ValueError) as error:
            if isinstance(error, StorageError):
                raise
            right = False
        if not right:
            raise StorageError(
                "join-part",
                "Expected a part of this join, got another file.",
                where=where,
                hint="Remove it and go on, or ask for all to be overwritten.",
            )
        return True

    def write_part(self, plan: JoinPlan, part: int, table: pa.Table) -> int:
        """Write a part; return its length in bytes."""
        data = part_bytes(plan, part, table)
        self._put(name_of(part), data)
        return len(data)

    def finish(self, plan: JoinPlan) -> dict[str, Any]:
        """Write the list of parts with their checksums, which says that all are there."""
        parts = [self._described(plan, part) for part in range(plan.n_parts)]
        document = {"format": "kneighbors-join-success", "parts": parts, "plan": plan.fields()}
        self._put(SUCCESS, canonical.to_bytes(document))
        self._store.delete(self._address / JOURNAL)
        return document

    def _described(self, plan: JoinPlan, part: int) -> dict[str, Any]:
        data = self._store.read(self._address / name_of(part))
        first, stop = plan.span(part)
        return {
            "bytes": len(data),
            "file": name_of(part),
            "rows": stop - first,
            "sha256": sha256(data).hexdigest(),
        }

    def _put(self, name: str, data: bytes) -> None:
        address = self._address / name
        self._store.put(address, data)
        self._names[name] = address

    def _is_there(self) -> bool:
        return self._store.exists(self._address)


def name_of(part: int) -> str:
    """Return the name of a part's file."""
    return f"part-{part:08d}.parquet"


def part_bytes(plan: JoinPlan, part: int, table: pa.Table) -> bytes:
    """Return a part as a file: the same bytes for the same answers."""
    from pyarrow import parquet

    table = table.replace_schema_metadata({_KEY: f"{plan.digest} {part}".encode()})
    buffer = io.BytesIO()
    parquet.write_table(table, buffer, compression="zstd")
    return buffer.getvalue()


def total_bytes(parts: Sequence[dict[str, Any]]) -> int:
    """Return the length of all parts."""
    return sum(int(part["bytes"]) for part in parts)
