"""Our entry point trains under AWS's own training toolkit."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from aws.training import train
from kneighbors.artifact import verify
from kneighbors.formats import NPY
from kneighbors.sagemaker.model import Model
from kneighbors.sagemaker.package import package
from support.artifact_making import corpus, save_small
from support.wire_bodies import npy_body, read_answer

SCRIPT = "sklearn_nearest_neighbors.py"
X = corpus(500, 12)
#: As SDK v2 sends them, and as SDK v3 does.
HYPERPARAMETERS = {
    "quoted": {"metric": '"euclidean"', "n_neighbors": "7"},
    "plain": {"metric": "euclidean", "n_neighbors": "7"},
}


@pytest.fixture(scope="module")
def sourcedir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("source")
    save_small(folder / "model")
    path = folder / "sourcedir.tar.gz"
    package(folder / "model", folder / "model.tar.gz", sourcedir=path)
    return path


@pytest.mark.parametrize("spelling", list(HYPERPARAMETERS))
def test_a_job_leaves_an_artifact_that_answers_as_scikit_learn_does(
    tmp_path: Path, sourcedir: Path, spelling: str
) -> None:
    job = train(tmp_path, X, sourcedir, SCRIPT, HYPERPARAMETERS[spelling])
    assert (0, "") == (job.code, job.failure), job.log
    assert all(report.is_whole for report in verify(job.model))

    queries = corpus(4, 12, seed=1)
    answer = Model.open(job.model).invoke(npy_body(queries), NPY)
    oracle = NearestNeighbors(n_neighbors=7, algorithm="brute").fit(X.astype("f8"))
    distances, rows = oracle.kneighbors(queries.astype("f8"))
    found = read_answer(answer.body, answer.content_type)
    assert rows.tolist() == [indices for _, indices in found]
    np.testing.assert_allclose([one for one, _ in found], distances, atol=1e-12)


def test_a_job_reports_metrics_and_writes_a_report(tmp_path: Path, sourcedir: Path) -> None:
    job = train(tmp_path, X, sourcedir, SCRIPT, HYPERPARAMETERS["plain"])
    assert re.search(r"\brows=500\b", job.log), job.log
    report = json.loads((job.base / "output/data/report.json").read_text())
    assert (500, 12, "euclidean") == (report["rows"], report["dimensions"], report["metric"])


def test_a_corpus_that_is_refused_fails_the_job_and_the_log_says_why(
    tmp_path: Path, sourcedir: Path
) -> None:
    broken = np.array(X)
    broken[3, 4] = np.nan
    job = train(tmp_path, broken, sourcedir, SCRIPT, HYPERPARAMETERS["plain"])
    # The toolkit's own reason is the script's exit code and no more.
    assert (1, True) == (job.code, "ExitCode 1" in job.failure)
    assert "[array-not-finite] Input X contains NaN. At row 3, column 4." in job.log
    assert [] == [path for path in job.model.iterdir() if path.name == "manifest.json"]
