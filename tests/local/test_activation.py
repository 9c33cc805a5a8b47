"""Programs turned to the plane: by the shim, or while they run; and left alone otherwise."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from kneighbors.errors import LocalError
from kneighbors.local import activate, deactivate
from kneighbors.local.environment import program_environment
from kneighbors.local.root import read_settings
from kneighbors.local.shim import kneighbors_redirect
from support.local_plane import PlaneProcess, clean_environment

_STS = """
import boto3
client = boto3.client(
    "sts", region_name="us-west-2", endpoint_url="https://sts.us-west-2.amazonaws.com"
)
print(client.get_caller_identity()["Arn"])
"""
_EARLY = "import botocore.httpsession\n" + _STS
_S3 = """
import boto3
s3 = boto3.client("s3", endpoint_url="https://s3.us-east-1.amazonaws.com")
s3.create_bucket(Bucket="of-a-program")
s3.put_object(Bucket="of-a-program", Key="a b", Body=b"oak")
print(s3.get_object(Bucket="of-a-program", Key="a b")["Body"].read().decode())
"""
_ROLE = "arn:aws:sts::123456789012:assumed-role/KNeighborsLocal/kneighbors-local"


@pytest.fixture
def environment(plane: PlaneProcess) -> dict[str, str]:
    """The environment of a program, beginning with a user's who has an account."""
    settings = read_settings(plane.root)
    assert settings is not None
    around = clean_environment() | {
        "AWS_PROFILE": "work",
        "AWS_ENDPOINT_URL_S3": "https://elsewhere.example",
        "AWS_ACCESS_KEY_ID": "AKIAREAL",
    }
    return program_environment(plane.root, settings, around)


def run(environment: dict[str, str], program: str, *options: str) -> str:
    done = subprocess.run(
        [sys.executable, *options, "-c", program],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert 0 == done.returncode, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("program", [_STS, _EARLY], ids=["later", "before"])
def test_a_request_to_an_address_of_aws_reaches_the_plane(
    environment: dict[str, str], program: str
) -> None:
    assert _ROLE == run(environment, program)


def test_a_bucket_in_front_of_an_address_of_aws_is_found(environment: dict[str, str]) -> None:
    assert "oak" == run(environment, _S3)


def test_the_shim_works_where_this_package_is_not_installed(
    environment: dict[str, str], tmp_path: Path
) -> None:
    # Without site-packages: only the standard library, and a botocore that is made up.
    package = tmp_path / "botocore"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "httpsession.py").write_text(
        "class URLLib3Session:\n    def send(self, request):\n        return request.url\n"
    )
    program = """
from types import SimpleNamespace
from botocore.httpsession import URLLib3Session
urls = ["https://sts.eu-west-1.amazonaws.com/?a=1", "https://b.s3.amazonaws.com/k", "https://x.org/"]
for url in urls:
    print(URLLib3Session().send(SimpleNamespace(url=url)))
try:
    import kneighbors
except ImportError:
    print("alone")
"""
    path = environment["PYTHONPATH"].split(os.pathsep)[0]
    there = environment | {"PYTHONPATH": os.pathsep.join([path, str(tmp_path)])}
    plane = environment["AWS_ENDPOINT_URL"]
    assert [f"{plane}/?a=1", f"{plane}/b/k", "https://x.org/", "alone"] == run(
        there, "import sitecustomize\n" + program, "-S"
    ).splitlines()


def test_a_sitecustomize_that_is_hidden_is_loaded_too(
    environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.of_the_user = __file__\n")
    path = environment["PYTHONPATH"]
    there = environment | {"PYTHONPATH": os.pathsep.join([path, str(tmp_path)])}
    assert str(tmp_path / "sitecustomize.py") == run(there, "import sys; print(sys.of_the_user)")


def test_nothing_of_an_account_is_left(environment: dict[str, str]) -> None:
    program = """
import boto3
session = boto3.Session()
print(session.profile_name, session.get_credentials().method, session.region_name)
print(boto3.client("s3").meta.endpoint_url)
"""
    assert ["default env us-east-1", environment["AWS_ENDPOINT_URL"]] == run(
        environment, program
    ).splitlines()


def test_requests_are_left_alone_where_the_endpoint_is_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url = "https://sts.us-east-1.amazonaws.com/"
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.setenv("KNEIGHBORS_LOCAL_URL", "http://127.0.0.1:5")
    assert url == kneighbors_redirect.redirected(url)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:6")
    assert url == kneighbors_redirect.redirected(url)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:5")
    assert "http://127.0.0.1:5/" == kneighbors_redirect.redirected(url)


@pytest.mark.parametrize(
    ("url", "there"),
    [
        ("https://my.bucket.s3.eu-west-1.amazonaws.com/k%20?a=%2F", "/my.bucket/k%20?a=%2F"),
        ("https://s3.amazonaws.com/b/k", "/b/k"),
        ("https://api.sagemaker.cn-north-1.amazonaws.com.cn/", "/"),
        ("https://dsql.us-east-1.api.aws/x", "/x"),
        ("https://amazonaws.com.evil.org/", None),
        ("https://notamazonaws.com/", None),
        ("http://127.0.0.1:7/b", None),
        ("https://169.254.169.254/latest", None),
    ],
)
def test_only_addresses_of_aws_are_changed(
    monkeypatch: pytest.MonkeyPatch, url: str, there: str | None
) -> None:
    plane = "http://127.0.0.1:5"
    monkeypatch.setenv("AWS_ENDPOINT_URL", plane)
    monkeypatch.setenv("KNEIGHBORS_LOCAL_URL", plane)
    assert (url if there is None else plane + there) == kneighbors_redirect.redirected(url)


def variables() -> dict[str, str]:
    """Return the environment, without what pytest notes there."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}


@pytest.fixture
def untouched(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """A process as one with an account; turned back afterwards."""
    monkeypatch.setenv("AWS_PROFILE", "work")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAREAL")
    yield variables()
    deactivate()


def test_a_running_process_is_turned_and_turned_back(
    plane: PlaneProcess, untouched: dict[str, str]
) -> None:
    original = __import__("botocore.httpsession").httpsession.URLLib3Session.send
    for _ in range(2):
        active = activate(plane.root)
        assert plane.url in str(active)
        assert plane.role == active.role_arn
    client = boto3.client("sts", endpoint_url="https://sts.us-east-1.amazonaws.com")
    assert _ROLE == client.get_caller_identity()["Arn"]
    client.close()
    deactivate()
    assert untouched == variables()
    assert original is __import__("botocore.httpsession").httpsession.URLLib3Session.send
    deactivate()


def test_a_notebook_starts_no_plane(tmp_path: Path, untouched: dict[str, str]) -> None:
    with pytest.raises(LocalError, match="kneighbors local up") as refused:
        activate(tmp_path / "nothing")
    assert "local-not-up" == refused.value.code
    assert untouched == variables()
    assert not (tmp_path / "nothing").exists()


def test_the_sdks_are_told_not_to_tell_aws(environment: dict[str, str]) -> None:
    text = Path(environment["SAGEMAKER_USER_CONFIG_OVERRIDE"]).read_text()
    assert "TelemetryOptOut: true" in text
    assert json.dumps(environment).count("AKIAREAL") == 0
