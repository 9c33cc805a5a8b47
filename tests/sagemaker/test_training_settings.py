from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kneighbors.errors import ParameterRefused
from kneighbors.sagemaker.settings import TrainingSettings, hyperparameters

HERE = {"train": "corpus.npy", "model_dir": "M"}


def resolve(arguments: dict[str, Any], **environ: str) -> TrainingSettings:
    return TrainingSettings.resolve(arguments, environ)


def test_paths_come_from_the_variables_of_the_toolkit() -> None:
    settings = resolve(
        {}, SM_CHANNEL_TRAIN="/in/train", SM_MODEL_DIR="/model", SM_OUTPUT_DATA_DIR="/out"
    )
    assert settings == TrainingSettings(
        train="/in/train", model_dir=Path("/model"), output_data_dir=Path("/out")
    )


def test_the_channel_that_an_unnamed_input_gets_is_read_too() -> None:
    assert resolve({"model_dir": "M"}, SM_CHANNEL_TRAINING="/in").train == "/in"


def test_arguments_win_over_hyperparameters_and_those_over_variables() -> None:
    hps = json.dumps({"train": "s3://bucket/from-hps", "metric": "l2", "seed": 3})
    settings = resolve(
        {"metric": "cosine", "seed": None, "model_dir": "M"},
        SM_HPS=hps,
        SM_CHANNEL_TRAIN="/in",
    )
    assert settings.metric == "cosine"
    assert settings.train == "s3://bucket/from-hps"
    assert settings.seed == 3


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ({"metric": "cosine", "n_neighbors": "5"}, ("cosine", 5)),
        ({"metric": '"cosine"', "n_neighbors": "5"}, ("cosine", 5)),
        ({"metric": '"cosine"', "n_neighbors": '"5"'}, ("cosine", 5)),
        ({"metric": "cosine", "n-neighbors": 5}, ("cosine", 5)),
        ({"metric": "cosine", "n_neighbors": None}, ("cosine", None)),
        ({"metric": "cosine", "n_neighbors": "null"}, ("cosine", None)),
    ],
)
def test_hyperparameters_are_read_as_both_sdks_send_them(
    written: dict[str, Any], expected: tuple[str, int | None]
) -> None:
    settings = resolve(HERE, SM_HPS=json.dumps(written))
    assert (settings.metric, settings.n_neighbors) == expected


def test_a_column_may_be_called_by_a_number() -> None:
    assert resolve(HERE, SM_HPS='{"vector_column": "1"}').vector_column == "1"


def test_columns_are_a_list_or_names_with_commas() -> None:
    assert resolve({**HERE, "columns": "name, price"}).columns == ("name", "price")
    assert resolve(HERE, SM_HPS='{"columns": "[\\"name\\"]"}').columns == ("name",)


def test_hyperparameters_of_sagemaker_itself_are_ignored() -> None:
    given = {"sagemaker_program": "x.py", "sagemaker_region": "eu-west-1", "seed": "7"}
    assert hyperparameters({"SM_HPS": json.dumps(given)}) == {"seed": "7"}


@pytest.mark.parametrize("value", [True, "true", "True", '"true"'])
def test_a_flag_may_be_text(value: object) -> None:
    assert resolve(HERE, SM_HPS=json.dumps({"overwrite": value})).overwrite is True


@pytest.mark.parametrize(
    ("arguments", "environ", "code", "words"),
    [
        ({"model_dir": "M"}, {}, "parameter-missing", "SM_CHANNEL_TRAIN"),
        ({"train": "x.npy"}, {}, "parameter-missing", "--model-dir"),
        ({**HERE, "seed": "-1"}, {}, "seed-range", "seed"),
        ({**HERE, "seed": "1_0"}, {}, "parameter-type", "'1_0'"),
        ({**HERE, "seed": "٣"}, {}, "parameter-type", "integer"),
        ({**HERE, "seed": True}, {}, "parameter-type", "integer"),
        ({**HERE, "n_neighbors": "0"}, {}, "n-neighbors-range", "got 0"),
        ({**HERE, "n_neighbors": 2.5}, {}, "parameter-type", "2.5"),
        ({**HERE, "metric": ""}, {}, "parameter-type", "metric"),
        ({**HERE, "overwrite": "yes"}, {}, "parameter-type", "true or false"),
        ({**HERE, "columns": [1]}, {}, "parameter-type", "columns"),
        (HERE, {"SM_HPS": "{"}, "hyperparameters-malformed", "SM_HPS"),
        (HERE, {"SM_HPS": "[" * 100_000}, "hyperparameters-malformed", "SM_HPS"),
        (HERE, {"SM_HPS": "[1]"}, "hyperparameters-malformed", "list"),
        (HERE, {"SM_HPS": '{"n_neighbours": 3}'}, "hyperparameter-unknown", "'n_neighbors'?"),
        (HERE, {"SM_HPS": '{"a-b": 1, "n_neighbors": 3}'}, "hyperparameter-unknown", "'a_b'"),
        (HERE, {"SM_HPS": '{"n-neighbors": 1, "n_neighbors": 3}'}, "hyperparameter-doubled", "two"),
    ],
)
def test_what_is_wrong_is_named(
    arguments: dict[str, Any], environ: dict[str, str], code: str, words: str
) -> None:
    with pytest.raises(ParameterRefused) as caught:
        TrainingSettings.resolve(arguments, environ)
    assert caught.value.code == code
    assert words in str(caught.value)
