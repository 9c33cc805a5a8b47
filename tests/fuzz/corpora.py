"""What the fuzz tests begin with: for each content type, good bodies and hostile ones."""

from __future__ import annotations

from functools import cache

import numpy as np

from kneighbors.formats import CSV, JSON, JSONLINES, NPY
from support.wire_bodies import WRITERS, csv_body, hostile_bodies, npy_body

#: Hostile bodies that are longer say the same thing at greater length.
_LONGEST = 3_000
_JSON = (
    b'{"ids": ["w00", "w03"], "k": 3, "parameters": {"radius": 0.5, "exclude_self": true}}',
    b'{"id": "w00", "exclude_ids": ["w01"], "include_items": ["name"]}',
    b'{"like": ["w01", {"id": "w02", "weight": 2}], "dislike": [[1, 2, 3, 4]], "k": 2}',
    b'{"like": ["w01"], "strategy": "best_score", "explain": true, "diversity": 0.5}',
    b'{"instances": [[1, 2, 3, 4]], "filter": {"price": {"gte": 2}}, "min_distance": 1e-9}',
    b'{"instances": [{"data": {"features": {"values": [1, 2, 3, 4]}}}], "n_neighbors": 12}',
    b'{"instance": [1, 2, 3, 4], "group_by": "name", "max_per_group": 1, "fold_within": 0.1}',
    b'{"features": [0.5, -1, 2e0, 3], "include_ids": ["w01", "w02"], "include_items": true}',
    b'{"instances": [[1, 2, 3, 4]], "filter": {"any": [{"price": 1}, {"name": "a"}]}}',
)
_LINES = (
    b'{"id": "w00"}\n{"id": "w01"}\n',
    b'{"like": ["w00"]}\n{"like": ["w01"], "dislike": ["w02"]}\n',
    b"[1, 2, 3, 4]\r\n[5, 6, 7, 8]\r\n",
)


@cache
def corpus(content_type: str) -> tuple[bytes, ...]:
    """Return bodies of a content type, three good ones for each hostile one or more."""
    random = np.random.default_rng(5)
    good = [
        write(random.standard_normal(shape).round(2))
        for kind, write in WRITERS.values()
        for shape in [(4,), (1, 4), (3, 4)]
        if kind == content_type
    ]
    if content_type == NPY:
        good += [npy_body(np.ones((2, 4), dtype)) for dtype in ("f2", ">f4", "i1", "i8", ">i2")]
        good.append(npy_body(np.asfortranarray(np.ones((3, 4)))))
    elif content_type == CSV:
        good += [csv_body(np.ones((9, 4))), b"1e5, -.5,\t3.,4\r\n5,6,7,8\r\n"]
    else:
        good += _JSON if content_type == JSON else _LINES
    hostile = [
        one.body
        for one in hostile_bodies()
        if one.content_type == content_type and len(one.body) < _LONGEST
    ]
    return (*good * max(1, 3 * len(hostile) // len(good)), *hostile)


CONTENT_TYPES = (JSON, NPY, CSV, JSONLINES)
