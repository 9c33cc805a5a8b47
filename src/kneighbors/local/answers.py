"""Answers over WSGI in AWS's forms: JSON, the errors of each protocol, a request id on all."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any
from xml.sax.saxutils import escape

from kneighbors.local.faults import Fault

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
JSON_1_1 = "application/x-amz-json-1.1"


def send(
    start: StartResponse,
    status: int,
    body: bytes,
    content_type: str,
    headers: Mapping[str, str] | None = None,
) -> Iterable[bytes]:
    """Answer with a body that is at hand."""
    fields = {"Content-Type": content_type, "Content-Length": str(len(body)), **(headers or {})}
    start(status_line(status), [*fields.items()])
    return [body]


def send_json(
    start: StartResponse, status: int, document: Any, headers: Mapping[str, str] | None = None
) -> Iterable[bytes]:
    """Answer as AWS's JSON protocol does."""
    data = json.dumps(document, allow_nan=False).encode()
    return send(start, status, data, JSON_1_1, headers)


def send_fault(start: StartResponse, fault: Fault) -> Iterable[bytes]:
    """Answer with an error of the JSON protocol."""
    body = {"__type": fault.code, "message": fault.message, **fault.facts}
    return send_json(start, fault.status, body, {"x-amzn-ErrorType": fault.code})


def send_runtime_fault(start: StartResponse, fault: Fault) -> Iterable[bytes]:
    """Answer with an error of the runtime, whose members are in capitals."""
    body = {"Message": fault.message, "message": fault.message, **fault.facts}
    data = json.dumps(body).encode()
    return send(start, fault.status, data, "application/json", {"x-amzn-errortype": fault.code})


def send_s3_fault(start: StartResponse, fault: Fault, path: str) -> Iterable[bytes]:
    """Answer with an error of S3."""
    data = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Error><Code>{escape(fault.code)}</Code><Message>{escape(fault.message)}</Message>"
        f"<Resource>{escape(path)}</Resource></Error>"
    ).encode()
    return send(start, fault.status, data, "application/xml")


def send_query_fault(start: StartResponse, fault: Fault) -> Iterable[bytes]:
    """Answer with an error of the query protocol, which IAM and STS speak."""
    kind = "Sender" if fault.status < 500 else "Receiver"
    data = (
        '<?xml version="1.0" encoding="UTF-8"?>\n<ErrorResponse><Error>'
        f"<Type>{kind}</Type><Code>{escape(fault.code)}</Code>"
        f"<Message>{escape(fault.message)}</Message></Error></ErrorResponse>"
    ).encode()
    return send(start, fault.status, data, "text/xml")


def identified(start: StartResponse, request_id: str) -> StartResponse:
    """Return a `start_response` that puts the request's id on the answer."""

    def start_with_id(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        if not any(name.lower() == "x-amzn-requestid" for name, _ in headers):
            headers = [*headers, ("x-amzn-RequestId", request_id)]
        return start(status, headers)

    return start_with_id


def new_request_id() -> str:
    """Return an id that no other request has."""
    return str(uuid.uuid4())


def status_line(status: int) -> str:
    """Return a status as WSGI has it."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"{status} Unknown"
