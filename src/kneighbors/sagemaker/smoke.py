"""One query to a new endpoint, whose answer is known, to see that it serves what was deployed."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kneighbors.errors import BodyRefused, KNeighborsError, ServiceError
from kneighbors.formats import NPY
from kneighbors.formats.npy import read_array, write_array
from kneighbors.sagemaker.aws import Aws, AwsRefusal
from kneighbors.sagemaker.model import Model

#: scikit-learn answers from float32 in float32.
_TOLERANCE = 1e-3
_ASYNC_TIMEOUT_S = 120.0


@dataclass(frozen=True, slots=True, eq=False)
class Probe:
    """A query and its answer.

    Parameters
    ----------
    body : bytes
        A vector of the corpus, as ``application/x-npy``.
    expected : ndarray of shape (2, k)
        Distances over row numbers.
    """

    body: bytes
    expected: NDArray[np.floating[Any]]

    @classmethod
    def of(cls, artifact: Path) -> Probe:
        """Ask an artifact itself for its first row's neighbours."""
        model = Model.open(artifact)
        body = write_array(np.array(model.index.rows.slice(0, 1)[0]))
        reply = model.invoke(body, NPY, NPY)
        return cls(body, read_array(bytes(reply.body), dimensions=(2,)))

    def check(self, answer: bytes, endpoint: str) -> None:
        """Compare an endpoint's answer with the artifact's own.

        Raises
        ------
        ServiceError
            With code ``smoke-test``.
        """
        try:
            got = read_array(answer, dimensions=(2,))
        except BodyRefused as error:
            raise _wrong(endpoint, f"{len(answer)} bytes that are no array: {error}") from error
        if got.shape != self.expected.shape:
            raise _wrong(endpoint, f"the shape {got.shape}, not {self.expected.shape}")
        # Equal distances may come in another order of rows.
        if not np.allclose(got[0], self.expected[0], rtol=_TOLERANCE, atol=_TOLERANCE):
            raise _wrong(endpoint, f"distances from {got[0].min():g} to {got[0].max():g}")


def ask(aws: Aws, endpoint: str, variant: str | None, probe: Probe) -> None:
    """Send the query to an endpoint, or to one of its variants, and check the answer.

    Raises
    ------
    ServiceError
        ``smoke-test`` when the answer is an error, or another one than the artifact's.
    """
    try:
        answer = aws.call(
            "sagemaker-runtime",
            "InvokeEndpoint",
            EndpointName=endpoint,
            ContentType=NPY,
            Accept=NPY,
            Body=probe.body,
            **({} if variant is None else {"TargetVariant": variant}),
        )
        probe.check(answer["Body"].read(), endpoint)
    except AwsRefusal as error:
        raise _wrong(endpoint, error.response.get("OriginalMessage") or error.message) from error


def ask_async(aws: Aws, endpoint: str, probe: Probe, bucket: str, key: str) -> None:
    """Put the query into S3, have it answered, and check what is put there.

    Raises
    ------
    ServiceError
        As of `ask`.
    """
    aws.call("s3", "PutObject", Bucket=bucket, Key=key, Body=probe.body)
    try:
        made = aws.call(
            "sagemaker-runtime",
            "InvokeEndpointAsync",
            EndpointName=endpoint,
            ContentType=NPY,
            Accept=NPY,
            InputLocation=f"s3://{bucket}/{key}",
        )
        output = made["OutputLocation"]
        probe.check(_awaited(aws, endpoint, output, made.get("FailureLocation")), endpoint)
        _remove(aws, output)
    except AwsRefusal as error:
        raise _wrong(endpoint, error.message) from error
    finally:
        _remove(aws, f"s3://{bucket}/{key}")


def _awaited(aws: Aws, endpoint: str, output: str, failure: str | None) -> bytes:
    give_up = time.monotonic() + _ASYNC_TIMEOUT_S
    while time.monotonic() < give_up:
        answer = _object(aws, output)
        if answer is not None:
            return answer
        fault = _object(aws, failure) if failure else None
        if fault is not None:
            raise _wrong(endpoint, fault.decode("utf-8", "replace")[:500])
        time.sleep(0.5)
    raise _wrong(endpoint, f"nothing within {_ASYNC_TIMEOUT_S:g} s at {output}")


def _object(aws: Aws, uri: str) -> bytes | None:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    try:
        data: bytes = aws.call("s3", "GetObject", Bucket=bucket, Key=key)["Body"].read()
    except AwsRefusal as error:
        # Who may not list a bucket is told that what is missing is forbidden.
        if error.aws_code in ("NoSuchKey", "404", "AccessDenied", "403"):
            return None
        raise
    return data


def _remove(aws: Aws, uri: str) -> None:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    with suppress(KNeighborsError):
        aws.call("s3", "DeleteObject", Bucket=bucket, Key=key)


def _wrong(endpoint: str, got: str) -> ServiceError:
    return ServiceError(
        "smoke-test",
        f"Expected the artifact's own answer to its first row, got {got}.",
        where=f"endpoint {endpoint}",
    )
