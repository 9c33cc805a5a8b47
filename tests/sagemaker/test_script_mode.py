from __future__ import annotations

import json
import os
import signal
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

from kneighbors.sagemaker.job import Job
from kneighbors.sagemaker.script_mode import _command
from support.server_process import wait_for
from support.storage_servers import aws_client, s3_server
from support.training_jobs import JobTree, make_archive

SHOW = """
import json, os, sys
path = os.path.join(os.environ["SM_MODEL_DIR"], "seen.json")
with open(path, "w") as file:
    json.dump({"environ": dict(os.environ), "argv": sys.argv, "cwd": os.getcwd()}, file)
print("epoch=1; loss=0.5;")
print("on stderr", file=sys.stderr)
"""
FAIL = """
import sys
sys.stderr.write("much before\\n" * 500)
def inner():
    raise ValueError("the bottom of it")
inner()
"""


@pytest.fixture
def tree(tmp_path: Path) -> JobTree:
    return JobTree(tmp_path / "ml")


def seen(tree: JobTree) -> Any:
    return json.loads((tree.model / "seen.json").read_text())


def test_a_script_gets_arguments_and_variables_and_its_output_is_ours(tree: JobTree) -> None:
    archive = tree.script(SHOW)
    tree.channel("train")
    values = {
        **json.loads((tree.config / "hyperparameters.json").read_text()),
        "metric": '"cosine"',  # as SDK v2 writes a text
        "plain": "cosine",  # as SDK v3 does
        "n-neighbors": "10",
        "x": "y z",
        "nothing": "null",
        "flag": "true",
        "map": '{"b": [1, 2], "a": 1}',
        "sagemaker_job_name": '"job-7"',
        "sagemaker_region": '"eu-west-1"',
        "sagemaker_other": "3",
    }
    tree.write("hyperparameters", values)
    done = tree.run(tree.environ(TRAINING_JOB_NAME="job-7"))
    assert (done.code, done.out) == (0, "epoch=1; loss=0.5;\n")
    assert done.err == "on stderr\n"
    assert (tree.output / "success").read_bytes() == b""
    assert not (tree.output / "failure").exists()
    found = seen(tree)
    assert found["cwd"] == str(tree.base / "code")
    assert found["argv"] == [
        *("script.py", "--flag", "True", "--map", "a=1,b=[1, 2]", "--metric", "cosine"),
        *("--n-neighbors", "10", "--nothing", "", "--plain", "cosine", "-x", "y z"),
    ]
    environ = found["environ"]
    expected = {
        "SM_MODEL_DIR": str(tree.model),
        "SM_CHANNEL_TRAIN": str(tree.base / "input/data/train"),
        "SM_CHANNELS": '["train"]',
        "SM_OUTPUT_DATA_DIR": str(tree.output / "data"),
        "SM_HOSTS": '["algo-1"]',
        "SM_CURRENT_HOST": "algo-1",
        "SM_HP_METRIC": "cosine",
        "SM_HP_N-NEIGHBORS": "10",
        "SM_HP_NOTHING": "",
        "SM_HP_MAP": '{"a":1,"b":[1,2]}',
        "SM_USER_ENTRY_POINT": "script.py",
        "SM_MODULE_NAME": "script",
        "SM_MODULE_DIR": str(archive),
        "SM_FRAMEWORK_PARAMS": '{"sagemaker_other":3}',
        "SM_IS_HETERO": "false",
        "SM_NUM_CPUS": str(os.cpu_count()),
        "SAGEMAKER_JOB_NAME": "job-7",
        "SAGEMAKER_REGION": "eu-west-1",
        "CURRENT_HOST": "algo-1",
    }
    assert {name: environ[name] for name in expected} == expected
    hyperparameters = json.loads(environ["SM_HPS"])
    assert hyperparameters["metric"] == hyperparameters["plain"] == "cosine"
    assert not any(name.startswith("sagemaker_") for name in hyperparameters)
    assert json.loads(environ["SM_TRAINING_ENV"])["job_name"] == "job-7"


def test_a_failure_tells_the_end_of_the_traceback(tree: JobTree) -> None:
    tree.script(FAIL)
    done = tree.run()
    assert done.code == 1
    assert "much before" in done.err
    failure = tree.failure
    assert failure.startswith('ExecuteUserScriptError:\nExitCode 1\nErrorMessage "Traceback')
    assert 'ValueError: the bottom of it"\nCommand "' in failure
    assert "much before" not in failure
    assert len(failure) <= 1024
    assert not (tree.output / "success").exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import sys; sys.exit(3)", "ExitCode 3\n"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "ExitCode 137\n"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "killed by SIGSEGV"),
        ("raise ValueError('é' * 5000)", 'ErrorMessage "...\n'),
        ("import sys; sys.stderr.buffer.write(b'\\xff' * 9000); sys.exit(1)", "\ufffd"),
    ],
)
def test_whatever_ends_the_script_the_job_ends_with_1_and_a_reason(
    tree: JobTree, text: str, said: str
) -> None:
    tree.script(text)
    assert tree.run().code == 1
    assert said in tree.failure
    assert len(tree.failure) <= 1024


def test_a_reason_that_the_script_wrote_itself_stays(tree: JobTree) -> None:
    tree.script(
        "import os, sys\n"
        "open(os.environ['SM_OUTPUT_DIR'] + '/failure', 'w').write('mine')\n"
        "sys.exit(9)"
    )
    assert (tree.run().code, tree.failure) == (1, "mine")


def test_a_shell_script_and_a_script_in_a_folder_run(tree: JobTree) -> None:
    tree.script('echo "got $2" > "$SM_MODEL_DIR/out"', name="bin/go.sh")
    values = json.loads((tree.config / "hyperparameters.json").read_text())
    tree.write("hyperparameters", {**values, "word": "a 'b'; $(exit)"})
    assert tree.run().code == 0
    assert (tree.model / "out").read_text() == "got a 'b'; $(exit)\n"


def test_code_comes_from_a_directory_a_channel_and_what_is_there_already(tree: JobTree) -> None:
    source = tree.base.parent / "source"
    source.mkdir()
    (source / "script.py").write_text(SHOW)
    tree.hyperparameters(sagemaker_program="script.py", sagemaker_submit_directory=str(source))
    assert tree.run().code == 0
    assert seen(tree)["environ"]["SM_MODULE_DIR"] == str(source)
    # A second start finds the code, as a container does that was stopped in between.
    (source / "script.py").write_text("raise SystemExit(4)")
    assert tree.run().code == 0

    other = JobTree(tree.base.parent / "other")
    (other.channel("code") / "script.py").write_text(SHOW)
    other.hyperparameters(sagemaker_program="script.py")
    assert other.run().code == 0
    assert seen(other)["cwd"] == str(other.base / "code")


def test_code_comes_from_s3(tree: JobTree) -> None:
    archive = tree.script(SHOW)
    with s3_server() as url:
        client = aws_client(url)
        client.create_bucket(Bucket="code")
        client.upload_file(str(archive), "code", "job/source/sourcedir.tar.gz")
        tree.hyperparameters(
            sagemaker_program="script.py",
            sagemaker_submit_directory="s3://code/job/source/sourcedir.tar.gz",
        )
        keys = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
        environ = tree.environ(AWS_ENDPOINT_URL=url, AWS_REGION="us-east-1", **keys)
        assert tree.run(environ).code == 0
        assert seen(tree)["environ"]["SM_MODULE_DIR"] == "s3://code/job/source/sourcedir.tar.gz"

        missing = JobTree(tree.base.parent / "missing")
        missing.hyperparameters(
            sagemaker_program="script.py", sagemaker_submit_directory="s3://code/other.tar.gz"
        )
        environ["SAGEMAKER_BASE_DIR"] = str(missing.base)
        assert missing.run(environ).code == 1
        assert missing.failure.startswith("[storage-missing] ")
        assert "s3://code/other.tar.gz" in missing.failure


def test_requirements_are_installed_before_the_script_runs(tree: JobTree, tmp_path: Path) -> None:
    wheel = tmp_path / "thing-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("thing.py", "WORD = 'installed'")
        archive.writestr(
            "thing-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: thing\nVersion: 1.0\n"
        )
        archive.writestr(
            "thing-1.0.dist-info/WHEEL",
            "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        archive.writestr("thing-1.0.dist-info/RECORD", "")
    tree.script("import thing; print(thing.WORD)", **{"requirements.txt": f"{wheel}\n"})
    target = tmp_path / "site"
    environ = tree.environ(
        PIP_TARGET=str(target), PIP_NO_INDEX="1", PIP_DISABLE_PIP_VERSION_CHECK="1"
    )
    environ["PYTHONPATH"] += os.pathsep + str(target)
    done = tree.run(environ)
    assert done.code == 0, done.err
    assert done.out.splitlines()[-1] == "installed"


def test_requirements_that_name_nothing_do_not_start_pip(tree: JobTree) -> None:
    tree.script(SHOW, **{"requirements.txt": "\n  # nothing beside what the image has\n\n"})
    # An option that pip refuses: it would fail if it were started.
    done = tree.run(tree.environ(PIP_NO_SUCH_OPTION="1", PIP_TIMEOUT="no number"))
    assert 0 == done.code, done.err
    assert "pip" not in done.out + done.err


def test_requirements_that_cannot_be_had_are_the_reason(tree: JobTree) -> None:
    tree.script(SHOW, **{"requirements.txt": "no-such-thing-anywhere==1.0\n"})
    done = tree.run(tree.environ(PIP_NO_INDEX="1", PIP_DISABLE_PIP_VERSION_CHECK="1"))
    assert done.code == 1
    assert tree.failure.startswith("InstallRequirementsError:\nExitCode 1\n")
    assert "no-such-thing-anywhere" in tree.failure
    assert not (tree.model / "seen.json").exists()


@pytest.mark.parametrize(
    ("program", "code"),
    [
        ("other.py", "script-missing"),
        ("../script.py", "script-name"),
        ("/bin/sh", "script-name"),
        ("-c", "script-name"),
        ("a;b.py", "script-name"),
        ("./script.py", "script-name"),
    ],
)
def test_a_program_is_a_file_of_the_code(tree: JobTree, program: str, code: str) -> None:
    archive = tree.script(SHOW)
    tree.hyperparameters(sagemaker_program=program, sagemaker_submit_directory=str(archive))
    assert tree.run().code == 1
    assert tree.failure.startswith(f"[{code}] ")
    assert "\n" not in tree.failure


def test_a_distribution_over_mpi_is_refused_by_name(tree: JobTree) -> None:
    archive = tree.script(SHOW)
    tree.hyperparameters(
        sagemaker_program="script.py",
        sagemaker_submit_directory=str(archive),
        sagemaker_mpi_enabled="true",
    )
    assert tree.run().code == 1
    assert tree.failure.startswith("[distribution-unsupported] ")
    assert "sagemaker_mpi_enabled" in tree.failure


@pytest.mark.parametrize(
    ("ending", "code"),
    [("sys.exit(0)", 0), ("sys.exit(5)", 143)],
)
def test_sigterm_is_handed_on_and_the_script_saves(tree: JobTree, ending: str, code: int) -> None:
    tree.script(
        "import os, signal, sys, time\n"
        "model = os.environ['SM_MODEL_DIR']\n"
        "def stop(number, frame):\n"
        "    with open(model + '/saved', 'a') as file: file.write('x')\n"
        f"    {ending}\n"
        "signal.signal(signal.SIGTERM, stop)\n"
        "open(model + '/ready', 'w').close()\n"
        "while True: time.sleep(0.01)\n"
    )
    process = tree.start()
    try:
        wait_for((tree.model / "ready").exists, "the script")
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == code
    finally:
        process.kill()
        process.communicate()
    assert (tree.model / "saved").read_text() == "x"
    assert not (tree.output / "failure").exists()
    assert (tree.output / "success").exists() == (code == 0)


def test_output_comes_while_the_script_runs(tree: JobTree) -> None:
    tree.script(
        "import os, time\n"
        "print('first')\n"
        "while not os.path.exists(os.environ['SM_MODEL_DIR'] + '/go'): time.sleep(0.01)\n"
        "print('second')\n"
    )
    process = tree.start()
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"first\n"
        (tree.model / "go").touch()
        assert process.stdout.read() == b"second\n"
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.communicate()


def test_a_descendant_that_stays_does_not_hold_the_job_up(tree: JobTree) -> None:
    tree.script(
        "import os, subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "open(os.environ['SM_MODEL_DIR'] + '/pid', 'w').write(str(child.pid))\n"
        "os._exit(0)\n"
    )
    process = tree.start()
    try:
        assert process.wait(30) == 0
    finally:
        os.kill(int((tree.model / "pid").read_text()), signal.SIGKILL)
        process.kill()
        process.communicate()


def test_a_package_is_run_as_a_module(tree: JobTree) -> None:
    job = Job(
        base=tree.base,
        hyperparameters={"sagemaker_program": "thing.py"},
        channels={},
        resources={"hosts": ["a"], "current_host": "a"},
        checkpoints=None,
        environ={},
    )
    (tree.base / "code").mkdir()
    (tree.base / "code" / "setup.py").touch()
    assert _command(job.code_dir, "thing.py", ["--a", "1"]) == [
        *(sys.executable, "-m", "thing", "--a", "1")
    ]


def test_an_archive_that_is_hostile_is_refused_before_anything_is_written(tree: JobTree) -> None:
    make_archive(tree.base.parent / "ok.tar.gz", {"script.py": SHOW})
    hostile = tree.base.parent / "hostile.tar.gz"
    with tarfile.open(hostile, "w:gz") as archive:
        archive.add(tree.base.parent / "ok.tar.gz-files" / "script.py", "script.py")
        archive.add(tree.base.parent / "ok.tar.gz-files" / "script.py", "../evil.py")
    tree.hyperparameters(sagemaker_program="script.py", sagemaker_submit_directory=str(hostile))
    assert tree.run().code == 1
    assert tree.failure.startswith("[archive-unsafe] ")
    assert not (tree.base / "evil.py").exists()
    assert not (tree.base / "code").exists()
