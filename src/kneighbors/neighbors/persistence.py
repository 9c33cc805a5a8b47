"""Opening a saved estimator."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from kneighbors.artifact import open_artifact
from kneighbors.neighbors.nearest import NearestNeighbors


def load(path: str | Path) -> NearestNeighbors:
    """Open an artifact as a fitted estimator.

    Parameters
    ----------
    path : str or Path
        Directory or ``.tar.gz`` that `NearestNeighbors.save` or ``kneighbors train`` made.

    Returns
    -------
    NearestNeighbors
        Fitted; its vectors stay on disk, memory-mapped, and each is checked when first touched.

    Raises
    ------
    ArtifactError
        Where anything is damaged, missing or of a newer format.
    StorageError
        Where there is nothing at `path`, or it may not be read.
    """
    artifact = open_artifact(Path(path))
    source = artifact.manifest.source
    defaults = {name: source[name] for name in ("n_neighbors", "radius") if source.get(name)}
    if not artifact.index.is_exact:
        defaults["algorithm"] = "hnsw"
    estimator = NearestNeighbors(metric=artifact.index.metric, **defaults)
    estimator._take_index(artifact.index)
    estimator.n_features_in_ = artifact.index.n_features
    if source.get("feature_names"):
        estimator.feature_names_in_ = np.array(source["feature_names"], dtype=object)
    estimator.catalog_ = artifact.catalog
    estimator.vocabulary_ = artifact.vocabulary
    estimator.lists_ = artifact.lists
    return estimator
