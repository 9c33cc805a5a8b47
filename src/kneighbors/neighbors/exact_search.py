"""The exact search in the places where scikit-learn's estimators search.

Dense data under cosine, Euclidean distance or the inner product goes through `kneighbors.search`;
everything else (other metrics, callables, precomputed distances, sparse matrices) is left to
scikit-learn, whose classes the estimators derive from.
"""

from __future__ import annotations

from collections.abc import Iterator
from numbers import Integral, Real
from typing import Any, ClassVar, cast

import numpy as np
import sklearn.neighbors as sk
from scipy.sparse import issparse
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data

from kneighbors.errors import ParameterRefused
from kneighbors.search.gate import check_corpus, check_queries, check_radius
from kneighbors.search.graph_choice import Choice
from kneighbors.search.graph_opening import Index, open_index
from kneighbors.search.index import ExactIndex
from kneighbors.search.metrics import canonical
from kneighbors.search.rows import ArrayRows, FloatArray

#: Rows of the corpus that are asked at a time when it is its own set of queries.
_OWN_ROWS = 4096
_INNER_PRODUCT = StrOptions({"inner_product"})
#: What scikit-learn has no name for.
_OWN_ALGORITHMS = ("exact", "hnsw")


class ExactSearch:
    """What the estimators share: the exact search in scikit-learn's places."""

    index_: Index
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **sk.NearestNeighbors._parameter_constraints,
        "metric": [*sk.NearestNeighbors._parameter_constraints["metric"], _INNER_PRODUCT],
        "algorithm": [
            *sk.NearestNeighbors._parameter_constraints["algorithm"],
            StrOptions(set(_OWN_ALGORITHMS)),
        ],
        "target_recall": [Real, None],
        "latency_ms": [Real, None],
        "algorithm_params": [dict, None],
    }

    @property
    def _fit_X(self) -> Any:  # noqa: N802  scikit-learn's name
        # scikit-learn's own estimators read this attribute; of a corpus that lies in an artifact
        # it is made only for them, since it checks the whole file.
        if "index_" in self.__dict__:
            return self.index_.rows.slice(0, self.index_.n_samples)
        return self.__dict__["_left_to_scikit_learn"]

    @_fit_X.setter
    def _fit_X(self, X: Any) -> None:  # noqa: N802
        self.__dict__["_left_to_scikit_learn"] = X

    def _fit(self: Any, X: Any, y: Any = None, queries: Any = None) -> Any:
        self.__dict__.pop("index_", None)
        metric = self._exact_metric(X)
        choice = self._choice()
        if metric is None:
            return self._leave_to_scikit_learn(X, choice)
        X = validate_data(self, X, order="C")
        if metric != "inner_product" and self.algorithm not in _OWN_ALGORITHMS:
            self._check_algorithm_metric()
        rows = ArrayRows(check_corpus(X, metric))
        if queries is not None:
            queries = check_queries(queries, rows.shape[1], metric, name="queries")
        exact = ExactIndex.build(rows, metric)
        self._take_index(choice.apply(exact, queries=queries, n_neighbors=self.n_neighbors))
        return self

    def _choice(self: Any) -> Choice:
        # scikit-learn's own algorithms are exact.
        algorithm = self.algorithm if self.algorithm in ("auto", "hnsw") else "exact"
        return Choice(
            algorithm,
            target_recall=self.target_recall,
            latency_ms=self.latency_ms,
            params=self.algorithm_params or {},
        )

    def _leave_to_scikit_learn(self: Any, X: Any, choice: Choice) -> Any:
        if choice.algorithm == "hnsw" and issparse(X):
            validate_data(self, X)
        if choice.algorithm == "hnsw" or choice.target_recall or choice.latency_ms:
            raise ParameterRefused(
                "algorithm-metric",
                f"Expected a metric and data that the search of this package answers, got "
                f"{self.metric!r:.60} with {type(X).__name__}: scikit-learn's search is exact.",
                hint="Use cosine, euclidean, sqeuclidean or inner_product with dense data, or "
                "algorithm='auto' alone.",
            )
        if self.algorithm != "exact":
            return super()._fit(X)  # type: ignore[misc]
        self.algorithm = "brute"
        try:
            return super()._fit(X)  # type: ignore[misc]
        finally:
            self.algorithm = "exact"

    def _take_index(self: Any, index: Index) -> None:
        """Set what a fit sets, from an index."""
        self.index_ = index
        self.n_samples_fit_ = index.n_samples
        self.effective_metric_ = index.metric
        self.effective_metric_params_: dict[str, Any] = {}
        self._fit_method = "brute"
        self._tree = None

    def _exact_metric(self: Any, X: Any) -> str | None:
        """Return the metric that the exact search answers, None where scikit-learn must."""
        if self.metric == "inner_product":
            return "inner_product"
        if issparse(X) or isinstance(X, (sk.KDTree, sk.BallTree, sk.NearestNeighbors)):
            return None
        params = self.metric_params or {}
        if set(params) - {"p"} or (params and self.metric != "minkowski"):
            return None
        return canonical(self.metric, p=params.get("p", self.p))

    def kneighbors(
        self: Any, X: Any = None, n_neighbors: Any = None, return_distance: bool = True
    ) -> Any:
        """Find the k nearest neighbours of each query.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_queries, n_features), default=None
            The queries. None means the corpus, no row being its own neighbour.
        n_neighbors : int, default=None
            Number of neighbours; by default the constructor's.
        return_distance : bool, default=True
            Whether to return the distances as well.

        Returns
        -------
        neigh_dist : ndarray of shape (n_queries, n_neighbors), dtype float64
            Only if `return_distance`. Smaller distances first, equal ones in the order of rows.
        neigh_ind : ndarray of shape (n_queries, n_neighbors), dtype int64
            Rows of the corpus.

        Raises
        ------
        ValueError
            For queries of another width, NaN, infinity, zero vectors under cosine, and more
            neighbours than there are rows.

        Notes
        -----
        The distances are those of float64 arithmetic on the vectors as they were fitted, whatever
        their dtype. O(n_samples * head_size) operations a query; see `ExactIndex`.

        Examples
        --------
        >>> from kneighbors import NearestNeighbors
        >>> samples = [[0.0, 0.0, 0.0], [0.0, 0.5, 0.0], [1.0, 1.0, 0.5]]
        >>> NearestNeighbors(n_neighbors=1).fit(samples).kneighbors([[1.0, 1.0, 1.0]])
        (array([[0.5]]), array([[2]]))
        """
        check_is_fitted(self)
        if "index_" not in self.__dict__:
            return super().kneighbors(X, n_neighbors, return_distance)  # type: ignore[misc]
        if n_neighbors is None:
            n_neighbors = self.n_neighbors
        elif n_neighbors <= 0:
            raise ValueError(f"Expected n_neighbors > 0. Got {n_neighbors}")
        elif not isinstance(n_neighbors, Integral):
            raise TypeError(
                f"n_neighbors does not take {type(n_neighbors)} value, enter integer value"
            )
        queries = self._check_queries(X)
        n_queries = self.n_samples_fit_ if queries is None else len(queries)
        # Without itself, a row has one neighbour less to offer.
        if n_neighbors > self.n_samples_fit_ - (queries is None):
            sign = "<" if queries is None else "<="
            raise ValueError(
                f"Expected n_neighbors {sign} n_samples_fit, but "
                f"n_neighbors = {n_neighbors}, n_samples_fit = {self.n_samples_fit_}, "
                f"n_samples = {n_queries}"
            )
        if queries is not None:
            distances, indices = self.index_.kneighbors(queries, int(n_neighbors))
        else:
            distances = np.empty((n_queries, n_neighbors))
            indices = np.empty((n_queries, n_neighbors), np.int64)
            for part, Q, itself in self._own_rows():
                distances[part], indices[part] = self.index_.kneighbors(
                    Q, int(n_neighbors), exclude=itself
                )
        return (distances, indices) if return_distance else indices

    def radius_neighbors(
        self: Any,
        X: Any = None,
        radius: float | None = None,
        return_distance: bool = True,
        sort_results: bool = False,
    ) -> Any:
        """Find all neighbours within a radius of each query.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_queries, n_features), default=None
            The queries. None means the corpus, no row being its own neighbour.
        radius : float, default=None
            Largest distance, itself included; by default the constructor's.
        return_distance : bool, default=True
            Whether to return the distances as well.
        sort_results : bool, default=False
            Accepted as scikit-learn does; the results of the exact search are sorted always.

        Returns
        -------
        neigh_dist : ndarray of shape (n_queries,) of float64 arrays
            Only if `return_distance`.
        neigh_ind : ndarray of shape (n_queries,) of int64 arrays
            Rows of the corpus, nearest first.

        Raises
        ------
        ValueError
            As `kneighbors`, and for a radius that is negative or no number.

        Examples
        --------
        >>> from kneighbors import NearestNeighbors
        >>> samples = [[0.0, 0.0, 0.0], [0.0, 0.5, 0.0], [1.0, 1.0, 0.5]]
        >>> near = NearestNeighbors(radius=1.6).fit(samples)
        >>> near.radius_neighbors([[1.0, 1.0, 1.0]])[1][0]
        array([2, 1])
        """
        check_is_fitted(self)
        if "index_" not in self.__dict__:
            return super().radius_neighbors(  # type: ignore[misc]
                X, radius, return_distance, sort_results
            )
        if sort_results and not return_distance:
            raise ValueError("return_distance must be True if sort_results is True.")
        limit = check_radius(self.radius if radius is None else radius, self.index_.metric)
        queries = self._check_queries(X)
        if queries is not None:
            distances, indices = self.index_.radius_neighbors(queries, limit)
        else:
            distances, indices = [], []
            for _, Q, itself in self._own_rows():
                near = self.index_.radius_neighbors(Q, limit, exclude=itself)
                distances.extend(near[0])
                indices.extend(near[1])
        rows = _array_of_arrays(indices)
        return (_array_of_arrays(distances), rows) if return_distance else rows

    def _check_queries(self: Any, X: Any) -> FloatArray | None:
        if X is None:
            return None
        X = validate_data(self, X, reset=False, order="C", accept_sparse="csr")
        if issparse(X):
            X = X.toarray()
        return check_queries(X, self.index_.n_features, self.index_.metric, name="X")

    def _own_rows(self: Any) -> Iterator[tuple[slice, FloatArray, Any]]:
        for start in range(0, self.n_samples_fit_, _OWN_ROWS):
            stop = min(start + _OWN_ROWS, self.n_samples_fit_)
            itself = np.arange(start, stop, dtype=np.int64)[:, np.newaxis]
            yield slice(start, stop), self.index_.rows.slice(start, stop), itself

    def __sklearn_tags__(self: Any) -> Any:
        tags = super().__sklearn_tags__()  # type: ignore[misc]
        if self.metric == "inner_product" or self.algorithm == "hnsw":
            # Neither is scikit-learn's, to whom sparse data is left.
            tags.input_tags.sparse = False
        return tags

    def __getstate__(self: Any) -> Any:
        # A pickle carries the vectors themselves, wherever they were read from.
        state = cast(dict[str, Any], super().__getstate__()).copy()
        if "index_" in state:
            index: Index = state["index_"]
            X = np.array(index.rows.slice(0, index.n_samples))
            parts = {name: np.array(part) for name, part in index.parts().items()}
            state["index_"] = open_index(ArrayRows(X), index.metric, parts, index.plan)
        return state


def _array_of_arrays(arrays: list[Any]) -> Any:
    out = np.empty(len(arrays), dtype=object)
    out[:] = arrays
    return out
