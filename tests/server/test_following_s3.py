"""A server on a place on S3: it fetches what is published, and says at once if there is nothing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kneighbors.generations import publish
from support.artifact_making import corpus, save_small
from support.server_process import ServerProcess, wait_for
from support.storage_servers import aws_client, s3_server, use_endpoint
from support.wire_bodies import npy_body

PLACE = "s3://wines/served"


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with s3_server() as url:
        use_endpoint(monkeypatch, url)
        aws_client(url).create_bucket(Bucket="wines")
        yield


@pytest.mark.usefixtures("s3")
def test_what_is_published_on_s3_is_fetched_and_served(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "kneighbors", "serve", PLACE, "--port", "0"]
    refused = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (1, True) == (refused.returncode, "[place-unknown]" in refused.stderr)
    save_small(tmp_path / "0")
    first = publish(tmp_path / "0", PLACE)
    body = npy_body(corpus()[:1])
    with ServerProcess(
        tmp_path, PLACE, workers=2, follow_seconds=0.1, cache_dir=str(tmp_path / "cache")
    ) as server:
        named = {"Content-Type": "application/x-npy"}
        status, headers, _ = server.request("POST", "/invocations", body, named)
        assert (200, first.digest) == (status, headers["x-kneighbors-generation"])
        (folder,) = (tmp_path / "cache").iterdir()
        save_small(tmp_path / "1")
        second = publish(tmp_path / "1", PLACE)
        assert first.digest != second.digest
        wait_for(lambda: server.metric("kneighbors_generation_swaps_total") == 2, "the swaps")
        status, headers, _ = server.request("POST", "/invocations", body, named)
        assert (200, second.digest) == (status, headers["x-kneighbors-generation"])
        assert second.id in {one.name for one in folder.iterdir()}
        assert 0 == server.stop()
    assert "Traceback" not in server.output()
