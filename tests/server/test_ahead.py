"""The vectors are checked before queries touch them."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from kneighbors.artifact import save
from kneighbors.artifact.rows import CheckedRows
from kneighbors.sagemaker.model import Model
from kneighbors.search.index import ExactIndex
from kneighbors.search.rows import ArrayRows
from kneighbors.server import ahead
from kneighbors.server.ahead import check_ahead


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    X = np.random.default_rng(0).standard_normal((3000, 64))
    save(tmp_path / "model", ExactIndex.build(ArrayRows(X), "euclidean"))
    return tmp_path / "model"


def checked(model: Model) -> int:
    rows = model.index.rows
    assert isinstance(rows, CheckedRows)
    return rows.n_blocks_checked


def test_every_block_is_checked_once_the_thread_is_done(folder: Path) -> None:
    model = Model.open(folder)
    assert checked(model) < 24
    assert check_ahead(model, threading.Event())
    assert 24 == checked(model)


def test_a_damaged_byte_is_told(folder: Path) -> None:
    file = folder / "vectors.npy"
    data = bytearray(file.read_bytes())
    data[1_000_000] ^= 1
    model = Model.open(folder)
    file.write_bytes(data)
    told: list[BaseException] = []
    assert not check_ahead(model, threading.Event(), told.append)
    assert ["artifact-damaged"] == [getattr(error, "code", None) for error in told]


def test_it_ends_when_the_server_does(folder: Path) -> None:
    model = Model.open(folder)
    stop = threading.Event()
    stop.set()
    before = checked(model)
    assert not check_ahead(model, stop)
    assert 4 >= checked(model) - before


def test_what_would_fill_the_memory_is_not_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Model.open(folder)
    before = checked(model)
    monkeypatch.setattr(ahead, "available_memory", lambda: 2_000_000)
    assert not check_ahead(model, threading.Event())
    assert before == checked(model)
