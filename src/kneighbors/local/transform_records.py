"""Files of batch transform: cut into records, put together to payloads, joined with answers."""

from __future__ import annotations

import csv
import gzip
import io
import json
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from kneighbors.local.json_paths import JsonPath, NothingThere

_RECORDIO_MAGIC = 0xCED7230A
_JSON_TYPES = ("application/json", "application/jsonlines", "application/jsonl")


class BadRecord(ValueError):
    """A file of input that cannot be processed; the message says why."""


def opened(path: Path, compression: str) -> BinaryIO:
    """Open a file of input, through gzip where it is compressed so."""
    return cast(BinaryIO, gzip.open(path, "rb")) if compression == "Gzip" else path.open("rb")


def records_of(file: BinaryIO, split: str) -> Iterator[bytes]:
    """Yield a file's records, with what ends them.

    Parameters
    ----------
    file : binary file
    split : {"None", "Line", "RecordIO"}

    Raises
    ------
    BadRecord
    """
    try:
        if split == "Line":
            yield from (line for line in file if line.strip())
        elif split == "RecordIO":
            yield from _recordio(file)
        else:
            yield file.read()
    except (EOFError, gzip.BadGzipFile, OSError) as error:
        raise BadRecord(f"The file cannot be read: {error}") from error


def payloads_of(records: Iterable[bytes], strategy: str, limit: int) -> Iterator[list[bytes]]:
    """Yield the records of each request.

    Parameters
    ----------
    records : iterable of bytes
    strategy : {"SingleRecord", "MultiRecord"}
    limit : int
        Most bytes of a request; 0 is no limit.

    Raises
    ------
    BadRecord
        If a record alone is longer.
    """
    waiting: list[bytes] = []
    size = 0
    for record in records:
        if limit and len(record) > limit:
            raise BadRecord(
                f"A record of {len(record)} bytes exceeds MaxPayloadInMB, which is {limit} bytes."
            )
        if waiting and (strategy == "SingleRecord" or (limit and size + len(record) > limit)):
            yield waiting
            waiting, size = [], 0
        waiting.append(record)
        size += len(record)
    if waiting:
        yield waiting


@dataclass(frozen=True, slots=True)
class Processing:
    """A job's DataProcessing.

    Parameters
    ----------
    content_type : str
        Of the input: a comma-separated or a JSON one.
    input_filter, output_filter : JsonPath or None
    is_joined : bool
        Whether each answer is put to its record.
    """

    content_type: str
    input_filter: JsonPath | None
    output_filter: JsonPath | None
    is_joined: bool

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to do."""
        return not (self.input_filter or self.output_filter or self.is_joined)

    def payload(self, records: list[bytes]) -> bytes:
        """Return a request's body."""
        if self.input_filter is None:
            return b"".join(records)
        path = self.input_filter
        return b"".join(self._text(_followed(path, self._value(one)), one) for one in records)

    def result(self, records: list[bytes], answer: bytes) -> bytes:
        """Return what goes into the output for an answer.

        Raises
        ------
        BadRecord
            If the answer has not as many records as the request.
        """
        if not (self.output_filter or self.is_joined):
            return answer
        answers = answer.splitlines() if len(records) > 1 or self._is_csv else [answer]
        answers = [one for one in answers if one.strip()]
        if len(answers) != len(records):
            raise BadRecord(
                f"The model answered {len(records)} records with {len(answers)}, so that they "
                "cannot be joined or filtered."
            )
        pairs = zip(records, answers, strict=True)
        return b"".join(self._joined(record, one) for record, one in pairs)

    @property
    def _is_csv(self) -> bool:
        return self.content_type not in _JSON_TYPES

    def _joined(self, record: bytes, answer: bytes) -> bytes:
        value = self._value(answer)
        if self.is_joined:
            given = self._value(record)
            if self._is_csv:
                value = [*given, *value]
            elif isinstance(given, dict):
                value = {**given, "SageMakerOutput": value}
            else:
                value = {"SageMakerInput": given, "SageMakerOutput": value}
        if self.output_filter is not None:
            value = _followed(self.output_filter, value)
        return self._text(value, b"\n")

    def _value(self, record: bytes) -> Any:
        text = record.decode(errors="replace").strip()
        if self._is_csv:
            return next(csv.reader([text]), [])
        try:
            return json.loads(text)
        except ValueError as error:
            raise BadRecord(f"A record is no JSON: {error}") from error

    def _text(self, value: Any, like: bytes) -> bytes:
        """Return a value as a record, which ends in a line's end where `like` does."""
        if self._is_csv:
            stream = io.StringIO()
            row = value if isinstance(value, list) else [value]
            csv.writer(stream, lineterminator="").writerow(row)
            text = stream.getvalue()
        else:
            text = json.dumps(value)
        return text.encode() + (b"\n" if like.endswith(b"\n") else b"")


def _followed(path: JsonPath, value: Any) -> Any:
    try:
        return path.of(value)
    except NothingThere as error:
        raise BadRecord(str(error)) from error


def _recordio(file: BinaryIO) -> Iterator[bytes]:
    while head := file.read(8):
        if len(head) < 8:
            raise BadRecord("The file ends within the head of a RecordIO record.")
        magic, length = struct.unpack("<II", head)
        if magic != _RECORDIO_MAGIC:
            raise BadRecord("Expected the mark of a RecordIO record, got other bytes.")
        size = (length & 0x1FFFFFFF) + (-length % 4)
        body = file.read(size)
        if len(body) < size:
            raise BadRecord("The file ends within a RecordIO record.")
        yield head + body
