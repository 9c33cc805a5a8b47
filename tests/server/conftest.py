"""An artifact, and one server over it that most tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from kneighbors.artifact import save
from kneighbors.items import Catalog
from kneighbors.sagemaker.model import Model
from kneighbors.search.index import ExactIndex
from kneighbors.search.rows import ArrayRows
from support.server_process import ServerProcess

N_SAMPLES, N_FEATURES = 400, 16

#: Deadlines that tests can wait for.
SHORT: dict[str, Any] = {
    "header_timeout_s": 1.0,
    "body_timeout_s": 1.0,
    "write_timeout_s": 1.0,
    "keep_alive_s": 1.5,
    "answer_timeout_s": 10.0,
    "max_body_bytes": 200_000,
    "workers": 2,
}


@pytest.fixture(scope="session")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    X = np.random.default_rng(3).standard_normal((N_SAMPLES, N_FEATURES)).astype(np.float32)
    table = pa.table({"name": [f"wine {row}" for row in range(N_SAMPLES)]})
    catalog = Catalog(N_SAMPLES, [f"w{row:03d}" for row in range(N_SAMPLES)], table)
    folder = tmp_path_factory.mktemp("model") / "wines"
    save(folder, ExactIndex.build(ArrayRows(X), "cosine"), catalog)
    return folder


@pytest.fixture(scope="session")
def model(artifact: Path) -> Model:
    return Model.open(artifact)


@pytest.fixture(scope="session")
def server(artifact: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("server")
    with ServerProcess(folder, artifact, log_level="info", **SHORT) as running:
        yield running
        assert running.stop() == 0, running.output()
        assert "Traceback" not in running.output()
