"""Bodies damaged at random: each is read as a second reader reads it, or refused by a 4xx.

Never is another exception raised, never does one take more memory than the documented multiple of
its size, or longer than a bound. 100,000 of them in a check, a million in a soak.
"""

from __future__ import annotations

import json
import time
import tracemalloc

import numpy as np
import pytest

from fuzz.corpora import CONTENT_TYPES, corpus
from fuzz.greedy import GREEDY, MULTIPLES
from fuzz.mutation import Mutator
from fuzz.profiles import share
from fuzz.second_readers import check_request
from kneighbors.errors import KNeighborsError
from kneighbors.formats import JSON, Request, decode
from kneighbors.sagemaker.model import Model
from kneighbors.server.statuses import status_of
from support.counts import Counts
from support.wire_bodies import json_body, read_answer
from support.wire_model import corpus as rows
from support.wire_model import distances_to, expected, make_model

pytestmark = pytest.mark.faults

#: Of 100,000 bodies, decoded in this process: by content type, in so many chunks.
DECODED, CHUNKS = 88_000, 4
#: Answered by a whole endpoint in this process.
ANSWERED = 12_000
#: Large ones, of which the memory is measured.
MEASURED = 200
#: Seconds of CPU for a body of some kilobytes; a million times what most take.
MOST_SECONDS = 10.0


def short(content_type: str) -> str:
    return content_type.rpartition("/")[2]


class Trial:
    """Bodies of one content type that come through one door, and what is counted."""

    def __init__(self, content_type: str, door: str, seed: str) -> None:
        self.content_type = content_type
        self.counts = Counts(f"mutated {short(content_type)}", door)
        self._mutator = Mutator(f"{content_type} {door} {seed}", corpus(content_type))
        self._seed = seed

    def next(self) -> bytes:
        self.counts.tried += 1
        return self._mutator.next()

    def blame(self, body: bytes) -> str:
        return f"seed {self._seed}, body {self.counts.tried}: {body[:2000]!r}"

    def refused(self, error: KNeighborsError, body: bytes) -> None:
        """Check a refusal: by a 4xx, in words that can be sent."""
        if not 400 <= status_of(error) < 500:
            self.counts.status_5xx += 1
            pytest.fail(f"{error!r}: {self.blame(body)}")
        assert len(str(error).encode()) < 4000, self.blame(body)

    def timed(self, seconds: float, body: bytes) -> None:
        if seconds > MOST_SECONDS:
            self.counts.hangs += 1
            pytest.fail(f"{seconds:.1f} s: {self.blame(body)}")


@pytest.mark.parametrize("chunk", range(CHUNKS))
@pytest.mark.parametrize("content_type", CONTENT_TYPES, ids=short)
def test_a_damaged_body_is_read_as_a_second_reader_reads_it_or_refused(
    content_type: str, chunk: int
) -> None:
    trial = Trial(content_type, "decode", str(chunk))
    accepted = 0
    for _ in range(share(DECODED // len(CONTENT_TYPES) // CHUNKS)):
        body = trial.next()
        begin = time.thread_time()
        try:
            request = decode(body, content_type)
        except KNeighborsError as error:
            trial.refused(error, body)
            continue
        except Exception as error:
            trial.counts.tracebacks += 1
            raise AssertionError(trial.blame(body)) from error
        finally:
            trial.timed(time.thread_time() - begin, body)
        accepted += 1
        try:
            check_request(body, content_type, request)
        except Exception as error:
            trial.counts.wrong += 1
            raise AssertionError(trial.blame(body)) from error
    trial.counts.check()
    assert 0.02 < accepted / trial.counts.tried < 0.9


@pytest.fixture(scope="module")
def model() -> Model:
    return make_model()


@pytest.mark.parametrize("content_type", CONTENT_TYPES, ids=short)
def test_a_damaged_body_gets_the_answer_of_brute_force_or_is_refused(
    model: Model, content_type: str
) -> None:
    trial = Trial(content_type, "endpoint", "0")
    X = rows()
    answered = 0
    for _ in range(share(ANSWERED // len(CONTENT_TYPES))):
        body = trial.next()
        begin = time.thread_time()
        try:
            reply = model.invoke(body, content_type)
        except KNeighborsError as error:
            trial.refused(error, body)
            continue
        except Exception as error:
            trial.counts.tracebacks += 1
            raise AssertionError(trial.blame(body)) from error
        finally:
            trial.timed(time.thread_time() - begin, body)
        answered += 1
        try:
            check_reply(X, decode(body, content_type), reply.body, reply.content_type)
        except Exception as error:
            trial.counts.wrong += 1
            raise AssertionError(trial.blame(body)) from error
    trial.counts.check()
    assert answered > trial.counts.tried // 100


def check_reply(X: np.ndarray, request: Request, body: bytes, content_type: str) -> None:
    """Assert that an answer is a neighbours' list, and that of brute force for plain vectors."""
    answer = read_answer(body, content_type)
    assert len(answer) == request.n_queries
    is_plain = given_names(request) <= {"n_neighbors"}
    for number, (distances, found) in enumerate(answer):
        assert np.isfinite(distances).all()
        assert len(set(found)) == len(found) == len(distances)
        assert all(0 <= row < len(X) for row in found)
        if request.vectors is not None and is_plain:
            q = request.vectors[number].astype(np.float64)
            every = distances_to(X, q / np.abs(q).max(), "cosine")
            np.testing.assert_allclose(distances, np.sort(every)[: len(found)], atol=1e-9)
            np.testing.assert_allclose(every[found], distances, atol=1e-9)
            assert len(found) == (request.parameters.n_neighbors or 10)


def given_names(request: Request) -> set[str]:
    """Return the names of the parameters that a request gives."""
    given, default = request.parameters, Parameters()
    names = (one.name for one in fields(Parameters))
    return {name for name in names if getattr(given, name) != getattr(default, name)}


@pytest.mark.parametrize("content_type", CONTENT_TYPES, ids=short)
def test_a_damaged_large_body_takes_no_more_memory_than_is_promised(content_type: str) -> None:
    makers = [make for kind, make in GREEDY.values() if kind == content_type]
    large = [make(60_000) for make in makers]
    counts = Counts(f"damaged large {short(content_type)}", "decode")
    mutator = Mutator(f"{content_type} large", large)
    # What counts is the memory for what a body holds, with room for as much as it may.
    limits = Limits(max_rows=100_000, max_ids=100_000)
    tracemalloc.start()
    try:
        for _ in range(share(MEASURED)):
            body = mutator.next()
            if len(body) < 20_000:
                continue
            counts.tried += 1
            before = tracemalloc.get_traced_memory()[0]
            tracemalloc.reset_peak()
            with suppress(KNeighborsError):
                decode(body, content_type, limits=limits)
            counts.memory((tracemalloc.get_traced_memory()[1] - before) / len(body))
    finally:
        tracemalloc.stop()
    counts.check()
    assert counts.most_memory_multiple is not None
    # Fixed costs, such as that of a message, are not in proportion.
    assert counts.most_memory_multiple < MULTIPLES[content_type] + 3


@pytest.mark.parametrize("content_type", CONTENT_TYPES, ids=short)
def test_a_server_answers_damaged_bodies_by_4xx_or_rightly_and_goes_on(
    server: ServerProcess, content_type: str
) -> None:
    trial = Trial(content_type, "server", "0")
    connection = HTTPConnection("127.0.0.1", server.port, timeout=30)
    for _ in range(share(SENT // len(CONTENT_TYPES))):
        body = trial.next()
        begin = time.monotonic()
        connection.request("POST", "/invocations", body, {"Content-Type": content_type})
        response = connection.getresponse()
        data = response.read()
        trial.timed(time.monotonic() - begin, body)
        trial.counts.status_5xx += response.status >= 500
        trial.counts.tracebacks += b"Traceback" in data
        assert response.status < 500, (response.status, data, trial.blame(body))
        if response.status == 200:
            check_reply(X, decode(body, content_type), data, response.headers["content-type"])
        else:
            assert set(json.loads(data)["error"]) == {"code", "message", "where"}
    connection.request("POST", "/invocations", json_body(X[3]), {"Content-Type": JSON})
    ((_, found),) = read_answer(connection.getresponse().read(), JSON)
    assert expected(X, X[3], 10)[1] == found
    connection.close()
    trial.counts.tracebacks += "Traceback" in server.output()
    trial.counts.check()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("fuzzed")
    write_artifact(X, folder / "model", "cosine", ids=IDS, items=pa.table(ITEMS))
    with ServerProcess(folder, folder / "model", workers=1) as running:
        yield running
