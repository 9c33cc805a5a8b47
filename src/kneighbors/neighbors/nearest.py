"""Nearest neighbours with scikit-learn's API: exact, or from a graph where that is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import sklearn.neighbors as sk
from sklearn.base import _fit_context
from sklearn.utils.validation import check_is_fitted

from kneighbors.artifact import save
from kneighbors.errors import ParameterRefused
from kneighbors.items.catalog import Catalog
from kneighbors.items.lists import Lists
from kneighbors.items.vocabulary import Vocabulary
from kneighbors.neighbors.exact_search import ExactSearch
from kneighbors.search.progress import Progress, ignore


class NearestNeighbors(ExactSearch, sk.NearestNeighbors):  # type: ignore[misc]
    """Nearest neighbours with scikit-learn's API: exact, or from a graph where that is asked for.

    Parameters
    ----------
    n_neighbors : int, default=5
        Number of neighbours that `kneighbors` returns by default.
    radius : float, default=1.0
        Radius that `radius_neighbors` uses by default.
    algorithm : {'auto', 'exact', 'hnsw', 'ball_tree', 'kd_tree', 'brute'}, default='auto'
        ``'hnsw'`` finds nearly all neighbours with a graph (the extra ``approximate``); what it
        finds has exact distances. ``'auto'`` is exact, unless `target_recall` or `latency_ms` say
        what to look for. All others are exact: under the metrics of the exact search they make no
        difference, under others they are scikit-learn's.
    leaf_size : int, default=30
        For scikit-learn's trees.
    metric : str or callable, default='minkowski'
        ``'cosine'``, ``'euclidean'``, ``'l2'``, ``'minkowski'`` with ``p=2``, ``'sqeuclidean'`` and
        ``'inner_product'`` (distance: minus the dot product) use the exact search; scikit-learn
        answers every other metric that it has.
    p : float, default=2
        Power of the Minkowski metric.
    metric_params : dict, default=None
        Further arguments of the metric.
    n_jobs : int, default=None
        For what is left to scikit-learn. The exact search uses the threads of numpy's BLAS.
    target_recall : float, default=None
        Share of the neighbours, above 0 and up to 1, that must be found on average: the cheapest
        setting that reaches it with 95 % confidence on sample queries is taken. With ``'auto'``
        exact search is one of the settings.
    latency_ms : float, default=None
        With ``'auto'``: exact search if the median time of its queries is within the goal, else
        the fastest setting that reaches `target_recall` (0.99 if that is None).
    algorithm_params : dict, default=None
        For a graph: ``M`` (32), ``ef_construction`` (100) and ``ef_search`` (64).

    Attributes
    ----------
    index_ : ExactIndex or GraphIndex
        Absent where scikit-learn answers. ``index_.is_exact`` tells which, ``index_.plan`` why.
    catalog_ : Catalog
        Ids and attributes of the rows.
    vocabulary_ : Vocabulary or None
        Terms that can be a query: those of the artifact that was loaded, none after a fit.
    lists_ : Lists
        Named lists of rows, likewise.
    effective_metric_ : str
        The metric in use.
    n_samples_fit_, n_features_in_ : int
        Shape of the corpus.

    See Also
    --------
    load : Open a saved estimator.
    KNeighborsTransformer : The neighbour graph as a step of a pipeline.

    Examples
    --------
    >>> import numpy as np
    >>> from kneighbors import NearestNeighbors
    >>> X = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    >>> near = NearestNeighbors(n_neighbors=2, metric="cosine").fit(X, ids=["a", "b", "c"])
    >>> distances, indices = near.kneighbors([[2.0, 0.1]])
    >>> near.catalog_.ids_of(indices[0])
    ['a', 'c']
    """

    catalog_: Catalog
    vocabulary_: Vocabulary | None
    lists_: Lists

    def __init__(
        self,
        *,
        n_neighbors: int = 5,
        radius: float = 1.0,
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
            n_neighbors=n_neighbors,
            radius=radius,
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

    @_fit_context(prefer_skip_nested_validation=False)  # type: ignore[untyped-decorator]
    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        ids: Any = None,
        items: Any = None,
        queries: Any = None,
    ) -> Self:
        """Fit the index to a corpus.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            The corpus. Kept by reference where it needs no conversion: float32 and float64, dense
            and C-contiguous; a memory-mapped one may be larger than memory.
        y : ignored
        ids : sequence of str or int, or str, default=None
            One unique id a row, or the name of a column of `items`.
        items : DataFrame, Arrow table, mapping of columns, or path of CSV or Parquet, default=None
            Attributes of the rows, in their order.
        queries : array-like of shape (n_queries, n_features), default=None
            Such as will be asked; what `target_recall` and `latency_ms` are measured on. By
            default rows that are held out meanwhile.

        Returns
        -------
        NearestNeighbors
            This estimator.

        Raises
        ------
        ValueError
            For what scikit-learn refuses, zero vectors under cosine, and ids or items that do not
            fit the rows; with code ``recall-unreachable`` or ``recall-sample`` where
            `target_recall` cannot be reached or shown.
        MissingExtra
            Where a graph is asked for and faiss-cpu is not installed.
        """
        self._fit(X, queries=queries)
        self.catalog_ = Catalog.from_data(self.n_samples_fit_, ids=ids, items=items)
        # Those of another corpus name rows that this one has not.
        self.vocabulary_ = None
        self.lists_ = Lists()
        return self

    def save(
        self, path: str | Path, *, overwrite: bool = False, progress: Progress = ignore
    ) -> None:
        """Save the index, its vectors, items, vocabulary and lists as an artifact.

        Parameters
        ----------
        path : str or Path
            Directory to be made.
        overwrite : bool, default=False
            Whether an artifact that is already there is replaced; at every instant the old or the
            new one is whole.
        progress : callable, optional
            Called as ``progress(stage, done, total)``.

        Raises
        ------
        ParameterRefused
            With code ``save-not-exact`` where scikit-learn answers: there is no index to save.
        StorageError
            Where the path is taken, full, read-only or forbidden; what was there stays.
        """
        check_is_fitted(self)
        if "index_" not in self.__dict__:
            raise ParameterRefused(
                "save-not-exact",
                f"Expected an index of the exact search; the metric {self.metric!r} with this data "
                "is answered by scikit-learn, which has no artifact.",
                hint="Use cosine, euclidean, sqeuclidean or inner_product with dense data.",
            )
        source: dict[str, Any] = {"n_neighbors": self.n_neighbors, "radius": self.radius}
        if hasattr(self, "feature_names_in_"):
            source["feature_names"] = [str(name) for name in self.feature_names_in_]
        save(
            Path(path),
            self.index_,
            self.catalog_,
            vocabulary=self.vocabulary_,
            lists=self.lists_,
            overwrite=overwrite,
            source=source,
            progress=progress,
        )
