"""What a SageMaker container promises: variables, code, its end, and what it leaves alone."""

from __future__ import annotations

import json
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kneighbors.errors import ParameterRefused
from kneighbors.server.settings import MIB, Settings
from kneighbors.server.variables import container_settings
from support.server_container import Container, free_port, run_container, state_of
from support.server_process import wait_for

VECTOR = json.dumps([1.0] * 16).encode()
JSON = {"Content-Type": "application/json"}


# Variables


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, {"model": "/opt/ml/model", "host": "0.0.0.0", "port": 8080, "multi_model": "false"}),
        ({"SAGEMAKER_BASE_DIR": "/b"}, {"model": "/b/model"}),
        ({"SAGEMAKER_MULTI_MODEL": "true"}, {"model": "/opt/ml/models", "multi_model": "true"}),
        ({"SAGEMAKER_MULTI_MODEL": "True"}, {"multi_model": "true"}),
        ({"SAGEMAKER_MULTI_MODEL": " "}, {"multi_model": "false"}),
        ({"KNEIGHBORS_MODEL": "/m", "SAGEMAKER_BASE_DIR": "/b"}, {"model": "/m"}),
        ({"SAGEMAKER_BIND_TO_PORT": "9000"}, {"port": 9000}),
        ({"SAGEMAKER_MODEL_SERVER_WORKERS": "3"}, {"workers": 3}),
        ({"SAGEMAKER_MODEL_SERVER_TIMEOUT": "20"}, {"answer_timeout_s": 20.0}),
        ({"SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS": "20"}, {"answer_timeout_s": 20.0}),
        (
            {
                "SAGEMAKER_MODEL_SERVER_TIMEOUT": "20",
                "SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS": "20",
            },
            {"answer_timeout_s": 20.0},
        ),
        ({"SAGEMAKER_MAX_PAYLOAD_IN_MB": "6"}, {"max_body_bytes": 6 * MIB, "max_rows": 10_000}),
        (
            {"SAGEMAKER_MAX_PAYLOAD_IN_MB": "100"},
            {"max_body_bytes": 100 * MIB, "max_rows": 170_000, "max_buffered_bytes": 100 * MIB},
        ),
        ({"SAGEMAKER_MAX_PAYLOAD_IN_MB": "0"}, {"max_body_bytes": 1024 * MIB}),
        ({"MAX_CONTENT_LENGTH": "1000"}, {"max_body_bytes": 1000}),
        ({"SAGEMAKER_MAX_REQUEST_SIZE": "2000"}, {"max_body_bytes": 2000}),
        (
            {"SAGEMAKER_MAX_PAYLOAD_IN_MB": "6", "KNEIGHBORS_MAX_BODY_BYTES": "5"},
            {"max_body_bytes": 5},
        ),
        (
            {"SAGEMAKER_MAX_PAYLOAD_IN_MB": "20", "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": "5"},
            {"max_transforms": 5, "max_buffered_bytes": 100 * MIB},
        ),
        ({"SAGEMAKER_BATCH_STRATEGY": "SINGLE_RECORD"}, {"batch_strategy": "SINGLE_RECORD"}),
        ({"SAGEMAKER_MODEL_JOB_QUEUE_SIZE": "7"}, {"max_waiting": 7}),
        ({"SAGEMAKER_CONTAINER_LOG_LEVEL": "10"}, {"log_level": "debug"}),
        ({"SAGEMAKER_CONTAINER_LOG_LEVEL": "20"}, {"log_level": "info"}),
        ({"SAGEMAKER_CONTAINER_LOG_LEVEL": "50"}, {"log_level": "error"}),
        ({"SAGEMAKER_CONTAINER_LOG_LEVEL": "INFO"}, {"log_level": "info"}),
        (
            {"SAGEMAKER_CONTAINER_LOG_LEVEL": "20", "KNEIGHBORS_LOG_LEVEL": "error"},
            {"log_level": "error"},
        ),
        ({"SAGEMAKER_SAFE_PORT_RANGE": "9000-9999"}, {"port": 8080}),
        ({"SAGEMAKER_USE_NGINX": "true", "SAGEMAKER_REGION": "eu-west-1"}, {"port": 8080}),
    ],
)
def test_a_variable_means_what_it_means_in_awss_containers(
    environ: dict[str, str], expected: dict[str, Any]
) -> None:
    settings = container_settings(environ)
    assert expected == {name: getattr(settings, name) for name in expected}


@pytest.mark.parametrize(
    ("environ", "code"),
    [
        ({"SAGEMAKER_BIND_TO_PORT": "http"}, "setting-type"),
        ({"SAGEMAKER_BIND_TO_PORT": "70000"}, "setting-range"),
        ({"SAGEMAKER_MODEL_SERVER_WORKERS": "-1"}, "setting-range"),
        ({"SAGEMAKER_MODEL_SERVER_WORKERS": "two"}, "setting-type"),
        ({"SAGEMAKER_MODEL_SERVER_TIMEOUT": "1m"}, "setting-type"),
        ({"SAGEMAKER_MODEL_SERVER_TIMEOUT": "0"}, "setting-range"),
        ({"SAGEMAKER_MAX_PAYLOAD_IN_MB": "6MB"}, "setting-type"),
        ({"SAGEMAKER_MAX_PAYLOAD_IN_MB": "5000"}, "setting-range"),
        ({"SAGEMAKER_MAX_PAYLOAD_IN_MB": "\u0666"}, "setting-type"),
        ({"SAGEMAKER_MAX_PAYLOAD_IN_MB": "9" * 40}, "setting-type"),
        ({"SAGEMAKER_MULTI_MODEL": "yes please"}, "setting-type"),
        ({"SAGEMAKER_BATCH": "maybe"}, "setting-type"),
        ({"SAGEMAKER_BATCH_STRATEGY": "ALL"}, "setting-choice"),
        ({"SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": "many"}, "setting-type"),
        ({"SAGEMAKER_CONTAINER_LOG_LEVEL": "loud"}, "setting-type"),
        ({"SAGEMAKER_SAFE_PORT_RANGE": "9000"}, "setting-type"),
        ({"SAGEMAKER_SAFE_PORT_RANGE": "9999-9000"}, "setting-type"),
        ({"SAGEMAKER_SAFE_PORT_RANGE": "0-70000"}, "setting-type"),
        ({"SAGEMAKER_MULTI_MODEL": "true", "SAGEMAKER_BATCH": "true"}, "setting-conflict"),
        (
            {
                "SAGEMAKER_MODEL_SERVER_TIMEOUT": "20",
                "SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS": "30",
            },
            "setting-conflict",
        ),
        ({"SAGEMAKER_MAX_PAYLOAD_IN_MB": "6", "MAX_CONTENT_LENGTH": "6"}, "setting-conflict"),
        (
            {
                "SAGEMAKER_BATCH": "true",
                "SAGEMAKER_MAX_PAYLOAD_IN_MB": "50",
                "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": "3",
            },
            "setting-conflict",
        ),
    ],
)
def test_a_variable_that_is_malformed_or_contradicts_another_is_refused_by_its_name(
    environ: dict[str, str], code: str
) -> None:
    with pytest.raises(ParameterRefused) as refused:
        container_settings(environ)
    assert code == refused.value.code
    assert any(name in str(refused.value) for name in environ)


def test_more_rows_may_have_more_neighbours() -> None:
    assert 1_000_000 == Settings().limits.max_answers
    assert 17_000_000 == Settings(max_rows=170_000).limits.max_answers


# The command


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "serve or train, got ''"),
        (("predict",), "serve or train, got 'predict'"),
        (("serve", "--port"), "no arguments, got '--port'"),
        (("train", "now"), "no arguments, got 'now'"),
    ],
)
def test_another_command_is_wrong_usage(
    tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    assert (2, "", f"error: [usage] Expected {said}.\n") == run_container(tmp_path, *arguments)


@pytest.mark.parametrize("arguments", [("--help",), ("serve", "-h"), ("train", "--help")])
def test_help_is_given(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    code, out, err = run_container(tmp_path, *arguments)
    assert (0, "Usage: ", "") == (code, out[:7], err)


@pytest.mark.parametrize(
    ("variables", "code", "name"),
    [
        ({}, 1, "storage-missing"),
        ({"SAGEMAKER_PROGRAM": "inference.py"}, 1, "storage-missing"),
        ({"SAGEMAKER_BIND_TO_PORT": "http"}, 2, "setting-type"),
        ({"SAGEMAKER_MULTI_MODEL": "true", "SAGEMAKER_BATCH": "1"}, 2, "setting-conflict"),
    ],
)
def test_what_cannot_begin_says_so_in_one_line(
    tmp_path: Path, variables: dict[str, str], code: int, name: str
) -> None:
    got, out, err = run_container(tmp_path, "serve", **variables)
    assert (code, "", 1) == (got, out, err.count("\n"))
    assert err.startswith(f"error: [{name}] ")


def test_training_and_serving_are_one_image(tmp_path: Path) -> None:
    channel = tmp_path / "input" / "data" / "train"
    channel.mkdir(parents=True)
    (tmp_path / "input" / "config").mkdir()
    channels = json.dumps({"train": {"TrainingInputMode": "File"}})
    (tmp_path / "input" / "config" / "inputdataconfig.json").write_text(channels)
    np.save(channel / "X.npy", np.random.default_rng(1).standard_normal((200, 16)))
    code, _, err = run_container(tmp_path, "train")
    assert 0 == code, err
    with Container(tmp_path, tmp_path) as container:
        assert 200 == container.request("POST", "/invocations", VECTOR, JSON)[0]
        assert 0 == container.stop()


def test_training_that_fails_ends_with_one(tmp_path: Path) -> None:
    code, _, err = run_container(tmp_path, "train")
    assert 1 == code
    assert "Traceback" not in err


# What is hosted


@pytest.fixture
def base(artifact: Path, tmp_path: Path) -> Path:
    """An /opt/ml with a model."""
    shutil.copytree(artifact, tmp_path / "ml" / "model")
    return tmp_path / "ml"


def write_script(base: Path, text: str, name: str = "inference.py") -> None:
    (base / "model" / "code").mkdir(parents=True, exist_ok=True)
    (base / "model" / "code" / name).write_text(text)


HANDLERS = """
import helper

def model_fn(model_dir):
    return helper.FACTOR

def input_fn(body, content_type):
    return [float(x) for x in body.split(",")]

def predict_fn(data, model):
    return [x * model for x in data]

def output_fn(prediction, accept):
    return repr(prediction), "text/plain"

def execution_parameters_fn():
    return {"MaxConcurrentTransforms": 3, "BatchStrategy": "SINGLE_RECORD", "MaxPayloadInMB": 2}
"""


def test_a_users_script_is_hosted_and_says_how_batches_should_call(tmp_path: Path) -> None:
    base = tmp_path / "ml"
    write_script(base, HANDLERS)
    write_script(base, "FACTOR = 2", "helper.py")
    before = state_of(base)
    with Container(tmp_path, base, SAGEMAKER_PROGRAM="inference.py") as container:
        status, headers, body = container.request(
            "POST", "/invocations", b"1,2.5", {"Content-Type": "text/csv"}
        )
        assert (200, "[2.0, 5.0]") == (status, body.decode())
        assert headers["content-type"].startswith("text/plain")
        said = json.loads(container.request("GET", "/execution-parameters")[2])
        assert 3 == said["MaxConcurrentTransforms"]
        # A mistake of the script's is told from one of ours, and ends nothing.
        status, _, body = container.request(
            "POST", "/invocations", b"a,b", {"Content-Type": "text/csv"}
        )
        assert (500, "script-failed") == (status, json.loads(body)["error"]["code"])
        assert 200 == container.ping()
        assert 1 == container.metric('kneighbors_errors_total{code="script-failed"}')
        assert 0 == container.stop()
    assert before == state_of(base)


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("import no_such_module_anywhere\n\ndef model_fn(model_dir): ...", "[script-invalid] "),
        ("def model_fn(model_dir):\n    return {}['wines']", "[script-failed] "),
        ("import os\n\ndef model_fn(model_dir):\n    os._exit(3)", "a worker ended with the exit"),
    ],
)
def test_a_script_that_cannot_be_loaded_ends_the_container_and_is_said_last(
    tmp_path: Path, script: str, reason: str
) -> None:
    base = tmp_path / "ml"
    write_script(base, script)
    code, out, err = run_container(
        base,
        "serve",
        SAGEMAKER_MODEL_SERVER_WORKERS="2",
        SAGEMAKER_BIND_TO_PORT=str(free_port()),
    )
    assert (1, "") == (code, out)
    last = err.splitlines()[-1]
    assert f"the model could not be loaded, so the server ends: {reason}" in last
    # Where it was, but not what of ours called it; and nothing of what runs the processes.
    assert ("Traceback" in last) == reason.startswith("[")
    assert "functions.py" not in last
    assert err.splitlines() == [last]


def test_a_damaged_model_ends_the_container(base: Path, tmp_path: Path) -> None:
    part = base / "model" / "ids-text.npy"
    data = bytearray(part.read_bytes())
    data[-1] ^= 1
    part.write_bytes(data)
    code, _, err = run_container(base, "serve", SAGEMAKER_BIND_TO_PORT=str(free_port()))
    assert 1 == code
    assert "[artifact-damaged]" in err.splitlines()[-1]
    assert "Traceback" not in err


RESPONSES = """
def model_fn(model_dir):
    return None

def transform_fn(model, body, content_type, accept):
    return body, "text/plain"
"""


def test_the_default_accept_is_for_those_who_accept_anything(base: Path, tmp_path: Path) -> None:
    with Container(tmp_path, base, SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT="text/csv") as container:

        def media(**headers: str) -> str:
            _, answered, _ = container.request("POST", "/invocations", VECTOR, {**JSON, **headers})
            return answered["content-type"].partition(";")[0]

        assert ["text/csv", "text/csv"] == [media(), media(Accept="*/*")]
        assert "application/json" == media(Accept="application/json")


def test_batch_transform_is_told_what_the_platform_was_told(base: Path, tmp_path: Path) -> None:
    with Container(
        tmp_path,
        base,
        SAGEMAKER_BATCH="true",
        SAGEMAKER_BATCH_STRATEGY="SINGLE_RECORD",
        SAGEMAKER_MAX_PAYLOAD_IN_MB="20",
        SAGEMAKER_MAX_CONCURRENT_TRANSFORMS="4",
    ) as container:
        said = json.loads(container.request("GET", "/execution-parameters")[2])
        assert {
            "MaxConcurrentTransforms": 4,
            "BatchStrategy": "SINGLE_RECORD",
            "MaxPayloadInMB": 20,
        } == said
        body = b"[" + b" " * (19 * MIB) + b"]"
        status, _, answer = container.request("POST", "/invocations", body, JSON)
        assert (400, "body-no-queries") == (status, json.loads(answer)["error"]["code"])


@pytest.mark.parametrize(
    ("sent", "returned"),
    [
        ("k=3;trace-id=1-67;mine", "trace-id=1-67;mine"),
        ("c000b4f9-df62-4c85-a0bf-7c525f9104a4", "c000b4f9-df62-4c85-a0bf-7c525f9104a4"),
        ("k=3", None),
        ("kneighbors.k=3; ", None),
        (None, None),
    ],
)
def test_custom_attributes_that_are_not_ours_come_back(
    served: Container, sent: str | None, returned: str | None
) -> None:
    headers = JSON if sent is None else {**JSON, "X-Amzn-SageMaker-Custom-Attributes": sent}
    status, answered, _ = served.request("POST", "/invocations", VECTOR, headers)
    assert (200, returned) == (status, answered.get("x-amzn-sagemaker-custom-attributes"))


@pytest.fixture(scope="module")
def served(artifact: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("served")
    shutil.copytree(artifact, folder / "ml" / "model")
    before = state_of(folder / "ml")
    with Container(folder, folder / "ml", SAGEMAKER_CONTAINER_LOG_LEVEL="20") as container:
        yield container
        begin = time.monotonic()
        assert 0 == container.stop(signal.SIGTERM)
        assert time.monotonic() - begin < 20
    # The platform's directory is read-only: nothing there was touched.
    assert before == state_of(folder / "ml")


def test_the_sdks_log_level_gives_a_line_for_each_request(served: Container) -> None:
    served.request("GET", "/ping", headers={"X-Request-Id": "marker-7"})
    wait_for(lambda: "marker-7" in served.output(), "its line")


def test_several_models_are_hosted_where_the_platform_says_so(
    artifact: Path, tmp_path: Path
) -> None:
    base = tmp_path / "ml"
    with Container(tmp_path, base, SAGEMAKER_MULTI_MODEL="true") as container:
        # The platform brings models later, and their folder with the first.
        shutil.copytree(artifact, base / "models" / "0a1b" / "model")
        write = base / "models" / "2c3d" / "model" / "code"
        write.mkdir(parents=True)
        (write / "inference.py").write_text(RESPONSES)
        before = state_of(base)
        for name in ("0a1b", "2c3d"):
            body = {"model_name": name, "url": f"{base}/models/{name}/model"}
            assert 200 == container.request("POST", "/models", json.dumps(body).encode())[0]
        headers = {**JSON, "X-Amzn-SageMaker-Target-Model": "wines.tar.gz"}
        answer = container.request("POST", "/models/0a1b/invoke", VECTOR, headers)
        assert (200, 10) == (answer[0], len(json.loads(answer[2])[0]))
        answer = container.request("POST", "/models/2c3d/invoke", b"hello", {})
        assert (200, b"hello") == answer[::2]
        assert 0 == container.stop()
    assert before == state_of(base)
