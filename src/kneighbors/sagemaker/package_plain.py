"""An artifact as what scikit-learn's users have: a pickled estimator, with a way around it."""

from __future__ import annotations

import json
import mmap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from kneighbors.artifact import Manifest, open_artifact
from kneighbors.artifact.packing import TarGz, new_archive
from kneighbors.errors import ParameterRefused
from kneighbors.search.progress import Progress
from kneighbors.search.rows import FloatArray
from kneighbors.storage import translated
from kneighbors.storage.temporary import temporary_folder

_PICKLE, _FACTS = "model.joblib", "model.json"
_DEFAULT_N_NEIGHBORS = 10
#: How much of the vectors is looked for in the pickle before all of them are compared.
_SOUGHT_BYTES = 1 << 12
_COPIED_AT_ONCE = 1 << 20


def pack_plain(
    directory: Path,
    manifest: Manifest,
    archive: Path,
    code: Mapping[str, bytes],
    *,
    overwrite: bool,
    progress: Progress,
) -> None:
    """Write a fitted estimator, and where its vectors lie in the pickle, as a ``.tar.gz``.

    Pickles of scikit-learn's do not cross versions well, so the script fits the vectors anew; see
    `kneighbors/sagemaker/entry_point/plain_scikit_learn.py`.

    Raises
    ------
    ParameterRefused
        With code ``package-metric``.
    """
    if manifest.metric == "inner_product":
        raise ParameterRefused(
            "package-metric",
            "Expected a metric that scikit-learn has, got 'inner_product'.",
            where=str(directory),
            hint="Package it with --format kneighbors.",
        )
    with translated(archive), temporary_folder() as folder:
        pickled = folder / _PICKLE
        facts = _pickle(directory, pickled)

        def write(file: BinaryIO) -> None:
            packer = TarGz(file, 1)
            document = json.dumps(facts, indent=2, sort_keys=True).encode() + b"\n"
            packer.add(_FACTS, len(document), [document])
            packer.add(_PICKLE, facts["bytes"], _pieces(pickled, facts["bytes"], progress))
            for name, data in sorted(code.items()):
                packer.add(f"code/{name}", len(data), [data])
            packer.finish()

        new_archive(archive, overwrite, write)


def _pickle(directory: Path, pickled: Path) -> dict[str, Any]:
    """Write the estimator, and return what the script has to know of the file."""
    import joblib
    import sklearn
    from sklearn.neighbors import NearestNeighbors

    with open_artifact(directory) as artifact:
        index, source = artifact.index, artifact.manifest.source
        X = np.ascontiguousarray(index.rows.slice(0, index.n_samples))
        n_neighbors = min(source.get("n_neighbors") or _DEFAULT_N_NEIGHBORS, index.n_samples)
        estimator = NearestNeighbors(
            n_neighbors=n_neighbors, metric=index.metric, algorithm="brute"
        ).fit(X)
        joblib.dump(estimator, pickled)
        return {
            "n_neighbors": n_neighbors,
            "metric": index.metric,
            "dtype": X.dtype.str,
            "shape": list(X.shape),
            "offset": _offset_of(X, pickled),
            "bytes": pickled.stat().st_size,
            "scikit_learn": sklearn.__version__,
            "numpy": np.__version__,
        }


def _offset_of(X: FloatArray, pickled: Path) -> int:
    """Return where in a pickle the numbers of an array lie, one after the other."""
    wanted = X.reshape(-1).view(np.uint8)
    sought = wanted[:_SOUGHT_BYTES].tobytes()
    with pickled.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        start = data.find(sought)
        while start >= 0:
            if start + wanted.size <= len(data):
                found = np.frombuffer(data, np.uint8, wanted.size, start)
                same = np.array_equal(found, wanted)
                # A view would keep the mapping from being closed.
                del found
                if same:
                    return start
            start = data.find(sought, start + 1)
    raise AssertionError("joblib wrote the vectors otherwise than as plain numbers")


def _pieces(path: Path, size: int, progress: Progress) -> Iterator[bytes]:
    done = 0
    with path.open("rb") as file:
        while piece := file.read(_COPIED_AT_ONCE):
            done += len(piece)
            progress("packing", done, size)
            yield piece
