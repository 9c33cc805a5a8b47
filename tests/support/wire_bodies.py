"""Bodies to send: good ones in every format, hostile ones from files, and mutations."""

from __future__ import annotations

import io
import json
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kneighbors.formats import CSV, JSON, JSONLINES, NPY

CORPUS = Path(__file__).parent.parent / "fuzz" / "bodies"
CONTENT_TYPES = {"npy": NPY, "json": JSON, "csv": CSV, "jsonlines": JSONLINES}


class Hostile(NamedTuple):
    """A body that must be refused, and how."""

    name: str
    content_type: str
    body: bytes
    code: str
    where: str | None


def hostile_bodies() -> Iterator[Hostile]:
    """Yield every file of the corpus with what `expected.toml` says of it."""
    table = tomllib.loads((CORPUS / "expected.toml").read_text())
    for folder, content_type in CONTENT_TYPES.items():
        for path in sorted((CORPUS / folder).iterdir()):
            refusal = table[folder][path.stem]
            name = f"{folder}/{path.stem}"
            yield Hostile(
                name, content_type, path.read_bytes(), refusal["code"], refusal.get("where")
            )


def npy_body(Q: NDArray[Any]) -> bytes:
    """Return what numpy.save writes."""
    file = io.BytesIO()
    np.save(file, Q, allow_pickle=False)
    return file.getvalue()


def json_body(Q: NDArray[Any]) -> bytes:
    """Return a bare array."""
    return json.dumps(Q.tolist()).encode()


def instances_body(Q: NDArray[Any]) -> bytes:
    """Return an object with instances, written in SageMaker's two ways in turn."""
    ways: list[Callable[[list[float]], Any]] = [
        lambda row: row,
        lambda row: {"features": row},
        lambda row: {"data": {"features": {"values": row}}},
    ]
    rows = np.atleast_2d(Q).tolist()
    instances = [ways[number % 3](row) for number, row in enumerate(rows)]
    return json.dumps({"instances": instances}).encode()


def csv_body(Q: NDArray[Any]) -> bytes:
    """Return a line for each row."""
    return "".join(",".join(map(repr, row)) + "\n" for row in np.atleast_2d(Q).tolist()).encode()


def jsonlines_body(Q: NDArray[Any]) -> bytes:
    """Return a line for each row, in two ways in turn."""
    lines = [
        json.dumps(row if number % 2 else {"features": row})
        for number, row in enumerate(np.atleast_2d(Q).tolist())
    ]
    return ("\n".join(lines) + "\n").encode()


WRITERS: dict[str, tuple[str, Callable[[NDArray[Any]], bytes]]] = {
    "npy": (NPY, npy_body),
    "json": (JSON, json_body),
    "instances": (JSON, instances_body),
    "csv": (CSV, csv_body),
    "jsonlines": (JSONLINES, jsonlines_body),
}

Neighbors = list[tuple[list[float], list[int]]]


def read_answer(body: bytes, content_type: str) -> Neighbors:
    """Return distances and rows of each query, read with other code than the package's."""
    if content_type == NPY:
        array = np.load(io.BytesIO(body), allow_pickle=False)
        assert array.dtype == np.float64
        array = array if array.ndim == 3 else array[:, np.newaxis]
        distances, rows = array.tolist()
        return [(d, [int(i) for i in r]) for d, r in zip(distances, rows, strict=True)]
    text = body.decode("utf-8")
    if content_type == CSV:
        lines = [line.split(",") for line in text.splitlines()]
        return [
            (
                [float(one) for one in line[: len(line) // 2]],
                [int(one) for one in line[len(line) // 2 :]],
            )
            for line in lines
        ]
    if content_type == JSONLINES:
        return _predictions([_strict(line) for line in text.splitlines()])
    value = _strict(text)
    if isinstance(value, dict):
        return _predictions(value["predictions"])
    distances, rows = value
    if distances and not isinstance(distances[0], list):
        distances, rows = [distances], [rows]
    return list(zip(distances, rows, strict=True))


def _predictions(values: list[dict[str, Any]]) -> Neighbors:
    return [(one["distances"], one["indices"]) for one in values]


def _strict(text: str) -> Any:
    def refuse(word: str) -> Any:
        raise AssertionError(f"{word} is no JSON")

    return json.loads(text, parse_constant=refuse)


# Pieces that hurt: what the parsers' special cases hang on.
_PIECES = [
    *(b"[", b"]", b"{", b"}", b",", b":", b'"', b"\\", b"\n", b"\r", b"\r\n", b"\0", b" "),
    *(b"NaN", b"Infinity", b"-", b"1e999", b"null", b"true", b"9" * 400, b"\\ud800", b"\xff"),
    *(b"\xef\xbb\xbf", b"()", b"<f8", b"|O", b"(4,)", b"\x93NUMPY", b"0", b".", b"e", b"#", b"_"),
    *(b'"k":', b'"id":', b'"instances":', b'"parameters":', b'"w00"', b"'shape': ", b"\xd9\xa1"),
]


def mutated(body: bytes, rng: np.random.Generator) -> bytes:
    """Return a body with one to four changes: bytes changed, cut, doubled, pieces put in."""
    out = bytearray(body)
    for _ in range(int(rng.integers(1, rng.integers(2, 6)))):
        place = int(rng.integers(0, len(out) + 1))
        change = int(rng.integers(0, 6))
        if change == 0 and place < len(out):
            out[place] = int(rng.integers(0, 256))
        elif change == 1 and place < len(out):
            out[place] ^= 1 << int(rng.integers(0, 8))
        elif change == 2:
            del out[place : place + int(rng.integers(1, 9))]
        elif change == 3:
            out[place:place] = out[place : place + int(rng.integers(1, 20))]
        elif change == 4:
            out[place:place] = _PIECES[int(rng.integers(0, len(_PIECES)))]
        else:
            del out[place:]
    return bytes(out)
