"""Bodies damaged at random: each is read as a second reader reads it, or refused by a 4xx.

Never is another exception raised, and none takes longer than a bound. 100,000 of them in a check,
a million in a soak.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from http.client import HTTPConnection

import pyarrow as pa
import pytest

from fuzz.corpora import CONTENT_TYPES
from fuzz.profiles import share
from fuzz.second_readers import check_request
from fuzz.trial import Trial, check_reply, short
from kneighbors.artifact import save
from kneighbors.errors import KNeighborsError
from kneighbors.formats import JSON, decode
from kneighbors.items import Catalog
from kneighbors.search.index import ExactIndex
from kneighbors.search.rows import ArrayRows
from support.server_process import ServerProcess
from support.wire_bodies import json_body, read_answer
from support.wire_model import IDS, ITEMS, corpus, expected, make_model

pytestmark = pytest.mark.faults

#: Of 100,000 bodies, those that are decoded in this process, for each content type in chunks;
#: those that a whole endpoint answers in this process; and those that a server is sent.
DECODED, ANSWERED, SENT = 84_000, 12_000, 4_000
CHUNKS = 4
X = corpus()


@pytest.mark.parametrize("chunk", range(CHUNKS))
@pytest.mark.parametrize("content_type", CONTENT_TYPES, ids=short)
def test_a_damaged_body_is_read_as_a_second_reader_reads_it_or_refused(
    content_type: str, chunk: int
) -> None:
    trial = Trial(content_type, "decoder", str(chunk))
    accepted = 0
    try:
        for _ in range(share(DECODED // len(CONTENT_TYPES) // CHUNKS)):
            body = trial.next()
            begin = time.thread_time()
            try:
                request = decode(body, content_type)
            except KNeighborsError as error:
                trial.refused(error)
                continue
            except Exception as error:
                trial.counts.tracebacks += 1
                raise AssertionError(str(trial)) from error
            finally:
                trial.took(time.thread_time() - begin)
            accepted += 1
            try:
                check_request(body, content_type, request)
            except Exception as error:
                trial.counts.wrong += 1
                raise AssertionError(str(trial)) from error
    finally:
        trial.counts.record()
    assert 0.01 < accepted / trial.counts.tried < 0.9


@pytest.mark.parametrize("content_type", CONTENT_TYPES, ids=short)
def test_a_damaged_body_gets_the_answer_of_brute_force_or_is_refused(content_type: str) -> None:
    trial, model = Trial(content_type, "endpoint"), make_model()
    answered = 0
    try:
        for _ in range(share(ANSWERED // len(CONTENT_TYPES))):
            body = trial.next()
            begin = time.thread_time()
            try:
                reply = model.invoke(body, content_type)
            except KNeighborsError as error:
                trial.refused(error)
                continue
            except Exception as error:
                trial.counts.tracebacks += 1
                raise AssertionError(str(trial)) from error
            finally:
                trial.took(time.thread_time() - begin)
            answered += 1
            try:
                check_reply(X, decode(body, content_type), reply.body, reply.content_type)
            except Exception as error:
                trial.counts.wrong += 1
                raise AssertionError(str(trial)) from error
    finally:
        trial.counts.record()
    assert answered > trial.counts.tried // 200


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("fuzzed")
    index = ExactIndex.build(ArrayRows(X), "cosine")
    save(folder / "model", index, Catalog(len(X), IDS, pa.table(ITEMS)))
    with ServerProcess(folder, folder / "model", workers=1) as running:
        yield running


@pytest.mark.parametrize("content_type", CONTENT_TYPES, ids=short)
def test_a_server_answers_damaged_bodies_rightly_or_by_4xx_and_goes_on(
    server: ServerProcess, content_type: str
) -> None:
    trial = Trial(content_type, "server")
    connection = HTTPConnection("127.0.0.1", server.port, timeout=60)
    try:
        for _ in range(share(SENT // len(CONTENT_TYPES))):
            body = trial.next()
            begin = time.monotonic()
            connection.request("POST", "/invocations", body, {"Content-Type": content_type})
            response = connection.getresponse()
            data = response.read()
            trial.took(time.monotonic() - begin)
            trial.counts.status_5xx += response.status >= 500
            assert response.status < 500, (response.status, data, str(trial))
            if response.status == 200:
                kind = response.headers["content-type"]
                check_reply(X, decode(body, content_type), data, kind)
            else:
                assert {"code", "message", "where"} == set(json.loads(data)["error"])
        connection.request("POST", "/invocations", json_body(X[3]), {"Content-Type": JSON})
        ((_, found),) = read_answer(connection.getresponse().read(), JSON)
        assert expected(X, X[3], 10)[1] == found
        trial.counts.tracebacks += "Traceback" in server.output()
    except AssertionError:
        trial.counts.wrong += 1
        raise
    finally:
        connection.close()
        trial.counts.record()
    assert trial.counts.tracebacks == 0
