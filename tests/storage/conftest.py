from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from support.storage_servers import aws_client, s3_server, use_endpoint


@pytest.fixture(scope="session")
def s3_url() -> Iterator[str]:
    with s3_server() as url:
        yield url


@pytest.fixture
def s3(s3_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Give boto3's client for an account whose bucket ``wines`` is there and empty."""
    use_endpoint(monkeypatch, s3_url)
    client = aws_client(s3_url)
    client.create_bucket(Bucket="wines")
    yield client
    for page in client.get_paginator("list_objects_v2").paginate(Bucket="wines"):
        for found in page.get("Contents", []):
            client.delete_object(Bucket="wines", Key=found["Key"])
