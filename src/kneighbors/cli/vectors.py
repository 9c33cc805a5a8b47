"""Query vectors from files, stdin and the command line, read as strictly as a request's body."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kneighbors.errors import BodyRefused, Refused
from kneighbors.formats import CSV, JSON, JSONLINES, NPY, Limits, Parameters, decode
from kneighbors.search.gate import check_queries
from kneighbors.storage import storage_error

FloatArray = NDArray[np.floating[Any]]

#: A file on this machine is no stranger's request: it may be large.
LOCAL_LIMITS = Limits(
    max_body_bytes=1 << 32,
    max_rows=1 << 24,
    max_neighbors=1 << 31,
    max_ids=1 << 24,
    max_answers=1 << 31,
    max_items=1 << 31,
)
_TYPES = {".npy": NPY, ".json": JSON, ".csv": CSV, ".jsonl": JSONLINES, ".ndjson": JSONLINES}
_NPY_MAGIC = b"\x93NUMPY"


def read_vectors(source: str) -> FloatArray:
    """Return the queries in a file, or on stdin for ``-``.

    Parameters
    ----------
    source : str
        Path of a ``.npy``, ``.csv``, ``.json`` or ``.jsonl`` file. Anything else, and stdin, is
        told by its first bytes: a ``.npy`` file, JSON, or numbers with commas or spaces between,
        one vector a line.

    Returns
    -------
    ndarray of shape (n_queries, n_features), dtype float32 or float64

    Raises
    ------
    StorageError
        If the file cannot be read.
    BodyRefused
        If it holds no vectors, naming the file and the place in it.
    """
    body = _read(source)
    name = "stdin" if source == "-" else source
    media = _TYPES.get(Path(source).suffix.lower()) or _sniffed(body)
    if media == CSV and b"," not in body:
        body = _with_commas(body)
    return _decoded(body, media, name)


def read_vector(text: str) -> FloatArray:
    """Return the query that ``--vector`` spells, with commas or spaces between its numbers.

    Raises
    ------
    BodyRefused
        If it is no list of numbers.

    Examples
    --------
    >>> read_vector("0.5, -2")
    array([[ 0.5, -2. ]])
    >>> read_vector("[0.5 0.25]")
    array([[0.5 , 0.25]])
    """
    stripped = text.strip()
    if stripped.startswith("[") and stripped.endswith("]"):
        stripped = stripped[1:-1]
    body = stripped.encode("utf-8", errors="surrogateescape")
    return _decoded(body if b"," in body else _with_commas(body), CSV, "--vector")


def _read(source: str) -> bytes:
    if source == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(source).read_bytes()
    except OSError as error:
        raise storage_error(error, source) from error


def _sniffed(body: bytes) -> str:
    if body.startswith(_NPY_MAGIC):
        return NPY
    return JSON if body.lstrip()[:1] in (b"[", b"{") else CSV


def _with_commas(body: bytes) -> bytes:
    lines = (re.sub(rb"[ \t]+", b",", line.strip()) for line in body.strip().splitlines())
    return b"\n".join(lines)


def _decoded(body: bytes, media: str, name: str) -> FloatArray:
    try:
        request = decode(body, media, None, LOCAL_LIMITS)
        if request.vectors is None:
            raise BodyRefused("body-type", "Expected vectors, got ids.", hint="Pass ids by --id.")
        if request.parameters != Parameters():
            raise BodyRefused(
                "body-type", "Expected vectors alone, got parameters.", hint="Pass them as options."
            )
        # NaN has no form in the request that is made of these.
        return check_queries(request.vectors, request.vectors.shape[1], "euclidean")
    except Refused as error:
        where = name if error.where is None else f"{name}, {error.where}"
        raise type(error)(error.code, error.message, where=where, hint=error.hint) from error
