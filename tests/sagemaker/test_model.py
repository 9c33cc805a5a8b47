"""The endpoint answers as brute force does, in every format."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from kneighbors import artifact
from kneighbors.errors import KNeighborsError, ParameterRefused
from kneighbors.formats import CSV, JSON, JSONLINES, NPY, Limits
from kneighbors.items import Catalog
from kneighbors.sagemaker.model import DEFAULT_N_NEIGHBORS, Model
from kneighbors.search.index import ExactIndex
from kneighbors.search.rows import ArrayRows
from support.wire_bodies import CONTENT_TYPES, WRITERS, npy_body, read_answer
from support.wire_model import IDS, ITEMS, corpus, distances_to, expected, make_model

X = corpus(200, 6)
X.flags.writeable = False
METRICS = ["cosine", "euclidean", "sqeuclidean", "inner_product"]
MODELS = {metric: make_model(X, metric, ids=None, items=None) for metric in METRICS}
SMALL = make_model()


def ask(model: Model, document: dict[str, Any], attributes: str | None = None) -> list[Any]:
    """Return the predictions that a JSON object gets."""
    body = json.dumps(document).encode()
    predictions: list[Any] = json.loads(model.invoke(body, JSON, None, attributes).body)[
        "predictions"
    ]
    return predictions


def queries(n: int) -> NDArray[np.float64]:
    Q = np.random.default_rng(n).standard_normal((n, 6))
    Q[0] = X[7]
    return Q


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("accept", CONTENT_TYPES.values())
def test_every_pair_of_formats_gets_the_brute_force_answer(
    accept: str, writer: str, metric: str
) -> None:
    content_type, write = WRITERS[writer]
    Q = queries(5)
    reply = MODELS[metric].invoke(write(Q), content_type, accept, "k=7")
    assert (accept, 5) == (reply.content_type, reply.rows)
    found = read_answer(reply.body, reply.content_type)
    assert len(found) == 5
    for q, (distances, rows) in zip(Q, found, strict=True):
        true_distances, true_rows = expected(X, q, 7, metric)
        assert true_rows == rows
        np.testing.assert_allclose(distances, true_distances, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", ">f4", ">f8", "i1", "u1", "i4", "i8"])
def test_a_vector_of_any_type_gets_two_rows(dtype: str) -> None:
    q = np.array([1, 2, 3, 4, 5, 6], dtype=dtype)
    reply = MODELS["cosine"].invoke(npy_body(q), NPY)
    array = np.frombuffer(reply.body[-160:]).reshape(2, 10)
    assert len(reply.body) == 128 + 160
    assert expected(X, q, 10)[1] == array[1].tolist()


@pytest.mark.parametrize("accept", [None, "", "*/*", NPY, "application/x-npy, */*;q=0.1"])
def test_the_walk_through_gets_its_nested_array(accept: str | None) -> None:
    lone = MODELS["cosine"].invoke(npy_body(queries(1)[0].astype("f4")), NPY, accept)
    batch = MODELS["cosine"].invoke(npy_body(queries(64)), NPY, accept)
    assert b"'shape': (2, 10)" in lone.body[:128]
    assert b"'shape': (2, 64, 10)" in batch.body[:128]


def test_one_query_is_answered_as_in_a_batch() -> None:
    Q = queries(9)
    batch = read_answer(MODELS["cosine"].invoke(npy_body(Q), NPY).body, NPY)
    for q, one in zip(Q, batch, strict=True):
        assert [one] == read_answer(MODELS["cosine"].invoke(npy_body(q), NPY).body, NPY)


def test_an_id_stands_for_its_row() -> None:
    ((by_id), (again)) = ask(SMALL, {"ids": ["w03", "w03"], "k": 4})
    distances, rows = expected(corpus(), corpus()[3], 4)
    assert by_id == again
    assert rows == by_id["indices"]
    assert [IDS[row] for row in rows] == by_id["ids"]
    assert by_id["distances"][0] == 0.0
    np.testing.assert_allclose(distances, by_id["distances"], atol=1e-14)


def test_row_numbers_are_the_ids_of_a_corpus_without() -> None:
    (one,) = ask(MODELS["euclidean"], {"ids": [5], "k": 3})
    assert one["ids"] == one["indices"] == expected(X, X[5], 3, "euclidean")[1]


def test_integer_ids_are_integers() -> None:
    model = make_model(ids=[10**12 + row for row in range(12)], items=None)
    (one,) = ask(model, {"ids": [10**12 + 3], "k": 2})
    assert [10**12 + row for row in one["indices"]] == one["ids"]


def test_exclude_self_leaves_out_that_row_and_keeps_its_twin() -> None:
    # Rows 10 and 11 are the same vector: whoever drops the first answer drops the wrong one.
    for own, twin in ((10, 11), (11, 10)):
        (one,) = ask(SMALL, {"ids": [IDS[own]], "k": 11, "exclude_self": True})
        assert own not in one["indices"]
        assert (twin, 0.0) == (one["indices"][0], one["distances"][0])
        assert expected(corpus(), corpus()[own], 11, exclude=(own,))[1] == one["indices"]


def test_exclude_self_in_a_batch_is_each_querys_own() -> None:
    found = ask(SMALL, {"ids": IDS[:4], "k": 3, "exclude_self": True})
    for row, one in enumerate(found):
        assert expected(corpus(), corpus()[row], 3, exclude=(row,))[1] == one["indices"]


def test_exclude_self_is_refused_for_vectors_with_the_way_out() -> None:
    with pytest.raises(ParameterRefused, match="exclude_ids") as caught:
        ask(SMALL, {"instances": [corpus()[0].tolist()], "exclude_self": True})
    assert caught.value.code == "exclude-self-needs-ids"
    assert ask(SMALL, {"instances": [corpus()[0].tolist()], "exclude_self": False})


def test_exclude_ids_still_finds_k() -> None:
    q = corpus()[0]
    excluded = expected(corpus(), q, 4)[1]
    (one,) = ask(
        SMALL, {"instances": [q.tolist()], "k": 5, "exclude_ids": [IDS[r] for r in excluded] * 2}
    )
    assert expected(corpus(), q, 5, exclude=tuple(excluded))[1] == one["indices"]
    assert "n_found" not in one


def test_excluded_ids_may_come_by_header_as_text() -> None:
    q = X[0]
    excluded = expected(X, q, 3)[1]
    header = f"k=4;exclude_ids={','.join(map(str, excluded))}"
    reply = MODELS["cosine"].invoke(npy_body(q), NPY, None, header)
    ((_, rows),) = read_answer(reply.body, NPY)
    assert expected(X, q, 4, exclude=tuple(excluded))[1] == rows


@pytest.mark.parametrize("text", ["x", "1.0", "1_0", "٣", "9" * 30])
def test_a_text_that_is_no_integer_is_no_integer_id(text: str) -> None:
    from urllib.parse import quote

    with pytest.raises(KNeighborsError) as caught:
        MODELS["cosine"].invoke(b"[1,2,3,4,5,6]", JSON, None, f"exclude_ids={quote(text)}")
    assert caught.value.code == "id-type"


def test_too_few_left_is_said() -> None:
    full, short = (
        ask(SMALL, {"ids": ["w00", "w01"], "k": 11, "exclude_self": True}),
        ask(SMALL, {"ids": ["w00", "w01"], "k": 11, "exclude_self": True, "exclude_ids": ["w01"]}),
    )
    assert all("n_found" not in one for one in full)
    first, second = short
    assert (first["n_found"], first["reason"], len(first["indices"])) == (10, "excluded", 10)
    # The second is itself among the excluded.
    assert "n_found" not in second
    assert len(second["indices"]) == len(second["distances"]) == len(second["ids"]) == 11


def test_everything_may_be_excluded() -> None:
    (one,) = ask(SMALL, {"id": "w00", "k": 3, "exclude_ids": IDS})
    assert one == {"distances": [], "indices": [], "ids": [], "n_found": 0, "reason": "excluded"}


@pytest.mark.parametrize("accept", [NPY, CSV])
def test_a_short_answer_has_no_place_in_a_format_of_fixed_width(accept: str) -> None:
    header = f"k=12;exclude_ids={IDS[3]}"
    with pytest.raises(KNeighborsError, match="application/json") as caught:
        SMALL.invoke(b"[1,2,3,4]", JSON, accept, header)
    assert caught.value.code == "accept-ragged"
    # Whoever leaves a choice gets it as JSON.
    reply = SMALL.invoke(npy_body(np.ones(4)), NPY, f"{accept}, */*;q=0.1", header)
    assert reply.content_type == JSON
    ((distances, rows),) = read_answer(reply.body, JSON)
    assert len(distances) == len(rows) == 11


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("quantile", [0.0, 0.1, 1.0])
def test_a_radius_holds_what_lies_within(metric: str, quantile: float) -> None:
    q = queries(3)[2]
    radius = float(np.quantile(distances_to(X, q, metric), quantile)) + 1e-9
    (one,) = ask(MODELS[metric], {"instances": [q.tolist()], "radius": radius})
    true_distances, true_rows = expected(X, q, 200, metric, radius=radius)
    assert true_rows == one["indices"]
    np.testing.assert_allclose(true_distances, one["distances"], rtol=1e-12, atol=1e-14)
    assert "reason" not in one


def test_radius_and_n_neighbors_is_both() -> None:
    q = queries(3)[1]
    all_distances, _ = expected(X, q, 200)
    for place, k, reason in ((4, 10, "radius"), (30, 10, None)):
        radius = (all_distances[place] + all_distances[place - 1]) / 2
        (one,) = ask(MODELS["cosine"], {"instances": [q.tolist()], "radius": radius, "k": k})
        assert expected(X, q, k, radius=radius)[1] == one["indices"]
        assert reason == one.get("reason")
        assert (min(place, k) if reason else None) == one.get("n_found")


def test_a_radius_without_anything_in_it_is_an_empty_answer() -> None:
    (one,) = ask(MODELS["euclidean"], {"instances": [[1e6] * 6], "radius": 1.0})
    assert one == {"distances": [], "indices": [], "ids": []}


def test_a_radius_leaves_out_what_is_excluded() -> None:
    (one,) = ask(MODELS["euclidean"], {"ids": [3], "radius": 2.0, "exclude_self": True})
    assert expected(X, X[3], 200, "euclidean", radius=2.0, exclude=(3,))[1] == one["indices"]


@pytest.mark.parametrize("accept", [NPY, CSV])
def test_a_radius_has_no_answer_of_fixed_width(accept: str) -> None:
    with pytest.raises(KNeighborsError) as caught:
        SMALL.read(b"[1,2,3,4]", JSON, accept, "radius=0.5")
    assert caught.value.code == "accept-ragged"


def test_a_radius_is_answered_in_lists_of_different_lengths() -> None:
    Q = queries(4)
    reply = MODELS["cosine"].invoke(npy_body(Q), NPY, JSON, "radius=0.3")
    found = read_answer(reply.body, JSON)
    assert [expected(X, q, 200, radius=0.3)[1] for q in Q] == [rows for _, rows in found]
    assert len({len(rows) for _, rows in found}) > 1


def test_a_radius_that_holds_too_much_is_refused() -> None:
    many = json.dumps({"instances": queries(3).tolist(), "radius": 2.0}).encode()
    for limits in (Limits(max_neighbors=199), Limits(max_answers=599)):
        model = make_model(X, ids=None, items=None, limits=limits)
        with pytest.raises(KNeighborsError, match="n_neighbors") as caught:
            model.invoke(many, JSON)
        assert caught.value.code == "answer-too-large"
    assert len(read_answer(MODELS["cosine"].invoke(many, JSON).body, JSON)) == 3


@pytest.mark.parametrize(
    ("wanted", "names"),
    [(True, ["name", "price"]), (["price"], ["price"]), (["price", "name"], ["price", "name"])],
)
def test_attributes_come_with_the_answers(wanted: Any, names: list[str]) -> None:
    (one,) = ask(SMALL, {"ids": ["w03"], "k": 5, "include_items": wanted})
    assert [{name: ITEMS[name][row] for name in names} for row in one["indices"]] == one["items"]
    assert all(list(item) == names for item in one["items"])


def test_attributes_turn_an_array_into_objects() -> None:
    reply = SMALL.invoke(npy_body(np.ones(4)), NPY, JSON, "k=2;include_items=name")
    (one,) = json.loads(reply.body)["predictions"]
    assert [set(item) for item in one["items"]] == [{"name"}] * 2
    lines = SMALL.invoke(npy_body(np.ones((2, 4))), NPY, JSONLINES, "k=2;include_items=true").body
    assert all("items" in json.loads(line) for line in lines.splitlines())


@pytest.mark.parametrize("accept", [NPY, CSV])
def test_attributes_have_no_place_in_numbers(accept: str) -> None:
    with pytest.raises(KNeighborsError) as caught:
        SMALL.read(b"[1,2,3,4]", JSON, accept, "include_items=true")
    assert caught.value.code == "accept-items"


def test_attributes_of_a_corpus_without_are_refused() -> None:
    with pytest.raises(KNeighborsError) as caught:
        ask(MODELS["cosine"], {"ids": [0], "include_items": True})
    assert caught.value.code == "items-missing"
    assert ask(MODELS["cosine"], {"ids": [0], "include_items": False})


def test_the_default_is_ten_or_the_whole_corpus() -> None:
    assert len(ask(MODELS["cosine"], {"ids": [0]})[0]["indices"]) == DEFAULT_N_NEIGHBORS == 10
    assert len(ask(make_model(corpus()[:3], ids=None, items=None), {"ids": [0]})[0]["ids"]) == 3
    assert len(ask(make_model(default_n_neighbors=4), {"ids": ["w00"]})[0]["ids"]) == 4
    capped = make_model(limits=Limits(max_neighbors=2))
    assert len(ask(capped, {"ids": ["w00"]})[0]["ids"]) == 2


@pytest.mark.parametrize("k", [1, 12])
def test_k_reaches_from_one_to_all_rows(k: int) -> None:
    assert len(ask(SMALL, {"ids": ["w00"], "k": k})[0]["indices"]) == k


def test_limits_are_held_before_the_search() -> None:
    model = make_model(limits=Limits(max_neighbors=5, max_answers=9, max_items=4, max_ids=3))
    for document, code in [
        ({"ids": ["w00"], "k": 6}, "n-neighbors-range"),
        ({"ids": ["w00", "w01"], "k": 5}, "answer-too-large"),
        ({"ids": ["w00"], "k": 5, "include_items": True}, "answer-too-large"),
        ({"ids": ["w00"], "radius": 2, "include_items": True}, "answer-too-large"),
        ({"ids": ["w00"] * 4, "k": 1, "exclude_ids": ["w01", "w02", "w03"]}, "ids-too-many"),
    ]:
        with pytest.raises(KNeighborsError) as caught:
            ask(model, document)
        assert caught.value.code == code
    assert ask(model, {"ids": ["w00"], "k": 4, "include_items": True})


def test_a_radius_that_holds_too_many_attributes_is_refused() -> None:
    model = make_model(limits=Limits(max_items=11))
    with pytest.raises(KNeighborsError, match="attributes") as caught:
        ask(model, {"ids": ["w00"], "radius": 2, "include_items": True})
    assert caught.value.code == "answer-too-large"
    assert len(ask(model, {"ids": ["w00"], "radius": 2})[0]["ids"]) == 12


def test_sagemakers_built_in_requests_are_understood() -> None:
    q = queries(2)[1].tolist()
    document = {"instances": [{"data": {"features": {"values": q}}}, {"features": q}]}
    first, second = ask(MODELS["cosine"], document)
    assert first == second
    reply = MODELS["cosine"].invoke(
        json.dumps(document).encode(), JSON, "application/json; verbose=true"
    )
    assert json.loads(reply.body)["predictions"][0]["distances"] == first["distances"]


def test_requests_searched_together_get_what_each_gets_alone() -> None:
    model = MODELS["cosine"]
    calls: list[tuple[bytes, str, str | None]] = [
        (npy_body(queries(3)), NPY, "k=4"),
        (npy_body(queries(2)[1].astype("f4")), NPY, "k=4"),
        (b'{"ids": [4, 5], "k": 4, "exclude_self": true}', JSON, None),
        (b'{"ids": [4, 5], "k": 9, "exclude_ids": [4]}', JSON, None),
        (b'{"ids": [4], "radius": 0.4}', JSON, None),
        (b'{"ids": [4], "radius": 0.4, "k": 4}', JSON, None),
        (b'{"ids": [4], "k": 200, "exclude_self": true}', JSON, None),
    ]
    together = [model.read(body, kind, None, header) for body, kind, header in calls]
    replies = [model.write(q, f) for q, f in zip(together, model.find(together), strict=True)]
    alone = [model.invoke(body, kind, None, header) for body, kind, header in calls]
    assert alone == replies


def test_what_cannot_be_answered_is_refused_before_it_is_read() -> None:
    with pytest.raises(KNeighborsError) as caught:
        SMALL.invoke(b"not even JSON", JSON, "image/png")
    assert caught.value.code == "accept-unsupported"


def saved(path: Path, source: dict[str, Any] | None = None) -> Path:
    index = ExactIndex.build(ArrayRows(corpus()), "cosine")
    artifact.save(path, index, Catalog.from_data(12, IDS, ITEMS), source=source)
    return path


def test_an_artifact_is_opened_and_answers(tmp_path: Path) -> None:
    model = Model.open(saved(tmp_path / "model"))
    model.warm_up()
    assert (model.n_samples, model.n_features, model.metric) == (12, 4, "cosine")
    document = {"ids": ["w03"], "k": 5, "exclude_self": True, "include_items": True}
    assert ask(SMALL, document) == ask(model, document)


@pytest.mark.parametrize(
    ("source", "given", "n_neighbors"),
    [
        (None, None, 10),
        ({"n_neighbors": 4}, None, 4),
        ({"n_neighbors": 4}, 3, 3),
        ({"n_neighbors": 500}, None, 12),
        ({"n_neighbors": "4"}, None, 10),
    ],
)
def test_the_artifact_remembers_the_number_of_neighbors(
    tmp_path: Path, source: dict[str, Any] | None, given: int | None, n_neighbors: int
) -> None:
    model = Model.open(saved(tmp_path / "model", source), default_n_neighbors=given)
    assert model.default_n_neighbors == n_neighbors


@pytest.mark.parametrize("model", [SMALL, *MODELS.values()])
def test_a_model_warms_up(model: Model) -> None:
    model.warm_up()
    model.warm_up(items=False)


def test_serving_imports_no_scikit_learn_and_pyarrow_only_for_items(tmp_path: Path) -> None:
    program = """
import sys
from kneighbors.sagemaker.model import Model
model = Model.open(sys.argv[1])
model.warm_up(items=False)
model.invoke(b'{"ids": ["w00"]}', "application/json")
heavy = {"sklearn", "scipy", "pandas", "pyarrow", "urllib3", "obstore"} & set(sys.modules)
assert not heavy, heavy
model.warm_up()
assert "pyarrow" in sys.modules
assert not {"sklearn", "scipy", "pandas"} & set(sys.modules)
"""
    command = [sys.executable, "-c", program, str(saved(tmp_path / "model"))]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
