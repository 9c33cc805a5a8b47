"""Nearest neighbours in any of SageMaker's scikit-learn images, with scikit-learn alone.

Runs from Python 3.7 and scikit-learn 0.20 on. ``model.joblib`` is a fitted NearestNeighbors. Such a
pickle needs the versions that it was made with, or luck: so ``model.json`` says where in the file
the vectors lie, as plain numbers, and the estimator is fitted to them anew. For a brute force
search that takes no time, and all workers map the same copy. Where ``model.json`` is missing, or
describes another ``model.joblib``, that is unpickled, which runs whatever code is in it.

A vector of shape (d,) is answered by an array (2, k), a matrix (n, d) by (2, n, k): distances over
row numbers.
"""

import io
import json
from pathlib import Path
from typing import Any, Tuple, Union  # noqa: UP035

import numpy as np
from sklearn.neighbors import NearestNeighbors

NPY, JSON, CSV = "application/x-npy", "application/json", "text/csv"


def model_fn(model_dir: str) -> Any:
    """Return the fitted estimator."""
    pickled, described = Path(model_dir) / "model.joblib", Path(model_dir) / "model.json"
    facts = json.loads(described.read_text()) if described.is_file() else {}
    if facts.get("bytes") != pickled.stat().st_size:
        import joblib

        return joblib.load(str(pickled))
    vectors = np.memmap(
        str(pickled),
        dtype=facts["dtype"],
        mode="r",
        offset=facts["offset"],
        shape=tuple(facts["shape"]),
    )
    estimator = NearestNeighbors(
        n_neighbors=facts["n_neighbors"], metric=facts["metric"], algorithm="brute"
    )
    return estimator.fit(vectors)


def input_fn(body: Union[str, bytes], content_type: str) -> Any:  # noqa: UP007
    """Return a vector or a matrix."""
    kind = (content_type or NPY).split(";")[0].strip().lower()
    if kind == NPY:
        # A pickle in the body would run its sender's code.
        return np.load(io.BytesIO(bytes(body)), allow_pickle=False)  # type: ignore[arg-type]
    if kind not in (JSON, CSV):
        raise ValueError(f"Expected {NPY}, {JSON} or {CSV}, got {content_type!r}.")
    text = body if isinstance(body, str) else bytes(body).decode("utf-8")
    if kind == JSON:
        document = json.loads(text)
        return np.array(document["instances"] if isinstance(document, dict) else document, float)
    return np.array([line.split(",") for line in text.splitlines() if line.strip()], float)


def predict_fn(queries: Any, model: Any) -> Any:
    """Return distances over row numbers."""
    queries = np.asarray(queries)
    if queries.dtype.kind not in "iuf" or queries.ndim not in (1, 2):
        raise ValueError(f"Expected a vector or a matrix of numbers, got {queries.shape}.")
    matrix = queries.reshape(1, -1) if queries.ndim == 1 else queries
    distances, rows = model.kneighbors(matrix)
    answer = np.stack([distances.astype(np.float64), rows.astype(np.float64)])
    return answer[:, 0] if queries.ndim == 1 else answer


def output_fn(answer: Any, accept: str) -> Tuple[Union[str, bytes], str]:  # noqa: UP006, UP007
    """Return the answer as bytes or text, with its type."""
    kinds = [part.split(";")[0].strip().lower() for part in (accept or "").split(",")]
    if JSON in kinds:
        distances, rows = answer
        return json.dumps([distances.tolist(), rows.astype(int).tolist()]), JSON
    if NPY in kinds or "*/*" in kinds or kinds == [""]:
        out = io.BytesIO()
        np.save(out, answer, allow_pickle=False)
        return out.getvalue(), NPY
    raise ValueError(f"Expected to be asked for {NPY} or {JSON}, got {accept!r}.")
