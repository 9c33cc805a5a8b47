from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from support.cli_artifacts import save_artifact
from support.cli_run import Runner


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("models")
    return [save_artifact(folder / metric, metric=metric) for metric in ("cosine", "euclidean")]


def test_publish_rollback_and_generations_tell_what_counts(
    cli: Runner, models: list[Path], tmp_path: Path
) -> None:
    place = tmp_path / "place"
    done = cli("publish", models[0], "--to", place)
    assert done.code == 0, done.err
    first = done.out.split()[0]
    assert first.startswith("000001-")
    assert "60 x 5 cosine" in done.out
    second = cli("publish", models[1], "--to", place, "--json").json
    assert (second["metric"], second["is_current"], second["ok"]) == ("euclidean", True, True)
    listed = cli("generations", place, "--json").json["generations"]
    assert [one["id"] for one in listed] == [first, second["id"]]
    assert [one["is_current"] for one in listed] == [False, True]
    assert cli("rollback", place).out.split()[0] == first
    table = cli("generations", place, "--verify")
    assert table.code == 0
    assert len([line for line in table.out.splitlines() if first in line and "yes" in line]) == 1
    assert cli("rollback", place, "--to", second["id"], "--json").json["id"] == second["id"]


def test_a_place_is_queried_and_inspected_as_its_current_generation(
    cli: Runner, models: list[Path], tmp_path: Path
) -> None:
    place = tmp_path / "place"
    cli("publish", models[1], "--to", place)
    here = cli("query", models[1], "--id", "w7", "--json")
    assert cli("query", place, "--id", "w7", "--json").json == here.json
    shown = cli("inspect", place, "--verify", "--json").json
    assert (shown["metric"], shown["verified"]) == ("euclidean", True)


def test_a_damaged_generation_is_listed_and_ends_the_command_with_1(
    cli: Runner, models: list[Path], tmp_path: Path
) -> None:
    place = tmp_path / "place"
    one = cli("publish", models[0], "--to", place, "--json").json
    vectors = Path(one["path"]) / "vectors.npy"
    vectors.write_bytes(vectors.read_bytes()[:-1] + b"x")
    assert cli("generations", place).code == 0  # lengths and names are right
    done = cli("generations", place, "--verify", "--json")
    assert done.code == 1
    assert "artifact-damaged" in json.loads(done.out)["generations"][0]["fault"]


def test_refusals_are_one_line_with_a_code(cli: Runner, models: list[Path], tmp_path: Path) -> None:
    shutil.copytree(models[0], tmp_path / "M")
    for arguments, code in (
        (("publish", tmp_path / "M", "--to", tmp_path / "M"), "place-inside"),
        (("publish", models[1], "--to", tmp_path / "M"), "place-is-artifact"),
        (("publish", tmp_path / "none", "--to", tmp_path / "place"), "storage-missing"),
        (("publish", models[0], "--to", tmp_path / "place", "--keep", "0"), "keep-range"),
        (("rollback", tmp_path / "M"), "place-unknown"),
        (("rollback", tmp_path / "M", "--to", "../x"), "generation-id"),
        (("generations", tmp_path / "M"), "place-unknown"),
    ):
        done = cli(*map(str, arguments))
        assert done.code in (1, 2), arguments
        assert done.err.startswith(f"error: [{code}] "), done.err
        assert len(done.err.splitlines()) == 1
