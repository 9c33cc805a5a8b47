"""A user's functions and ours together give the answer that each part promises."""

from __future__ import annotations

import io
import json
import logging
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import flask
import numpy as np
import pytest

from kneighbors.errors import ArrayRefused, BodyRefused, ParameterRefused, Refused, ScriptError
from kneighbors.formats import CSV, JSON, JSONLINES, NPY, Limits
from kneighbors.sagemaker import handlers
from kneighbors.sagemaker.context import Context
from kneighbors.sagemaker.model import Model
from kneighbors.server.refusals import refusal
from support.hosted_scripts import X, hosted, model_folder
from support.wire_bodies import npy_body
from support.wire_model import make_model

MODEL = make_model(default_n_neighbors=4)
Q = X[5].tolist()
VECTOR = json.dumps(Q).encode()

#: Says what it was called with, as JSON.
ECHO = """
import json
def model_fn(model_dir): return None
def transform_fn(model, body, content_type, accept):
    kind = type(body).__name__
    text = body if kind == "str" else body.decode("latin-1")
    return json.dumps([kind, text, content_type, accept])
"""


def told(folder: Path, body: bytes, content_type: str | None, accept: str | None) -> Any:
    return json.loads(hosted(folder, ECHO).invoke(body, content_type, accept).body)


def load(body: bytes) -> Any:
    return np.load(io.BytesIO(body), allow_pickle=False)


# Our four functions, as a script or a toolkit calls them.


@pytest.mark.parametrize("accept", [JSON, NPY, CSV, JSONLINES])
@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (VECTOR, JSON),
        (VECTOR.decode(), JSON),
        ("[[1,2,3,4],[4,3,2,1]]", JSON),
        (npy_body(np.array(Q)), NPY),
        ("1,2,3,4\n4,3,2,1\n", CSV),
        (b'{"features": [1,2,3,4]}\n', JSONLINES),
        (b'{"ids": ["w03"], "k": 2, "exclude_self": true}', JSON),
    ],
)
def test_our_functions_in_a_row_answer_as_the_model_does(
    body: str | bytes, content_type: str, accept: str
) -> None:
    request = handlers.input_fn(body, content_type)
    answer = handlers.output_fn(handlers.predict_fn(request, MODEL), accept)
    data = body.encode() if isinstance(body, str) else body
    reply = MODEL.invoke(data, content_type, accept)
    assert (reply.body, reply.content_type) == answer


def test_a_lone_vector_of_the_walk_through_gives_distances_over_rows() -> None:
    request = handlers.input_fn(npy_body(np.array(Q, dtype=np.float32)), NPY)
    body, content_type = handlers.output_fn(handlers.predict_fn(request, MODEL), NPY)
    assert NPY == content_type
    assert (2, 4) == load(body).shape
    assert 5 == load(body)[1, 0]


def test_a_pickle_in_an_npy_body_is_refused_and_not_run(tmp_path: Path) -> None:
    class Command:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "ran",)

    file = io.BytesIO()
    np.save(file, np.array([Command()], dtype=object), allow_pickle=True)
    with pytest.raises(BodyRefused):
        handlers.input_fn(file.getvalue(), NPY)
    assert not (tmp_path / "ran").exists()


def test_custom_attributes_come_from_the_context() -> None:
    context = Context(Path("model"), {"x-AMZN-sagemaker-custom-attributes": "k=2;trace=7"})
    request = handlers.input_fn(VECTOR, JSON, context)
    assert 2 == request.parameters.n_neighbors


def test_custom_attributes_come_from_a_request_of_flasks(monkeypatch: pytest.MonkeyPatch) -> None:
    headers = {"X-Amzn-SageMaker-Custom-Attributes": "k=3"}
    flask = SimpleNamespace(
        has_request_context=lambda: True, request=SimpleNamespace(headers=headers)
    )
    monkeypatch.setitem(__import__("sys").modules, "flask", flask)
    assert 3 == handlers.input_fn(VECTOR, JSON).parameters.n_neighbors


@pytest.mark.parametrize(
    ("body", "content_type", "accept", "status"),
    [
        ("[1,", JSON, JSON, 400),
        ("[1,2]", JSON, JSON, 400),
        ("<p>", "text/html", JSON, 415),
        (VECTOR, JSON, "text/html", 406),
    ],
)
def test_a_toolkit_on_flask_answers_a_refusal_as_our_server_does(
    body: str, content_type: str, accept: str, status: int
) -> None:
    app = flask.Flask("toolkit")

    @app.post("/invocations")
    def invocations() -> tuple[bytes, int]:
        try:
            data = handlers.input_fn(body, content_type)
            return handlers.output_fn(handlers.predict_fn(data, MODEL), accept)[0], 200
        except Exception as error:
            raise RuntimeError("wrapped, as AWS's toolkit does") from error

    answer = app.test_client().post("/invocations")
    with pytest.raises(Refused) as caught:
        MODEL.invoke(body.encode() if isinstance(body, str) else body, content_type, accept)
    assert (status, JSON) == (answer.status_code, answer.content_type)
    assert refusal(caught.value).body == answer.data


def test_the_examples_of_the_page_on_handlers_work(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "how-to" / "own-handlers.md").read_text()
    first, second = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    for number, script in enumerate((first, second, first + second)):
        (tmp_path / str(number)).mkdir()
        reply = hosted(tmp_path / str(number), script).invoke(VECTOR, JSON, NPY)
        assert 5 == load(reply.body)[1, 0]


def test_vectors_of_a_users_own_are_searched() -> None:
    one = handlers.predict_fn(Q, MODEL)
    many = handlers.predict_fn(np.array([Q, Q], dtype=np.float32), MODEL)
    assert (2, 4) == load(handlers.output_fn(one, NPY)[0]).shape
    assert (2, 2, 4) == load(handlers.output_fn(many, NPY)[0]).shape


def test_a_model_that_is_not_ours_is_not_searched_by_us() -> None:
    with pytest.raises(ScriptError, match="predict_fn") as caught:
        handlers.predict_fn(Q, object())
    assert "script-invalid" == caught.value.code


@pytest.mark.parametrize(
    ("value", "accept", "body"),
    [
        ([[0.5, 1.0], [3, 7]], JSON, b"[[0.5,1.0],[3,7]]"),
        ((np.array([0.5]), np.array([3])), JSON, b"[[0.5],[3]]"),
        ({"rows": np.array([3, 7])}, JSON, b'{"rows":[3,7]}'),
        (np.float64(0.5), JSON, b"0.5"),
        ([[0.5], [3, 7]], JSON, b"[[0.5],[3,7]]"),
        (np.array([[0.5, 1.0], [3, 7]]), CSV, b"0.5,1.0\n3.0,7.0\n"),
        (np.array([3, 7]), CSV, b"3\n7\n"),
        (np.array([[1], [2]]), JSONLINES, b"[1]\n[2]\n"),
        ("plain", JSON, b'"plain"'),
    ],
)
def test_values_of_a_users_own_are_written(value: Any, accept: str, body: bytes) -> None:
    assert (body, accept) == handlers.output_fn(value, accept)


def test_distances_and_rows_of_a_users_own_become_one_array() -> None:
    body, content_type = handlers.output_fn(MODEL.kneighbors([Q, Q], 3), NPY)
    assert NPY == content_type
    assert (2, 2, 3) == load(body).shape
    assert np.float64 == load(body).dtype


@pytest.mark.parametrize("accept", [NPY, CSV])
@pytest.mark.parametrize("value", [{"rows": [1]}, [[1], [2, 3]], "text", None])
def test_what_a_format_has_no_place_for_is_not_acceptable(value: Any, accept: str) -> None:
    with pytest.raises(BodyRefused) as caught:
        handlers.output_fn(value, accept)
    assert "accept-unsupported" == caught.value.code


def test_a_cube_is_no_csv() -> None:
    with pytest.raises(BodyRefused, match="application/json"):
        handlers.output_fn(np.zeros((2, 2, 3)), CSV)


def test_values_that_json_does_not_know_are_the_scripts_fault() -> None:
    with pytest.raises(ScriptError, match="got object") as caught:
        handlers.output_fn([object()], JSON)
    assert "script-failed" == caught.value.code


@pytest.mark.parametrize("make", ["endless", "long"])
def test_values_that_json_has_no_end_or_place_for_are_the_scripts_fault(make: str) -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(ScriptError, match="what JSON can hold") as caught:
        handlers.output_fn(endless if make == "endless" else 10**5000, JSON)
    assert "script-failed" == caught.value.code


def test_a_number_that_a_npy_of_ours_cannot_hold_is_not_written_as_another() -> None:
    with pytest.raises(BodyRefused, match="has no place"):
        handlers.output_fn(np.array([2**64 - 1], np.uint64), NPY)


# The model, as a script asks it.


def test_the_model_is_asked_as_scikit_learn_is() -> None:
    distances, rows = MODEL.kneighbors(X[:3], n_neighbors=2)
    assert ((3, 2), (3, 2)) == (distances.shape, rows.shape)
    assert [0, 1, 2] == rows[:, 0].tolist()
    assert (4,) == MODEL.kneighbors(Q)[1].shape


@pytest.mark.parametrize("wrong", [[[1, 2]], [1, 2], [[float("nan")] * 4], "x", [[[1]]]])
def test_the_model_refuses_queries_as_everywhere(wrong: Any) -> None:
    with pytest.raises(ArrayRefused):
        MODEL.kneighbors(wrong)


@pytest.mark.parametrize("wrong", [0, 13, 2.5])
def test_the_model_refuses_numbers_of_neighbours_as_everywhere(wrong: Any) -> None:
    with pytest.raises(ParameterRefused):
        MODEL.kneighbors(Q, wrong)


# One function of the user's, the others ours.


@pytest.mark.parametrize(
    "returned",
    [
        "model.kneighbors(data, 3)",
        "list(model.kneighbors(data, 3))",
        "__import__('numpy').array(model.kneighbors(data, 3))",
        "[part.tolist() for part in model.kneighbors(data, 3)]",
    ],
)
def test_a_users_predict_fn_gets_our_vectors_and_our_model(tmp_path: Path, returned: str) -> None:
    one = hosted(tmp_path, f"def predict_fn(data, model): return {returned}")
    as_npy = one.invoke(npy_body(X[:2]), NPY, NPY)
    assert (2, 2, 3) == load(as_npy.body).shape
    assert [0, 1] == load(as_npy.body)[1, :, 0].tolist()
    lone = json.loads(one.invoke(VECTOR, JSON).body)
    assert 5 == lone[1][0]
    assert [3, 3] == [len(part) for part in lone]


def test_a_users_predict_fn_gets_the_vectors_of_ids(tmp_path: Path) -> None:
    one = hosted(tmp_path, "def predict_fn(data, model): return model.kneighbors(data, 1)[1]")
    assert b"[[3],[0]]" == one.invoke(b'{"ids": ["w03", "w00"]}', JSON).body


def test_ids_cannot_be_looked_up_in_a_model_of_the_users(tmp_path: Path) -> None:
    script = "def model_fn(d): return 1\ndef predict_fn(data, model): return data"
    one = hosted(tmp_path, script)
    assert b"[1.0,2.0]" == one.invoke(b"[1, 2]", JSON).body
    with pytest.raises(BodyRefused, match="ids"):
        one.invoke(b'{"ids": ["w03"]}', JSON)


@pytest.mark.parametrize("expression", ["[row]", "row", "numpy.array(row)", "numpy.array([row])"])
def test_a_users_input_fn_may_return_any_vectors(tmp_path: Path, expression: str) -> None:
    script = f"""
import numpy
def input_fn(body, content_type):
    assert content_type == "text/wine"
    row = [float(part) for part in body.split(b"|")]
    return {expression}
"""
    reply = hosted(tmp_path, script).invoke(b"|".join(b"%f" % x for x in Q), "text/wine", NPY)
    assert 5 == load(reply.body)[1].ravel()[0]


def test_a_users_output_fn_gets_what_was_found(tmp_path: Path) -> None:
    script = "def output_fn(prediction, accept): return str(prediction.found.indices.tolist())"
    reply = hosted(tmp_path, script).invoke(b'{"instances": [[1,2,3,4]], "k": 2}', JSON, "text/x")
    assert MODEL.kneighbors([[1, 2, 3, 4]], 2)[1].tolist() == json.loads(reply.body)
    assert "text/x" == reply.content_type


def test_a_users_model_fn_may_wrap_our_model(tmp_path: Path) -> None:
    script = """
from kneighbors.sagemaker.model import Model
from kneighbors.server.refusals import refusal
def model_fn(model_dir):
    return Model.open(model_dir, default_n_neighbors=2)
"""
    one = hosted(tmp_path, script)
    assert [2, 2] == [len(part) for part in json.loads(one.invoke(VECTOR, JSON).body)]
    assert "12" == one.facts["n_samples"]


def test_without_accept_a_script_answers_json_and_with_the_variable_that(tmp_path: Path) -> None:
    script = "def model_fn(d):\n    from kneighbors.sagemaker import handlers\n"
    script += "    return handlers.model_fn(d)"
    body = npy_body(np.array(Q))
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    plain = hosted(tmp_path / "a", script)
    assert [JSON, JSON, JSON] == [
        plain.invoke(body, NPY, accept).content_type for accept in (None, "", "*/*")
    ]
    told_so = hosted(tmp_path / "b", script, {"SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT": CSV})
    assert CSV == told_so.invoke(body, NPY).content_type


# What a script's functions are given.


@pytest.mark.parametrize(
    ("content_type", "kind"),
    [
        (JSON, "str"),
        (CSV, "str"),
        ("application/json; charset=utf-8", "str"),
        (None, "str"),
        (NPY, "bytes"),
        ("application/jsonlines", "bytes"),
        ("text/plain", "bytes"),
    ],
)
def test_json_and_csv_arrive_as_text_and_the_rest_as_bytes(
    tmp_path: Path, content_type: str | None, kind: str
) -> None:
    assert [kind, "[1]", content_type or JSON] == told(tmp_path, b"[1]", content_type, "a/b")[:3]


@pytest.mark.parametrize(
    ("accept", "seen"),
    [(None, JSON), ("", JSON), ("*/*", JSON), ("text/x", "text/x"), ("a/b, c/d", "a/b, c/d")],
)
def test_an_accept_that_says_nothing_becomes_the_default(
    tmp_path: Path, accept: str | None, seen: str
) -> None:
    assert seen == told(tmp_path, b"[1]", JSON, accept)[3]


def test_text_that_is_no_utf_8_is_refused_before_the_script_sees_it(tmp_path: Path) -> None:
    with pytest.raises(BodyRefused) as caught:
        told(tmp_path, b"\xff\xff\x80", JSON, None)
    assert "body-encoding" == caught.value.code


def test_a_body_over_the_limit_never_reaches_a_script(tmp_path: Path) -> None:
    one = hosted(tmp_path, ECHO, limits=Limits(max_body_bytes=3))
    assert 200 == one.invoke(b"[1]", JSON).status
    with pytest.raises(BodyRefused) as caught:
        one.invoke(b"[12]", JSON)
    assert "body-too-large" == caught.value.code


def test_a_context_is_given_to_those_that_have_a_place_for_it(tmp_path: Path) -> None:
    script = """
def model_fn(model_dir, context): return [context.system_properties["model_dir"] == model_dir]
def input_fn(body, content_type, context=None):
    name = "X-Amzn-SageMaker-Custom-Attributes"
    return [context.get_request_header(0, name.lower()), context.get_all_request_header(0)[name]]
def predict_fn(data, model): return data + model
def output_fn(prediction, accept, context):
    context.set_response_content_type(0, "text/special")
    context.set_response_header(0, "X-Seen", "yes")
    context.set_response_status(201, "Made")
    return repr(prediction)
"""
    reply = hosted(tmp_path, script).invoke(b"[1]", JSON, None, "who=me")
    assert b"['who=me', 'who=me', True]" == reply.body
    assert (201, "text/special") == (reply.status, reply.content_type)
    assert (("X-Seen", "yes"),) == reply.headers


# What they may return.


@pytest.mark.parametrize(
    ("returned", "body", "content_type"),
    [
        ("b'x'", b"x", "text/x"),
        ("bytearray(b'x')", b"x", "text/x"),
        ("'é'", "é".encode(), "text/x"),
        ("('x', 'text/y')", b"x", "text/y"),
        ("(b'x', 'text/y')", b"x", "text/y"),
    ],
)
def test_an_answer_is_bytes_or_text_with_or_without_a_type(
    tmp_path: Path, returned: str, body: bytes, content_type: str
) -> None:
    one = hosted(tmp_path, f"def output_fn(prediction, accept): return {returned}")
    reply = one.invoke(VECTOR, JSON, "text/x")
    assert (body, content_type, 200) == (reply.body, reply.content_type, reply.status)


def test_an_answer_without_a_type_is_what_the_client_wants_most(tmp_path: Path) -> None:
    one = hosted(tmp_path, "def output_fn(prediction, accept): return 'x'")
    accept = "text/a;q=0.2, text/b, */*;q=0.1"
    assert "text/b" == one.invoke(VECTOR, JSON, accept).content_type


def test_a_response_like_flasks_is_an_answer(tmp_path: Path) -> None:
    script = """
class Response:
    mimetype, status_code = "text/wine", 418
    headers = {"Content-Type": "text/wine; charset=utf-8", "X-Pot": "short"}
    def get_data(self): return b"stout"
def output_fn(prediction, accept): return Response()
"""
    reply = hosted(tmp_path, script).invoke(VECTOR, JSON)
    assert (b"stout", 418) == (reply.body, reply.status)
    assert "text/wine; charset=utf-8" == reply.content_type
    assert (("X-Pot", "short"),) == reply.headers


@pytest.mark.parametrize("returned", ["None", "7", "[1]", "(1, 2)", "__import__('numpy').ones(3)"])
def test_what_is_no_answer_is_the_scripts_fault(tmp_path: Path, returned: str) -> None:
    one = hosted(tmp_path, f"def output_fn(prediction, accept): return {returned}")
    with pytest.raises(ScriptError, match="Expected output_fn to return bytes") as caught:
        one.invoke(VECTOR, JSON)
    assert "script-failed" == caught.value.code


def test_a_header_that_would_be_two_is_the_scripts_fault(tmp_path: Path) -> None:
    script = """
def output_fn(prediction, accept, context):
    context.set_response_header(0, "X-A", "1\\r\\nX-B: 2")
    return "x"
"""
    with pytest.raises(ScriptError, match="headers"):
        hosted(tmp_path, script).invoke(VECTOR, JSON)


@pytest.mark.parametrize("content_type", ["text/plain\\r\\nX-B: 2", "text/\u2603"])
def test_a_content_type_that_is_no_header_is_the_scripts_fault(
    tmp_path: Path, content_type: str
) -> None:
    script = f'def output_fn(prediction, accept): return b"x", "{content_type}"'
    with pytest.raises(ScriptError, match="Content-Type"):
        hosted(tmp_path, script).invoke(VECTOR, JSON)


def test_an_accept_that_is_no_header_is_the_clients_fault(tmp_path: Path) -> None:
    script = "def transform_fn(model, body, content_type, accept): return b'x'"
    with pytest.raises(BodyRefused):
        hosted(tmp_path, script).invoke(VECTOR, JSON, "text/\u2603")


@pytest.mark.parametrize("status", [-1, 100, 999])
def test_a_status_that_ends_no_request_is_the_scripts_fault(tmp_path: Path, status: int) -> None:
    script = f"""
def output_fn(prediction, accept, context):
    context.set_response_status({status})
    return "x"
"""
    with pytest.raises(ScriptError, match="status"):
        hosted(tmp_path, script).invoke(VECTOR, JSON)


def test_text_that_utf_8_does_not_have_is_the_scripts_fault(tmp_path: Path) -> None:
    one = hosted(tmp_path, "def output_fn(prediction, accept): return chr(0xDC80)")
    with pytest.raises(ScriptError, match="text that UTF-8 has"):
        one.invoke(VECTOR, JSON)


# What goes wrong in them.


@pytest.mark.parametrize("name", ["input_fn", "predict_fn", "output_fn"])
def test_what_a_function_raises_is_told_on_one_line(tmp_path: Path, name: str) -> None:
    one = hosted(tmp_path, f"def {name}(a, b): raise LookupError('no\\nwine')")
    with pytest.raises(ScriptError) as caught:
        one.invoke(VECTOR, JSON)
    assert "script-failed" == caught.value.code
    assert f"Expected {name} to return, got LookupError: no wine." == str(caught.value)
    assert isinstance(caught.value.__cause__, LookupError)


def test_a_script_that_exits_does_not_end_the_server(tmp_path: Path) -> None:
    one = hosted(tmp_path, "import sys\ndef predict_fn(data, model): sys.exit(3)")
    for _ in range(2):  # the second time, it must not wait for the first
        with pytest.raises(ScriptError, match="SystemExit: 3"):
            one.invoke(VECTOR, JSON)


@pytest.mark.parametrize("raised", ["KeyboardInterrupt", "GeneratorExit", "BaseException"])
def test_whatever_is_raised_beside_the_main_thread_is_the_scripts(
    tmp_path: Path, raised: str
) -> None:
    one = hosted(tmp_path, f"def predict_fn(data, model): raise {raised}")
    with ThreadPoolExecutor(1) as thread, pytest.raises(ScriptError, match=raised):
        thread.submit(one.invoke, VECTOR, JSON).result()


def test_an_interruption_of_the_main_thread_passes_through_a_script(tmp_path: Path) -> None:
    one = hosted(tmp_path, "def predict_fn(data, model): raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        one.invoke(VECTOR, JSON)


def test_an_exception_that_cannot_be_told_is_named(tmp_path: Path) -> None:
    script = """
class Mute(Exception):
    def __str__(self):
        raise LookupError
def predict_fn(data, model):
    raise Mute
"""
    with pytest.raises(ScriptError, match="got Mute"):
        hosted(tmp_path, script).invoke(VECTOR, JSON)


def test_what_our_parts_refuse_inside_a_script_stays_a_refusal(tmp_path: Path) -> None:
    one = hosted(tmp_path, "def predict_fn(data, model): return model.kneighbors(data, 99)")
    with pytest.raises(ParameterRefused) as caught:
        one.invoke(VECTOR, JSON)
    assert "n-neighbors-range" == caught.value.code


def test_a_value_error_of_a_users_own_is_the_scripts_fault(tmp_path: Path) -> None:
    one = hosted(tmp_path, "def predict_fn(data, model): raise ValueError('mine')")
    with pytest.raises(ScriptError, match="ValueError: mine"):
        one.invoke(VECTOR, JSON)


def test_memory_that_runs_out_in_a_script_is_what_it_is(tmp_path: Path) -> None:
    one = hosted(tmp_path, "def predict_fn(data, model): raise MemoryError")
    with pytest.raises(MemoryError):
        one.invoke(VECTOR, JSON)


def test_a_function_that_raises_while_loading_is_told(tmp_path: Path) -> None:
    with pytest.raises(ScriptError, match="Expected model_fn to return, got OSError: gone"):
        hosted(tmp_path, "def model_fn(d): raise OSError('gone')")


# Which functions there may be.


@pytest.mark.parametrize("other", ["input_fn", "predict_fn", "output_fn"])
def test_transform_fn_excludes_what_it_stands_for(tmp_path: Path, other: str) -> None:
    script = f"def transform_fn(m, b, c, a): pass\ndef {other}(a, b): pass"
    with pytest.raises(ScriptError, match=other) as caught:
        hosted(tmp_path, script)
    assert "script-invalid" == caught.value.code


@pytest.mark.parametrize(
    "script",
    [
        "def model_fn(): pass",
        "def model_fn(a, b, c): pass",
        "def predict_fn(data): pass",
        "def output_fn(a, b, c, d): pass",
        "def output_fn(a, b, *, must): pass",
        "def execution_parameters_fn(a, b): pass",
        "transform_fn = 7",
        "async def predict_fn(data, model): pass",
    ],
)
def test_functions_that_cannot_be_called_are_refused_at_the_start(
    tmp_path: Path, script: str
) -> None:
    with pytest.raises(ScriptError) as caught:
        hosted(tmp_path, script)
    assert "script-invalid" == caught.value.code


def test_functions_may_take_any_arguments(tmp_path: Path) -> None:
    one = hosted(tmp_path, "def output_fn(*anything, **more): return str(len(anything))")
    assert b"2" == one.invoke(VECTOR, JSON).body


def test_a_model_that_only_predict_fn_could_search_needs_one(tmp_path: Path) -> None:
    with pytest.raises(ScriptError, match="model_fn that returns dict") as caught:
        hosted(tmp_path, "def model_fn(d): return {}")
    assert "script-invalid" == caught.value.code


def test_loading_and_warming_up_go_in_order(tmp_path: Path) -> None:
    script = """
seen = []
def pre_model_fn(model_dir): seen.append("pre")
def model_fn(model_dir): seen.append("model"); return seen
def model_warmup_fn(model_dir, model): model.append("warm")
def predict_fn(data, model): return model
"""
    one = hosted(tmp_path, script)
    one.warm_up()
    assert ["pre", "model", "warm"] == json.loads(one.invoke(VECTOR, JSON).body)
    assert {"generation": "", "metric": "", "n_samples": "", "n_features": ""} == one.facts
    assert not one.has_items


@pytest.mark.parametrize("returned", ["{'MaxPayloadInMB': 9}", "'{\"MaxPayloadInMB\": 9}'"])
def test_a_script_says_how_batch_transform_should_call(tmp_path: Path, returned: str) -> None:
    one = hosted(tmp_path, f"def execution_parameters_fn(): return {returned}")
    assert {"MaxPayloadInMB": 9} == one.execution_parameters()


@pytest.mark.parametrize("returned", ["None", "'nine'", "'[9]'", "[9]"])
def test_execution_parameters_that_are_no_object_are_the_scripts_fault(
    tmp_path: Path, returned: str
) -> None:
    one = hosted(tmp_path, f"def execution_parameters_fn(): return {returned}")
    with pytest.raises(ScriptError, match="execution_parameters_fn"):
        one.execution_parameters()


def test_a_script_is_asked_one_thing_at_a_time(tmp_path: Path) -> None:
    script = """
import threading
inside, most = [], []
def predict_fn(data, model):
    inside.append(1)
    most.append(len(inside))
    threading.Event().wait(0.002)
    inside.pop()
    return max(most)
"""
    one = hosted(tmp_path, script)
    threads = [threading.Thread(target=one.invoke, args=(VECTOR, JSON)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert b"1" == one.invoke(VECTOR, JSON).body


def test_nothing_is_logged_for_a_request_that_succeeds(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        hosted(tmp_path, ECHO).invoke(b"[1]", JSON)
    assert [] == caplog.records


def test_the_model_of_a_folder_is_opened_by_our_model_fn(tmp_path: Path) -> None:
    model = handlers.model_fn(str(model_folder(tmp_path)))
    assert isinstance(model, Model)
    assert 4 == model.default_n_neighbors
