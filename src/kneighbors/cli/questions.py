"""What ``kneighbors query`` asks: one JSON request, answered here or by a server alike."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from kneighbors.cli.vectors import LOCAL_LIMITS, FloatArray, read_vector, read_vectors
from kneighbors.errors import ParameterRefused, ServiceError

if TYPE_CHECKING:
    from kneighbors.client import Client, Neighbors
    from kneighbors.items import Catalog
    from kneighbors.recommend import Wanted

_JSON = "application/json"
_INTEGER = re.compile(r"-?[0-9]{1,19}")

Predictions = list[dict[str, Any]]


@dataclass(frozen=True)
class Taste:
    """What is liked and what is not, as it was typed.

    Parameters
    ----------
    like, dislike : tuple of str
        Ids.
    terms : tuple of str
    """

    like: tuple[str, ...]
    dislike: tuple[str, ...]
    terms: tuple[str, ...]


@dataclass(frozen=True)
class Question:
    """Queries, and what is asked of them.

    Parameters
    ----------
    vectors : ndarray of shape (n_queries, n_features), optional
    rows : tuple of int
    ids : tuple of str
        As they were typed; the index knows whether they are integers.
    exclude_ids, include_ids : tuple of str
    parameters : dict
        What else was given, by its name on the wire.
    items : bool, tuple of str, or None
        Which attributes; None means all if there are any.
    taste : Taste, optional
        The one query, where it is by example.
    """

    vectors: FloatArray | None
    rows: tuple[int, ...]
    ids: tuple[str, ...]
    exclude_ids: tuple[str, ...]
    include_ids: tuple[str, ...]
    parameters: dict[str, Any]
    items: bool | tuple[str, ...] | None
    taste: Taste | None = None

    @classmethod
    def of(
        cls,
        *,
        source: str | None,
        rows: tuple[int, ...],
        ids: tuple[str, ...],
        vector: str | None,
        taste: Taste | None = None,
        exclude_ids: tuple[str, ...],
        include_ids: tuple[str, ...],
        items: bool | None,
        columns: str | None,
        filter: str | None,
        skip_unknown_terms: bool,
        explain: bool,
        exclude_list: tuple[str, ...],
        include_list: tuple[str, ...],
        **given: Any,
    ) -> Question:
        """Make a question of the options of the command."""
        given |= {
            "filter": None if filter is None else _object(filter),
            "unknown_terms": "skip" if skip_unknown_terms else None,
            "explain": explain or None,
            "exclude_list": list(exclude_list) or None,
            "include_list": list(include_list) or None,
        }
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
            include_ids=include_ids,
            taste=taste,
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

    def body(self, ids: Sequence[str | int], typed: Callable[[Sequence[str]], list[Any]]) -> bytes:
        """Return the request in JSON.

        Parameters
        ----------
        ids : sequence of str or int
            The queries, where there are neither vectors nor a taste.
        typed : callable
            Makes ids of what was typed.
        """
        document: dict[str, Any] = {"parameters": dict(self.parameters)}
        if self.taste is not None:
            document["like"] = typed(self.taste.like)
            document["dislike"] = typed(self.taste.dislike)
            document["terms"] = list(self.taste.terms)
        elif self.vectors is None:
            document["ids"] = list(ids)
        else:
            document["instances"] = self.vectors.tolist()
        for name, named in (("exclude_ids", self.exclude_ids), ("include_ids", self.include_ids)):
            if named:
                document["parameters"][name] = typed(named)
        if self.items:
            document["parameters"]["include_items"] = self.items
        return json.dumps(document).encode()


def ask_artifact(
    path: str, question: Question, require_signature: str | None = None
) -> Predictions:
    """Answer a question from an artifact, in this process.

    Parameters
    ----------
    path : str
        A directory or a ``.tar.gz``, or a place.
    question : Question
    require_signature : str, optional
        File of public keys, of which one must have signed it.

    Raises
    ------
    KNeighborsError
        As `kneighbors.sagemaker.model.Model` raises it.
    """
    from kneighbors.generations.loading import opened
    from kneighbors.sagemaker.model import Model

    model = opened(
        path,
        lambda found: Model.open(
            os.fspath(found), limits=LOCAL_LIMITS, require_signature=require_signature
        ),
    )
    catalog = model.catalog
    if question.items is None:
        question = replace(question, items=catalog.has_items)

    def typed(ids: Sequence[str]) -> list[str | int]:
        return _typed(ids, catalog)

    ids: Sequence[str | int] = typed(question.ids)
    if question.rows:
        ids = catalog.ids_of(question.rows)
    reply = model.invoke(question.body(ids, typed), _JSON, _JSON)
    predictions: Predictions = json.loads(reply.body)["predictions"]
    return predictions


def ask_server(url: str, question: Question, token: str | None = None) -> Predictions:
    """Let a server answer a question.

    Parameters
    ----------
    url : str
        Where it listens.
    question : Question
        By vectors or ids; a server knows no rows.
    token : str, optional
        As of `kneighbors.client.Client`.

    Raises
    ------
    ServiceError
        If the server cannot be reached, or refuses.
    """
    from kneighbors.client import Client

    with Client(url, token=token) as client:
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
    ids = (*question.ids, *question.exclude_ids, *question.include_ids)
    if question.taste is not None:
        ids += question.taste.like + question.taste.dislike
    kinds = (True, False) if ids and all(_INTEGER.fullmatch(one) for one in ids) else (False,)
    wanted = (True, False) if question.items is None else (question.items,)
    for as_integers in kinds:
        for items in wanted:
            yield _Attempt(question, as_integers, items)


def _asked(client: Client, attempt: _Attempt) -> Predictions:
    question = attempt.question
    kind: type[int] | type[str] = int if attempt.as_integers else str
    wanted = cast("Wanted", {**question.parameters, "include_items": attempt.items})
    wanted["exclude_ids"] = [kind(one) for one in question.exclude_ids]
    if question.include_ids:
        wanted["include_ids"] = [kind(one) for one in question.include_ids]
    if question.taste is not None:
        taste = question.taste
        like, dislike = ([kind(one) for one in ids] for ids in (taste.like, taste.dislike))
        return [
            _prediction(client.recommend(like=like, dislike=dislike, terms=taste.terms, **wanted))
        ]
    found = client.query(
        ids=[kind(one) for one in question.ids] if question.vectors is None else None,
        vectors=question.vectors,
        **wanted,
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
    if neighbors.detail is not None:
        one["detail"] = neighbors.detail
    if neighbors.explanations is not None:
        one["explanations"] = neighbors.explanations
    if neighbors.missing_rows is not None:
        one["missing_rows"] = neighbors.missing_rows
    return one


def _object(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise ParameterRefused(
            "parameter-type",
            f"Expected --filter to be JSON, got {text[:60]!r}.",
            hint="""Write it as '{"price": {"lt": 30}}'.""",
        ) from error


def _typed(ids: Sequence[str], catalog: Catalog) -> list[str | int]:
    """Return ids as the catalogue has them; one that is no integer is left for it to refuse."""
    if catalog.id_type == "string":
        return list(ids)
    return [int(one) if _INTEGER.fullmatch(one) else one for one in ids]
