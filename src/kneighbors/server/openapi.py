"""The description of the endpoint in OpenAPI 3.1, made from the tables that the code uses."""

from __future__ import annotations

from typing import Any

from kneighbors.server.health import STATES
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
_OF_INVOCATIONS |= {"content-encoding-unsupported"}
#: Codes of the paths of several models.
_OF_MODELS = frozenset(code for code in SERVER_CODES if code.startswith(("model-", "models-")))
_OF_LOAD = frozenset({"model-name", "model-url", "model-request", "model-missing", "model-loaded"})
_OF_LOAD |= {
    "management-closed",
    "model-failed",
    "models-full",
    *_OF_PING,
    "overloaded",
    "answer-timeout",
}
_OF_NAME = frozenset({"model-name", "model-unknown"})
#: Codes where the server has tokens.
_OF_TOKENS = frozenset({"token-missing", "token-unknown"})
#: Codes that a request to a documented path, by its method, does not get.
_OF_OTHERS = frozenset({"path-unknown", "method-not-allowed", "explorer-unavailable"})
_OF_OTHERS |= _OF_TOKENS | {"management-closed"}


def document(settings: Settings) -> Json:
    """Return the document as it is for a server with these settings."""
    from kneighbors import __version__

    is_many = settings.multi_model == "true"
    made: Json = {
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
            "/healthz": {"get": _health()},
            "/openapi.json": {"get": _itself()},
            **(_models(settings) if is_many else {}),
        },
        "components": {
            "schemas": schemas(settings),
            "headers": headers(),
            "responses": error_responses(),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }
    if settings.wants_tokens:
        made["security"] = [{"token": []}]
        for path, operations in made["paths"].items():
            for operation in operations.values() if path != "/ping" else ():
                if "responses" in operation:
                    operation["responses"]["401"] = _ref("responses", "401")
    return made


def _failures(codes: frozenset[str]) -> Json:
    """Return the responses to what may go wrong: these codes, and what any path may say."""
    anywhere = set(SERVER_CODES) - _OF_INVOCATIONS - _OF_MODELS - _OF_OTHERS | {"body-too-large"}
    statuses = sorted({STATUS_OF_CODE[code] for code in anywhere | codes})
    return {str(status): _ref("responses", str(status)) for status in statuses}


def _content(media: str, schema: Json, example: Any = None) -> Json:
    entry: Json = {"schema": schema}
    if example is not None:
        entry["example"] = example
    return {media: entry}


def _success(text: str, content: Json | None = None, more: Json | None = None) -> Json:
    response: Json = {
        "description": text,
        "headers": {
            "x-request-id": _ref("headers", "RequestId"),
            "x-kneighbors-generation": _ref("headers", "Generation"),
            **(more or {}),
        },
    }
    if content is not None:
        response["content"] = content
    return response


def _ref(kind: str, name: str) -> Json:
    return {"$ref": f"#/components/{kind}/{name}"}


_REQUEST_ID: Json = {
    "name": "x-request-id",
    "in": "header",
    "description": "Comes back, and is in the log, if it has at most 64 letters, digits, dots, "
    "dashes and underscores; otherwise another is made up.",
    "schema": {"type": "string"},
}


def _ping(name: str) -> Json:
    return {
        "operationId": name,
        "summary": "Whether the server is ready.",
        "description": "200 once every worker has answered its first query, before that 503.",
        "parameters": [_REQUEST_ID],
        "security": [],
        "responses": {"200": _success("Ready; the body is empty."), **_failures(_OF_PING)},
    }


def _invocations(settings: Settings, of_path: frozenset[str] = frozenset()) -> Json:
    if settings.multi_model == "true":
        of_path |= {"model-unnamed"}
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
                {
                    "x-kneighbors-approximate": _ref("headers", "Approximate"),
                    "x-kneighbors-partial": _ref("headers", "Partial"),
                },
            ),
            **_failures(frozenset(STATUS_OF_CODE) - _OF_MODELS - _OF_OTHERS | of_path),
        },
    }


_MODEL_NAME: Json = {
    "name": "model_name",
    "in": "path",
    "required": True,
    "description": "Any text of up to 1,024 bytes, percent-encoded.",
    "schema": {"type": "string", "minLength": 1},
}


def _models(settings: Settings) -> Json:
    """Return the paths of several models."""
    text: Json = {"type": "string"}
    model: Json = {
        "type": "object",
        "required": ["modelName", "modelUrl"],
        "properties": {"modelName": text, "modelUrl": text},
        "additionalProperties": False,
    }
    page: Json = {
        "type": "object",
        "required": ["models"],
        "properties": {"models": {"type": "array", "items": model}, "nextPageToken": text},
        "additionalProperties": False,
    }
    asked: Json = {
        "type": "object",
        "required": ["model_name", "url"],
        "properties": {"model_name": {**text, "minLength": 1}, "url": text},
    }
    about = {"model_name": "wines", "url": "/opt/ml/models/wines/model"}
    load = _operation("loadModel", "Load a model.", model, _OF_LOAD)
    load["requestBody"] = {"required": True, "content": _content(_JSON, asked, about)}
    shown = _operation("pageOfModels", "List what is loaded.", page, frozenset({"model-page"}))
    shown["parameters"] += [
        {"name": "limit", "in": "query", "schema": {"type": "integer", "minimum": 1}},
        {"name": "next_page_token", "in": "query", "schema": text},
    ]
    unloading = _OF_NAME | {"model-busy", "overloaded", "management-closed"}
    one = {
        "get": _operation("describeModel", "Say where a model is from.", model, _OF_NAME),
        "delete": _operation("unloadModel", "Unload a model.", model, unloading),
    }
    invoke = _invocations(settings, _OF_NAME | {"model-failed"}) | {"operationId": "invokeModel"}
    return {
        "/models": {"post": load, "get": shown},
        "/models/{model_name}": {**one, "parameters": [_MODEL_NAME]},
        "/models/{model_name}/invoke": {"post": invoke, "parameters": [_MODEL_NAME]},
    }


def _operation(name: str, summary: str, schema: Json, codes: frozenset[str]) -> Json:
    return {
        "operationId": name,
        "summary": summary,
        "parameters": [_REQUEST_ID],
        "responses": {"200": _success("Done.", _content(_JSON, schema)), **_failures(codes)},
    }


def _execution_parameters() -> Json:
    schema = {
        "type": "object",
        "required": ["MaxConcurrentTransforms", "BatchStrategy", "MaxPayloadInMB"],
        "properties": {
            "MaxConcurrentTransforms": {"type": "integer", "minimum": 1},
            "BatchStrategy": {"enum": ["MULTI_RECORD", "SINGLE_RECORD"]},
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


def _health() -> Json:
    texts = {name: {"type": "string"} for name in ("name", "why")}
    check = {
        "type": "object",
        "properties": {**texts, "state": {"enum": [*STATES]}},
        "required": ["name", "state", "why"],
        "additionalProperties": False,
    }
    said = {
        "type": "object",
        "properties": {
            "status": {"enum": [*STATES]},
            "generation": {"type": "string"},
            "checks": {"type": "array", "items": check, "minItems": 1},
        },
        "required": ["status", "generation", "checks"],
        "additionalProperties": False,
    }
    return {
        "operationId": "healthz",
        "summary": "How everything is, and why.",
        "parameters": [_REQUEST_ID],
        "responses": {
            **_failures(frozenset()),
            "200": _success("It is as /ping says 200.", _content(_JSON, said)),
            "503": _success("It is as /ping says 503.", _content(_JSON, said)),
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
