"""Files of a corpus damaged at random: read to finite numbers, or refused by an error of ours.

In a process of its own for each kind, so that one that dies is a failure and not the end.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from fuzz.corpus_files import files
from fuzz.profiles import share
from support.counts import Counts

pytestmark = pytest.mark.faults

ROOT = Path(__file__).parents[2]
#: Of each kind, in a check.
TRIED = 1_500

_PROGRAM = """
import json, pathlib, sys, time
import numpy as np
from fuzz.corpus_files import files
from fuzz.mutation import Mutator
from kneighbors.corpus import read_corpus
from kneighbors.errors import ArrayRefused, KNeighborsError
from kneighbors.search.gate import check_corpus

folder, end, count = pathlib.Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
mutator = Mutator(end, files()[end])
path, last = folder / f"corpus{end}", folder / "last"
read = slowest = 0
for number in range(count):
    body = mutator.next()
    last.write_bytes(body)
    path.unlink(missing_ok=True)
    path.write_bytes(body)
    begin = time.thread_time()
    try:
        corpus = read_corpus(path)
    except KNeighborsError as error:
        str(error).encode()
    else:
        read += 1
        assert corpus.X.ndim == 2 and corpus.X.dtype in (np.float32, np.float64)
        try:
            check_corpus(corpus.X, "euclidean")
        except ArrayRefused:
            pass
    slowest = max(slowest, time.thread_time() - begin)
print(json.dumps({"read": read, "slowest": slowest}))
"""


@pytest.mark.parametrize("end", files())
def test_a_damaged_file_is_read_or_refused(end: str, tmp_path: Path) -> None:
    count = share(TRIED)
    counts = Counts(f"damaged {end}", "corpus", tried=count)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", _PROGRAM, str(tmp_path), end, str(count)],
        env={"PYTHONPATH": f"{ROOT / 'src'}:{ROOT / 'tests'}", "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    counts.tracebacks += done.returncode != 0
    found = json.loads(done.stdout) if done.returncode == 0 else {"read": 0, "slowest": 0}
    counts.hangs += found["slowest"] > 10
    counts.record()
    assert 0 == done.returncode, (done.stderr, (tmp_path / "last").read_bytes())
    assert found["read"] > count // 100
    assert 0 == counts.hangs
