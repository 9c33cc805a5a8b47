"""The requests that every way of hosting is asked, and the model that they are for."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kneighbors.formats import CSV, JSON, JSONLINES, NPY
from support.artifact_making import corpus
from support.wire_bodies import csv_body, instances_body, json_body, jsonlines_body, npy_body

N_SAMPLES, N_FEATURES = 200, 16
#: What a real-time endpoint lets through.
MOST_BYTES = 6_291_456


@dataclass(frozen=True)
class Call:
    """A request.

    Parameters
    ----------
    name : str
        A phrase that says what is special about it.
    body : bytes, optional
    content_type, accept, attributes : str, optional
        Headers that are sent; none that is not given.
    method, path : str
    """

    name: str
    body: bytes | None = None
    content_type: str | None = None
    accept: str | None = None
    attributes: str | None = None
    method: str = "POST"
    path: str = "/invocations"
    more: Mapping[str, str] = field(default_factory=dict)

    @property
    def headers(self) -> dict[str, str]:
        """What is sent beside the body."""
        named = {
            "Content-Type": self.content_type,
            "Accept": self.accept,
            "X-Amzn-SageMaker-Custom-Attributes": self.attributes,
        }
        return {name: value for name, value in named.items() if value is not None} | {**self.more}


Q: NDArray[Any] = corpus(6, N_FEATURES, seed=1)
X: NDArray[Any] = corpus(N_SAMPLES, N_FEATURES)
ONE, BATCH = Q[0], Q[:3]


def _with(value: float) -> NDArray[Any]:
    row = np.array(ONE)
    row[3] = value
    return row


class _Planted:
    """An object that writes a file when it is read back."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return exec, (f"open({self.path!r}, 'w').close()",)


def planted(path: str) -> bytes:
    """Return an array of objects in numpy's format that runs code when it is unpickled."""
    file = io.BytesIO()
    np.save(file, np.array([_Planted(path)], dtype=object), allow_pickle=True)
    return file.getvalue()


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


def _features(row: NDArray[Any]) -> dict[str, Any]:
    return {"data": {"features": {"values": row.tolist()}}}


HEADER_LINE = b"a," * (N_FEATURES - 1) + b"p\n"
NDJSON = "application/x-ndjson"
WITH_ITEMS = {"ids": ["wine-0001"], "k": 2, "include_items": ["name", "terms"]}

ANSWERED = [
    # Every format, a vector and a batch; the answer in the request's own format.
    Call("npy vector", npy_body(ONE), NPY, NPY),
    Call("npy batch", npy_body(BATCH), NPY, NPY),
    Call("npy batch of one", npy_body(BATCH[:1]), NPY, NPY),
    Call("json vector", json_body(ONE), JSON, JSON),
    Call("json batch", json_body(BATCH), JSON, JSON),
    Call("json instances", instances_body(BATCH), JSON, JSON),
    Call("csv line", csv_body(ONE), CSV, CSV),
    Call("csv lines", csv_body(BATCH), CSV, CSV),
    Call("jsonlines", jsonlines_body(BATCH), JSONLINES, JSONLINES),
    # Every format to every other.
    Call("npy to json", npy_body(BATCH), NPY, JSON),
    Call("npy to csv", npy_body(BATCH), NPY, CSV),
    Call("npy to jsonlines", npy_body(BATCH), NPY, JSONLINES),
    Call("json to npy", json_body(BATCH), JSON, NPY),
    Call("json to csv", json_body(BATCH), JSON, CSV),
    Call("csv to npy", csv_body(BATCH), CSV, NPY),
    Call("csv to json", csv_body(BATCH), CSV, JSON),
    Call("jsonlines to npy", jsonlines_body(BATCH), JSONLINES, NPY),
    # Types of numbers and their layout.
    Call("npy float64", npy_body(BATCH.astype("f8")), NPY, NPY),
    Call("npy float16", npy_body(BATCH.astype("f2")), NPY, NPY),
    Call("npy int8", npy_body((BATCH * 40).astype("i1")), NPY, NPY),
    Call("npy int64", npy_body((BATCH * 1000).astype("i8")), NPY, NPY),
    Call("npy big-endian", npy_body(BATCH.astype(">f4")), NPY, NPY),
    Call("npy in Fortran's order", npy_body(np.asfortranarray(BATCH)), NPY, NPY),
    # Headers.
    Call("no Accept", npy_body(ONE), NPY),
    Call("Accept anything", npy_body(ONE), NPY, "*/*"),
    Call("Accept a list", npy_body(ONE), NPY, "application/json, */*"),
    Call("Accept with weights", npy_body(ONE), NPY, "text/csv;q=0.5, application/x-npy;q=0.9"),
    Call("Accept a family", npy_body(ONE), NPY, "text/*"),
    Call("Accept with a parameter", npy_body(ONE), NPY, "application/json; verbose=true"),
    Call("no Content-Type", json_body(ONE), None, JSON),
    Call("json with a charset", json_body(ONE), "application/json; charset=utf-8", JSON),
    Call("csv with a charset", csv_body(ONE), "text/csv; charset=utf-8", CSV),
    Call("csv with a header line", HEADER_LINE + csv_body(ONE), "text/csv; header=present", CSV),
    Call("Content-Type in capitals", json_body(ONE), "Application/JSON", JSON),
    Call("jsonlines by its other name", jsonlines_body(BATCH), NDJSON, NDJSON),
    # Parameters.
    Call("k in the attributes", npy_body(ONE), NPY, NPY, "k=3"),
    Call("k and more in the attributes", npy_body(ONE), NPY, JSON, "n_neighbors=2; trace=1-2"),
    Call("foreign attributes", npy_body(ONE), NPY, NPY, "trace-id=1-67891233-abcdef012345678"),
    Call("k in the body", _json({"instances": [ONE.tolist()], "k": 4}), JSON, JSON),
    Call("radius", _json({"instances": [ONE.tolist()], "radius": 0.5}), JSON, JSON),
    Call("by id", _json({"ids": ["wine-0007"], "exclude_self": True}), JSON, JSON),
    Call("with attributes of the items", _json(WITH_ITEMS), JSON, JSON),
    Call("exclude_ids", npy_body(X[5]), NPY, JSON, "k=2;exclude_ids=wine-0005,wine-0006"),
    Call("as the built-in algorithm is asked", _json({"instances": [_features(ONE)]}), JSON, JSON),
    Call("a row of the corpus", npy_body(X[17]), NPY, NPY),
    Call("500 queries", npy_body(corpus(500, N_FEATURES, seed=2)), NPY, NPY),
]  # fmt: skip

REFUSED = [
    Call("npy too narrow", npy_body(ONE[:5]), NPY, NPY),
    Call("json too wide", json_body(np.append(ONE, 1.0)), JSON, JSON),
    Call("npy with NaN", npy_body(_with(np.nan)), NPY, NPY),
    Call("npy with infinity", npy_body(_with(np.inf)), NPY, NPY),
    Call("npy of zeros", npy_body(np.zeros(N_FEATURES, "f4")), NPY, NPY),
    Call("npy of three dimensions", npy_body(Q.reshape(2, 3, N_FEATURES)), NPY, NPY),
    Call("npy of text", npy_body(np.array(["a", "b"])), NPY, NPY),
    Call("npy cut short", npy_body(ONE)[:-3], NPY, NPY),
    Call("json with NaN", b"[NaN" + b", 1" * 15 + b"]", JSON, JSON),
    Call("json that is none", b'{"instances": [[1, 2', JSON, JSON),
    Call("json that is no UTF-8", b"[1, 2, \xff]", JSON, JSON),
    Call("json with null", b"[null" + b", 1" * 15 + b"]", JSON, JSON),
    Call("json with an unknown field", _json({"instances": [ONE.tolist()], "kk": 3}), JSON, JSON),
    Call("csv with words", b"a,b,c\n", CSV, CSV),
    Call("csv that is ragged", b"1,2\n3\n", CSV, CSV),
    Call("an empty body", b"", NPY, NPY),
    Call("an empty body of json", b"", JSON, JSON),
    Call("an unknown content type", b"<a/>", "text/xml", JSON),
    Call("a malformed content type", json_body(ONE), "json", JSON),
    Call("an unknown charset", json_body(ONE), "application/json; charset=utf-16", JSON),
    Call("an unknown Accept", npy_body(ONE), NPY, "image/png"),
    Call("a malformed Accept", npy_body(ONE), NPY, "npy"),
    Call("k of 0", npy_body(ONE), NPY, NPY, "k=0"),
    Call("k of more than all rows", npy_body(ONE), NPY, NPY, "k=201"),
    Call("k that is no number", npy_body(ONE), NPY, NPY, "k=ten"),
    Call("k misspelt", npy_body(ONE), NPY, NPY, "n_neighbours=3"),
    Call("an unknown id", _json({"ids": ["wine-9999"]}), JSON, JSON),
    Call("radius as npy", _json({"instances": [ONE.tolist()], "radius": 0.5}), JSON, NPY),
    Call("one byte too many", npy_body(np.zeros(1, "u1")).ljust(MOST_BYTES + 1), NPY, NPY),
]

ELSEWHERE = [
    Call("ping", method="GET", path="/ping"),
    Call("ping by POST", b"", method="POST", path="/ping"),
    Call("invocations by GET", method="GET"),
    Call("invocations by PUT", json_body(ONE), JSON, JSON, method="PUT"),
    Call("an unknown path", method="GET", path="/nope"),
    Call("the root", method="GET", path="/"),
    Call("a slash too many", json_body(ONE), JSON, JSON, path="//invocations"),
    Call("a slash at the end", json_body(ONE), JSON, JSON, path="/invocations/"),
    Call("execution parameters", method="GET", path="/execution-parameters"),
]

CALLS = [*ANSWERED, *REFUSED, *ELSEWHERE]
BY_NAME = {call.name: call for call in CALLS}
