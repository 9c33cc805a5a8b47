"""InvokeEndpointWithResponseStream: a container's chunks as AWS's event stream."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
from botocore.exceptions import ClientError, EventStreamError

from kneighbors.local.eventstream import frame
from support.local_hosting import HostingPlane


@pytest.fixture(scope="module")
def shared(hosting: HostingPlane) -> str:
    """An endpoint that tests do not change."""
    return hosting.endpoint()


@contextmanager
def stream(hosting: HostingPlane, endpoint: str, *pieces: Any) -> Iterator[Any]:
    """Begin a streamed answer of such pieces, and end it."""
    body = json.dumps({"do": "stream", "pieces": pieces})
    answer = hosting.runtime.invoke_endpoint_with_response_stream(EndpointName=endpoint, Body=body)
    with closing(answer["Body"]):
        yield answer


def test_a_message_without_content_has_the_bytes_of_the_specification() -> None:
    assert "000000100000000005c248eb7d98c8ff" == frame({}, b"").hex()


def test_pieces_arrive_in_their_order(hosting: HostingPlane, shared: str) -> None:
    with stream(hosting, shared, "red ", "and ", "white") as answer:
        parts = [event["PayloadPart"]["Bytes"] for event in answer["Body"]]
    assert b"red and white" == b"".join(parts)
    assert ("text/plain", "AllTraffic") == (
        answer["ContentType"],
        answer["InvokedProductionVariant"],
    )


def test_a_piece_arrives_before_the_next_is_made(hosting: HostingPlane, shared: str) -> None:
    began = time.monotonic()
    with stream(hosting, shared, "first", 0.5, "second") as answer:
        events = iter(answer["Body"])
        assert b"first" == next(events)["PayloadPart"]["Bytes"]
        waited = time.monotonic() - began
        assert b"second" == next(events)["PayloadPart"]["Bytes"]
    assert waited < time.monotonic() - began - 0.3


def test_a_stream_that_takes_too_long_ends_with_an_error(
    hosting: HostingPlane, shared: str
) -> None:
    with stream(hosting, shared, "first", 3.0, "second") as answer:
        events = iter(answer["Body"])
        assert b"first" == next(events)["PayloadPart"]["Bytes"]
        with pytest.raises(EventStreamError, match=r"ModelStreamError.*in the allotted time"):
            next(events)


def test_a_container_that_dies_in_a_stream_ends_it_with_an_error(hosting: HostingPlane) -> None:
    endpoint = hosting.endpoint()
    with stream(hosting, endpoint, "first", 0.1, "die") as answer:
        events = iter(answer["Body"])
        assert b"first" == next(events)["PayloadPart"]["Bytes"]
        with pytest.raises(EventStreamError, match=r"ModelStreamError.*closed before the response"):
            next(events)


def test_an_error_before_the_first_piece_is_a_model_error(
    hosting: HostingPlane, shared: str
) -> None:
    with pytest.raises(ClientError, match="it is corked") as caught:
        hosting.runtime.invoke_endpoint_with_response_stream(
            EndpointName=shared, Body=b'{"do": "fail", "status": 500, "message": "it is corked"}'
        )
    assert "ModelError" == caught.value.response["Error"]["Code"]


def test_a_stream_that_nobody_reads_does_not_hold_its_instance(
    hosting: HostingPlane, shared: str
) -> None:
    with stream(hosting, shared, "first", 0.2, "x" * 100_000):
        pass
    config = hosting.describe(shared)["EndpointConfigName"]
    hosting.api.update_endpoint(EndpointName=shared, EndpointConfigName=config)
    hosting.wait(shared)
    assert "1" == hosting.ask(shared, "version")["version"]
