"""What a deployment has made so far, so that exactly that can be removed."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from kneighbors.errors import KNeighborsError
from kneighbors.sagemaker.aws import Aws
from kneighbors.sagemaker.requests import Request

_OPPOSITE = {
    "CreateEndpoint": ("DeleteEndpoint", ("EndpointName",)),
    "CreateEndpointConfig": ("DeleteEndpointConfig", ("EndpointConfigName",)),
    "CreateModel": ("DeleteModel", ("ModelName",)),
    "PutObject": ("DeleteObject", ("Bucket", "Key")),
}


class Made:
    """A list of what was made, newest last.

    Parameters
    ----------
    aws : Aws
    """

    def __init__(self, aws: Aws) -> None:
        self._aws = aws
        self._made: list[Request] = []

    def perform(self, request: Request) -> dict[str, Any]:
        """Send a request; what it makes is kept in mind."""
        answer = self._aws.call(request.service, request.operation, **request.parameters)
        self.note(request)
        return answer

    def note(self, request: Request) -> None:
        """Keep in mind what a request made that was sent in another way."""
        if request.operation in _OPPOSITE:
            self._made.append(request)

    def remove(self) -> None:
        """Remove everything, newest first, as far as AWS lets us."""
        while self._made:
            request = self._made.pop()
            operation, names = _OPPOSITE[request.operation]
            with suppress(KNeighborsError):
                self._aws.call(
                    request.service, operation, **{name: request.parameters[name] for name in names}
                )
