"""The client: queries into as many requests as they need, answers back into arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack

import numpy as np

from kneighbors.client.connection import Connection, ServiceAnswerError
from kneighbors.client.endpoint import EndpointConnection, endpoint_name
from kneighbors.client.halving import halving
from kneighbors.client.token import with_token
from kneighbors.client.wire import (
    Arrays,
    Float64Array,
    Id,
    RowArray,
    as_queries,
    attributes,
    parameters,
    plain,
    read_arrays,
    read_predictions,
    stacked,
    wish,
)
from kneighbors.errors import ParameterRefused
from kneighbors.formats import JSON, NPY
from kneighbors.formats.attributes import MAX_LENGTH
from kneighbors.formats.json import dump
from kneighbors.formats.npy import write_array
from kneighbors.recommend import Neighbors, Wanted
from kneighbors.recommend.arguments import Likes
from kneighbors.sagemaker.aws import Access
from kneighbors.search.rows import FloatArray

T = TypeVar("T")

_ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
#: Most that a float64 takes in JSON, with its comma: -1.2345678901234567e-308,
_JSON_NUMBER_BYTES = 25
#: A distance and an index as float64.
_NEIGHBOR_BYTES = 16
_USUAL_NEIGHBORS = 10
#: Room for the rest of a body: a header, field names.
_SPARE_BYTES = 4_096


class Client:
    """A connection to a service, kept open between calls and safe to share between threads.

    Parameters
    ----------
    url : str
        Where it listens, such as ``"http://127.0.0.1:8080"``; a path before ``/invocations`` is
        kept. Or the name of a SageMaker endpoint, ``"wines"`` or ``"sagemaker://wines"``: what
        consists of letters, digits and hyphens is such a name. See `sagemaker` for its region.
    timeout : float, default=60.0
        Seconds to wait for an answer.
    connect_timeout : float, default=5.0
        Seconds to wait for a connection.
    max_body_bytes : int, default=6_291_456
        Larger batches are sent in several requests. The default is what SageMaker's real-time
        endpoints let through.
    max_rows : int, default=10_000
        Queries in one request.
    pool_size : int, default=10
        Connections kept open: as many as threads use the client at once.
    headers : mapping of str to str, optional
        Sent with every request.
    token : str, optional
        What a server started with ``--auth-token`` wants; by default ``KNEIGHBORS_TOKEN`` has it.

    Raises
    ------
    ParameterRefused
        With code ``url-malformed``, ``header-malformed`` or ``timeout-range``.
    MissingExtra
        If urllib3, or for an endpoint boto3, is not installed.

    Notes
    -----
    A connection that cannot be made is tried three times within 0.3 seconds; one that the server
    closed before it answered, once more. Queries change nothing, so that is safe. An answer that
    takes too long is not asked for again.

    Examples
    --------
    >>> with Client("http://127.0.0.1:8080/") as client:
    ...     print(client)
    Client('http://127.0.0.1:8080')
    """

    def __init__(
        self,
        url: str,
        *,
        timeout: float = 60.0,
        connect_timeout: float = 5.0,
        max_body_bytes: int = 6_291_456,
        max_rows: int = 10_000,
        pool_size: int = 10,
        headers: Mapping[str, str] | None = None,
        token: str | None = None,
    ) -> None:
        self.max_body_bytes, self.max_rows = max_body_bytes, max_rows
        name = endpoint_name(url)
        sent = with_token(headers or {}, token, is_endpoint=name is not None)
        how = (timeout, connect_timeout, pool_size, sent)
        self._connection: Connection | EndpointConnection = (
            Connection(url, *how) if name is None else EndpointConnection(name, None, *how)
        )

    @classmethod
    def sagemaker(
        cls,
        name: str,
        *,
        region: str | None = None,
        endpoint_url: str | None = None,
        profile: str | None = None,
        variant: str | None = None,
        timeout: float = 60.0,
        connect_timeout: float = 5.0,
        max_body_bytes: int = 6_291_456,
        max_rows: int = 10_000,
        pool_size: int = 10,
    ) -> Self:
        """Return a client of a SageMaker endpoint, by way of boto3.

        Parameters
        ----------
        name : str
            Of the endpoint.
        region, profile, endpoint_url : str, optional
            By default what boto3 finds.
        variant : str, optional
            The production variant that answers; by default they take turns, by their weights.
        timeout, connect_timeout, max_body_bytes, max_rows, pool_size
            As of the class. A serverless endpoint lets 4,194,304 bytes through.

        Raises
        ------
        ParameterRefused
            With code ``endpoint-name``, ``region-missing`` or ``profile-unknown``.
        """
        access = Access(region=region, endpoint_url=endpoint_url, profile=profile)
        client = cls.__new__(cls)
        client.max_body_bytes, client.max_rows = max_body_bytes, max_rows
        client._connection = EndpointConnection(
            name, access, timeout, connect_timeout, pool_size, {}, variant
        )
        return client

    @property
    def url(self) -> str:
        """Where the service listens; ``sagemaker://NAME`` for an endpoint."""
        return self._connection.url

    def kneighbors(
        self,
        Q: Any,
        n_neighbors: int | None = None,
        *,
        exclude_ids: Sequence[Id] = (),
    ) -> tuple[Float64Array, RowArray]:
        """Return the nearest rows of the corpus for each query.

        Parameters
        ----------
        Q : array-like of shape (n_queries, n_features) or (n_features,)
            float32 and float64 travel as they are.
        n_neighbors : int, optional
            By default what the server was set to.
        exclude_ids : sequence of str or int, default=()
            Ids that are no answers.

        Returns
        -------
        distances : ndarray of shape (n_queries, n_neighbors), dtype float64
        indices : ndarray of shape (n_queries, n_neighbors), dtype int64
            Both of shape (n_neighbors,) for a lone vector.

        Raises
        ------
        ArrayRefused
            When `Q` is no matrix of finite numbers; nothing was sent then.
        ServiceError
            With code ``service-unreachable``, ``service-timeout`` or ``service-answer``; as a
            `ServiceAnswerError` with the server's own code.

        Notes
        -----
        A batch beyond `max_body_bytes` or `max_rows` is sent in several requests, one after the
        other; a part that the server finds too large is halved.
        """
        vectors, single = as_queries(Q)
        header = attributes(n_neighbors, exclude_ids)
        if len(header) > MAX_LENGTH:
            found = self.query(vectors=vectors, n_neighbors=n_neighbors, exclude_ids=exclude_ids)
            answers = [stacked(found)] if found else []
        else:
            row_bytes = vectors.shape[1] * vectors.itemsize
            answers = self._in_parts(
                vectors, row_bytes, n_neighbors, lambda part: self._ask_arrays(part, header)
            )
        if not answers:
            return np.empty((0, n_neighbors or 0)), np.empty((0, n_neighbors or 0), np.int64)
        distances = np.concatenate([one[0] for one in answers])
        indices = np.concatenate([one[1] for one in answers])
        return (distances[0], indices[0]) if single else (distances, indices)

    def query(
        self,
        *,
        ids: Sequence[Id] | None = None,
        vectors: Any = None,
        **wanted: Unpack[Wanted],
    ) -> list[Neighbors]:
        """Return the neighbours of rows or of vectors, with their ids and, if wanted, attributes.

        Parameters
        ----------
        ids : sequence of str or int, optional
            Rows of the corpus that are the queries; either these or `vectors`.
        vectors : array-like of shape (n_queries, n_features) or (n_features,), optional
        **wanted
            As `kneighbors.recommend.Wanted` has it.

        Returns
        -------
        list of Neighbors
            One for each query, in order.

        Raises
        ------
        ArrayRefused, ServiceError
            As `kneighbors`.
        ParameterRefused
            With code ``query-conflict``, when not exactly one of `ids` and `vectors` is given.
        """
        if (ids is None) == (vectors is None):
            raise ParameterRefused("query-conflict", "Expected either ids or vectors.")
        said, n_neighbors = parameters(wanted), wanted.get("n_neighbors")
        if ids is not None:
            queries = plain(ids)
            longest = max((len(dump(one)) for one in queries), default=0) + 1
            return self._in_parts(
                queries, longest, n_neighbors, lambda part: self._ask("ids", part, said)
            )
        matrix, _ = as_queries(vectors)
        return self._in_parts(
            matrix,
            matrix.shape[1] * _JSON_NUMBER_BYTES,
            n_neighbors,
            lambda part: self._ask("instances", part.tolist(), said),
        )

    def recommend(
        self,
        *,
        like: Likes = (),
        dislike: Likes = (),
        terms: Sequence[str] = (),
        **wanted: Unpack[Wanted],
    ) -> Neighbors:
        """Return what somebody may like who likes these, as `kneighbors.Recommender` does.

        Parameters
        ----------
        like, dislike : sequence or mapping
            Ids, vectors, or pairs of one of them and its weight; or a mapping of ids to weights.
        terms : sequence of str
            Words of the server's vocabulary; together they are one more like.
        **wanted
            As `kneighbors.recommend.Wanted` has it.

        Returns
        -------
        Neighbors

        Raises
        ------
        ParameterRefused, BodyRefused, ArrayRefused
            For what no server would take; nothing was sent then.
        ServiceError
            As `kneighbors`.
        """
        return self._ask("instances", [wish(like, dislike, terms)], parameters(wanted))[0]

    def ping(self) -> bool:
        """Tell whether the service is up and ready; False also where nothing can be reached."""
        return self._connection.ping()

    def close(self) -> None:
        """Close the connections; a later call opens new ones."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Client({self.url!r})"

    def _in_parts(
        self,
        queries: Any,
        query_bytes: int,
        n_neighbors: int | None,
        ask: Callable[[Any], list[T]],
    ) -> list[T]:
        """Ask for slices of the queries that fit into a request, and their answers into a reply."""
        room = max(1, self.max_body_bytes - _SPARE_BYTES)
        answer_bytes = (n_neighbors or _USUAL_NEIGHBORS) * _NEIGHBOR_BYTES
        size = max(1, min(self.max_rows, room // max(query_bytes, answer_bytes, 1)))
        answers: list[T] = []
        for start in range(0, len(queries), size):
            try:
                answers.extend(halving(queries[start : start + size], ask))
            except ServiceAnswerError as error:
                if start == 0 or error.where is None:
                    raise
                # The server counts from the first query that it was sent.
                where = f"{error.where}, counted from query {start}"
                raise ServiceAnswerError(
                    error.code, error.message, where=where, hint=error.hint, status=error.status
                ) from error
        return answers

    def _ask_arrays(self, vectors: FloatArray, header: str) -> list[Arrays]:
        headers = {"Content-Type": NPY, "Accept": NPY}
        if header:
            headers[_ATTRIBUTES] = header
        answer = self._connection.post(write_array(vectors), headers)
        return [read_arrays(answer, len(vectors))]

    def _ask(self, name: str, queries: list[Any], parameters: dict[str, Any]) -> list[Neighbors]:
        body = dump({name: queries, "parameters": parameters})
        answer = self._connection.post(body, {"Content-Type": JSON, "Accept": JSON})
        return read_predictions(answer, len(queries))
