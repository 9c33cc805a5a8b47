"""Code of an error to HTTP status: the one table.

An error whose code is not here gets the status of its class: what a client handed in wrongly is
400, everything else is ours and 500.
"""

from __future__ import annotations

from types import MappingProxyType

from kneighbors.errors import KNeighborsError, Refused
from kneighbors.sagemaker.statuses import MODEL_CODES

#: Codes that the server itself raises, with status and meaning.
SERVER_CODES = MappingProxyType(
    {
        "request-malformed": (400, "The bytes are no HTTP/1.1 request, strictly read."),
        "request-framing": (400, "Content-Length and Transfer-Encoding leave the end in doubt."),
        "host-invalid": (400, "The Host header is missing, doubled or malformed."),
        "header-doubled": (400, "A header that has one value came twice."),
        "chunk-malformed": (400, "A chunk of the body is malformed or has a long extension."),
        "token-missing": (401, "The request brings no token, and the server wants one."),
        "token-unknown": (401, "The request brings a token that the server does not know."),
        "management-closed": (403, "Models are not loaded and unloaded for whoever can connect."),
        "path-unknown": (404, "There is no such path."),
        "explorer-unavailable": (404, "A script answers, and the page shows models alone."),
        "model-name": (400, "The name of a model is empty, too long or no UTF-8."),
        "model-url": (400, "The url of a model does not lie below the models' directory."),
        "model-request": (400, "The body of a request to load a model is no JSON object."),
        "model-page": (400, "The limit or the token of a page of models is malformed."),
        "model-unnamed": (404, "There are several models, and the path names none."),
        "model-unknown": (404, "No model of this name is loaded."),
        "model-missing": (404, "There is nothing at the url of a model."),
        "method-not-allowed": (405, "The path has other methods; Allow names them."),
        "header-timeout": (408, "The headers did not arrive in time."),
        "body-timeout": (408, "The body did not arrive in time, or too slowly."),
        "model-loaded": (409, "A model of this name is loaded already."),
        "url-too-long": (414, "The request line is longer than the limit."),
        "content-encoding-unsupported": (415, "The body is compressed."),
        "expectation-unknown": (417, "Expect asks for something other than 100-continue."),
        "headers-too-large": (431, "The headers are too many or too long."),
        "internal": (500, "A fault of the server; its log says which, by the request id."),
        "model-failed": (500, "A model could not be loaded; the log says why."),
        "not-ready": (503, "The model is being loaded, or could not be."),
        "stopping": (503, "The server is about to stop."),
        "overloaded": (503, "Too many requests wait already, or their bodies are too large."),
        "connections-exhausted": (503, "Too many connections are open."),
        "shard-unavailable": (503, "No machine holds some of the rows at the moment."),
        "answer-timeout": (503, "The answer took too long."),
        "memory-exhausted": (503, "There was not enough memory for the answer."),
        "model-busy": (
            503,
            "A model that is unloaded still answers requests; it goes with the last.",
        ),
        "models-full": (507, "There is no memory left for another model."),
    }
)

#: Every code that an answer may carry, and its status.
STATUS_OF_CODE = MappingProxyType(
    {code: status for code, (status, _) in SERVER_CODES.items()}
    | {code: status for status, codes in MODEL_CODES.items() for code in codes}
)

#: Every status that the server answers with.
STATUSES = tuple(sorted({200, *STATUS_OF_CODE.values()}))

#: Seconds after which to try again, sent with 503.
RETRY_AFTER_S = 1


def status_of(error: KNeighborsError) -> int:
    """Return the HTTP status of an error.

    Examples
    --------
    >>> from kneighbors.errors import ArrayRefused, ArtifactError, BodyRefused
    >>> status_of(BodyRefused("content-type-unsupported", "…"))
    415
    >>> status_of(ArrayRefused("array-not-finite", "…"))
    400
    >>> status_of(ArtifactError("artifact-damaged", "…"))
    500
    """
    return STATUS_OF_CODE.get(error.code, 400 if isinstance(error, Refused) else 500)
