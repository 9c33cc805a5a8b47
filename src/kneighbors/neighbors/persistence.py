"""Opening a saved estimator."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from kneighbors.neighbors.nearest import NearestNeighbors
from kneighbors.shards import open_saved


def load(
    path: str | Path,
    *,
    require_signature: str | os.PathLike[str] | None = None,
    mapped: bool | None = None,
) -> NearestNeighbors:
    """Open an artifact as a fitted estimator.

    Parameters
    ----------
    path : str or Path
        Directory or ``.tar.gz`` that `NearestNeighbors.save` or ``kneighbors train`` made.
    require_signature : str or Path, optional
        File of public keys, of which one must have signed it (``kneighbors sign``).
    mapped : bool, optional
        False copies what is mapped by default into memory, so that nothing which happens to the
        files changes an answer or ends the process; see `kneighbors.artifact.open_artifact`.

    Returns
    -------
    NearestNeighbors
        Fitted; its vectors stay on disk, and each is checked when first touched.

    Raises
    ------
    ArtifactError
        Where anything is damaged, missing or of a newer format, or not signed by such a key.
    StorageError
        Where there is nothing at `path`, or it may not be read.
    """
    artifact = open_saved(Path(path), require_signature=require_signature, mapped=mapped)
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
