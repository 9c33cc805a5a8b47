"""Bodies that take the most memory for their size, and what is promised of that."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from kneighbors.formats import CSV, JSON, JSONLINES, NPY
from support.wire_bodies import npy_body

#: Memory that decoding a body takes at most, as a multiple of its size; `docs/reference/limits.md`
#: promises it.
MULTIPLES = {NPY: 4, CSV: 20, JSON: 128, JSONLINES: 128}

#: By name: the content type, and what makes a body of about so many bytes.
GREEDY: dict[str, tuple[str, Callable[[int], bytes]]] = {
    "empty-lists": (JSON, lambda n: b"[" + b"[]," * (n // 3 - 1) + b"[]]"),
    "empty-objects": (JSON, lambda n: b"[" + b"{}," * (n // 3 - 1) + b"{}]"),
    "named-empty-objects": (JSON, lambda n: b'{"instances":[' + b"{}," * (n // 3) + b"{}]}"),
    "short-texts": (JSON, lambda n: b"[" + b'"ab",' * (n // 5) + b"1]"),
    "ids": (JSON, lambda n: b'{"ids":[' + b'"ab",' * (n // 5) + b'"c"]}'),
    "digits": (JSON, lambda n: b"[" + b"1," * (n // 2) + b"1]"),
    "floats": (JSON, lambda n: b"[" + b"0e0," * (n // 4) + b"1]"),
    "not-a-number": (JSON, lambda n: b"[" + b"NaN," * (n // 4) + b"1]"),
    "doubled-names": (JSON, lambda n: b"[" + b'{"a":1,"a":2},' * (n // 14) + b"1]"),
    "one-long-text": (JSON, lambda n: b'["' + b"x" * n + b'\xf0\x9f\x98\x80"]'),
    "one-long-integer": (JSON, lambda n: b"[" + b"9" * n + b"]"),
    "one-long-fraction": (JSON, lambda n: b"[0." + b"1" * n + b"]"),
    "one-long-exponent": (JSON, lambda n: b"[1e" + b"1" * n + b"]"),
    "integers-of-309-digits": (JSON, lambda n: b"[" + (b"9" * 309 + b",") * (n // 310) + b"1]"),
    "escapes": (JSON, lambda n: b'["' + b"\\u0041" * (n // 6) + b'"]'),
    "opening-brackets": (JSON, lambda n: b"[" * n),
    "names": (JSON, lambda n: b"{" + b",".join(b'"%d":1' % i for i in range(n // 10)) + b"}"),
    "vectors-of-one": (JSON, lambda n: b"[" + b"[1]," * (n // 4) + b"[1]]"),
    "records-of-one": (
        JSON,
        lambda n: b'{"instances":[' + b'{"features":[1]},' * (n // 17) + b"[1]]}",
    ),
    "filter-of-empty-objects": (
        JSON,
        lambda n: b'{"instances":[[1]],"filter":{"a":[' + b"{}," * (n // 3) + b"1]}}",
    ),
    "likes-of-one": (JSON, lambda n: b'{"like":[' + b"[1]," * (n // 4) + b"1]}"),
    "likes-of-none": (JSON, lambda n: b'{"like":[' + b"[]," * (n // 3) + b"1]}"),
    "terms": (JSON, lambda n: b'{"terms":[' + b'"a",' * (n // 4) + b'"b"]}'),
    "exclusions": (
        JSON,
        lambda n: b'{"instances":[[1]],"exclude_ids":[' + b"1," * (n // 2) + b"1]}",
    ),
    "csv-commas": (CSV, lambda n: b"," * n),
    "csv-digits": (CSV, lambda n: b"1," * (n // 2) + b"1"),
    "csv-lines": (CSV, lambda n: b"1\n" * (n // 2)),
    "csv-line-ends": (CSV, lambda n: b"1" + b"\n" * n),
    "csv-odd-last-field": (CSV, lambda n: b"1," * (n // 2) + b"x"),
    "csv-long-number": (CSV, lambda n: b"1" * n),
    "csv-letters": (CSV, lambda n: b"a," * (n // 2) + b"\n1"),
    "csv-carriage-returns": (CSV, lambda n: b"1\r\n" * (n // 3)),
    "lines-of-empty-lists": (JSONLINES, lambda n: b"[]\n" * (n // 3)),
    "lines-of-brackets": (JSONLINES, lambda n: b"[\n" * (n // 2)),
    "lines-of-ids": (JSONLINES, lambda n: b'{"id":1}\n' * (n // 9)),
    "lines-of-likes": (
        JSONLINES,
        lambda n: (b'{"like":[' + b"[1]," * 9_000 + b"1]}\n") * max(1, n // 36_000),
    ),
    "lines-of-vectors": (JSONLINES, lambda n: b"[1]\n" * (n // 4)),
    "lines-of-unknown-names": (JSONLINES, lambda n: b'{"a":1}\n' * (n // 8)),
    "npy-int8": (NPY, lambda n: npy_body(np.ones(n, np.int8))),
    "npy-half": (NPY, lambda n: npy_body(np.ones(n // 2, np.float16))),
    "npy-big-endian": (NPY, lambda n: npy_body(np.ones(n // 8, ">f8"))),
    "npy-fortran": (NPY, lambda n: npy_body(np.ones((n // 64, 8), order="F"))),
}
