"""boto3's clients, set up once, with our errors in place of botocore's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from kneighbors.errors import ParameterRefused, ServiceError, StorageError, missing_extra

__all__ = ["Access", "Aws", "AwsRefusal"]

#: An endpoint may think for a minute.
_READ_TIMEOUT_S = 70.0


@dataclass(frozen=True, slots=True)
class Access:
    """Where AWS, or what answers in its place, is reached, and as whom.

    Parameters
    ----------
    region : str, optional
        By default what boto3 finds in the environment or the configuration.
    endpoint_url : str, optional
        Address of all services, as ``kneighbors local`` has one.
    access_key_id, secret_access_key, session_token : str, optional
        By default what boto3 finds.
    profile : str, optional
        Of the configuration of AWS's tools.
    """

    region: str | None = None
    endpoint_url: str | None = None
    access_key_id: str | None = field(default=None, repr=False)
    secret_access_key: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)
    profile: str | None = None


class AwsRefusal(ServiceError):
    """AWS answered, and said no.

    Parameters
    ----------
    code, message, where, hint
        The code is ``aws-refused``, whatever AWS's own is.
    aws_code : str
        AWS's, such as ``ValidationException``.
    status : int
        Of the HTTP answer.
    response : dict, optional
        The answer as botocore gives it.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        where: str | None = None,
        hint: str | None = None,
        aws_code: str = "",
        status: int = 0,
        response: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(code, message, where=where, hint=hint)
        self.aws_code = aws_code
        self.status = status
        self.response = response or {}


class Aws:
    """Clients of AWS's services, made when they are first needed.

    Parameters
    ----------
    access : Access, optional
    timeout_s, connect_timeout_s : float
        How long to wait for an answer, and for a connection.
    pool_size : int, default=10
        Connections that each client keeps open.

    Raises
    ------
    ParameterRefused
        ``region-missing`` when no region is known, ``profile-unknown``.
    MissingExtra
        If boto3 is not installed.
    """

    def __init__(
        self,
        access: Access | None = None,
        *,
        timeout_s: float = _READ_TIMEOUT_S,
        connect_timeout_s: float = 10.0,
        pool_size: int = 10,
    ) -> None:
        self._access = access or Access()
        self._settings = {
            "read_timeout": timeout_s,
            "connect_timeout": connect_timeout_s,
            "max_pool_connections": pool_size,
        }
        self._session = _session(self._access)
        self._clients: dict[str, Any] = {}
        region = self._session.region_name
        if not region:
            raise ParameterRefused(
                "region-missing",
                "Expected a region: --region, the variable AWS_REGION or AWS_DEFAULT_REGION, or a "
                "configuration of AWS's tools; got none.",
            )
        self.region: str = region

    def client(self, service: str) -> Any:
        """Return boto3's client of a service, such as ``"sagemaker-runtime"``."""
        if service not in self._clients:
            from botocore.config import Config

            local = self._access.endpoint_url
            config = Config(
                retries={"mode": "standard"},
                **self._settings,
                # An address of our own has no names below it for buckets.
                s3={"addressing_style": "path" if local else "auto"},
            )
            try:
                self._clients[service] = self._session.client(
                    service, endpoint_url=local, config=config
                )
            except ValueError as error:
                raise ParameterRefused("url-malformed", f"{error}.") from None
        return self._clients[service]

    def close(self) -> None:
        """Close the connections of all clients; a later call opens new ones."""
        while self._clients:
            self._clients.popitem()[1].close()

    def call(self, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        """Perform an operation by AWS's own name, such as ``"CreateModel"``.

        Raises
        ------
        AwsRefusal
            With code ``aws-refused``.
        ServiceError
            ``credentials-missing`` or ``service-unreachable``.
        """
        from botocore import xform_name

        client = self.client(service)
        with asking(f"{service}:{operation}"):
            answer: dict[str, Any] = getattr(client, xform_name(operation))(**parameters)
        return answer

    def pages(
        self, service: str, operation: str, member: str, **parameters: Any
    ) -> Iterator[dict[str, Any]]:
        """Yield what an operation lists under a name, page after page; errors as of `call`."""
        from botocore import xform_name

        paginator = self.client(service).get_paginator(xform_name(operation))
        with asking(f"{service}:{operation}"):
            for page in paginator.paginate(**parameters):
                yield from page.get(member, [])


def _session(access: Access) -> Any:
    try:
        import boto3
        from botocore.exceptions import ProfileNotFound
    except ImportError as error:
        raise missing_extra("boto3", "aws") from error
    import os

    try:
        return boto3.session.Session(
            aws_access_key_id=access.access_key_id,
            aws_secret_access_key=access.secret_access_key,
            aws_session_token=access.session_token,
            # boto3 itself reads AWS_DEFAULT_REGION alone.
            region_name=access.region or os.environ.get("AWS_REGION") or None,
            profile_name=access.profile,
        )
    except ProfileNotFound as error:
        raise ParameterRefused("profile-unknown", f"{error}.") from None


@contextmanager
def asking(where: str) -> Iterator[None]:
    """Turn botocore's errors of a block into ours.

    Parameters
    ----------
    where : str
        What is asked for, such as ``"sagemaker:CreateModel"``.
    """
    from boto3.exceptions import S3UploadFailedError
    from botocore import exceptions as faults

    try:
        yield
    except faults.ClientError as error:
        raise _refusal(error.response, where) from error
    except (faults.NoCredentialsError, faults.PartialCredentialsError) as error:
        raise ServiceError(
            "credentials-missing",
            f"Expected credentials of AWS, got none ({str(error).rstrip('.')}).",
            where=where,
            hint="They are looked for in the variables AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY, in AWS_PROFILE and ~/.aws, and in the machine's own role.",
        ) from error
    except faults.ParamValidationError as error:
        raise ParameterRefused("aws-parameters", str(error), where=where) from error
    except S3UploadFailedError as error:
        raise StorageError("storage-failed", str(error), where=where) from error
    except faults.ReadTimeoutError as error:
        raise ServiceError(
            "service-timeout", f"Expected an answer in time, got: {error}.", where=where
        ) from error
    except (faults.BotoCoreError, faults.HTTPClientError) as error:
        raise ServiceError(
            "service-unreachable",
            f"Expected an answer, got: {str(error).rstrip('.')}.",
            where=where,
            hint="Is the region right, and the network there?",
        ) from error


def _refusal(response: dict[str, Any], where: str) -> AwsRefusal:
    fault = response.get("Error", {})
    code, text = str(fault.get("Code", "")), str(fault.get("Message", ""))
    return AwsRefusal(
        "aws-refused",
        f"Expected success, got {code}: {text.rstrip('.')}.",
        where=where,
        aws_code=code,
        status=int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)),
        response=response,
    )
