"""No byte of a graph reaches FAISS that has not been looked at."""

from __future__ import annotations

import numpy as np
import pytest

from kneighbors.errors import ArtifactError
from kneighbors.search.graph import GraphIndex
from kneighbors.search.graph_stream import (
    HEADER_BYTES,
    Bytes,
    Expected,
    check_origin,
    check_stream,
    with_header,
)
from support.graphs import embeddings, graph

X = embeddings(400)
INDEX = graph(X)
EXPECTED = Expected(400, INDEX.space.width, INDEX.plan["codes"], 8)
#: Where the codes begin: behind them nothing can lead anywhere.
CODES_BYTES = 400 * INDEX.space.width * (1 if EXPECTED.codes == "sq8" else 2)


def refusal(stream: Bytes, expected: Expected = EXPECTED) -> str | None:
    try:
        check_stream(stream, expected)
    except ArtifactError as error:
        return error.code
    return None


def test_what_we_write_is_let_through() -> None:
    assert refusal(INDEX.stream) is None


@pytest.mark.parametrize("codes", ["sq8", "fp16"])
def test_both_codes_are_let_through(codes: str) -> None:
    from kneighbors.search.graph_library import Builder

    builder = Builder(32, codes, 8, 40)
    vectors = embeddings(300, 32)
    builder.train(vectors)
    builder.add(vectors)
    assert refusal(builder.stream(), Expected(300, 32, codes, 8)) is None


@pytest.mark.parametrize("length", [0, 1, 3, 4, 40, 1000, len(INDEX.stream) - 1])
def test_a_shorter_stream_is_refused(length: int) -> None:
    assert refusal(INDEX.stream[:length]) == "artifact-invalid"


def test_a_longer_stream_is_refused() -> None:
    assert refusal(np.append(INDEX.stream, np.uint8(0))) == "artifact-invalid"


@pytest.mark.parametrize(
    "expected",
    [
        Expected(399, EXPECTED.width, EXPECTED.codes, 8),
        Expected(400, EXPECTED.width + 16, EXPECTED.codes, 8),
        Expected(400, EXPECTED.width, EXPECTED.codes, 16),
        Expected(400, EXPECTED.width, "fp16" if EXPECTED.codes == "sq8" else "sq8", 8),
    ],
    ids=["rows", "width", "links", "codes"],
)
def test_the_graph_of_another_shape_is_refused(expected: Expected) -> None:
    assert refusal(INDEX.stream, expected) == "artifact-invalid"


def test_a_neighbour_that_is_no_row_is_refused() -> None:
    stream = INDEX.stream.copy()
    neighbours = stream.tobytes().index(INDEX_NEIGHBOURS)
    stream[neighbours : neighbours + 4] = np.frombuffer(np.int32(400).tobytes(), np.uint8)
    assert refusal(stream) == "artifact-invalid"
    stream[neighbours : neighbours + 4] = np.frombuffer(np.int32(-2).tobytes(), np.uint8)
    assert refusal(stream) == "artifact-invalid"


def test_a_neighbour_without_a_list_on_its_level_is_refused() -> None:
    import faiss

    hnsw = INDEX.searcher._graph.hnsw
    levels = faiss.vector_to_array(hnsw.levels)
    offsets = faiss.vector_to_array(hnsw.offsets)
    high, low = int(np.argmax(levels)), int(np.argmin(levels))
    assert (levels[high] > 1, levels[low]) == (True, 1)
    stream = INDEX.stream.copy()
    start = stream.tobytes().index(INDEX_NEIGHBOURS)
    place = start + 4 * (int(offsets[high]) + 16)
    stream[place : place + 4] = np.frombuffer(np.int32(low).tobytes(), np.uint8)
    assert refusal(stream) == "artifact-invalid"


def test_a_flipped_byte_is_refused_or_leads_nowhere() -> None:
    random = np.random.default_rng(3)
    structure = len(INDEX.stream) - CODES_BYTES
    queries = embeddings(3, seed=5)
    refused = 0
    for place in random.integers(structure, size=300).tolist():
        stream = INDEX.stream.copy()
        stream[place] ^= 1 << int(random.integers(8))
        if refusal(stream) is None:
            # Another neighbour, within bounds: searched without harm.
            other = GraphIndex(INDEX.exact, INDEX.space, stream, INDEX.order, INDEX.plan)
            nodes = other.searcher.search(other.space.queries(queries.astype(float))[0], 20)
            assert nodes.min() >= -1
            assert nodes.max() < 400
        else:
            refused += 1
    assert refused > 20


def test_a_part_knows_its_vectors() -> None:
    part = with_header(INDEX.stream, "ab" * 32)
    check_origin(part, "ab" * 32)
    with pytest.raises(ArtifactError) as caught:
        check_origin(part, "cd" * 32)
    assert caught.value.code == "graph-mismatch"
    for bad in (part[: HEADER_BYTES - 1], part[1:]):
        with pytest.raises(ArtifactError) as caught:
            check_origin(bad, "ab" * 32)
        assert caught.value.code == "artifact-invalid"


def _neighbours() -> bytes:
    import faiss

    hnsw = INDEX.searcher._graph.hnsw
    first = faiss.vector_to_array(hnsw.offsets)[1]
    pointer = faiss.rev_swig_ptr(hnsw.neighbors.data(), int(first))
    return bytes(np.array(pointer).tobytes())


INDEX_NEIGHBOURS = _neighbours()
