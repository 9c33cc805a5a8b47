from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from kneighbors.artifact import pack
from kneighbors.items import Catalog
from support.cli_artifacts import save_artifact
from support.cli_run import Runner, run_on_terminal, run_process


@pytest.fixture
def copy(wines: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(wines, tmp_path / "copy"))


def flip(path: Path, at: int) -> None:
    body = bytearray(path.read_bytes())
    body[at] ^= 1
    path.write_bytes(body)


def test_json_says_what_the_artifact_holds(cli: Runner, wines: Path) -> None:
    done = cli("inspect", wines, "--json")
    assert (done.code, done.err) == (0, "")
    found = done.json
    assert found["path"] == str(wines)
    assert (found["n_samples"], found["n_features"], found["dtype"]) == (60, 5, "float32")
    assert (found["metric"], found["id_type"], found["format_version"]) == ("cosine", "string", 1)
    assert found["parts"]["vectors"]["shape"] == [60, 5]
    assert found["bytes"] == sum(part["bytes"] for part in found["parts"].values())
    assert found["source"] == {"address": "tests", "n_neighbors": 4}
    assert "reason" in found["plan"]
    price = found["items"][0]
    assert price == {"name": "price", "type": "double", "examples": [None, 1.0, 2.0]}
    assert "verified" not in found


def test_text_says_the_same(cli: Runner, wines: Path) -> None:
    done = cli("inspect", wines)
    assert (done.code, done.err) == (0, "")
    for words in ("60 x 5 float32", "cosine", "vectors-blocks", "list<", "Wine [0] | Wine [1]"):
        assert words in done.out
    assert "\x1b" not in done.out


def test_every_byte_can_be_verified(cli: Runner, wines: Path) -> None:
    assert cli("inspect", wines, "--verify", "--json").json["verified"] is True
    assert "every byte is what was saved" in cli("inspect", wines, "--verify").out


def test_an_archive_is_verified_as_it_is(cli: Runner, wines: Path, tmp_path: Path) -> None:
    pack(wines, tmp_path / "model.tar.gz")
    done = cli("inspect", tmp_path / "model.tar.gz", "--verify", "--json")
    assert done.json["verified"] is True
    assert done.json["n_samples"] == 60


def test_a_changed_byte_of_the_vectors_is_named_with_its_part_and_range(
    cli: Runner, copy: Path
) -> None:
    flip(copy / "vectors.npy", 300)
    done = cli("inspect", copy, "--verify")
    assert done.code == 1
    assert "damaged vectors (vectors.npy): bytes 0 to 1328 differ" in done.out
    assert "error: [artifact-damaged] 1 part is not what was saved" in done.out

    same = cli("inspect", copy, "--verify", "--json")
    assert same.code == 1
    assert same.json["verified"] is False
    (fault,) = same.json["faults"]
    assert (fault["part"], fault["file"]) == ("vectors", "vectors.npy")
    assert "bytes 0 to 1328 differ" in fault["faults"]


def test_a_damaged_part_is_found_without_verifying(cli: Runner, copy: Path) -> None:
    flip(copy / "items.arrow", 700)
    done = cli("inspect", copy)
    assert done.code == 1
    assert done.err.startswith("error: [artifact-damaged] ")
    assert "items.arrow" in done.err


def test_a_missing_part_is_named(cli: Runner, copy: Path) -> None:
    (copy / "vectors.npy").unlink()
    done = cli("inspect", copy)
    assert done.code == 1
    assert "vectors.npy" in done.err
    verified = cli("inspect", copy, "--verify")
    assert verified.code == 1
    assert "vectors.npy" in verified.out


def test_a_newer_version_is_refused(cli: Runner, copy: Path) -> None:
    from kneighbors.artifact import canonical

    fields = json.loads((copy / "manifest.json").read_text())
    fields.pop("digest")
    fields["format_version"] = 2
    (copy / "manifest.json").write_bytes(canonical.to_bytes(fields))
    for arguments in (["--verify"], []):
        done = cli("inspect", copy, *arguments)
        assert done.code == 1
        assert done.err.startswith("error: [artifact-newer] ")


@pytest.mark.parametrize("arguments", [[], ["--verify"]])
def test_what_is_no_artifact_is_refused(cli: Runner, tmp_path: Path, arguments: list[str]) -> None:
    (tmp_path / "note.txt").write_text("hello")
    for path in (tmp_path, tmp_path / "note.txt", tmp_path / "none"):
        done = cli("inspect", path, *arguments)
        assert done.code == 1
        assert done.out == ""
        assert done.err.startswith("error: [")
        same = cli("inspect", path, *arguments, "--json")
        assert same.code == 1
        assert set(same.json) == {"error"}


def test_without_attributes_there_is_no_table_of_them(cli: Runner, tmp_path: Path) -> None:
    path = save_artifact(tmp_path / "m", Catalog(60))
    done = cli("inspect", path)
    assert "Items" not in done.out
    assert "row numbers" in done.out


def test_on_a_terminal_verifying_shows_a_bar(wines: Path) -> None:
    code, text = run_on_terminal("inspect", wines, "--verify")
    assert code == 0
    assert "verifying" in text
    assert "100%" in text


def test_in_a_pipe_nothing_is_drawn(wines: Path) -> None:
    done = run_process("inspect", wines, "--verify")
    assert (done.code, done.err) == (0, "")
    assert "\x1b" not in done.out
