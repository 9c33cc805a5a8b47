"""Requests to a SageMaker endpoint, by way of boto3, with the errors of a plain connection."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kneighbors.client.connection import HttpAnswer, ServiceAnswerError, refusal
from kneighbors.errors import ParameterRefused, ServiceError

if TYPE_CHECKING:
    from kneighbors.sagemaker.aws import Access, AwsRefusal

_SCHEME = "sagemaker://"
_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")
_MEMBERS = {
    "Content-Type": "ContentType",
    "Accept": "Accept",
    "X-Amzn-SageMaker-Custom-Attributes": "CustomAttributes",
}
#: How AWS says that a request, or an answer, is longer than an endpoint lets through.
_TOO_LONG = re.compile(r"exceed|too large|has more than \d+ bytes|length less than or equal", re.I)


def endpoint_name(url: Any) -> str | None:
    """Return the name of the endpoint that an argument of the client means; None for an address.

    Examples
    --------
    >>> endpoint_name("wines"), endpoint_name("sagemaker://wines"), endpoint_name("http://wines")
    ('wines', 'wines', None)
    """
    if not isinstance(url, str):
        return None
    if url.startswith(_SCHEME):
        return url.removeprefix(_SCHEME)
    return url if _NAME.fullmatch(url) else None


class EndpointConnection:
    """A SageMaker endpoint.

    Parameters
    ----------
    name : str
    access : Access, optional
        How AWS is reached; by default as boto3 finds out.
    timeout, connect_timeout : float
        Seconds to wait for an answer, and for a connection.
    pool_size : int
        Connections kept open.
    headers : mapping of str to str
        None: an endpoint takes only its own.
    variant : str, optional
        The production variant that answers.

    Raises
    ------
    ParameterRefused
        With code ``endpoint-name``, ``header-malformed``, ``timeout-range`` or ``region-missing``.
    MissingExtra
        If boto3 is not installed.
    """

    def __init__(
        self,
        name: str,
        access: Access | None,
        timeout: float,
        connect_timeout: float,
        pool_size: int,
        headers: Mapping[str, str],
        variant: str | None = None,
    ) -> None:
        from kneighbors.sagemaker.aws import Aws

        if not _NAME.fullmatch(name):
            raise ParameterRefused(
                "endpoint-name",
                f"Expected a name of 1 to 63 letters, digits and hyphens, got {name!r:.100}.",
            )
        if headers:
            raise ParameterRefused(
                "header-malformed", "Expected no headers for an endpoint, which lets none through."
            )
        if not (timeout > 0 and connect_timeout > 0):
            raise ParameterRefused(
                "timeout-range",
                f"Expected positive numbers of seconds, got {timeout} and {connect_timeout}.",
            )
        self._name = name
        self._fixed = {} if variant is None else {"TargetVariant": variant}
        self._aws = Aws(
            access, timeout_s=timeout, connect_timeout_s=connect_timeout, pool_size=pool_size
        )

    @property
    def url(self) -> str:
        """``sagemaker://`` and the name."""
        return _SCHEME + self._name

    def post(self, body: bytes, headers: Mapping[str, str]) -> HttpAnswer:
        """Return the endpoint's answer.

        Raises
        ------
        ServiceAnswerError
            What the container said, with its own code; ``endpoint-missing``, ``body-too-large``, or
            ``aws-refused`` for what AWS said.
        ServiceError
            ``credentials-missing``, ``service-unreachable`` or ``service-timeout``.
        """
        from kneighbors.sagemaker.aws import AwsRefusal, asking

        members: dict[str, Any] = {_MEMBERS[name]: value for name, value in headers.items()}
        try:
            answer = self._aws.call(
                "sagemaker-runtime",
                "InvokeEndpoint",
                EndpointName=self._name,
                Body=body,
                **members,
                **self._fixed,
            )
            with asking("sagemaker-runtime:InvokeEndpoint"):
                return HttpAnswer(200, str(answer.get("ContentType", "")), answer["Body"].read())
        except AwsRefusal as error:
            raise self._refusal(error) from error

    def ping(self) -> bool:
        """Tell whether the endpoint is in service; False also where that cannot be asked."""
        try:
            found = self._aws.call("sagemaker", "DescribeEndpoint", EndpointName=self._name)
        except ServiceError:
            return False
        return bool(found["EndpointStatus"] in ("InService", "Updating"))

    def close(self) -> None:
        """Close the connections; a later request opens new ones."""
        self._aws.close()

    def _refusal(self, error: AwsRefusal) -> ServiceAnswerError:
        if error.aws_code == "ModelError":
            text = str(error.response.get("OriginalMessage") or error.message)
            status = int(error.response.get("OriginalStatusCode") or error.status)
            said = refusal(HttpAnswer(status, "", text.encode()))
            if said.code != "service-error" or not _TOO_LONG.search(text):
                return said
        if _TOO_LONG.search(error.message):
            code, hint, known = "body-too-large", "Send fewer queries at a time.", 413
        elif "not found" in error.message:
            code, hint, known = "endpoint-missing", "Is the region right?", error.status
        else:
            code, hint, known = error.code, None, error.status
        return ServiceAnswerError(code, error.message, where=self.url, hint=hint, status=known)
