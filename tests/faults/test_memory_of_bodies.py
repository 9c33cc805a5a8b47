"""The memory that a body takes is bounded by the documented multiple of its size.

Measured by Python's own books, for damaged bodies, and held to by the system, for whole ones: a
process that may not have more than the multiple reads them all.
"""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from contextlib import suppress
from pathlib import Path

import pytest

from fuzz.corpora import CONTENT_TYPES
from fuzz.greedy import GREEDY, MULTIPLES
from fuzz.mutation import Mutator
from fuzz.profiles import share
from fuzz.trial import short
from kneighbors.errors import KNeighborsError
from kneighbors.formats import Limits, decode
from support.counts import Counts

pytestmark = pytest.mark.faults

ROOT = Path(__file__).parents[2]
#: Damaged bodies of each content type, and their bytes before that.
MEASURED, LENGTH = 40, 20_000


@pytest.mark.parametrize("content_type", CONTENT_TYPES, ids=short)
def test_a_damaged_large_body_takes_no_more_memory_than_is_promised(content_type: str) -> None:
    large = [make(LENGTH) for kind, make in GREEDY.values() if kind == content_type]
    counts = Counts(f"damaged large {short(content_type)}", "decoder")
    mutator = Mutator(f"{content_type} large", large)
    # What counts is what a body's bytes may hold, so that the other limits leave it room.
    limits = Limits(max_rows=LENGTH, max_ids=LENGTH)
    tracemalloc.start()
    try:
        for _ in range(share(MEASURED)):
            body = mutator.next()
            if len(body) < LENGTH // 2:
                continue
            counts.tried += 1
            before = tracemalloc.get_traced_memory()[0]
            tracemalloc.reset_peak()
            with suppress(KNeighborsError):
                decode(body, content_type, limits=limits)
            counts.memory((tracemalloc.get_traced_memory()[1] - before) / len(body))
    finally:
        tracemalloc.stop()
    counts.record()
    assert counts.most_memory_multiple is not None
    # Fixed costs, such as that of a message, are not in proportion.
    assert counts.most_memory_multiple < MULTIPLES[content_type] + 4


_PROGRAM = """
import resource, sys
from fuzz.greedy import GREEDY, MULTIPLES
from kneighbors.errors import KNeighborsError
from kneighbors.formats import Limits, decode

content_type, length = sys.argv[1], int(sys.argv[2])
limits = Limits(max_rows=length, max_ids=length)
decode_small = [decode(make(4_000), kind, limits=limits) for kind, make in [GREEDY["digits"]]]
for name, (kind, make) in GREEDY.items():
    if kind != content_type:
        continue
    body = make(length)
    pages = int(open("/proc/self/statm").read().split()[0])
    most = pages * resource.getpagesize() + MULTIPLES[kind] * len(body) + (4 << 20)
    resource.setrlimit(resource.RLIMIT_AS, (most, resource.RLIM_INFINITY))
    try:
        decode(body, kind, limits=limits)
    except KNeighborsError as error:
        print(name, error.code)
    except MemoryError:
        sys.exit(f"{name} needs more than {MULTIPLES[kind]} times its size")
    else:
        print(name, "read")
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
@pytest.mark.parametrize("content_type", CONTENT_TYPES, ids=short)
def test_a_process_with_no_more_memory_than_is_promised_reads_every_greedy_body(
    content_type: str,
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, content_type, "200000"],
        env={"PYTHONPATH": f"{ROOT / 'src'}:{ROOT / 'tests'}", "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    names = [name for name, (kind, _) in GREEDY.items() if kind == content_type]
    assert (0, "") == (done.returncode, done.stderr)
    assert names == [line.partition(" ")[0] for line in done.stdout.splitlines()]
