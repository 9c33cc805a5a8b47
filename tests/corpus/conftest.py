from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
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
    for found in client.list_objects_v2(Bucket="wines").get("Contents", []):
        client.delete_object(Bucket="wines", Key=found["Key"])


@pytest.fixture
def csv(tmp_path: Path) -> Callable[[str | bytes], Path]:
    """Write a CSV file and return its path."""

    def write(text: str | bytes) -> Path:
        path = tmp_path / "wines.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write
