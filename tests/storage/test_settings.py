from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from kneighbors.errors import StorageError
from kneighbors.storage import Address
from kneighbors.storage.s3 import S3Store
from kneighbors.storage.settings import Keys, Settings, read_settings
from support.storage_servers import Answer, Asked, ScriptedServer, part_of, use_endpoint

ENVIRONMENT = {"AWS_ACCESS_KEY_ID": "the-key", "AWS_SECRET_ACCESS_KEY": "the-secret"}


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., Settings]:
    """Read settings of variables and of the two files, as they would be in a new home."""

    def from_home(config: str = "", credentials: str = "", **variables: str) -> Settings:
        folder = tmp_path / ".aws"
        folder.mkdir(exist_ok=True)
        (folder / "config").write_text(config)
        (folder / "credentials").write_text(credentials)
        nowhere = {"HOME": str(tmp_path), "AWS_EC2_METADATA_DISABLED": "true"}
        return read_settings(nowhere | variables)

    return from_home


def test_the_endpoint_of_s3_is_stronger_than_that_of_all_services(
    read: Callable[..., Settings],
) -> None:
    both = {"AWS_ENDPOINT_URL_S3": "https://a:1/", "AWS_ENDPOINT_URL": "http://b"}
    assert read(**ENVIRONMENT, **both).endpoint == "https://a:1"
    assert read(**ENVIRONMENT, AWS_ENDPOINT_URL="http://b").endpoint == "http://b"
    assert read(**ENVIRONMENT, AWS_ENDPOINT_URL_S3="", AWS_ENDPOINT_URL="http://b").endpoint == (
        "http://b"
    )
    assert read(**ENVIRONMENT).endpoint is None


def test_a_profile_gives_region_endpoint_and_keys(read: Callable[..., Settings]) -> None:
    config = """
[default]
region = eu-west-1
[profile wines]
region = eu-central-1
endpoint_url = https://all.example
services = own
[services own]
s3 =
  endpoint_url = https://s3.example
"""
    credentials = """
[default]
aws_access_key_id = default-key
aws_secret_access_key = default-secret
[wines]
aws_access_key_id = wines-key
aws_secret_access_key = wines%secret
aws_session_token = wines-token
"""
    settings = read(config, credentials)
    assert (settings.region, settings.endpoint) == ("eu-west-1", None)
    assert settings.keys == Keys("default-key", "default-secret")

    settings = read(config, credentials, AWS_PROFILE="wines")
    assert (settings.region, settings.endpoint) == ("eu-central-1", "https://s3.example")
    assert settings.keys == Keys("wines-key", "wines%secret", "wines-token")

    settings = read(config.replace("services = own", ""), credentials, AWS_PROFILE="wines")
    assert settings.endpoint == "https://all.example"
    settings = read(
        config, credentials, AWS_PROFILE="wines", AWS_IGNORE_CONFIGURED_ENDPOINT_URLS="true"
    )
    assert settings.endpoint is None


def test_variables_are_stronger_than_a_profile(read: Callable[..., Settings]) -> None:
    credentials = (
        "[default]\naws_access_key_id = k\naws_secret_access_key = s\nregion = eu-west-1\n"
    )
    settings = read("", credentials, **ENVIRONMENT, AWS_DEFAULT_REGION="eu-west-2")
    assert settings.keys == Keys("the-key", "the-secret")
    assert settings.region == "eu-west-2"
    assert read("", credentials, AWS_REGION="a-1", AWS_DEFAULT_REGION="b-1").region == "a-1"
    assert read("", credentials).region == "eu-west-1"


def test_other_files_may_be_named(tmp_path: Path, read: Callable[..., Settings]) -> None:
    (tmp_path / "mine").write_text("[default]\naws_access_key_id=a\naws_secret_access_key=b\n")
    settings = read(AWS_SHARED_CREDENTIALS_FILE=str(tmp_path / "mine"))
    assert settings.keys == Keys("a", "b")


def test_no_value_of_a_credential_is_ever_shown(read: Callable[..., Settings]) -> None:
    settings = read(**ENVIRONMENT, AWS_SESSION_TOKEN="the-token")
    assert "the-" not in repr(settings)


@pytest.mark.parametrize(
    ("config", "credentials", "variables", "words"),
    [
        ("", "", {"AWS_ACCESS_KEY_ID": "k"}, "got one of the two"),
        ("", "", {"AWS_PROFILE": "none"}, "the profile 'none'"),
        ("no section", "", {}, "a file of sections"),
        ("[profile x]\nsso_session = y", "", {"AWS_PROFILE": "x"}, "got sso_session"),
        ("[default]\ncredential_process = run", "", {}, "got credential_process"),
        ("", "", ENVIRONMENT | {"AWS_ENDPOINT_URL": "127.0.0.1:9000"}, "http://host:port"),
        ("", "", ENVIRONMENT | {"AWS_ENDPOINT_URL": "ftp://h"}, "http://host:port"),
        ("", "", ENVIRONMENT | {"AWS_ENDPOINT_URL": "http://h:x"}, "http://host:port"),
        ("", "", ENVIRONMENT | {"AWS_ENDPOINT_URL": "http://h\n.x"}, "http://host:port"),
        ("", "", ENVIRONMENT | {"AWS_ENDPOINT_URL": "http://[::"}, "http://host:port"),
        ("", "", ENVIRONMENT | {"AWS_ENDPOINT_URL": "http://u:secret@h"}, "without a user"),
        ("", "", ENVIRONMENT | {"AWS_REGION": "a b"}, "name of a region"),
        ("", "", ENVIRONMENT | {"AWS_MAX_ATTEMPTS": "0"}, "1 to 100"),
        ("", "", ENVIRONMENT | {"AWS_MAX_ATTEMPTS": "many"}, "1 to 100"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(
    read: Callable[..., Settings],
    config: str,
    credentials: str,
    variables: dict[str, str],
    words: str,
) -> None:
    with pytest.raises(StorageError) as caught:
        read(config, credentials, **variables)
    assert caught.value.code == "storage-settings"
    assert words in str(caught.value)
    assert "secret@" not in str(caught.value)


def test_a_broken_line_of_the_credentials_is_not_quoted(read: Callable[..., Settings]) -> None:
    with pytest.raises(StorageError) as caught:
        read("", "[default]\nthe-secret-without-a-name\n")
    assert caught.value.code == "storage-settings"
    assert "the-secret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_without_any_credentials_the_places_are_named(read: Callable[..., Settings]) -> None:
    with pytest.raises(StorageError) as caught:
        read()
    assert caught.value.code == "storage-forbidden"
    for words in (
        "AWS_ACCESS_KEY_ID (not set)",
        "AWS_SECRET_ACCESS_KEY (not set)",
        "profile 'default' (not set)",
        "AWS_WEB_IDENTITY_TOKEN_FILE (not set)",
        "metadata service (no answer)",
        "AWS_SKIP_SIGNATURE=true",
    ):
        assert words in str(caught.value)


def test_a_public_bucket_needs_no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    with ScriptedServer(lambda asked: part_of(b"data", asked)) as server:
        use_endpoint(monkeypatch, server.url)
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
        monkeypatch.setenv("AWS_SKIP_SIGNATURE", "true")
        assert S3Store("wines").read(Address.parse("s3://wines/x")) == b"data"
    assert all("authorization" not in asked.headers for asked in server.asked)


def test_the_role_of_an_instance_gives_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    role = {
        "Code": "Success",
        "Type": "AWS-HMAC",
        "AccessKeyId": "role-key",
        "SecretAccessKey": "role-secret",
        "Token": "role-token",
        "LastUpdated": "2026-01-01T00:00:00Z",
        "Expiration": "2099-01-01T00:00:00Z",
    }

    def answer(asked: Asked) -> Answer:
        if asked.path == "/latest/api/token":
            return Answer(200, b"session")
        if asked.path.endswith("/security-credentials/"):
            return Answer(200, b"the-role")
        if asked.path.endswith("/security-credentials/the-role"):
            return Answer(200, json.dumps(role).encode())
        return part_of(b"data", asked)

    with ScriptedServer(answer) as server:
        use_endpoint(monkeypatch, server.url)
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
        monkeypatch.delenv("AWS_EC2_METADATA_DISABLED")
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", server.url)
        assert S3Store("wines").read(Address.parse("s3://wines/x")) == b"data"
    assert "Credential=role-key/" in server.asked[-1].headers["authorization"]
    assert server.asked[-1].headers["x-amz-security-token"] == "role-token"


def test_without_obstore_the_extra_is_named(tmp_path: Path) -> None:
    (tmp_path / "obstore.py").write_text("raise ImportError('hidden')")
    program = (
        "from kneighbors.storage import Address, open_store\n"
        "from kneighbors.errors import MissingExtra\n"
        "open_store(Address.parse('x'))\n"
        "try:\n    open_store(Address.parse('s3://wines/x'))\n"
        "except MissingExtra as error:\n    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{program}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == (
        "The package 'obstore' is not installed. Install it with: pip install 'kneighbors[s3]'\n"
    )


def test_importing_storage_loads_neither_obstore_nor_numpy_extras() -> None:
    program = "import sys, kneighbors.storage; print(*sorted(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert not {"obstore", "pyarrow", "sklearn", "scipy", "pandas"} & set(done.stdout.split())
