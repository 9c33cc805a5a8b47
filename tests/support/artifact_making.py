"""Small artifacts, real in every part, and ways to damage or forge them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from kneighbors.artifact import Artifact, canonical, open_artifact, save, verify
from kneighbors.errors import KNeighborsError
from kneighbors.items import Catalog
from kneighbors.search.index import ExactIndex
from kneighbors.search.metrics import METRICS
from kneighbors.search.rows import ArrayRows

Array = NDArray[Any]

METRIC_NAMES = tuple(METRICS)
ID_TYPES = ("row", "integer", "string")


def corpus(
    n_samples: int = 200, n_features: int = 16, dtype: str = "float32", seed: int = 0
) -> Array:
    """Return vectors of which a few directions hold most of the variance."""
    random = np.random.default_rng(seed)
    scales = 0.8 ** np.arange(n_features)
    return (random.standard_normal((n_samples, n_features)) * scales).astype(dtype)


@cache
def index(
    metric: str = "cosine",
    n_samples: int = 200,
    n_features: int = 16,
    dtype: str = "float32",
    seed: int = 0,
) -> ExactIndex:
    """Return an index over `corpus`; of 12,000 x 64 numbers it has a head."""
    return ExactIndex.build(ArrayRows(corpus(n_samples, n_features, dtype, seed)), metric)


@cache
def catalog(id_type: str = "string", items: bool = True, n_samples: int = 200) -> Catalog:
    """Return what the rows are."""
    ids: dict[str, Any] = {
        "row": None,
        "integer": [7 * row - 300 for row in range(n_samples)],
        "string": [f"wine-{row:04d}" for row in range(n_samples)],
    }
    table = pa.table({
        "name": [f"Château {row}" if row % 7 else None for row in range(n_samples)],
        "variety": pa.array([f"variety {row % 5}" for row in range(n_samples)]).dictionary_encode(),
        "price": [row / 4 for row in range(n_samples)],
        "terms": [["ripe", "dark", "long"][: row % 4] for row in range(n_samples)],
    })  # fmt: skip
    return Catalog(n_samples, ids[id_type], table if items else None)


def save_small(path: Path, **options: Any) -> None:
    """Save the default artifact: 200 x 16, string ids, four attributes."""
    save(path, index(), catalog(), **options)


def answers(artifact: Artifact) -> tuple[Any, ...]:
    """Ask for everything that an artifact can answer, so that every byte is read."""
    n_samples = artifact.index.n_samples
    rows = np.arange(n_samples)
    X = np.array(artifact.index.rows.slice(0, n_samples))
    distances, indices = artifact.index.kneighbors(X, min(5, n_samples))
    found = artifact.catalog
    ids = found.ids_of(rows)
    return (
        X.tobytes(),
        distances.tobytes(),
        indices.tobytes(),
        tuple(ids),
        found.rows_of(ids).tobytes(),
        json.dumps(found.attributes_of(rows)),
    )


def is_detected(path: Path, expected: tuple[Any, ...]) -> bool:
    """Tell whether damage shows: on opening, on asking, or on verifying; never a wrong answer."""
    try:
        with open_artifact(path) as artifact:
            assert answers(artifact) == expected
    except KNeighborsError:
        return True
    try:
        return not all(report.is_whole for report in verify(path))
    except KNeighborsError:
        return True


def contents(path: Path) -> dict[str, bytes]:
    """Return every file of a directory."""
    return {file.name: file.read_bytes() for file in path.iterdir() if file.is_file()}


@contextmanager
def changed(file: Path, data: bytes) -> Iterator[None]:
    """Put other bytes into a file, and the right ones back."""
    right = file.read_bytes()
    file.write_bytes(data)
    try:
        yield
    finally:
        file.write_bytes(right)


def forge(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the fields of a manifest and sign it, as somebody would who means harm."""
    file = path / "manifest.json"
    fields = json.loads(file.read_text())
    fields.pop("digest")
    change(fields)
    file.write_bytes(canonical.to_bytes(fields))


def forge_file(path: Path, name: str, data: bytes, **fields: Any) -> None:
    """Replace the file of a part, and say in the manifest that it belongs."""

    def change(manifest: dict[str, Any]) -> None:
        part = manifest["parts"][name]
        (path / part["file"]).write_bytes(data)
        part |= {"bytes": len(data), "sha256": sha256(data).hexdigest(), **fields}

    forge(path, change)
