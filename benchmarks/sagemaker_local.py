"""Fit and deploy 180,000 wines on this machine by SageMaker's SDK 2, and time it.

The SDK sleeps ten to thirty seconds between its looks at a job. Here each sleep is cut to a tenth
of a second and its clock put forward by the rest, so that what is timed is the control plane, the
job and the endpoint, and what the SDK itself computes: it checks its settings against a schema some
thirty times, which is told apart as its process's CPU seconds. ``make test-aws`` makes the
environment with the SDK.

    python benchmarks/sagemaker_local.py

The answer is compared with scikit-learn's. The result is appended to
``benchmarks/results/sagemaker.jsonl``.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from machine import describe

ROOT = Path(__file__).resolve().parents[1]
SHORT_WAITS = ROOT / "tests/aws/programs/with_short_waits.py"
PROGRAM = """
import json, time, sys
import numpy as np
import sagemaker
from sagemaker.sklearn import SKLearn

seconds, sdk_cpu = {}, {}
began = time.perf_counter(), time.process_time()


def lap(name):
    global began
    now = time.perf_counter(), time.process_time()
    seconds[name] = round(now[0] - began[0], 2)
    sdk_cpu[name] = round(now[1] - began[1], 2)
    began = now


session = sagemaker.Session()
role = sagemaker.get_execution_role()
lap("session")
train = session.upload_data("wines.npy", key_prefix="wines")
lap("upload")
image = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.9-0-cpu-py3"
estimator = SKLearn(
    entry_point="sklearn_nearest_neighbors.py", source_dir="job", image_uri=image, role=role,
    instance_count=1, instance_type="ml.m5.large",
    hyperparameters={"n_neighbors": 10, "metric": "cosine"},
)
estimator.fit({"train": train}, logs=len(sys.argv) < 2)
lap("fit")
predictor = estimator.deploy(1, "ml.m5.large")
lap("deploy")
answer = predictor.predict(np.load("query.npy"))
lap("predict")
job = session.describe_training_job(estimator.latest_training_job.name)
stages = {
    one["Status"]: (one["EndTime"] - one["StartTime"]).total_seconds()
    for one in job["SecondaryStatusTransitions"] if "EndTime" in one
}
found = {"seconds": seconds, "sdk_cpu": sdk_cpu, "stages": stages, "answer": answer.tolist()}
print(json.dumps(found), file=open("found.json", "w"))
"""


def main() -> None:
    """Run the notebook once and print where the time went."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=180_000)
    parser.add_argument("--python", default=str(ROOT / ".venv-aws-sdk2/bin/python"))
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks/results/sagemaker.jsonl")
    options = parser.parse_args()
    from sklearn.neighbors import NearestNeighbors

    from kneighbors.datasets import make_wines

    X = make_wines(options.rows).X
    query = make_wines(1, seed=3).X[0]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.save(folder / "wines.npy", X)
        np.save(folder / "query.npy", query)
        (folder / "notebook.py").write_text(PROGRAM)
        kneighbors = [sys.executable, "-m", "kneighbors"]
        subprocess.run(
            [*kneighbors, "sagemaker", "init", "job", "--with-package"], cwd=folder, check=True
        )
        local = [*kneighbors, "local", "run", "--root", "root", "--"]
        program = [options.python, str(SHORT_WAITS), "notebook.py"]
        subprocess.run([*local, *program], cwd=folder, check=True)
        found = json.loads((folder / "found.json").read_text())
    answer = np.array(found["answer"])
    theirs = NearestNeighbors(n_neighbors=10, metric="cosine").fit(X.astype(np.float64))
    distances, rows = theirs.kneighbors([query.astype(np.float64)])
    assert answer.shape == (2, 10)
    assert answer[1].astype(int).tolist() == rows[0].tolist()
    assert np.abs(answer[0] - distances[0]).max() < 1e-12
    seconds = found["seconds"]
    total = round(seconds["fit"] + seconds["deploy"], 2)
    sdk = round(found["sdk_cpu"]["fit"] + found["sdk_cpu"]["deploy"], 2)
    result = {"what": "fit and deploy by SDK 2 on this machine", "rows": options.rows}
    result |= {"seconds": seconds, "job_s": found["stages"], "fit_and_deploy_s": total}
    result |= {"sdk_cpu_s": sdk, "without_the_sdk_s": round(total - sdk, 2)}
    with options.results.open("a", encoding="utf-8") as file:
        file.write(json.dumps({**describe(), **result}) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
