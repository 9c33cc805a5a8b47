"""The endpoint without a protocol: a request's bytes and headers in, an answer's bytes out.

Servers, script handlers and batch jobs translate to `Model.invoke` and back. Nothing here knows
HTTP, and nothing of scikit-learn is imported.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kneighbors.formats import JSON, NPY, Limits, Request, decode, negotiate, source_of
from kneighbors.formats.json import dump
from kneighbors.formats.npy import write_array
from kneighbors.items import Catalog
from kneighbors.recommend.finding import find
from kneighbors.recommend.query import Found, Query
from kneighbors.recommend.reading import Reader
from kneighbors.sagemaker.query import Reply
from kneighbors.sagemaker.writing import accepted_format, write
from kneighbors.search.gate import as_array, check_n_neighbors, check_queries

if TYPE_CHECKING:
    from kneighbors.artifact import Artifact
    from kneighbors.search.graph_opening import Index

#: What clients send that leave the format to the server.
_ANYTHING = ("", "*/*")

#: Neighbours of a query that asks for no number, unless the artifact says otherwise.
DEFAULT_N_NEIGHBORS = 10


class Model:
    """An index that answers requests.

    Immutable and safe to use from several threads.

    Parameters
    ----------
    index : ExactIndex or GraphIndex
    catalog : Catalog, optional
        What the rows are; without one the row numbers are the ids.
    limits : Limits, optional
    default_n_neighbors : int, default=10
        Neighbours of a query that asks for no number; of a smaller corpus, all rows.
    artifact : Artifact, optional
        Where index and catalogue come from; kept for whoever asks.
    default_accept : str, optional
        Media type of the answer to a request that accepts anything; None is the request's own.

    Examples
    --------
    >>> from kneighbors.search.index import ExactIndex
    >>> from kneighbors.search.rows import ArrayRows
    >>> X = np.array([[0.0, 0.0], [3.0, 4.0], [6.0, 8.0]])
    >>> model = Model(ExactIndex.build(ArrayRows(X), "euclidean"))
    >>> model.invoke(b"[3, 4]", "application/json", None, "k=2").body
    b'[[0.0,5.0],[1,0]]'
    >>> model.invoke(b'{"ids": [1], "k": 1, "exclude_self": true}', "application/json").body
    b'{"predictions":[{"distances":[5.0],"indices":[0],"ids":[0]}]}'
    """

    def __init__(
        self,
        index: Index,
        catalog: Catalog | None = None,
        *,
        limits: Limits | None = None,
        default_n_neighbors: int = DEFAULT_N_NEIGHBORS,
        artifact: Artifact | None = None,
        default_accept: str | None = None,
    ) -> None:
        self.index = index
        self.catalog = Catalog(index.n_samples) if catalog is None else catalog
        self.limits = limits or Limits()
        self.artifact = artifact
        self._default_accept = default_accept
        most = min(index.n_samples, self.limits.max_neighbors)
        self.default_n_neighbors = min(check_n_neighbors(default_n_neighbors, 1 << 62), most)
        self._reader = Reader(
            index,
            self.catalog,
            self.limits,
            self.default_n_neighbors,
            vocabulary=None if artifact is None else artifact.vocabulary,
            lists=None if artifact is None else artifact.lists,
        )

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        limits: Limits | None = None,
        default_n_neighbors: int | None = None,
        default_accept: str | None = None,
        require_signature: str | None = None,
    ) -> Model:
        """Open an artifact, a directory or a ``.tar.gz``, as a model.

        Parameters
        ----------
        path : str or Path
        limits : Limits, optional
        default_n_neighbors : int, optional
            By default what the artifact's source says under ``n_neighbors``, else 10.
        default_accept : str, optional
            As in `Model`.
        require_signature : str, optional
            File of public keys, as of `kneighbors.artifact.open_artifact`.

        Raises
        ------
        ArtifactError, StorageError
            As `kneighbors.artifact.open_artifact` raises them.
        """
        from kneighbors.shards import open_saved

        artifact = open_saved(path, require_signature=require_signature)
        return cls.of_artifact(
            artifact,
            limits=limits,
            default_n_neighbors=default_n_neighbors,
            default_accept=default_accept,
        )

    @classmethod
    def of_artifact(
        cls,
        artifact: Artifact,
        *,
        limits: Limits | None = None,
        default_n_neighbors: int | None = None,
        default_accept: str | None = None,
    ) -> Model:
        """Return an open artifact as a model; parameters as of `open`."""
        if default_n_neighbors is None:
            recorded: Any = (artifact.manifest.source or {}).get("n_neighbors")
            usable = type(recorded) is int and recorded >= 1
            default_n_neighbors = recorded if usable else DEFAULT_N_NEIGHBORS
        return cls(
            artifact.index,
            artifact.catalog,
            limits=limits,
            default_n_neighbors=default_n_neighbors,
            artifact=artifact,
            default_accept=default_accept,
        )

    @property
    def n_samples(self) -> int:
        """Number of rows of the corpus."""
        return self.index.n_samples

    @property
    def n_features(self) -> int:
        """Width of the corpus, and so of a query."""
        return self.index.n_features

    @property
    def metric(self) -> str:
        """Canonical name of the metric."""
        return self.index.metric

    @property
    def facts(self) -> dict[str, str]:
        """What is served, as labels; ``generation`` tells artifacts apart."""
        generation = "" if self.artifact is None else self.artifact.manifest.digest[:12]
        return {
            "generation": generation,
            "metric": self.metric,
            "n_samples": str(self.n_samples),
            "n_features": str(self.n_features),
        }

    @property
    def has_items(self) -> bool:
        """Whether the rows have attributes, which `warm_up` then takes longer for."""
        return self.catalog.has_items

    def execution_parameters(self) -> None:
        """Return None: the server knows best how it wants to be called by batch transform."""

    def warm_up(self, *, items: bool = True) -> None:
        """Answer one query in every way, so that the first real one is as fast as the others.

        Parameters
        ----------
        items : bool, default=True
            Whether the attributes are touched too; if there are any, that imports pyarrow.
        """
        self.index.warm_up()
        # Like queries that come; one unlike any row would be compared with all of them.
        row = self.index.rows.take(np.zeros(1, dtype=np.int64))[0]
        self.invoke(write_array(row), NPY)
        by_id = {
            "ids": self.catalog.ids_of([0]),
            "include_items": items and self.catalog.has_items,
        }
        self.invoke(dump(by_id), JSON)

    def invoke(
        self,
        body: bytes,
        content_type: str | None = None,
        accept: str | None = None,
        custom_attributes: str | None = None,
    ) -> Reply:
        """Answer a request.

        Parameters
        ----------
        body : bytes
        content_type, accept : str, optional
            The headers as they came.
        custom_attributes : str, optional
            The header X-Amzn-SageMaker-Custom-Attributes.

        Returns
        -------
        Reply

        Raises
        ------
        Refused
            Whatever the client did wrong; `docs/reference/wire-format.md` lists the codes.
        ArtifactError
            With the artifact's own fault, such as a byte that changed on disk.
        """
        query = self.read(body, content_type, accept, custom_attributes)
        (found,) = self.find([query])
        return self.write(query, found)

    def read(
        self,
        body: bytes,
        content_type: str | None = None,
        accept: str | None = None,
        custom_attributes: str | None = None,
    ) -> Query:
        """Understand and check a request, without searching; parameters as of `invoke`."""
        source = source_of(content_type, body).name
        if self._default_accept is not None and accepts_anything(accept):
            accept = self._default_accept
        negotiate(accept, source)  # what cannot be answered need not be read
        request = decode(body, content_type, custom_attributes, self.limits)
        query = self._reader.query(request, accept, source)
        accepted_format(query, ragged=query.radius is not None)
        return query

    def query(self, request: Request) -> Query:
        """Return a decoded request as a query; its answer may be in any format.

        Raises
        ------
        Refused
            Whatever is wrong about the queries or the parameters.
        """
        return self._reader.query(request, None, JSON)

    def kneighbors(
        self, X: ArrayLike, n_neighbors: int | None = None
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Return the nearest rows of each query, as scikit-learn's method of this name does.

        Parameters
        ----------
        X : array-like of shape (n_queries, n_features) or (n_features,)
        n_neighbors : int, optional
            By default that of the model.

        Returns
        -------
        distances : ndarray of shape (n_queries, n_neighbors) or (n_neighbors,), dtype float64
        indices : ndarray of the same shape, dtype int64
            Smaller distance first, then smaller row.

        Raises
        ------
        ArrayRefused, ParameterRefused
            As the gate raises them.

        Examples
        --------
        >>> from kneighbors.search.index import ExactIndex
        >>> from kneighbors.search.rows import ArrayRows
        >>> index = ExactIndex.build(ArrayRows(np.array([[0.0, 0.0], [3.0, 4.0]])), "euclidean")
        >>> Model(index).kneighbors([3.0, 4.0], 2)
        (array([0., 5.]), array([1, 0]))
        """
        queries = as_array(X, "X")
        is_single = queries.ndim == 1
        checked = check_queries(
            queries.reshape(1, -1) if is_single else X, self.n_features, self.metric, name="X"
        )
        count = self.default_n_neighbors if n_neighbors is None else n_neighbors
        found = self.index.kneighbors(checked, check_n_neighbors(count, self.n_samples))
        return (found[0][0], found[1][0]) if is_single else found

    def find(self, queries: Sequence[Query]) -> list[Found]:
        """Return what each query finds; those of several requests are searched for together.

        Raises
        ------
        BodyRefused
            With code ``answer-too-large``, where a radius holds too many. Queries with a radius
            and no number of neighbours gain nothing by company: search for each alone.
        """
        return find(self.index, queries, self.limits)

    def write(self, query: Query, found: Found) -> Reply:
        """Return the answer to a query as bytes.

        Raises
        ------
        BodyRefused
            With code ``accept-ragged``, where a query found fewer neighbours than it asked for and
            the format that was asked for has no place for that.
        """
        return write(query, found, self.index, self.catalog, self.limits)


def accepts_anything(accept: str | None) -> bool:
    """Return whether a client leaves the format of the answer to the server."""
    return accept is None or accept.strip() in _ANYTHING
