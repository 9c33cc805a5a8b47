"""Our `train` and AWS's own, on the same tree: what a script sees, and how a job ends.

``KNEIGHBORS_AWS_TRAINING`` may name the ``bin`` of an environment with sagemaker-training;
otherwise it is the one that `make test-aws` makes.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from aws.environments import environment_of_stack, plain_variables
from support.training_jobs import TRAIN, JobTree

SHOW = """
import json, os, sys
with open(os.path.join(os.environ["SM_MODEL_DIR"], "seen.json"), "w") as file:
    json.dump({"environ": dict(os.environ), "argv": sys.argv, "cwd": os.getcwd()}, file)
"""
#: Of AWS's own only: how this test runs its toolkit. Of ours only: lines come at once. Of both:
#: which interpreter it is, whose whole sys.path the toolkit gives the script.
DIFFERENT = {"SM_STUDIO_LOCAL_MODE", "PYTHONUNBUFFERED", "PATH", "PYTHONPATH", "LC_CTYPE"}
HYPERPARAMETERS: dict[str, dict[str, str]] = {
    "none": {},
    "quoted": {
        "metric": '"cosine"',
        "n-neighbors": "10",
        "text": '"y \\" z"',
        "quoted_number": '"1"',
        "sagemaker_container_log_level": "20",
        "sagemaker_job_name": '"job-1"',
        "sagemaker_region": '"eu-west-1"',
        "sagemaker_enable_cloudwatch_metrics": "false",
        "sagemaker_s3_output": '"s3://b/o"',
    },
    "plain": {
        "metric": "cosine",
        "n_neighbors": "10",
        "rate": "0.50",
        "x": "y z",
        "word": "ü \u2603",
        "flag": "true",
        "other": "False",
        "nothing": "null",
        "empty": "",
        "map": '{"b": [1, 2], "a": 1}',
        "list": "[1, 2]",
        "large": "1e400",
        "sagemaker_setting": "1",
        "default_user_module_name": "m",
        "_tuning_objective_metric": "loss",
    },
}
HOSTS = {"one": ["algo-1"], "several": ["algo-1", "algo-2", "algo-10"]}


def theirs() -> list[str]:
    named = os.environ.get("KNEIGHBORS_AWS_TRAINING")
    bin_dir = Path(named) if named else environment_of_stack("training") / "bin"
    return [str(bin_dir / "python"), str(bin_dir / "train")]


def run(command: list[str], tree: JobTree, more: Mapping[str, str]) -> int:
    environ = {**plain_variables(), "SAGEMAKER_BASE_DIR": str(tree.base), **more}
    done = subprocess.run(command, capture_output=True, env=environ, timeout=120, check=False)
    return done.returncode


def run_ours(tree: JobTree) -> int:
    ours = tree.environ(TRAINING_JOB_NAME="job-1")
    kept = {"PYTHONPATH": ours["PYTHONPATH"], "TRAINING_JOB_NAME": "job-1"}
    return run(TRAIN, tree, kept)


def run_theirs(tree: JobTree) -> int:
    # Else the names of the other hosts are looked up, for a quarter of an hour.
    return run(theirs(), tree, {"SM_STUDIO_LOCAL_MODE": "true", "TRAINING_JOB_NAME": "job-1"})


def make_tree(
    base: Path, values: Mapping[str, str], hosts: list[str], script: str = SHOW
) -> JobTree:
    tree = JobTree(base)
    tree.script(script)
    reserved = json.loads((tree.config / "hyperparameters.json").read_text())
    tree.write("hyperparameters", {**values, **reserved})
    tree.channel("train", split=len(hosts) > 1)
    tree.channel("validation")
    tree.hosts(hosts[-1], hosts)
    return tree


def seen(tree: JobTree) -> Any:
    text = (tree.model / "seen.json").read_text()
    found = json.loads(text.replace(str(tree.base), "BASE"))
    for name, value in found["environ"].items():
        if value.startswith(("{", "[")):
            found["environ"][name] = json.loads(value)
    return found


@pytest.mark.parametrize("hosts", list(HOSTS))
@pytest.mark.parametrize("values", list(HYPERPARAMETERS))
def test_a_script_sees_the_same_arguments_variables_and_folder(
    tmp_path: Path, values: str, hosts: str
) -> None:
    found = []
    for name, start in (("ours", run_ours), ("theirs", run_theirs)):
        tree = make_tree(tmp_path / name, HYPERPARAMETERS[values], HOSTS[hosts])
        assert start(tree) == 0
        assert (tree.output / "success").read_bytes() == b""
        assert sorted(path.name for path in (tree.base / "code").iterdir()) == ["script.py"]
        found.append(seen(tree))
    ours, awss = found
    assert ours["argv"] == awss["argv"]
    assert ours["cwd"] == awss["cwd"] == "BASE/code"
    names = (set(ours["environ"]) | set(awss["environ"])) - DIFFERENT
    assert len([name for name in names if name.startswith("SM_")]) > 30
    differing = {
        name: (ours["environ"].get(name), awss["environ"].get(name))
        for name in names
        if ours["environ"].get(name) != awss["environ"].get(name)
    }
    assert differing == {}
    for one in found:
        assert one["environ"]["PYTHONPATH"].startswith("BASE/code:")


@pytest.mark.parametrize(
    "script",
    ["raise ValueError('no')", "import sys; sys.exit(3)", "import os; os.kill(os.getpid(), 9)"],
)
def test_a_script_that_fails_ends_both_with_1_and_a_reason(tmp_path: Path, script: str) -> None:
    for name, start in (("ours", run_ours), ("theirs", run_theirs)):
        tree = make_tree(tmp_path / name, {}, HOSTS["one"], script)
        assert start(tree) == 1
        assert tree.failure.startswith("ExecuteUserScriptError:\nExitCode ")
        assert not (tree.output / "success").exists()
        # What the toolkit leaves out: what the script said.
        assert ("ValueError: no" in tree.failure) == ("ValueError" in script and name == "ours")
