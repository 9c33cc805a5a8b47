"""Changed bytes: whatever comes, the answer is right or a refusal of ours, and never anything else.

Where Python's own reader finds a table of finite numbers, ours may be stricter about the form, but
never reads other numbers.
"""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from kneighbors.corpus import read_corpus
from kneighbors.errors import KNeighborsError
from support.corpus_csv import numbers_of

_PLAIN = b"0.5,1.25,-3e-2\n7.5,8,9.25\n1e5,-0.0,.5\n" * 3
_NAMED = (
    b'id,title,d0,d1\nw1,"Ch\xc3\xa2teau ""X"", red",0.5,1\nw2,two\nlines,2.5,-1\n'
    b'w3,"a\nb",1e-3,4\n'
).replace(b"two\nlines", b'"two\nlines"')
_VECTORS = b'id,review_vector\na,"[ 0.1 -2.\n 3e-1]"\nb,"[1, 2, 3]"\nc,[4 5 6]\n'
_BYTES = b'0123456789.eE+-_#,"\n\r \t[]nNaif;\0\x80\xff'


def _mutated(data: bytes, source: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(source.randint(1, 4)):
        place = source.randrange(len(changed) + 1)
        kind = source.randrange(4)
        if kind == 0:
            changed.insert(place, source.choice(_BYTES))
        elif kind == 1 and place < len(changed):
            changed[place] = source.choice(_BYTES)
        elif kind == 2:
            del changed[place : place + source.randint(1, 5)]
        else:
            start = source.randrange(len(changed) + 1)
            changed[place:place] = changed[start : start + source.randint(1, 9)]
    return bytes(changed)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("data", [_PLAIN, _NAMED, _VECTORS], ids=["plain", "named", "vectors"])
def test_a_changed_file_is_read_rightly_or_refused(tmp_path: Path, data: bytes, seed: int) -> None:
    source = random.Random(seed)
    path = tmp_path / "x.csv"
    n_read = n_compared = 0
    for _ in range(340):
        changed = _mutated(data, source)
        if not changed:
            continue
        path.write_bytes(changed)
        try:
            X = read_corpus(path).X
        except KNeighborsError as error:
            assert str(error).isprintable()  # noqa: PT017  either outcome is fine
            continue
        n_read += 1
        assert np.isfinite(X).all()
        assert X.shape[0] >= 1
        if data is _PLAIN:
            expected = numbers_of(changed.decode("utf-8", "replace").rstrip("\r\n"))
            if expected is not None and len(expected) == len(X):
                n_compared += 1
                assert X.tolist() == expected
    assert n_read > 10
    assert n_compared > 10 or data is not _PLAIN
