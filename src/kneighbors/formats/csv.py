"""``text/csv``: a vector on each line in; its distances, then its indices, on each line out.

Numbers divided by commas, and nothing else: no quotes, no comments. A header line is there only
when the content type says so, by the parameter of RFC 4180: ``text/csv; header=present``.
"""

from __future__ import annotations

import math
import re
from array import array
from typing import Never

import numpy as np

from kneighbors.errors import BodyRefused
from kneighbors.formats.answer import Answer, Float64Array
from kneighbors.formats.jsonlines import split_lines
from kneighbors.formats.limits import Limits
from kneighbors.formats.media import MediaType
from kneighbors.formats.request import Payload
from kneighbors.formats.text import decode_text, shown

# Of what float() reads beyond plain numbers (1_000, nan, infinity, other scripts' digits), nothing
# can be written with these characters.
_PLAIN = b"0123456789+-.eE, \t"
_ODD = re.compile(r"[^0-9+\-.eE, \t]")
_LETTER = re.compile(r"[A-Za-z]")
_HINTS = {
    '"': "Write numbers without quotes.",
    "'": "Write numbers without quotes.",
    "#": "Comments are not understood.",
    "\r": "End lines with LF or CRLF.",
    ";": "Divide numbers by commas.",
    "\t": "Divide numbers by commas.",
    " ": "Divide numbers by commas.",
}
_HEADER_VALUES = ("present", "absent")


def decode(body: bytes, media: MediaType, limits: Limits) -> Payload:
    r"""Return the queries of a body.

    Raises
    ------
    BodyRefused
        With code ``body-csv``, ``body-ragged``, ``body-number``, ``body-no-queries``,
        ``rows-too-many``, ``body-empty``, ``body-encoding`` or ``content-type-parameter``; each
        names the line and the column, both counted from 1.

    Examples
    --------
    >>> decode(b"1,2\n3,4e-1\n", MediaType("text/csv"), Limits()).vectors
    array([[1. , 2. ],
           [3. , 0.4]])
    """
    has_header = _read_header_parameter(media)
    text = decode_text(body, media.parameters.get("charset"))
    if has_header:
        _, _, text = text.partition("\n")
        if not text:
            raise BodyRefused(
                "body-no-queries",
                "Expected a query after the header line, got none.",
                where="line 2",
            )
    first = 2 if has_header else 1
    lines = split_lines(text, limits)
    vectors = _read_numbers(lines)
    if vectors is None:
        _refuse_fault(lines, first, has_header)
    return Payload(vectors=vectors)


def _read_numbers(lines: list[str]) -> Float64Array | None:
    """Return the numbers of all lines as a matrix, or None where anything is at fault."""
    width = lines[0].count(",") + 1
    joined = ",".join(lines)
    if joined.encode().translate(None, _PLAIN):
        return None
    if any(line.count(",") + 1 != width for line in lines):
        return None
    try:
        flat = array("d", map(float, joined.split(",")))
    except ValueError:
        return None
    vectors = np.frombuffer(flat, dtype=np.float64)
    return vectors.reshape(len(lines), width) if np.isfinite(vectors).all() else None


def encode(answer: Answer, parameters: dict[str, str]) -> bytes:
    """Return a line for each query: its k distances, then its k indices."""
    distances, indices = np.asarray(answer.distances).tolist(), np.asarray(answer.indices).tolist()
    lines = [
        ",".join([*map(repr, row), *map(str, rows)])
        for row, rows in zip(distances, indices, strict=True)
    ]
    if parameters.get("header", "").lower() == "present":
        k = len(distances[0])
        names = [f"{name}_{rank}" for name in ("distance", "index") for rank in range(1, k + 1)]
        lines.insert(0, ",".join(names))
    return ("\n".join(lines) + "\n").encode()


def _read_header_parameter(media: MediaType) -> bool:
    value = media.parameters.get("header", "absent").lower()
    if value not in _HEADER_VALUES:
        raise BodyRefused(
            "content-type-parameter",
            f"Expected header=present or header=absent in Content-Type, got {shown(value)}.",
        )
    label_size = media.parameters.get("label_size", "0")
    if label_size != "0":
        raise BodyRefused(
            "content-type-parameter",
            f"Expected queries without labels, label_size=0, got {shown(label_size)}.",
        )
    return value == "present"


def _refuse_fault(lines: list[str], first: int, has_header: bool) -> Never:
    """Find the first thing at fault, field by field, and refuse it."""
    width = lines[0].count(",") + 1
    for number, line in enumerate(lines, start=first):
        where = f"line {number}"
        if not line.strip(" \t"):
            raise BodyRefused(
                "body-csv", "Expected a query on each line, got an empty one.", where=where
            )
        fields = line.split(",")
        for column, field in enumerate(fields, start=1):
            value = _number(field)
            if value is None:
                raise BodyRefused(
                    "body-csv",
                    f"Expected a number, got {shown(field) if field.strip() else 'nothing'}.",
                    where=f"{where}, column {column}",
                    hint=_hint(field, fields, may_be_header=number == 1 and not has_header),
                )
            if not math.isfinite(value):
                raise BodyRefused(
                    "body-number",
                    f"Expected a number that a float64 holds, got {shown(field)}.",
                    where=f"{where}, column {column}",
                )
        if len(fields) != width:
            raise BodyRefused(
                "body-ragged",
                f"Expected vectors of equal length, got {width} numbers in the first and "
                f"{len(fields)} here.",
                where=where,
            )
    raise AssertionError("unreachable: something is at fault")  # pragma: no cover


def _number(field: str) -> float | None:
    if _ODD.search(field) is not None:
        return None
    try:
        return float(field)
    except ValueError:
        return None


def _hint(field: str, fields: list[str], *, may_be_header: bool) -> str | None:
    for character, hint in _HINTS.items():
        if character in field:
            return hint
    if may_be_header and all(_LETTER.search(one) and _number(one) is None for one in fields):
        return "If this is a header line, send the content type as 'text/csv; header=present'."
    return None
