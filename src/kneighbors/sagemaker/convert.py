"""A pickled scikit-learn model as an artifact: the last time that it is unpickled."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kneighbors import artifact
from kneighbors.artifact import Manifest
from kneighbors.errors import ArtifactError, ParameterRefused
from kneighbors.items import Catalog
from kneighbors.sagemaker.labels import read_ids
from kneighbors.sagemaker.script import described
from kneighbors.search.gate import check_corpus
from kneighbors.search.index import ExactIndex
from kneighbors.search.metrics import canonical
from kneighbors.search.progress import Progress, ignore
from kneighbors.search.rows import ArrayRows
from kneighbors.storage import translated

__all__ = ["Converted", "convert"]

_KINDS = ("NearestNeighbors", "KNeighborsTransformer")


@dataclass(frozen=True, slots=True)
class Converted:
    """An artifact that was a pickle.

    Parameters
    ----------
    manifest : Manifest
    estimator : str
        Name of its class.
    warnings : tuple of str
        What scikit-learn and joblib said while they unpickled, such as that it was made by another
        version.
    """

    manifest: Manifest
    estimator: str
    warnings: tuple[str, ...]


def convert(
    pickled: str | os.PathLike[str],
    model_dir: str | os.PathLike[str],
    *,
    trust_pickle: bool = False,
    ids: str | os.PathLike[str] | None = None,
    items: str | os.PathLike[str] | None = None,
    id_column: str | None = None,
    overwrite: bool = False,
    progress: Progress = ignore,
) -> Converted:
    """Save the corpus of a pickled scikit-learn estimator as an artifact.

    Parameters
    ----------
    pickled : str or path
        What `joblib.dump` or `pickle.dump` wrote of a fitted ``NearestNeighbors`` or
        ``KNeighborsTransformer``.
    model_dir : str or path
        Directory that becomes the artifact.
    trust_pickle : bool, default=False
        Whether to unpickle it, which runs whatever code its writer put into it.
    ids : str or path, optional
        File of ids by row: .npy, .txt, .csv or .parquet.
    items : str or path, optional
        File of attributes by row: .csv or .parquet.
    id_column : str, optional
        Column of `items` that holds the ids, in place of `ids`.
    overwrite : bool, default=False
        Replace an artifact that is there.
    progress : callable, optional
        Called as ``progress("writing", done, total)`` in rows.

    Returns
    -------
    Converted

    Raises
    ------
    ParameterRefused
        ``parameter-conflict``; ``pickle-untrusted`` without `trust_pickle`; ``convert-estimator``
        for another estimator, or one that is not fitted; ``convert-sparse``; ``convert-metric`` for
        one that the exact search does not have.
    ArtifactError
        ``pickle-unreadable`` when it cannot be unpickled here.
    ArrayRefused, ItemsRefused, StorageError
        As of `kneighbors.artifact.save`.
    """
    path = Path(pickled)
    with translated(path):
        path.stat()
    if ids is not None and id_column is not None:
        raise ParameterRefused("parameter-conflict", "Expected either ids or id_column, got both.")
    if not trust_pickle:
        raise ParameterRefused(
            "pickle-untrusted",
            "Expected leave to unpickle (--trust-pickle), for that runs whatever code the writer "
            "of the file put into it.",
            where=str(path),
            hint="Give it only for a file that you, or somebody you trust, made.",
        )
    estimator, said = _unpickled(path)
    X, metric, n_neighbors = _corpus(estimator, path)
    index = ExactIndex.build(ArrayRows(check_corpus(X, metric)), metric, progress=progress)
    named = id_column if ids is None else read_ids(os.fspath(ids))
    catalog = Catalog.from_data(index.n_samples, ids=named, items=items)
    source: dict[str, Any] = {"address": path.name, "n_neighbors": n_neighbors}
    names: Sequence[Any] | None = getattr(estimator, "feature_names_in_", None)
    if names is not None:
        source["feature_names"] = [str(name) for name in names]
    manifest = artifact.save(
        model_dir, index, catalog, overwrite=overwrite, source=source, progress=progress
    )
    return Converted(manifest, type(estimator).__name__, said)


def _unpickled(path: Path) -> tuple[Any, tuple[str, ...]]:
    import joblib

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            with translated(path):
                estimator = joblib.load(path)
        except (MemoryError, OSError):
            raise
        # A pickle is a program, and fails as it likes: with any exception.
        except (Exception, SystemExit) as error:
            raise ArtifactError(
                "pickle-unreadable",
                f"Expected a pickle that this Python can read, got {described(error)}.",
                where=str(path),
                hint="Unpickle it with the versions of scikit-learn and numpy that made it, and "
                "save its vectors with numpy.save.",
            ) from error
    return estimator, tuple(str(one.message) for one in caught)


def _corpus(estimator: Any, path: Path) -> tuple[Any, str, int]:
    """Return the vectors that an estimator was fitted to, their metric and its `n_neighbors`."""
    import sklearn.neighbors as sk
    from scipy.sparse import issparse

    if not isinstance(estimator, (sk.NearestNeighbors, sk.KNeighborsTransformer)):
        raise _refused("estimator", f"{' or '.join(_KINDS)}", type(estimator).__name__, path)
    X = getattr(estimator, "_fit_X", None)
    if X is None:
        raise _refused("estimator", "a fitted estimator", "one that is not", path)
    if issparse(X):
        raise _refused("sparse", "dense vectors", "a sparse matrix", path)
    try:
        params = dict(estimator.metric_params or {})
        p = params.get("p", estimator.p)
        metric = canonical(estimator.metric, p=p) if set(params) <= {"p"} else None
        n_neighbors = int(estimator.n_neighbors)
    except (AttributeError, TypeError, ValueError) as error:
        whole = "an estimator with the parameters of scikit-learn's"
        raise _refused("estimator", whole, described(error), path) from error
    if metric is None:
        given = f"{estimator.metric!r} with p={p} and {sorted(params) or 'no'} parameters"
        raise _refused("metric", "cosine, euclidean, sqeuclidean or inner_product", given, path)
    return np.ascontiguousarray(X), metric, n_neighbors


def _refused(what: str, expected: str, got: str, path: Path) -> ParameterRefused:
    return ParameterRefused(f"convert-{what}", f"Expected {expected}, got {got}.", where=str(path))
