"""What a handler has to do with the server around it, where that is one of AWS's.

Their toolkits make 500 of whatever a handler raises, and hand it no custom attributes. Both of
their web servers can be asked for better: Flask by its request, the multi-model server by the
context. Neither is imported here; one that is not there is not asked.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from kneighbors.errors import Refused
from kneighbors.sagemaker.statuses import MODEL_CODES, error_body

_ATTRIBUTES = "x-amzn-sagemaker-custom-attributes"


def custom_attributes(context: Any) -> str | None:
    """Return the header of that name, wherever the server keeps it; None if there is none.

    Parameters
    ----------
    context : object or None
        What sagemaker-inference, or our own server, gives a handler that takes it.
    """
    headers: Mapping[str, str] = {}
    if context is not None:
        headers = context.get_all_request_header(0)
    elif (flask := _flask()) is not None:
        headers = flask.request.headers
    return next((text for name, text in headers.items() if name.lower() == _ATTRIBUTES), None)


def told(error: Refused) -> Exception:
    """Return what to raise so that a client learns of a refusal, status and body, as from us.

    Under Flask the answer is replaced once the toolkit has made its own. The multi-model server
    takes the status, and writes a traceback after the body.
    """
    status = next((s for s, codes in MODEL_CODES.items() if error.code in codes), 400)
    message = error.message if error.hint is None else f"{error.message} {error.hint}"
    body = error_body(error.code, message, error.where)
    if (flask := _flask()) is not None:
        answer = flask.Response(body, status, mimetype="application/json")
        flask.after_this_request(lambda _: answer)
    elif (errors := sys.modules.get("sagemaker_inference.errors")) is not None:
        told_so: Exception = errors.GenericInferenceToolkitError(
            status, body.decode(), HTTPStatus(status).phrase
        )
        return told_so
    return error


def _flask() -> Any:
    """Return Flask if it is in the middle of a request."""
    flask = sys.modules.get("flask")
    return flask if flask is not None and flask.has_request_context() else None
