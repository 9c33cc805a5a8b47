"""What our handlers do, in the form in which SageMaker's toolkits call a script's functions.

`model_fn`, `input_fn`, `predict_fn` and `output_fn` stand in for each that a script does not
define. A script may also call them from its own, on AWS's serving stacks as well as on ours. What
the toolkits do alike, we do too: a body of the content type ``application/json`` or ``text/csv``
comes as text and any other as bytes, and a missing Accept, or ``*/*``, becomes
``SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT``, else ``application/json``. Where they differ:

- Without a Content-Type, sagemaker-containers says ``application/json`` and sagemaker-inference
  says None. We do as the former.
- With parameters, as in ``application/json; charset=utf-8``, both hand over bytes; we hand over
  text, for the media type is the same.
- ``context`` is known to sagemaker-inference alone; see `kneighbors.sagemaker.toolkits` for what
  else becomes of that.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from kneighbors.errors import Refused, ScriptError
from kneighbors.formats import Limits, Request, decode
from kneighbors.sagemaker.model import Model
from kneighbors.sagemaker.query import Found, Query, Reply
from kneighbors.sagemaker.toolkits import custom_attributes, told
from kneighbors.sagemaker.values import write_value
from kneighbors.search.gate import check_queries


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """What was found, before it is written.

    Parameters
    ----------
    query : Query
    found : Found
        Distances and row numbers.
    model : Model
    """

    query: Query
    found: Found
    model: Model

    def write(self, accept: str | None) -> Reply:
        """Return the answer as bytes; errors as of `Model.write`."""
        return self.model.write(replace(self.query, accept=accept), self.found)


def model_fn(model_dir: str | Path, context: Any = None) -> Model:
    """Open the artifact in a directory; errors as of `Model.open`."""
    return Model.open(model_dir)


def input_fn(body: str | bytes, content_type: str | None, context: Any = None) -> Request:
    """Understand the body of a request, in any of our formats.

    Parameters
    ----------
    body : str or bytes
        At most as long as the server lets through: here is no limit.
    content_type : str or None
    context : object, optional
        As sagemaker-inference gives it; its custom attributes are parameters of the request.

    Returns
    -------
    Request
        ``request.vectors`` is a matrix, None for queries by id.

    Raises
    ------
    BodyRefused, ParameterRefused
        As `kneighbors.formats.decode` raises them.
    """
    data = body.encode() if isinstance(body, str) else bytes(body)
    limits = Limits(max_body_bytes=max(1, len(data)))
    try:
        return decode(data, content_type, custom_attributes(context), limits)
    except Refused as error:
        raise told(error) from error


def predict_fn(data: Any, model: Any, context: Any = None) -> Prediction:
    """Find the nearest neighbours.

    Parameters
    ----------
    data : Request, or array-like of shape (n_queries, n_features) or (n_features,)
        What our `input_fn` returned, or the vectors of another.
    model : Model

    Returns
    -------
    Prediction

    Raises
    ------
    Refused
        Whatever is wrong about the queries.
    ScriptError
        With code ``script-invalid`` where the model is none of ours.
    """
    if not isinstance(model, Model):
        raise not_searchable(model)
    try:
        query = model.query(data if isinstance(data, Request) else _request_of(data, model))
        (found,) = model.find([query])
    except Refused as error:
        raise told(error) from error
    return Prediction(query, found, model)


def output_fn(prediction: Any, accept: str | None, context: Any = None) -> tuple[bytes, str]:
    """Write what was found, as a client wants it.

    Parameters
    ----------
    prediction : Prediction, ndarray, number, or lists and dicts of them
        What our `predict_fn` returned, or the values of another.
    accept : str or None

    Returns
    -------
    body : bytes
    content_type : str

    Raises
    ------
    BodyRefused
        With code ``accept-unsupported`` and others, where no format is acceptable that can carry
        the values.
    """
    try:
        if isinstance(prediction, Prediction):
            reply = prediction.write(accept)
            return reply.body, reply.content_type
        return write_value(prediction, accept)
    except Refused as error:
        raise told(error) from error


def not_searchable(model: Any) -> ScriptError:
    """Return the refusal of a model that is not ours, where we are to search it."""
    return ScriptError(
        "script-invalid",
        f"Expected a predict_fn beside a model_fn that returns {type(model).__name__}, got none.",
        hint="Only a model of kneighbors can be searched without one.",
    )


def _request_of(data: Any, model: Model) -> Request:
    queries = np.asarray(data)
    is_single = queries.ndim == 1
    vectors = queries.reshape(1, -1) if is_single else data
    checked = check_queries(vectors, model.n_features, model.metric)
    return Request(vectors=checked, single=is_single)
