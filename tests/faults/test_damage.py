"""Ten thousand damages to a whole artifact: each is found before anything is answered from it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from kneighbors.artifact import pack, sign
from kneighbors.artifact.signing import PUBLIC, new_key
from support.whole_artifact import save_whole

pytestmark = pytest.mark.faults

ROOT = Path(__file__).parents[2]
TRIED = {"directory": 7_000, "archive": 3_000}
PROCESSES = 2
MEMORY = Path("/dev/shm")


@pytest.fixture(scope="module")
def sources() -> Iterator[dict[str, list[Path]]]:
    """A signed artifact and its archive, one for each process; in memory, where there is room."""
    pytest.importorskip("faiss")
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        yield made(Path(folder))


def made(folder: Path) -> dict[str, list[Path]]:
    new_key(folder / "key")
    found: dict[str, list[Path]] = {"directory": [], "archive": []}
    for number in range(PROCESSES):
        save_whole(folder / f"a{number}")
        sign(folder / f"a{number}", folder / "key")
        pack(folder / f"a{number}", folder / f"a{number}.tar.gz")
        found["directory"].append(folder / f"a{number}")
        found["archive"].append(folder / f"a{number}.tar.gz")
    return found


@pytest.mark.parametrize("kind", TRIED)
def test_random_damage_is_always_detected(sources: dict[str, list[Path]], kind: str) -> None:
    keys = sources["directory"][0].parent / ("key" + PUBLIC)
    share = TRIED[kind] // PROCESSES
    programs = [
        subprocess.Popen(
            [sys.executable, "-m", "support.damage_trials", source, keys, str(seed), str(share)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ
            | {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT / 'tests'}", "TMPDIR": str(keys.parent)},
        )
        for seed, source in enumerate(sources[kind])
    ]
    counts = {"tried": 0, "detected": 0, "wrong": 0, "silent": 0}
    killed = 0
    said = []
    for program in programs:
        out, err = program.communicate(timeout=280)
        killed += program.returncode < 0
        said.append(err[-2000:])
        for name, number in json.loads(out or "{}").items():
            counts[name] += number
    record(kind, counts, killed)
    expected = {"tried": TRIED[kind], "detected": TRIED[kind], "wrong": 0, "silent": 0}
    assert (expected, 0) == (counts, killed), said


def record(kind: str, counts: dict[str, int], killed: int) -> None:
    """Write what was counted, where a folder is named."""
    folder = os.environ.get("KNEIGHBORS_COUNTS_DIR")
    if folder:
        line = {"kind": "random damage", "door": kind, **counts, "killed": killed}
        with (Path(folder) / "damage.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")
