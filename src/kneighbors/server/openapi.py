"""The description of the endpoint in OpenAPI 3.1, made from the tables that the code uses."""

from __future__ import annotations

from typing import Any

from kneighbors.server.schemas import Json, error_responses, headers, schemas
from kneighbors.server.settings import Settings
from kneighbors.server.statuses import SERVER_CODES, STATUS_OF_CODE

_NPY, _JSON, _CSV, _LINES = (
    "application/x-npy",
    "application/json",
    "text/csv",
    "application/jsonlines",
)

#: Codes that belong to one path alone.
_OF_PING = frozenset({"not-ready", "stopping"})
_OF_INVOCATIONS = _OF_PING | {"overloaded", "answer-timeout", "memory-exhausted", "header-doubled"}
#: Codes that a request to a documented path, by its method, does not get.
_OF_OTHERS = frozenset({"path-unknown", "method-not-allowed"})


def document(settings: Settings) -> Json:
    """Return the document as it is for a server with these settings."""
    from kneighbors import __version__

    return {
        "openapi": "3.1.0",
        "info": {
            "title": "kneighbors",
            "version": __version__,
            "summary": "Exact nearest neighbours over SageMaker's hosting contract.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": {
            "/ping": {"get": _ping("ping"), "post": _ping("postPing")},
            "/invocations": {"post": _invocations(settings)},
            "/execution-parameters": {"get": _execution_parameters()},
            "/metrics": {"get": _metrics()},
            "/openapi.json": {"get": _itself()},
        },
        "components": {
            "schemas": schemas(settings),
            "headers": headers(),
            "responses": error_responses(),
        },
    }


def _failures(codes: frozenset[str]) -> Json:
    """Return the responses to what may go wrong: these codes, and what any path may say."""
    anywhere = set(SERVER_CODES) - _OF_INVOCATIONS - _OF_OTHERS | {"body-too-large"}
    statuses = sorted({STATUS_OF_CODE[code] for code in anywhere | codes})
    return {str(status): _ref("responses", str(status)) for status in statuses}


def _content(media: str, schema: Json, example: Any = None) -> Json:
    entry: Json = {"schema": schema}
    if example is not None:
        entry["example"] = example
    return {media: entry}


def _success(text: str, content: Json | None = None) -> Json:
    response: Json = {
        "description": text,
        "headers": {"x-request-id": _ref("headers", "RequestId")},
    }
    if content is not None:
        response["content"] = content
    return response


def _ref(kind: str, name: str) -> Json:
    return {"$ref": f"#/components/{kind}/{name}"}


_REQUEST_ID: Json = {
    "name": "x-request-id",
    "in": "header",
    "description": "Comes back, and is in the log. Another is made up if it is not plain.",
    "schema": {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"},
}


def _ping(name: str) -> Json:
    return {
        "operationId": name,
        "summary": "Whether the server is ready.",
        "description": "200 once every worker has answered its first query, before that 503.",
        "parameters": [_REQUEST_ID],
        "responses": {"200": _success("Ready; the body is empty."), **_failures(_OF_PING)},
    }


def _invocations(settings: Settings) -> Json:
    binary = {"type": "string", "contentMediaType": _NPY, "maxLength": settings.max_body_bytes}
    text = {"type": "string", "maxLength": settings.max_body_bytes}
    return {
        "operationId": "invocations",
        "summary": "Find nearest neighbours.",
        "parameters": [
            {
                "name": "X-Amzn-SageMaker-Custom-Attributes",
                "in": "header",
                "description": "Parameters for any format, such as k=20;exclude_self=true.",
                "schema": {"type": "string", "maxLength": 1024},
                "example": "k=20;exclude_self=true",
            },
            _REQUEST_ID,
        ],
        "requestBody": {
            "required": True,
            "content": {
                **_content(_JSON, _ref("schemas", "Request"), {"instances": [[0.1, 0.2]], "k": 5}),
                **_content(_NPY, binary),
                **_content(_CSV, text, "0.1,0.2\n0.3,0.4\n"),
                **_content(_LINES, text, '{"features": [0.1, 0.2]}\n{"id": "a"}\n'),
            },
        },
        "responses": {
            "200": _success(
                "The neighbours, nearest first, in the format that Accept asks for, by default "
                "that of the request.",
                {
                    **_content(_JSON, _ref("schemas", "Answer")),
                    **_content(_NPY, {"type": "string", "contentMediaType": _NPY}),
                    **_content(_CSV, {"type": "string"}),
                    **_content(_LINES, {"type": "string"}),
                },
            ),
            **_failures(frozenset(STATUS_OF_CODE) - _OF_OTHERS),
        },
    }


def _execution_parameters() -> Json:
    schema = {
        "type": "object",
        "required": ["MaxConcurrentTransforms", "BatchStrategy", "MaxPayloadInMB"],
        "properties": {
            "MaxConcurrentTransforms": {"type": "integer", "minimum": 1},
            "BatchStrategy": {"const": "MULTI_RECORD"},
            "MaxPayloadInMB": {"type": "integer", "minimum": 1},
        },
    }
    return {
        "operationId": "executionParameters",
        "summary": "How batch transform should call.",
        "parameters": [_REQUEST_ID],
        "responses": {
            "200": _success("The parameters.", _content(_JSON, schema)),
            **_failures(frozenset()),
        },
    }


def _metrics() -> Json:
    return {
        "operationId": "metrics",
        "summary": "Metrics of all workers in Prometheus's text format.",
        "parameters": [_REQUEST_ID],
        "responses": {
            "200": _success("The metrics.", _content("text/plain", {"type": "string"})),
            **_failures(frozenset()),
        },
    }


def _itself() -> Json:
    return {
        "operationId": "openapi",
        "summary": "This document.",
        "parameters": [_REQUEST_ID],
        "responses": {
            "200": _success("The document.", _content(_JSON, {"type": "object"})),
            **_failures(frozenset()),
        },
    }
