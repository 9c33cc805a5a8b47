"""What ``kneighbors query`` asks: one JSON request, answered here or by a server alike."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from kneighbors.cli.vectors import LOCAL_LIMITS, FloatArray, read_vector, read_vectors
from kneighbors.errors import ServiceError

if TYPE_CHECKING:
    from kneighbors.client import Client, Neighbors
    from kneighbors.items import Catalog

_JSON = "application/json"
_INTEGER = re.compile(r"-?[0-9]{1,19}")

Predictions = list[dict[str, Any]]


@dataclass(frozen=True)
class Question:
    """Queries, and what is asked of them.

    Parameters
    ----------
    vectors : ndarray of shape (n_queries, n_features), optional
    rows : tuple of int
    ids : tuple of str
        As they were typed; the index knows whether they are integers.
    exclude_ids : tuple of str
    parameters : dict
        ``n_neighbors``, ``radius``, ``exclude_self`` where they were given.
    items : bool, tuple of str, or None
        Which attributes; None means all if there are any.
    """

    vectors: FloatArray | None
    rows: tuple[int, ...]
    ids: tuple[str, ...]
    exclude_ids: tuple[str, ...]
    parameters: dict[str, Any]
    items: bool | tuple[str, ...] | None

    @classmethod
    def of(
        cls,
        *,
        source: str | None,
        rows: tuple[int, ...],
        ids: tuple[str, ...],
        vector: str | None,
        n_neighbors: int | None,
        radius: float | None,
        exclude_self: bool,
        exclude_ids: tuple[str, ...],
        items: bool | None,
        columns: str | None,
    ) -> Question:
        """Make a question of the options of the command."""
        given = {"n_neighbors": n_neighbors, "radius": radius, "exclude_self": exclude_self or None}
        vectors = None
        if source is not None:
            vectors = read_vectors(source)
        elif vector is not None:
            vectors = read_vector(vector)
        names = tuple(name.strip() for name in (columns or "").split(",") if name.strip())
        return cls(
            vectors=vectors,
            rows=rows,
            ids=ids,
            exclude_ids=exclude_ids,
            parameters={name: value for name, value in given.items() if value is not None},
            items=names or items,
        )

    def title(self, number: int) -> str:
        """Return what the query of that number is, for a heading."""
        if self.ids:
            return f"id {self.ids[number]}"
        if self.rows:
            return f"row {self.rows[number]}"
        return f"query {number}"

    def body(self, ids: Sequence[str | int], exclude_ids: Sequence[str | int]) -> bytes:
        """Return the request in JSON; `ids` are the queries where there are no vectors."""
        document: dict[str, Any] = {"parameters": dict(self.parameters)}
        if self.vectors is None:
            document["ids"] = list(ids)
        else:
            document["instances"] = self.vectors.tolist()
        if exclude_ids:
            document["parameters"]["exclude_ids"] = list(exclude_ids)
        if self.items:
            document["parameters"]["include_items"] = self.items
        return json.dumps(document).encode()


def ask_artifact(path: str, question: Question) -> Predictions:
    """Answer a question from an artifact, in this process.

    Parameters
    ----------
    path : str
        A directory or a ``.tar.gz``.
    question : Question

    Raises
    ------
    KNeighborsError
        As `kneighbors.sagemaker.model.Model` raises it.
    """
    from kneighbors.sagemaker.model import Model

    model = Model.open(path, limits=LOCAL_LIMITS)
    catalog = model.catalog
    if question.items is None:
        question = replace(question, items=catalog.has_items)
    ids: Sequence[str | int] = _typed(question.ids, catalog)
    if question.rows:
        ids = catalog.ids_of(question.rows)
    body = question.body(ids, _typed(question.exclude_ids, catalog))
    reply = model.invoke(body, _JSON, _JSON)
    predictions: Predictions = json.loads(reply.body)["predictions"]
    return predictions


def ask_server(url: str, question: Question) -> Predictions:
    """Let a server answer a question.

    Parameters
    ----------
    url : str
        Where it listens.
    question : Question
        By vectors or ids; a server knows no rows.

    Raises
    ------
    ServiceError
        If the server cannot be reached, or refuses.
    """
    from kneighbors.client import Client

    with Client(url) as client:
        attempts = list(_attempts(question))
        for attempt in attempts[:-1]:
            try:
                return _asked(client, attempt)
            except ServiceError as error:
                # What the server's index is like, is only known from what it refuses.
                if error.code not in ("id-type", "items-missing"):
                    raise
        return _asked(client, attempts[-1])


@dataclass(frozen=True)
class _Attempt:
    question: Question
    as_integers: bool
    items: bool | tuple[str, ...]


def _attempts(question: Question) -> Iterator[_Attempt]:
    """Yield what may be meant, the likeliest first: integer ids, and attributes if any."""
    ids = (*question.ids, *question.exclude_ids)
    kinds = (True, False) if ids and all(_INTEGER.fullmatch(one) for one in ids) else (False,)
    wanted = (True, False) if question.items is None else (question.items,)
    for as_integers in kinds:
        for items in wanted:
            yield _Attempt(question, as_integers, items)


def _asked(client: Client, attempt: _Attempt) -> Predictions:
    question = attempt.question
    kind: type[int] | type[str] = int if attempt.as_integers else str
    found = client.query(
        ids=[kind(one) for one in question.ids] if question.vectors is None else None,
        vectors=question.vectors,
        exclude_ids=[kind(one) for one in question.exclude_ids],
        include_items=attempt.items,
        **question.parameters,
    )
    return [_prediction(one) for one in found]


def _prediction(neighbors: Neighbors) -> dict[str, Any]:
    """Return neighbours as a server writes them in JSON."""
    one: dict[str, Any] = {
        "distances": neighbors.distances.tolist(),
        "indices": neighbors.indices.tolist(),
        "ids": neighbors.ids,
    }
    if neighbors.items is not None:
        one["items"] = neighbors.items
    if neighbors.reason is not None:
        one |= {"n_found": len(neighbors), "reason": neighbors.reason}
    return one


def _typed(ids: Sequence[str], catalog: Catalog) -> list[str | int]:
    """Return ids as the catalogue has them; one that is no integer is left for it to refuse."""
    if catalog.id_type == "string":
        return list(ids)
    return [int(one) if _INTEGER.fullmatch(one) else one for one in ids]
