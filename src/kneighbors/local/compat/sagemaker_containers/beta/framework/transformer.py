"""What stands in for the handlers that a script does not define."""

from __future__ import annotations

from typing import Any

from . import content_types, encoders
from .worker import Response


def default_input_fn(input_data: Any, content_type: str) -> Any:
    """Return a request's body as an array: float32 where it came as text."""
    array = encoders.decode(input_data, content_type)
    return array.astype("float32") if content_type in content_types.UTF8_TYPES else array


def default_output_fn(prediction: Any, accept: str) -> Response:
    """Return an array as a response."""
    return Response(encoders.encode(prediction, accept), mimetype=accept)
