"""The image's recipe is held to what the package needs; no Docker engine is needed for that."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest

from kneighbors.server.settings import Settings
from support.project_dockerfile import Instruction, instructions

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docker" / "Dockerfile"
BUILD = "import sys; from hatchling import build; print(build.build_wheel(sys.argv[1]))"
KNOWN = {
    *("ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "LABEL", "RUN"),
    *("STOPSIGNAL", "WORKDIR"),
}


@pytest.fixture(scope="module")
def recipe() -> list[Instruction]:
    return instructions(FILE)


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    table: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return table


def the(recipe: list[Instruction], name: str) -> Instruction:
    """Return the one instruction of a name in the last stage."""
    last = max(one.stage for one in recipe)
    (found,) = [one for one in recipe if one.name == name and one.stage == last]
    return found


def copied(recipe: list[Instruction]) -> list[str]:
    """Return what comes from the directory that is built from."""
    return [
        source
        for one in recipe
        if one.name == "COPY" and not one.text.startswith("--from=")
        for source in one.words[:-1]
    ]


def test_it_has_no_instruction_that_nobody_has_thought_about(recipe: list[Instruction]) -> None:
    # No ADD, which unpacks and downloads; no USER, since SageMaker expects root; no VOLUME.
    assert set() == {one.name for one in recipe} - KNOWN


def test_the_base_is_a_slim_python_that_the_package_supports(
    recipe: list[Instruction], project: dict[str, Any]
) -> None:
    bases = {one.words[0] for one in recipe if one.name == "FROM"}
    (base,) = bases
    found = re.fullmatch(r"python:(3\.\d+)-slim", base)
    assert found is not None
    assert f"Programming Language :: Python :: {found[1]}" in project["classifiers"]


def test_what_it_copies_is_there_and_reaches_the_builder(recipe: list[Instruction]) -> None:
    sources = copied(recipe)
    ignored = (FILE.parent / "Dockerfile.dockerignore").read_text().splitlines()
    assert sources
    assert "*" in ignored
    for source in sources:
        assert (ROOT / source).exists(), source
        assert f"!{source}" in ignored, source
    assert {f"!{source}" for source in sources} == {one for one in ignored if one[:1] == "!"}


def test_what_it_copies_is_enough_to_build_the_whole_package(
    recipe: list[Instruction], tmp_path: Path
) -> None:
    for source in copied(recipe):
        target = tmp_path / "build" / source
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / source, target)
    done = subprocess.run(
        [sys.executable, "-c", BUILD, str(tmp_path)],
        cwd=tmp_path / "build",
        capture_output=True,
        text=True,
        check=False,
    )
    assert 0 == done.returncode, done.stderr
    with zipfile.ZipFile(tmp_path / done.stdout.split()[-1]) as wheel:
        names = set(wheel.namelist())
    modules = {one.relative_to(ROOT / "src").as_posix() for one in (ROOT / "src").rglob("*.py")}
    assert set() == modules - names


def test_the_extras_that_it_installs_exist_and_hold_what_serving_needs(
    recipe: list[Instruction], project: dict[str, Any]
) -> None:
    installed = [re.findall(r"\[([a-z0-9,]+)\]", one.text) for one in recipe if one.name == "RUN"]
    (named,) = [found[0].split(",") for found in installed if found]
    assert set(named) <= set(project["optional-dependencies"])
    # Serving itself, and code and corpora that lie on S3.
    assert {"serve", "s3", "aws"} == set(named)


def test_its_entry_point_runs_whatever_the_platform_says(recipe: list[Instruction]) -> None:
    python, *arguments = the(recipe, "ENTRYPOINT").exec_form
    assert "python" == python
    (default,) = the(recipe, "CMD").exec_form
    assert "serve" == default
    for verb in ("serve", "train"):
        done = subprocess.run(
            [sys.executable, *arguments, verb, "--help"],
            env={"PYTHONPATH": str(ROOT / "src")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (0, f"Usage: {verb}") == (done.returncode, done.stdout.splitlines()[0])


def test_its_labels_tell_the_platform_what_the_server_can_do(recipe: list[Instruction]) -> None:
    labels = dict(word.split("=", 1) for word in the(recipe, "LABEL").words)
    prefix = "com.amazonaws.sagemaker.capabilities."
    said = {name.removeprefix(prefix) for name in labels if name.startswith(prefix)}
    assert {"accept-bind-to-port", "multi-models"} == said
    assert {"true"} == {value for name, value in labels.items() if name.startswith(prefix)}


def test_its_port_and_its_signal_are_the_servers(recipe: list[Instruction]) -> None:
    assert str(Settings().port) == the(recipe, "EXPOSE").text
    assert "SIGTERM" == the(recipe, "STOPSIGNAL").text


def test_it_runs_nothing_that_it_has_not_checked(recipe: list[Instruction]) -> None:
    for one in recipe:
        assert re.search(r"curl|wget|\|\s*(ba)?sh|https?://|--trusted-host", one.text) is None
        if one.name == "RUN":
            assert one.text.count("pip ") == one.text.count("--no-cache-dir")
    assert json.loads(the(recipe, "ENTRYPOINT").text)


def test_the_page_beside_it_builds_this_file() -> None:
    text = (FILE.parent / "README.md").read_text()
    assert "docker build -f docker/Dockerfile " in text
