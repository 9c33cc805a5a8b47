"""The OpenAPI document: valid by OpenAPI's own schema, and true."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from openapi_spec_validator.schemas import schema_v31

from kneighbors.server.openapi import document
from kneighbors.server.routes import ROUTES
from kneighbors.server.settings import Settings
from kneighbors.server.statuses import STATUS_OF_CODE
from support.server_process import ServerProcess

JSON = "application/json"
VECTOR = [1.0] * 16


@pytest.fixture(scope="module")
def spec() -> dict[str, Any]:
    made: dict[str, Any] = json.loads(json.dumps(document(Settings(max_body_bytes=200_000))))
    return made


def validator(spec: dict[str, Any], schema: dict[str, Any]) -> Draft202012Validator:
    return Draft202012Validator({**schema, "components": spec["components"]})


def response_of(spec: dict[str, Any], path: str, method: str, status: int) -> dict[str, Any]:
    """Return what the document says of a response, its reference followed."""
    found: dict[str, Any] = spec["paths"][path][method]["responses"][str(status)]
    if "$ref" in found:
        found = spec["components"]["responses"][found["$ref"].rpartition("/")[2]]
    return found


def test_it_is_valid_openapi_3_1(spec: dict[str, Any]) -> None:
    Draft202012Validator(dict(schema_v31)).validate(spec)
    OpenAPIV31SpecValidator(spec).validate()


def test_the_served_document_is_this_one(server: ServerProcess, spec: dict[str, Any]) -> None:
    status, headers, body = server.request("GET", "/openapi.json")
    assert (200, JSON) == (status, headers["content-type"])
    assert spec == json.loads(body)


def test_it_has_every_path_and_method(spec: dict[str, Any]) -> None:
    expected = {
        (route.path, method.lower())
        for route in ROUTES
        for method in (route.methods or set()) - {"HEAD"}
    }
    assert expected == {(path, method) for path, its in spec["paths"].items() for method in its}


def test_every_code_is_under_its_status(spec: dict[str, Any]) -> None:
    responses = spec["components"]["responses"]
    for code, status in STATUS_OF_CODE.items():
        response = responses[str(status)]
        assert f" {code}" in response["description"]
        schema = response["content"][JSON]["schema"]
        error = {"error": {"code": code, "message": "Expected.", "where": None}}
        validator(spec, schema).validate(error)


@pytest.mark.parametrize(
    "body",
    [
        VECTOR,
        [VECTOR, VECTOR],
        {"instances": [VECTOR]},
        {"instances": [{"features": VECTOR}, VECTOR]},
        {"instances": [{"id": "w001"}, {"id": "w002"}]},
        {"instances": [{"data": {"features": {"values": VECTOR}}}]},
        {"features": VECTOR, "n_neighbors": 3},
        {"ids": ["w001"], "parameters": {"k": 3, "exclude_self": True, "include_items": True}},
        {"id": "w001", "include_items": ["name"], "exclude_ids": ["w002"]},
        {"instances": [VECTOR], "radius": 0.01},
    ],
)
def test_what_the_schema_allows_is_answered_as_it_says(
    server: ServerProcess, spec: dict[str, Any], body: object
) -> None:
    content = spec["paths"]["/invocations"]["post"]["requestBody"]["content"]
    validator(spec, content[JSON]["schema"]).validate(body)
    data = json.dumps(body).encode()
    status, _, got = server.request("POST", "/invocations", data, {"Content-Type": JSON})
    assert 200 == status, got
    answer = response_of(spec, "/invocations", "post", 200)["content"][JSON]["schema"]
    validator(spec, answer).validate(json.loads(got))


@pytest.mark.parametrize(
    "body",
    [
        [],
        {},
        {"instances": []},
        {"instances": VECTOR},
        {"instances": [VECTOR, {"id": "w001"}]},
        {"k": 3},
        [1, "2"],
        "text",
        None,
    ],
)
def test_what_the_schema_forbids_is_refused(
    server: ServerProcess, spec: dict[str, Any], body: object
) -> None:
    content = spec["paths"]["/invocations"]["post"]["requestBody"]["content"]
    assert not validator(spec, content[JSON]["schema"]).is_valid(body)
    data = json.dumps(body).encode()
    assert 400 == server.request("POST", "/invocations", data, {"Content-Type": JSON})[0]


@pytest.mark.parametrize(
    ("method", "path", "headers", "body", "status"),
    [
        ("GET", "/ping", {}, None, 200),
        ("POST", "/ping", {}, None, 200),
        ("GET", "/metrics", {}, None, 200),
        ("GET", "/execution-parameters", {}, None, 200),
        ("POST", "/invocations", {"Content-Type": JSON}, b"[", 400),
        ("POST", "/invocations", {"Content-Type": JSON, "Accept": "a/b"}, b"[1]", 406),
        ("POST", "/invocations", {"Content-Type": "a/b"}, b"[1]", 415),
        ("POST", "/invocations", {"Content-Type": JSON}, b" " * 200_001, 413),
        ("POST", "/invocations", {"Expect": "more"}, b"[1]", 417),
        ("GET", "/metrics", {"X": "a" * 20_000}, None, 431),
        ("GET", "/ping", {"Host": ""}, None, 200),
    ],
)
def test_answers_have_the_documented_headers_and_bodies(
    server: ServerProcess,
    spec: dict[str, Any],
    method: str,
    path: str,
    headers: dict[str, str],
    body: bytes | None,
    status: int,
) -> None:
    got, answered, content = server.request(method, path, body, headers)
    assert status == got
    documented = response_of(spec, path, method.lower(), status)
    for name, reference in documented["headers"].items():
        schema = spec["components"]["headers"][reference["$ref"].rpartition("/")[2]]["schema"]
        Draft202012Validator(schema).validate(answered[name])
    media = answered.get("content-type", "").partition(";")[0]
    assert (not content) or media in documented["content"]
    if media == JSON:
        validator(spec, documented["content"][JSON]["schema"]).validate(json.loads(content))


def test_the_limits_are_those_of_the_settings() -> None:
    spec = document(Settings(max_rows=77, max_body_bytes=5000))
    request = spec["components"]["schemas"]["Request"]["anyOf"]
    assert 77 == request[1]["maxItems"]
    content = spec["paths"]["/invocations"]["post"]["requestBody"]["content"]
    assert 5000 == content["application/x-npy"]["schema"]["maxLength"]
