"""When two answers are the same, and which differences between hosts are as they have to be."""

from __future__ import annotations

import io
import json
import math
from typing import Any

import numpy as np

from kneighbors.formats import CSV, JSON, JSONLINES, NPY

TOLERANCE = 1e-12


def media_type(content_type: str) -> str:
    """Return a content type without its parameters, which are the front's own."""
    return content_type.partition(";")[0].strip().lower()


def is_same(expected: bytes, actual: bytes, content_type: str) -> bool:
    """Tell whether two bodies are equal, byte for byte or with numbers within 1e-12."""
    if expected == actual:
        return True
    try:
        return _close(_values(expected, content_type), _values(actual, content_type))
    except ValueError:
        return False


def _values(body: bytes, content_type: str) -> Any:
    media = media_type(content_type)
    if media == NPY:
        array = np.load(io.BytesIO(body), allow_pickle=False)
        return [str(array.dtype), array.shape, *array.ravel().tolist()]
    if media == JSON:
        return json.loads(body)
    if media in (JSONLINES, "application/x-ndjson"):
        return [json.loads(line) for line in body.splitlines()]
    if media == CSV:
        return [[float(one) for one in line.split(b",")] for line in body.splitlines()]
    raise ValueError(media)


def _close(a: Any, b: Any) -> bool:
    if isinstance(a, float) and isinstance(b, float):
        return math.isclose(a, b, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(_close, a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_close(a[name], b[name]) for name in a)
    return type(a) is type(b) and bool(a == b)
