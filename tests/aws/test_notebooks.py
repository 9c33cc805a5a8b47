"""The whole notebook, with each of the SageMaker Python SDKs, against this machine."""

from __future__ import annotations

import numpy as np
import pytest

from aws.notebooks import BATCH, QUERIES, VECTOR, Notebook, run_notebook, scikit_learn, transformed

# Everything is in one program, as in a notebook; the first test waits for it.
pytestmark = pytest.mark.timeout(700)


@pytest.fixture(scope="module", params=["sdk2", "sdk3"])
def notebook(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Notebook:
    return run_notebook(request.param, tmp_path_factory.mktemp("notebook"))


@pytest.mark.parametrize("how", ["vector", "updated", "async", "many"])
def test_the_answer_to_a_vector_is_two_by_ten_and_scikit_learns(
    notebook: Notebook, how: str
) -> None:
    answer = np.array(notebook.found[how])
    assert (2, 10) == answer.shape
    np.testing.assert_allclose(answer, scikit_learn(VECTOR)[:, 0], atol=1e-12)


def test_a_batch_is_answered_at_once(notebook: Notebook) -> None:
    answer = np.array(notebook.found["batch"])
    assert (2, 3, 10) == answer.shape
    np.testing.assert_allclose(answer, scikit_learn(BATCH), atol=1e-12)


def test_a_transform_job_answers_every_line_in_order(notebook: Notebook) -> None:
    answer = transformed(notebook.found["transformed"])
    np.testing.assert_allclose(answer, scikit_learn(QUERIES), atol=1e-12)


def test_training_is_completed_and_its_metric_was_read_from_the_log(notebook: Notebook) -> None:
    assert ["Completed", "Completed"] == notebook.found["status"]
    assert {"rows": 200.0} == notebook.found["metrics"]


def test_the_log_of_training_was_shown_while_it_ran(notebook: Notebook) -> None:
    assert notebook.code == 0, notebook.log
    shown, ready = notebook.log.find("rows=200"), notebook.log.find("Completed")
    assert 0 <= shown < ready


def test_a_query_that_is_refused_says_why(notebook: Notebook) -> None:
    name, message = notebook.found["refused"]
    assert "ModelError" in f"{name} {message}"
    assert "array-width" in message


def test_nothing_is_left_after_deletion(notebook: Notebook) -> None:
    assert 0 == notebook.found["left"]


@pytest.mark.parametrize("notebook", ["sdk2"], indirect=True)
def test_models_are_added_to_an_endpoint_that_runs(notebook: Notebook) -> None:
    assert ["one.tar.gz", "two.tar.gz"] == notebook.found["models"]


@pytest.mark.parametrize("notebook", ["sdk2"], indirect=True)
def test_csv_is_answered_in_the_layout_that_was_asked_for(notebook: Notebook) -> None:
    answer = np.array(notebook.found["csv"])
    np.testing.assert_allclose(answer, scikit_learn(VECTOR), atol=1e-12)
