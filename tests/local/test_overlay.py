"""A container's own Python: what is installed in it stays in it."""

from __future__ import annotations

import base64
import hashlib
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

from kneighbors.local.overlay import make_overlay, own_python, python_beside


@pytest.fixture(scope="module")
def binaries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_overlay(tmp_path_factory.mktemp("overlay") / "python", own_python())


def run(program: Path, *arguments: str) -> str:
    done = subprocess.run(
        [program, *arguments], capture_output=True, text=True, timeout=60, env={"PATH": "/bin"}
    )
    assert 0 == done.returncode, done.stderr
    return done.stdout.strip()


def wheel(folder: Path, name: str, version: str) -> Path:
    """Make a wheel of one module that knows its version."""
    path = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": f"__version__ = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = []
    for file, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=")
        record.append(f"{file},sha256={digest.decode()},{len(text)}")
    files[f"{info}/RECORD"] = "\n".join([*record, f"{info}/RECORD,,"]) + "\n"
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in files.items():
            archive.writestr(file, text)
    return path


def imported(binaries: Path, module: str) -> str:
    """Return the file that a module would be imported from."""
    script = f"from importlib.util import find_spec; print(find_spec({module!r}).origin)"
    return run(binaries / "python", "-c", script)


def origin(module: str) -> str:
    found = find_spec(module)
    assert found is not None
    return str(found.origin)


def test_it_sees_what_this_python_sees(binaries: Path) -> None:
    for module in ("sklearn", "numpy", "kneighbors"):
        assert origin(module) == imported(binaries, module)
    assert str(Path(sys.prefix)) != run(binaries / "python3", "-c", "import sys; print(sys.prefix)")


def test_what_pip_installs_lands_in_it_and_nowhere_else(binaries: Path, tmp_path: Path) -> None:
    made = wheel(tmp_path, "oakbarrel", "1.0")
    run(binaries / "pip", "install", "--no-index", "--no-cache-dir", str(made))
    assert imported(binaries, "oakbarrel").startswith(str(binaries.parent))
    with pytest.raises(ModuleNotFoundError):
        __import__("oakbarrel")
    again = make_overlay(binaries.parent, own_python())
    assert binaries == again
    assert imported(again, "oakbarrel")


@pytest.mark.slow
def test_another_version_of_a_package_of_ours_hides_it_and_removes_nothing(
    binaries: Path, tmp_path: Path
) -> None:
    before = origin("joblib")
    made = wheel(tmp_path, "joblib", "0.1")
    command = ("install", "--no-index", "--no-cache-dir", "--no-deps", "--force-reinstall")
    run(binaries / "python", "-m", "pip", *command, str(made))
    assert imported(binaries, "joblib").startswith(str(binaries.parent))
    assert Path(before).exists()
    run(binaries / "python", "-m", "pip", "uninstall", "--yes", "joblib")
    assert before == imported(binaries, "joblib")


def test_scripts_of_2019_find_what_they_import(binaries: Path) -> None:
    script = """
from sklearn.externals import joblib
from sagemaker_containers.beta.framework import (
    content_types, encoders, env, errors, modules, transformer, worker)
import io, numpy as np
prediction = np.array([[0.5, 0.25], [7, 3]])
for accept in ("application/x-npy", "text/csv", "application/json"):
    response = worker.Response(encoders.encode(prediction, accept), mimetype=accept)
    body = response.get_data(as_text=accept != "application/x-npy")
    decoded = encoders.decode(body, accept).astype(float)
    print(response.content_type, np.array_equal(decoded, prediction))
print(joblib.__name__, hasattr(joblib, "dump"))
buffer = io.BytesIO()
np.save(buffer, np.array([{}], dtype=object))
try:
    encoders.decode(buffer.getvalue(), "application/x-npy")
except errors.ClientError:
    print("no pickle")
"""
    assert [
        "application/x-npy True",
        "text/csv True",
        "application/json True",
        "joblib True",
        "no pickle",
    ] == run(binaries / "python", "-c", script).splitlines()


def test_a_package_that_is_really_installed_goes_first(binaries: Path) -> None:
    (packages,) = binaries.parent.glob("lib/python3*/site-packages")
    (packages / "sagemaker_containers.py").write_text("")
    found = imported(binaries, "sagemaker_containers")
    (packages / "sagemaker_containers.py").unlink()
    assert str(packages / "sagemaker_containers.py") == found


def test_a_command_of_another_environment_runs_with_that_environment_s_packages(
    tmp_path: Path,
) -> None:
    import venv

    venv.create(tmp_path / "other", with_pip=False)
    (package,) = (tmp_path / "other/lib").glob("python3*/site-packages")
    (package / "cellarware.py").write_text("")
    python = python_beside(str(tmp_path / "other/bin/train"))
    assert python is not None
    binaries = make_overlay(tmp_path / "own", python)
    assert str(package / "cellarware.py") == imported(binaries, "cellarware")
    assert python_beside("/bin/sh") is None
