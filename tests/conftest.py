"""What every test may rely on."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from fuzz import profiles

if TYPE_CHECKING:
    from support.local_plane import PlaneProcess

profiles.load()

# A shell starts background jobs with SIGINT ignored, and programs hand that on to theirs: a test
# that interrupts a program would then wait for something that cannot happen.
if threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def shared_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlaneProcess]:
    """A local control plane for tests that remove what they make, and bring names of their own."""
    # Here, for not every environment that runs tests has boto3 and moto.
    from support.local_plane import PlaneProcess

    limits = {"STARTUP_TIMEOUT_S": "60", "WATCH_S": "0.1", "PING_S": "0.1"}
    variables = {f"KNEIGHBORS_LOCAL_{name}": value for name, value in limits.items()}
    with PlaneProcess(tmp_path_factory.mktemp("shared") / "root", environment=variables) as up:
        yield up


@pytest.fixture(scope="session")
def s3_url() -> Iterator[str]:
    from support.storage_servers import s3_server

    with s3_server() as url:
        yield url


@pytest.fixture
def s3(s3_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Give boto3's client for an account whose bucket ``wines`` is there and empty."""
    from support.storage_servers import aws_client, use_endpoint

    use_endpoint(monkeypatch, s3_url)
    client = aws_client(s3_url)
    client.create_bucket(Bucket="wines")
    yield client
    for page in client.get_paginator("list_objects_v2").paginate(Bucket="wines"):
        for found in page.get("Contents", []):
            client.delete_object(Bucket="wines", Key=found["Key"])
