"""The components of the OpenAPI document: what bodies and errors look like."""

from __future__ import annotations

from typing import Any

from kneighbors.formats.request import STRATEGIES
from kneighbors.server.settings import Settings
from kneighbors.server.statuses import RETRY_AFTER_S, STATUS_OF_CODE

Json = dict[str, Any]

_REASONS = {
    400: "What was sent cannot be understood, or asks for what cannot be.",
    401: "The server wants a token, and the request brings none that it knows.",
    403: "The server is not managed by whoever can connect.",
    404: "There is no such path, or no such model.",
    405: "The path has other methods.",
    406: "The answer cannot be given in a form that Accept allows.",
    408: "The request did not arrive in time.",
    409: "A model of this name is loaded already.",
    413: "The request is larger than the limits.",
    414: "The request line is longer than the limit.",
    415: "The content type is not understood.",
    417: "Expect asks for something other than 100-continue.",
    431: "The headers are too many or too long.",
    500: "A fault of the server or of the artifact.",
    503: "The server cannot answer now; try again later.",
    507: "There is no memory left for another model.",
}
#: Why there may be fewer neighbours than were asked for.
_SHORTAGES = (
    "excluded",
    "filter",
    "folded",
    "group",
    "included",
    "min_distance",
    "radius",
    "unavailable",
)
#: Statuses to which a code of the layers below may be added that has no entry of its own.
_OPEN = frozenset({400, 500})


def error_responses() -> Json:
    """Return a response for each status that is no success, with its codes."""
    return {str(status): _error_response(status) for status in _REASONS}


def _error_response(status: int) -> Json:
    codes = sorted(code for code, its in STATUS_OF_CODE.items() if its == status)
    needed = {"x-request-id": "RequestId"}
    if status == 503:
        needed["retry-after"] = "RetryAfter"
    if status == 405:
        needed["allow"] = "Allow"
    if status == 401:
        needed["www-authenticate"] = "Challenge"
    code: Json = {"type": "string", "examples": codes} if status in _OPEN else {"enum": codes}
    of_status = {"properties": {"error": {"properties": {"code": code}}}}
    schema = {"allOf": [{"$ref": "#/components/schemas/Error"}, of_status]}
    return {
        "description": f"{_REASONS[status]} Codes: {', '.join(codes)}.",
        "headers": {name: {"$ref": f"#/components/headers/{its}"} for name, its in needed.items()},
        "content": {"application/json": {"schema": schema}},
    }


def headers() -> Json:
    """Return the headers that answers carry."""

    def header(text: str, *, required: bool = True, **schema: Any) -> Json:
        return {"description": text, "required": required, "schema": {"type": "string", **schema}}

    return {
        "RequestId": header("Names the request in the log.", pattern="^[A-Za-z0-9._-]{1,64}$"),
        "RetryAfter": header("Seconds after which to try again.", const=str(RETRY_AFTER_S)),
        "Allow": header("The methods that the path has."),
        "Challenge": header("How a token is brought."),
        "Generation": header(
            "The generation that answered, of a server that follows a place.", required=False
        ),
        "Approximate": header("That the answer may miss neighbours.", required=False, const="true"),
        "Partial": header(
            "First and last row of what could not be searched.",
            required=False,
            pattern="^[0-9]+-[0-9]+(, [0-9]+-[0-9]+)*$",
        ),
    }


def schemas(settings: Settings) -> Json:
    """Return the schemas of JSON bodies."""
    return {
        "Error": _error(),
        "Vector": {"type": "array", "items": {"type": "number"}, "minItems": 1},
        "Id": {"oneOf": [{"type": "string"}, {"type": "integer"}]},
        "VectorQuery": _vector_query(),
        "IdQuery": _object({"id": _schema("Id")}),
        "Example": _example(),
        "Wish": _wish(settings),
        "Parameters": {
            "type": "object",
            "properties": _parameters(settings),
            "additionalProperties": False,
        },
        "Request": _request(settings),
        "Prediction": _prediction(),
        "Answer": _answer(),
    }


def _schema(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _list(items: Json, **more: Any) -> Json:
    return {"type": "array", "items": items, **more}


def _object(required: dict[str, Json], optional: dict[str, Json] | None = None) -> Json:
    return {
        "type": "object",
        "required": list(required),
        "properties": required | (optional or {}),
        "additionalProperties": False,
    }


def _error() -> Json:
    facts: dict[str, Json] = {
        "code": {"type": "string", "pattern": "^[a-z]+(-[a-z]+)*$"},
        "message": {"type": "string", "description": "What was expected and what came."},
        "where": {
            "type": ["string", "null"],
            "description": "A JSON path, a line and column, a byte, a header.",
        },
    }
    return _object({"error": _object(facts)})


def _vector_query() -> Json:
    vector = _schema("Vector")
    # SageMaker's built-in k-NN has values in an object of their own.
    values = {"anyOf": [vector, _object({"values": vector})]}
    return {
        "anyOf": [
            vector,
            _object({"features": values}),
            _object({"instance": values}),
            _object({"data": _object({"features": values})}),
        ]
    }


def _parameters(settings: Settings) -> Json:
    limits = settings.limits
    count = {"type": "integer", "minimum": 1, "maximum": limits.max_neighbors}
    name: Json = {"type": "string", "minLength": 1}
    names = {"anyOf": [name, _list(name, minItems=1)]}
    return {
        "n_neighbors": {**count, "description": "Neighbours of each query."},
        "k": {**count, "description": "Another name for n_neighbors."},
        "radius": {"type": "number", "description": "Largest distance of a neighbour."},
        "exclude_self": {
            "type": "boolean",
            "description": "Leave out the row that a query names by its id.",
        },
        "exclude_ids": _list(_schema("Id"), maxItems=limits.max_ids),
        "include_items": {
            "description": "Whether attributes come with the neighbours, or which.",
            "anyOf": [{"type": "boolean"}, _list({"type": "string"}, minItems=1)],
        },
        "min_distance": {"type": "number", "description": "Smallest distance of a neighbour."},
        "include_ids": _list(_schema("Id"), maxItems=limits.max_ids),
        "exclude_list": names,
        "include_list": names,
        "filter": {"type": "object", "description": "What the attributes have to be."},
        "diversity": {"type": "number", "minimum": 0, "maximum": 1},
        "group_by": {"type": "string", "minLength": 1},
        "max_per_group": {"type": "integer", "minimum": 1},
        "fold_within": {"type": "number", "description": "Leave out what is so close to another."},
        "strategy": {"enum": list(STRATEGIES)},
        "unknown_terms": {"enum": ["refuse", "skip"]},
        "explain": {"type": "boolean"},
        "allow_partial": {
            "type": "boolean",
            "description": "Answer from the rest while rows cannot be searched.",
        },
    }


def _request(settings: Settings) -> Json:
    many = {"minItems": 1, "maxItems": settings.max_rows}
    vector = _schema("Vector")
    others = {"parameters": _schema("Parameters"), **_parameters(settings)}
    queries: dict[str, Json] = {
        "instances": {
            "anyOf": [
                _list(_schema("VectorQuery"), **many),
                _list(_schema("IdQuery"), **many),
                _list(_schema("Wish"), **many),
            ]
        },
        "ids": _list(_schema("Id"), **many),
    }
    wish = _wish(settings)["properties"]
    single = ({"features": vector}, {"instance": vector}, {"id": _schema("Id")})
    return {
        "description": "A vector, a matrix, or an object with queries and parameters.",
        "anyOf": [
            vector,
            _list(vector, **many),
            *(_object({name: schema}, others) for name, schema in queries.items()),
            *(_object(query, others) for query in single),
            *(
                _object({name: schema}, {**wish, **others})
                for name, schema in _wish(settings)["properties"].items()
            ),
        ],
    }


def _example() -> Json:
    weight: Json = {"weight": {"type": "number", "minimum": 0}}
    terms = _list({"type": "string"}, minItems=1)
    kinds = {"id": _schema("Id"), "vector": _schema("Vector"), "terms": terms}
    return {
        "anyOf": [
            _schema("Id"),
            _schema("Vector"),
            *(_object({name: schema}, weight) for name, schema in kinds.items()),
        ]
    }


def _wish(settings: Settings) -> Json:
    examples = _list(_schema("Example"), maxItems=settings.limits.max_ids)
    terms = _list({"type": "string"}, maxItems=settings.limits.max_ids)
    properties = {"like": examples, "dislike": examples, "terms": terms}
    return _object({}, properties) | {"minProperties": 1}


def _prediction() -> Json:
    return _object(
        {
            "distances": _list({"type": "number"}),
            "indices": _list({"type": "integer", "minimum": 0}),
            "ids": _list(_schema("Id")),
        },
        {
            "items": _list({"type": "object"}),
            "approximate": {
                "type": "boolean",
                "description": "True where nearer rows may have been missed; not there elsewhere.",
            },
            "missing_rows": _list(
                _list({"type": "integer", "minimum": 0}, minItems=2, maxItems=2),
                minItems=1,
                description="First and last row of what could not be searched; not there where "
                "all were.",
            ),
            "n_found": {"type": "integer", "minimum": 0},
            "reason": {"enum": list(_SHORTAGES)},
            "detail": {"type": "string"},
            "explanations": _list({"type": "object"}),
        },
    )


def _answer() -> Json:
    numbers = _list({"type": "number"})
    return {
        "description": "Distances over indices, as the request was nested, or predictions.",
        "anyOf": [
            _list(numbers, minItems=2, maxItems=2),
            _list(_list(numbers), minItems=2, maxItems=2),
            _object({"predictions": _list(_schema("Prediction"))}),
        ],
    }
