"""Stages in an artifact: with the accelerator and without, damaged, and of before they were."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kneighbors.artifact import open_artifact, save
from kneighbors.errors import ArtifactError
from kneighbors.items import Catalog
from kneighbors.search.index import ExactIndex
from kneighbors.search.kernel import library
from kneighbors.search.metrics import METRICS
from kneighbors.search.rows import ArrayRows

METRIC_NAMES = sorted(METRICS)

#: Fits, if there are three arguments, and prints the digest of all answers; accelerators may be
#: blocked.
PROGRAM = """
import sys
from hashlib import sha256
blocked, path, corpus = sys.argv[1:4]
if blocked == "blocked":
    import importlib.util, os
    os.environ["KNEIGHBORS_KERNEL"] = "off"
    found = importlib.util.find_spec
    importlib.util.find_spec = lambda name, *rest: None if name == "numkong" else found(name, *rest)
    sys.modules["numkong"] = None
import numpy as np
from kneighbors.artifact import open_artifact, save
from kneighbors.items import Catalog
from kneighbors.search.index import ExactIndex
from kneighbors.search.rows import ArrayRows
X = np.load(corpus)
if len(sys.argv) > 4:
    save(path, ExactIndex.build(ArrayRows(X), "cosine"), Catalog(len(X)))
with open_artifact(path) as artifact:
    assert (artifact.index.bounds.codes.packed is None) == (blocked == "blocked")
    answer = [artifact.index.kneighbors(X[i : i + 1], 10) for i in range(40)]
    answer.append(artifact.index.kneighbors(X[:40], 10))
    print(sha256(b"".join(part.tobytes() for pair in answer for part in pair)).hexdigest())
"""


def steep(decay: float = 0.95, n: int = 20_000, d: int = 96) -> Any:
    random = np.random.default_rng(9)
    return (random.standard_normal((n, d)) * decay ** np.arange(d)).astype(np.float32)


def run(*arguments: object) -> str:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_accelerator_changes_neither_what_is_fitted_nor_what_is_answered(
    tmp_path: Path,
) -> None:
    if library() is None:
        pytest.importorskip("numkong")
    corpus = tmp_path / "corpus.npy"
    np.save(corpus, steep())
    found = [run("free", tmp_path / "a", corpus, "fit"), run("blocked", tmp_path / "a", corpus)]
    found += [run("blocked", tmp_path / "b", corpus, "fit"), run("free", tmp_path / "b", corpus)]
    assert len(set(found)) == 1
    names = {file.name for file in (tmp_path / "a").iterdir() if file.name != "manifest.json"}
    assert {"codes.npy", "code_scale.npy"} <= names
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


@pytest.mark.parametrize("kind", ["steep", "flat"])
def test_a_changed_byte_of_any_stage_is_detected(tmp_path: Path, kind: str) -> None:
    X = steep() if kind == "steep" else np.random.default_rng(1).standard_normal((20_000, 96))
    index = ExactIndex.build(ArrayRows(X), "euclidean")
    save(tmp_path / "a", index, Catalog(len(X)))
    assert "codes" in index.parts()
    for name in index.parts():
        file = tmp_path / "a" / f"{name}.npy"
        right = file.read_bytes()
        changed = bytearray(right)
        changed[len(changed) // 2 + 64] ^= 1
        file.write_bytes(changed)
        with pytest.raises(ArtifactError) as refusal:
            open_artifact(tmp_path / "a")
        assert refusal.value.code == "artifact-damaged"
        file.write_bytes(right)
    open_artifact(tmp_path / "a").close()


@pytest.mark.parametrize("engine", ["head", "product"])
@pytest.mark.parametrize("metric", METRIC_NAMES)
def test_plans_of_before_there_were_stages_answer_as_those_with_them(
    metric: str, engine: str
) -> None:
    X = steep(0.8)
    rows = ArrayRows(X)
    built = ExactIndex.build(rows, metric)
    assert built.plan["engine"] == "head"
    parts = built.parts()
    plan: dict[str, Any] = {"engine": engine, "reason": "as it was"}
    names = ["factors"]
    if engine == "head":
        names = ["head", "basis", "centre"]
        plan |= {key: built.plan[key] for key in ("exponent", "head_size")}
    old = ExactIndex.from_parts(rows, metric, {name: parts[name] for name in names}, plan)
    for count in (1, 7):
        for mine, other in zip(
            old.kneighbors(X[:count], 9), built.kneighbors(X[:count], 9), strict=True
        ):
            np.testing.assert_array_equal(mine, other)
