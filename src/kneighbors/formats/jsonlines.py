"""``application/jsonlines``: a query on each line in, an object on each line out, in order.

Lines are what batch transform splits its input at and joins the answers to, so a line out is
always an object, whatever the line in was.
"""

from __future__ import annotations

from kneighbors.errors import BodyRefused
from kneighbors.formats.answer import Answer
from kneighbors.formats.json import dump, predictions
from kneighbors.formats.limits import Limits
from kneighbors.formats.media import MediaType
from kneighbors.formats.request import Payload
from kneighbors.formats.strictjson import parse
from kneighbors.formats.text import decode_text
from kneighbors.formats.wishes import read_queries


def split_lines(text: str, limits: Limits) -> list[str]:
    """Return the lines of a body without their ends, LF or CRLF; the last one's is optional.

    Raises
    ------
    BodyRefused
        With code ``rows-too-many``, before the lines are taken apart.
    """
    if "\r" in text:
        text = text.replace("\r\n", "\n")
    text = text.removesuffix("\n")
    n_lines = text.count("\n") + 1
    if n_lines > limits.max_rows:
        raise BodyRefused(
            "rows-too-many",
            f"Expected at most {limits.max_rows} lines, got {n_lines}.",
            hint="Send them in several requests.",
        )
    return text.split("\n")


def decode(body: bytes, media: MediaType, limits: Limits) -> Payload:
    r"""Return the queries of a body.

    Raises
    ------
    BodyRefused
        With the codes that `docs/reference/wire-format.md` lists; each names the line, counted
        from 1, and the JSON path in it.

    Examples
    --------
    >>> decode(b'[0.5, 1]\n{"features": [2, 3]}', MediaType("application/jsonl"), Limits()).vectors
    array([[0.5, 1. ],
           [2. , 3. ]])
    """
    lines = split_lines(decode_text(body, media.parameters.get("charset")), limits)
    records = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            raise BodyRefused(
                "body-json",
                "Expected a query on each line, got an empty one.",
                where=f"line {number}",
            )
        records.append(parse(line, place=f"line {number}, "))
    queries = read_queries(records, lambda number: f"line {number + 1}, $", limits)
    return Payload(*queries, shape="object")


def encode(answer: Answer, parameters: dict[str, str]) -> bytes:
    """Return a line for each query, each ended by LF."""
    return b"".join(dump(one) + b"\n" for one in predictions(answer))
