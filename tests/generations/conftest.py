"""Small artifacts to publish, and an account of S3."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kneighbors.artifact import save
from support import artifact_making as making
from support.storage_servers import aws_client, s3_server, use_endpoint


@pytest.fixture(scope="session")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Give three artifacts of one shape, with other vectors each."""
    folder = tmp_path_factory.mktemp("artifacts")
    for seed in range(3):
        save(folder / str(seed), making.index(seed=seed), making.catalog())
    return [folder / str(seed) for seed in range(3)]


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
