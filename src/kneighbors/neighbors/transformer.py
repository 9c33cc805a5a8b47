"""The neighbour graph as a step of a pipeline."""

from __future__ import annotations

from typing import Any, ClassVar

import sklearn.neighbors as sk
from scipy.sparse import csr_matrix

from kneighbors.neighbors.exact_search import ExactSearch


class KNeighborsTransformer(ExactSearch, sk.KNeighborsTransformer):  # type: ignore[misc]
    """The weighted graph of the k nearest neighbours, as a transformer.

    Parameters
    ----------
    mode : {'distance', 'connectivity'}, default='distance'
        What the graph's edges hold: distances, of one neighbour more than asked for since a row
        is its own first one, or ones.
    n_neighbors : int, default=5
        Number of neighbours of each row.
    algorithm, leaf_size, metric, p, metric_params, n_jobs, target_recall, latency_ms, \
algorithm_params
        As `NearestNeighbors`.

    Attributes
    ----------
    index_ : ExactIndex or GraphIndex
        Absent where scikit-learn answers.
    n_samples_fit_, n_features_in_ : int
        Shape of the corpus.

    Examples
    --------
    >>> from kneighbors import KNeighborsTransformer
    >>> graph = KNeighborsTransformer(n_neighbors=1).fit_transform([[0.0], [3.0], [1.0]])
    >>> graph.toarray()
    array([[0., 0., 1.],
           [0., 0., 2.],
           [1., 0., 0.]])
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **sk.KNeighborsTransformer._parameter_constraints,
        **{
            name: ExactSearch._parameter_constraints[name]
            for name in ("metric", "algorithm", "target_recall", "latency_ms", "algorithm_params")
        },
    }

    def __init__(
        self,
        *,
        mode: str = "distance",
        n_neighbors: int = 5,
        algorithm: str = "auto",
        leaf_size: int = 30,
        metric: Any = "minkowski",
        p: float = 2,
        metric_params: dict[str, Any] | None = None,
        n_jobs: int | None = None,
        target_recall: float | None = None,
        latency_ms: float | None = None,
        algorithm_params: dict[str, int] | None = None,
    ) -> None:
        super().__init__(
            mode=mode,
            n_neighbors=n_neighbors,
            algorithm=algorithm,
            leaf_size=leaf_size,
            metric=metric,
            p=p,
            metric_params=metric_params,
            n_jobs=n_jobs,
        )
        self.target_recall = target_recall
        self.latency_ms = latency_ms
        self.algorithm_params = algorithm_params

    def transform(self, X: Any) -> csr_matrix:
        """Compute the graph of the neighbours of `X` in the corpus.

        Parameters
        ----------
        X : array-like of shape (n_queries, n_features)
            The queries.

        Returns
        -------
        csr_matrix of shape (n_queries, n_samples_fit)
        """
        return super().transform(X)
