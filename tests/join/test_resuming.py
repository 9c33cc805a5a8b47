"""Going on with a join that was ended, and what is refused then."""

from __future__ import annotations

import fcntl
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kneighbors.errors import KNeighborsError
from kneighbors.join import JoinSettings, join
from kneighbors.join.output import Output
from support import shards_making as making

X = making.corpus(600)
SETTINGS = JoinSettings(n_neighbors=3, rows_per_part=100)


class Ended(Exception):
    pass


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "M"
    making.write(path, X, n_shards=3)
    return path


@pytest.fixture
def ended(model: Path, tmp_path: Path) -> Path:
    """An output of which two parts of six are there."""

    def end(stage: str, done: int, total: int) -> None:
        if done == 200:
            raise Ended

    with pytest.raises(Ended):
        join(None, model, str(tmp_path / "out"), SETTINGS, progress=end)
    return tmp_path / "out"


def code_of(model: Path, out: Path, settings: JoinSettings = SETTINGS, **options: Any) -> str:
    with pytest.raises(KNeighborsError) as caught:
        join(options.pop("queries", None), model, str(out), settings, **options)
    return caught.value.code


def contents(path: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in path.iterdir()}


def test_an_ended_run_goes_on_and_gives_the_same_bytes(
    model: Path, ended: Path, tmp_path: Path
) -> None:
    assert not (ended / "_SUCCESS.json").exists()
    (ended / ".kneighbors-0123456789abcdef.part").write_bytes(b"half")
    report = join(None, model, str(ended), SETTINGS, resume=True)
    assert (6, 2) == (report.parts, report.parts_kept)
    join(None, model, str(tmp_path / "undisturbed"), SETTINGS)
    assert contents(tmp_path / "undisturbed") == contents(ended)


def test_a_run_that_is_done_is_left_as_it_is(model: Path, tmp_path: Path) -> None:
    join(None, model, str(tmp_path / "out"), SETTINGS)
    before = contents(tmp_path / "out")
    assert 6 == join(None, model, str(tmp_path / "out"), SETTINGS, resume=True).parts_kept
    assert before == contents(tmp_path / "out")


def test_parts_keep_their_size_where_nobody_says_another(model: Path, ended: Path) -> None:
    report = join(None, model, str(ended), replace(SETTINGS, rows_per_part=None), resume=True)
    assert 6 == report.parts


def test_going_on_where_nothing_was_begun_begins(model: Path, tmp_path: Path) -> None:
    assert 0 == join(None, model, str(tmp_path / "out"), SETTINGS, resume=True).parts_kept


def test_an_output_that_exists_is_refused(model: Path, ended: Path) -> None:
    before = contents(ended)
    assert "join-exists" == code_of(model, ended)
    assert before == contents(ended)


def test_other_parameters_are_refused(model: Path, ended: Path, tmp_path: Path) -> None:
    before = contents(ended)
    for settings in (
        replace(SETTINGS, n_neighbors=4),
        replace(SETTINGS, exclude_self=False),
        replace(SETTINGS, rows_per_part=50),
    ):
        assert "join-differs" == code_of(model, ended, settings, resume=True)
    np.save(tmp_path / "queries.npy", X)
    queries = str(tmp_path / "queries.npy")
    assert "join-differs" == code_of(model, ended, queries=queries, resume=True)
    assert before == contents(ended)


def test_another_model_is_refused(ended: Path, tmp_path: Path) -> None:
    making.write(tmp_path / "N", X + 1, n_shards=3)
    assert "join-differs" == code_of(tmp_path / "N", ended, resume=True)


def test_an_output_is_overwritten_when_asked(model: Path, ended: Path) -> None:
    settings = replace(SETTINGS, n_neighbors=2)
    assert 0 == join(None, model, str(ended), settings, overwrite=True).parts_kept
    assert "parameter-conflict" == code_of(model, ended, resume=True, overwrite=True)


def test_what_no_join_wrote_is_never_overwritten(model: Path, ended: Path) -> None:
    (ended / "notes.txt").write_text("mine")
    for resume, overwrite in ((False, False), (True, False), (False, True)):
        code = code_of(model, ended, resume=resume, overwrite=overwrite)
        assert "storage-exists" == code
    assert "mine" == (ended / "notes.txt").read_text()


@pytest.mark.parametrize("data", [b"", b"PAR1", b"0" * 5000])
def test_a_part_that_was_changed_is_refused(model: Path, ended: Path, data: bytes) -> None:
    (ended / "part-00000001.parquet").write_bytes(data)
    assert "join-part" == code_of(model, ended, resume=True)


def test_parts_that_changed_places_are_refused(model: Path, ended: Path) -> None:
    one, other = ended / "part-00000000.parquet", ended / "part-00000001.parquet"
    one.rename(ended / "away")
    other.rename(one)
    (ended / "away").rename(other)
    assert "join-part" == code_of(model, ended, resume=True)


def test_a_journal_that_was_changed_or_lost_is_refused(model: Path, ended: Path) -> None:
    journal = ended / "_journal.json"
    data = journal.read_bytes()
    journal.write_bytes(data.replace(b"100", b"101"))
    assert "join-journal" == code_of(model, ended, resume=True)
    journal.unlink()
    assert "join-journal" == code_of(model, ended, resume=True)


def test_two_joins_do_not_write_to_one_output(model: Path, ended: Path) -> None:
    holder = os.open(ended, os.O_RDONLY)
    try:
        fcntl.flock(holder, fcntl.LOCK_EX)
        assert "join-busy" == code_of(model, ended, resume=True)
    finally:
        os.close(holder)
    with Output(str(ended)).locked():
        pass


def test_queries_of_another_width_are_refused_before_anything_is_written(
    model: Path, tmp_path: Path
) -> None:
    np.save(tmp_path / "queries.npy", X[:, :5])
    queries = str(tmp_path / "queries.npy")
    assert "array-width" == code_of(model, tmp_path / "out", queries=queries)
    assert not (tmp_path / "out").exists()


def test_queries_without_ids_cannot_leave_themselves_out(model: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "queries.npy", X)
    settings = replace(SETTINGS, exclude_self=True)
    queries = str(tmp_path / "queries.npy")
    assert "exclude-self-needs-ids" == code_of(model, tmp_path / "out", settings, queries=queries)
    making.write(tmp_path / "N", X, ids=list(range(600)), n_shards=2)
    code = code_of(tmp_path / "N", tmp_path / "out", settings, queries=queries)
    assert "exclude-self-needs-ids" == code


def test_a_query_that_is_not_finite_is_named_and_what_was_done_is_kept(
    model: Path, tmp_path: Path
) -> None:
    Q = X.copy()
    np.save(tmp_path / "queries.npy", Q)
    Q[250, 3] = np.nan
    np.save(tmp_path / "queries.npy", Q)
    with pytest.raises(KNeighborsError) as caught:
        join(str(tmp_path / "queries.npy"), model, str(tmp_path / "out"), SETTINGS)
    assert "array-not-finite" == caught.value.code
    assert str(caught.value.where).endswith("of the rows from 200 on, row 50, column 3")
    assert 2 == len(list((tmp_path / "out").glob("part-*")))


@pytest.mark.parametrize("wanted", [{"rows_per_part": 0}, {"memory_bytes": 0}])
def test_settings_out_of_their_bounds_are_refused(wanted: dict[str, int]) -> None:
    with pytest.raises(KNeighborsError) as caught:
        JoinSettings(**wanted)  # type: ignore[arg-type]
    assert "parameter-range" == caught.value.code
