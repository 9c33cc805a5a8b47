"""Each request to S3 meets a fault in its turn: the old state or the new one, and a clear word."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kneighbors.artifact import open_artifact, pack, save, verify
from kneighbors.corpus import read_corpus
from kneighbors.errors import KNeighborsError
from kneighbors.generations import current, history, publish, rollback
from kneighbors.generations.loading import opened
from kneighbors.search.index import ExactIndex
from kneighbors.search.rows import ArrayRows
from kneighbors.storage import Address, open_store
from support.faults_loop import write_down
from support.faults_s3 import LASTING, PASSING, FaultyS3
from support.storage_servers import aws_client, s3_server, use_endpoint

pytestmark = pytest.mark.faults

PLACE = "s3://wines/place"
CODES = {"403": "storage-forbidden", "expired": "storage-forbidden"}


def faults(*usual: str) -> list[Any]:
    """Return all faults; those that are not named are left to the long run."""
    return [
        pytest.param(fault, marks=() if fault in usual else pytest.mark.slow)
        for fault in (*PASSING, *LASTING)
    ]


#: How reading may be refused after one fault; after those that are not here, it may not be. An
#: answer to a HEAD has no body to say why; a refusal that breaks off is not asked for again.
REFUSED = {
    "403": {"storage-forbidden"},
    "expired": {"storage-forbidden", "storage-failed"},
    "cut": {"storage-unreachable"},
}


@pytest.fixture(scope="module")
def s3() -> Iterator[FaultyS3]:
    with s3_server() as url, FaultyS3(url) as proxy:
        aws_client(url).create_bucket(Bucket="wines")
        yield proxy


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Return two small artifacts."""
    folder = tmp_path_factory.mktemp("sources")
    paths = [folder / "even", folder / "odd"]
    for number, path in enumerate(paths):
        save(path, ExactIndex.build(ArrayRows(corpus(number)), "cosine"))
    return paths


def corpus(number: int) -> Any:
    return np.random.default_rng(number).standard_normal((30, 6)).astype(np.float32)


def use(monkeypatch: pytest.MonkeyPatch, proxy: FaultyS3, attempts: int) -> None:
    use_endpoint(monkeypatch, proxy.url, attempts)


def counts_now(sources: list[Path], cache: Path) -> int:
    """Return which source counts in the place, having compared all of it with its checksums."""
    with opened(PLACE, open_artifact, cache) as artifact:
        X = np.array(artifact.index.rows.slice(0, 30))
        digest = artifact.manifest.digest
    assert current(PLACE).digest == digest[:12]
    return [corpus(0).tobytes(), corpus(1).tobytes()].index(X.tobytes())


def each_request(
    proxy: FaultyS3, fault: str, act: Callable[[], object], *, for_ever: bool = False
) -> Iterator[Exception | None]:
    """Do something again and again, its N-th request faulty, until that is one too many."""
    nth = 0
    while True:
        nth += 1
        proxy.arm(fault, nth, for_ever=for_ever)
        error = proxy.run(act)
        if proxy.hit is None:
            assert error is None
            assert nth > 2
            write_down({"operation": str(act), "fault": fault, "requests": nth - 1})
            return
        if isinstance(error, KNeighborsError):
            assert "never-shown" not in str(error)
        elif error is not None:
            raise error
        yield error


@pytest.mark.timeout(600)
@pytest.mark.parametrize("fault", faults("unanswered"))
def test_publishing_meets_a_fault_at_every_request(
    monkeypatch: pytest.MonkeyPatch, s3: FaultyS3, sources: list[Path], fault: str
) -> None:
    use(monkeypatch, s3, 2)
    publish(sources[0], PLACE)
    old = 0
    # Where the answer to a change is lost, nobody can tell from outside whether it was made.
    codes = {"storage-changed"} if fault in {"unanswered", "cut"} else {CODES.get(fault)}
    with tempfile.TemporaryDirectory() as cache:

        def act() -> None:
            publish(sources[1 - old], PLACE, keep=2, grace_s=0)

        for error in each_request(s3, fault, act):
            now = counts_now(sources, Path(cache))
            if error is None:
                assert now == 1 - old, s3.hit
            else:
                assert isinstance(error, KNeighborsError)
                assert error.code in codes, (s3.hit, str(error))
                publish(sources[1 - old], PLACE, keep=2, grace_s=0)
                assert counts_now(sources, Path(cache)) == 1 - old
            old = 1 - old
        found = history(PLACE, verify=True)
        assert [one.fault for one in found] == [None] * len(found)
        assert len(found) <= 3


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_network_that_fails_for_good_leaves_the_old_or_the_new(
    monkeypatch: pytest.MonkeyPatch, s3: FaultyS3, sources: list[Path]
) -> None:
    use(monkeypatch, s3, 1)
    publish(sources[0], PLACE)
    old = 0
    with tempfile.TemporaryDirectory() as cache:
        act: Callable[[], object] = lambda: publish(sources[1 - old], PLACE, keep=1, grace_s=0)  # noqa: E731
        for error in each_request(s3, "unheard", act, for_ever=True):
            now = counts_now(sources, Path(cache))
            assert error is None or isinstance(error, KNeighborsError)
            if isinstance(error, KNeighborsError):
                assert error.code == "storage-unreachable", (s3.hit, str(error))
                publish(sources[1 - old], PLACE, keep=1, grace_s=0)
                assert counts_now(sources, Path(cache)) == 1 - old
            else:
                assert now == 1 - old
            old = 1 - old


@pytest.mark.timeout(600)
@pytest.mark.parametrize("fault", faults("cut", "expired"))
def test_reading_meets_a_fault_at_every_request(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, s3: FaultyS3, sources: list[Path], fault: str
) -> None:
    use(monkeypatch, s3, 2)
    store = open_store(Address.parse("s3://wines/corpus.npy"))
    np.save(tmp_path / "corpus.npy", corpus(0))
    pack(sources[0], tmp_path / "model.tar.gz")
    publish(sources[0], PLACE)
    publish(sources[1], PLACE)
    corpus_address = Address.parse("s3://wines/train/corpus.npy")
    store.upload(tmp_path / "corpus.npy", corpus_address)

    def load() -> None:
        with tempfile.TemporaryDirectory() as cache, opened(PLACE, open_artifact, cache) as found:
            assert found.index.rows.slice(0, 30).tobytes() == corpus(1).tobytes()

    def read() -> None:
        assert read_corpus("s3://wines/train/").X.tobytes() == corpus(0).tobytes()

    def upload() -> None:
        address = Address.parse("s3://wines/model.tar.gz")
        store.upload(tmp_path / "model.tar.gz", address)
        store.download(address, tmp_path / "copy.tar.gz")
        assert all(report.is_whole for report in verify(tmp_path / "copy.tar.gz"))

    for act in (load, read, upload):
        for error in each_request(s3, fault, act):
            if fault in PASSING and error is None:
                continue
            assert isinstance(error, KNeighborsError), s3.hit
            assert error.code in REFUSED.get(fault, ()), (s3.hit, str(error))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "copy.tar.gz", "corpus.npy", "model.tar.gz"
    ]  # fmt: skip


@pytest.mark.parametrize("fault", faults("unanswered"))
def test_going_back_meets_a_fault_at_every_request(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, s3: FaultyS3, sources: list[Path], fault: str
) -> None:
    use(monkeypatch, s3, 2)
    for source in sources:
        publish(source, PLACE)
    ids = [one.id for one in history(PLACE)][-2:]
    at = 1

    def act() -> None:
        rollback(PLACE, ids[1 - at])

    for error in each_request(s3, fault, act):
        assert current(PLACE).fault is None
        now = ids.index(current(PLACE).id)
        if error is None:
            assert now == 1 - at, s3.hit
        elif now == at:
            rollback(PLACE, ids[1 - at])
        at = 1 - at
