"""What a container hosts is found where SageMaker puts it, and nothing else is run."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from kneighbors.errors import ArtifactError, ScriptError, StorageError
from kneighbors.formats import CSV, JSON
from kneighbors.sagemaker.hosting import Hosted, open_hosted
from kneighbors.sagemaker.model import Model
from kneighbors.sagemaker.script import find_script
from support.hosted_scripts import model_folder
from support.storage_servers import aws_client, s3_server, use_endpoint

ROOT = Path(__file__).parents[2]
OWN = ROOT / "src" / "kneighbors" / "sagemaker" / "entry_point" / "sklearn_nearest_neighbors.py"
SAYS = "def output_fn(prediction, accept): return {!r}"


@pytest.fixture(autouse=True)
def unchanged_imports() -> Iterator[None]:
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if not name.startswith("kneighbors"):
            del sys.modules[name]


def answer(hosted: Hosted) -> str:
    return hosted.invoke(b"[1,2,3,4]", JSON).body.decode()


def opened(folder: Path, environ: Mapping[str, str] | None = None) -> str:
    return answer(open_hosted(folder, environ or {}))


def archive(path: Path, *members: tuple[str, str]) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name, text in members:
            member = tarfile.TarInfo(name)
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
    return path


# A plain model.


def test_without_a_script_the_model_is_hosted_as_it_is(tmp_path: Path) -> None:
    hosted = open_hosted(model_folder(tmp_path), {})
    assert isinstance(hosted, Model)
    assert {
        "metric": "cosine",
        "n_samples": "12",
        "n_features": "4",
    }.items() <= hosted.facts.items()
    assert hosted.has_items


def test_the_script_that_we_hand_out_changes_nothing(tmp_path: Path) -> None:
    folder = model_folder(tmp_path, sklearn_nearest_neighbors=OWN.read_text())
    assert isinstance(open_hosted(folder, {}), Model)
    named = {"SAGEMAKER_PROGRAM": "sklearn_nearest_neighbors.py"}
    assert isinstance(open_hosted(folder, named), Model)


def test_an_edited_copy_of_it_is_run(tmp_path: Path) -> None:
    text = OWN.read_text().replace(
        "handlers.predict_fn(data, model)", "model.kneighbors(data.vectors[0], 1)[1]"
    )
    folder = model_folder(tmp_path, sklearn_nearest_neighbors=text)
    hosted = open_hosted(folder, {})
    assert not isinstance(hosted, Model)
    assert 1 == len(json.loads(answer(hosted)))


def test_functions_that_are_ours_by_import_change_nothing(tmp_path: Path) -> None:
    text = "from kneighbors.sagemaker.handlers import model_fn, input_fn, predict_fn, output_fn"
    assert isinstance(open_hosted(model_folder(tmp_path, inference=text), {}), Model)


def test_the_default_accept_is_the_plain_models_too(tmp_path: Path) -> None:
    environ = {"SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT": CSV}
    hosted = open_hosted(model_folder(tmp_path), environ)
    for accept in (None, "*/*"):
        assert CSV == hosted.invoke(b"[1,2,3,4]", JSON, accept).content_type
    assert JSON == hosted.invoke(b"[1,2,3,4]", JSON, JSON).content_type


def test_a_directory_that_is_no_artifact_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError):
        open_hosted(tmp_path, {})


def test_opening_an_artifact_as_such_runs_nothing_in_it(tmp_path: Path) -> None:
    Model.open(model_folder(tmp_path, inference="raise SystemExit(1)"))


# Where the script is.


def test_a_script_beside_a_signed_artifact_is_covered_by_no_signature(tmp_path: Path) -> None:
    folder = model_folder(tmp_path, inference="def predict_fn(data, model):\n    return data\n")
    with pytest.raises(ArtifactError) as refused:
        open_hosted(folder, {}, require_signature=str(tmp_path / "keys"))
    assert refused.value.code == "signature-uncovered"


def test_inference_py_is_the_usual_script(tmp_path: Path) -> None:
    folder = model_folder(tmp_path, inference=SAYS.format("usual"), other=SAYS.format("other"))
    assert "usual" == opened(folder)
    assert "other" == opened(folder, {"SAGEMAKER_PROGRAM": "other.py"})
    assert "other" == opened(folder, {"SAGEMAKER_PROGRAM": "other"})


def test_the_only_file_with_handlers_is_the_script(tmp_path: Path) -> None:
    folder = model_folder(tmp_path, helper="x = 1", mine=SAYS.format("mine"), broken="def (")
    assert "mine" == opened(folder)


def test_of_several_files_with_handlers_one_has_to_be_named(tmp_path: Path) -> None:
    folder = model_folder(tmp_path, one=SAYS.format("1"), two=SAYS.format("2"))
    with pytest.raises(ScriptError, match=r"one\.py, two\.py") as caught:
        open_hosted(folder, {})
    assert "script-invalid" == caught.value.code
    assert "2" == opened(folder, {"SAGEMAKER_PROGRAM": "two.py"})


def test_code_without_handlers_is_left_alone(tmp_path: Path) -> None:
    folder = model_folder(tmp_path, helper="raise SystemExit(1)")
    assert isinstance(open_hosted(folder, {}), Model)


def test_a_script_in_a_folder_below_imports_what_is_beside_it_and_above(tmp_path: Path) -> None:
    folder = model_folder(tmp_path, above_it="WORD = 'above'")
    below = folder / "code" / "src"
    below.mkdir()
    (below / "beside_it.py").write_text("WORD = 'beside'")
    (below / "run.py").write_text(
        "import above_it, beside_it\ndef output_fn(p, a): return above_it.WORD + beside_it.WORD"
    )
    assert "abovebeside" == opened(folder, {"SAGEMAKER_PROGRAM": "src/run.py"})


@pytest.mark.parametrize("program", ["missing.py", "../outside.py", "code", "/etc/passwd"])
def test_a_program_that_is_not_there_or_leads_elsewhere_is_missing(
    tmp_path: Path, program: str
) -> None:
    folder = model_folder(tmp_path, inference=SAYS.format("usual"))
    (folder / "outside.py").write_text(SAYS.format("outside"))
    with pytest.raises(ScriptError) as caught:
        open_hosted(folder, {"SAGEMAKER_PROGRAM": program})
    assert "script-missing" == caught.value.code


def test_a_named_program_without_any_code_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ScriptError) as caught:
        open_hosted(model_folder(tmp_path), {"SAGEMAKER_PROGRAM": "inference.py"})
    assert "script-missing" == caught.value.code


def test_opt_ml_is_wherever_the_base_directory_says(tmp_path: Path) -> None:
    folder = model_folder(tmp_path, inference=SAYS.format("in the model"))
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "inference.py").write_text(SAYS.format("elsewhere"))
    base = {"SAGEMAKER_BASE_DIR": str(tmp_path)}
    for place, text in [
        ("/opt/ml/model/code", "in the model"),
        ("/opt/ml/elsewhere", "elsewhere"),
        (str(tmp_path / "elsewhere"), "elsewhere"),
        (f"file://{tmp_path}/elsewhere", "elsewhere"),
    ]:
        assert text == opened(folder, {**base, "SAGEMAKER_SUBMIT_DIRECTORY": place}), place


def test_a_submit_directory_that_is_not_there_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ScriptError) as caught:
        open_hosted(
            model_folder(tmp_path), {"SAGEMAKER_SUBMIT_DIRECTORY": str(tmp_path / "nowhere")}
        )
    assert "script-missing" == caught.value.code


# Archives.


def test_an_archive_on_s3_is_fetched_once_for_all_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = archive(tmp_path / "s.tar.gz", ("a.py", SAYS.format("from S3")), ("lib/x.py", ""))
    environ = {"SAGEMAKER_SUBMIT_DIRECTORY": "s3://code-of-a-job/job/source/sourcedir.tar.gz"}
    folder, room = model_folder(tmp_path), tmp_path / "room"
    room.mkdir()
    found: list[object] = []

    def find() -> None:
        found.append(find_script(folder, {**environ, "SAGEMAKER_PROGRAM": "a.py"}, room))

    with s3_server() as url:
        use_endpoint(monkeypatch, url)
        client = aws_client(url)
        client.create_bucket(Bucket="code-of-a-job")
        client.upload_file(str(made), "code-of-a-job", "job/source/sourcedir.tar.gz")
        threads = [threading.Thread(target=find) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert 4 == len(found)
    assert 1 == len(set(found))
    assert "from S3" == answer(open_hosted(folder, environ, room=room))


def test_a_folder_for_code_is_made_only_where_there_is_some_to_unpack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    open_hosted(model_folder(tmp_path, inference=SAYS.format("x")), {})
    assert [] == list((tmp_path / "temporary").iterdir())


def test_an_archive_of_this_machine_is_unpacked(tmp_path: Path) -> None:
    made = archive(tmp_path / "s.tar.gz", ("inference.py", SAYS.format("from a file")))
    assert "from a file" == opened(
        model_folder(tmp_path), {"SAGEMAKER_SUBMIT_DIRECTORY": str(made)}
    )


@pytest.mark.parametrize("name", ["../inference.py", "/tmp/inference.py", "a/../../x.py"])
def test_an_archive_that_leads_outside_is_refused(tmp_path: Path, name: str) -> None:
    made = archive(tmp_path / "s.tar.gz", ("inference.py", "x = 1"), (name, "x = 2"))
    with pytest.raises(StorageError):
        opened(model_folder(tmp_path), {"SAGEMAKER_SUBMIT_DIRECTORY": str(made)})


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_an_archive_with_links_is_refused(tmp_path: Path, kind: bytes) -> None:
    with tarfile.open(tmp_path / "s.tar.gz", "w:gz") as tar:
        member = tarfile.TarInfo("inference.py")
        member.type, member.linkname = kind, "/etc/passwd"
        tar.addfile(member)
    with pytest.raises(StorageError):
        opened(model_folder(tmp_path), {"SAGEMAKER_SUBMIT_DIRECTORY": str(tmp_path / "s.tar.gz")})


def test_code_that_the_images_start_has_fetched_is_used(tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "a.py").write_text(SAYS.format("there already"))
    environ = {
        "SAGEMAKER_SUBMIT_DIRECTORY": "s3://bucket/sourcedir.tar.gz",
        "SAGEMAKER_PROGRAM": "a.py",
        "SAGEMAKER_BASE_DIR": str(tmp_path),
    }
    assert "there already" == opened(model_folder(tmp_path), environ)


# Scripts that cannot be loaded.


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def (", "SyntaxError"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("import sys; sys.exit(2)", "SystemExit: 2"),
        ("import no_such_module_here", "ModuleNotFoundError"),
    ],
)
def test_a_script_that_cannot_be_imported_says_why(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ScriptError, match=said) as caught:
        open_hosted(model_folder(tmp_path, inference=text), {})
    assert "script-invalid" == caught.value.code
    assert "inference.py" in str(caught.value.where)
    assert "inference" not in sys.modules


def test_a_missing_module_that_requirements_list_is_explained(tmp_path: Path) -> None:
    folder = model_folder(tmp_path, inference="import no_such_module_here")
    (folder / "code" / "requirements.txt").write_text("no-such-module-here\n")
    with pytest.raises(ScriptError, match=r"requirements.txt is not installed"):
        open_hosted(folder, {})


def test_requirements_are_no_fault_where_nothing_is_missing(tmp_path: Path) -> None:
    folder = model_folder(tmp_path, inference=SAYS.format("fine"))
    (folder / "code" / "requirements.txt").write_text("no-such-module-here\n")
    assert "fine" == opened(folder)


def test_a_script_may_not_take_the_name_of_another_module(tmp_path: Path) -> None:
    folder = model_folder(tmp_path, json=SAYS.format("x"))
    with pytest.raises(ScriptError, match="Rename it"):
        open_hosted(folder, {"SAGEMAKER_PROGRAM": "json.py"})
    assert json.loads("1") == 1


def test_a_script_can_be_loaded_again_in_another_version(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first = open_hosted(model_folder(tmp_path / "a", inference=SAYS.format("first")), {})
    second = open_hosted(model_folder(tmp_path / "b", inference=SAYS.format("second")), {})
    assert ("first", "second") == (answer(first), answer(second))


def test_hosting_loads_neither_scikit_learn_nor_the_training(tmp_path: Path) -> None:
    folder = model_folder(tmp_path, sklearn_nearest_neighbors=OWN.read_text())
    program = (
        "import sys\nfrom kneighbors.sagemaker.hosting import open_hosted\n"
        f"open_hosted({str(folder)!r}, {{}}).warm_up(items=False)\n"
        "names = {name.split('.')[0] for name in sys.modules}\n"
        "names |= {name for name in sys.modules if name.startswith('kneighbors.')}\n"
        "print(*(names & {'sklearn', 'pandas', 'scipy', 'pyarrow', 'obstore', 'kneighbors.corpus',"
        " 'kneighbors.sagemaker.training'}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "" == done.stdout.strip()
