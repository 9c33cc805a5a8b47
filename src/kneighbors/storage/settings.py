"""The usual settings of AWS, found where its own tools find them.

The order is theirs: variables of the environment, then the profile in the shared files, then
what the machine itself offers (a container's or an instance's role). Values of credentials never
reach a message.
"""

from __future__ import annotations

import configparser
import os
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from kneighbors.errors import StorageError
from kneighbors.storage.address import shown

_KEY_VARIABLES = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
#: Variables under which obstore itself fetches credentials, and renews them.
_ROLE_VARIABLES = (
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
)
_PROFILE_KEYS = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
#: What a profile says when its credentials must be fetched by AWS's own tools.
_FETCHED_BY_OTHERS = (
    "sso_session",
    "sso_start_url",
    "credential_process",
    "role_arn",
    "login_session",
)
_METADATA_HOST = "http://169.254.169.254"
_METADATA_WAIT_S = 1.0
_DEFAULT_REGION = "us-east-1"
_DEFAULT_ATTEMPTS = 4


@dataclass(frozen=True, slots=True)
class Keys:
    """An access key. Its parts are never shown."""

    access_key_id: str = field(repr=False)
    secret_access_key: str = field(repr=False)
    session_token: str | None = field(repr=False, default=None)


@dataclass(frozen=True, slots=True)
class Settings:
    """How S3 is reached.

    Attributes
    ----------
    region : str
        From ``AWS_REGION``, ``AWS_DEFAULT_REGION`` or the profile; ``us-east-1`` otherwise.
    endpoint : str or None
        From ``AWS_ENDPOINT_URL_S3``, ``AWS_ENDPOINT_URL`` or the profile; None for AWS itself.
    keys : Keys or None
        None where requests are not signed, or where a role gives the credentials.
    is_signed : bool
        False if ``AWS_SKIP_SIGNATURE`` is true: public buckets need no credentials.
    metadata_endpoint : str or None
        From ``AWS_EC2_METADATA_SERVICE_ENDPOINT``: who is asked for an instance's role.
    attempts : int
        How often a request is sent at most, from ``AWS_MAX_ATTEMPTS``.
    looked_at : tuple of str
        Which places of credentials were looked at, and whether each was set.
    """

    region: str
    endpoint: str | None
    keys: Keys | None
    is_signed: bool
    metadata_endpoint: str | None
    attempts: int
    looked_at: tuple[str, ...]


def read_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings of AWS from variables and shared files.

    Parameters
    ----------
    environ : mapping, optional
        Variables; those of this process if not given. An empty one counts as not set.

    Raises
    ------
    StorageError
        With code ``storage-settings`` when they contradict each other, or
        ``storage-forbidden`` when no credentials can be found at all.

    Examples
    --------
    >>> settings = read_settings({
    ...     "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret",
    ...     "AWS_ENDPOINT_URL": "http://127.0.0.1:9000"})
    >>> settings.endpoint, settings.region
    ('http://127.0.0.1:9000', 'us-east-1')
    >>> settings.looked_at
    ('AWS_ACCESS_KEY_ID (set)', 'AWS_SECRET_ACCESS_KEY (set)', 'AWS_SESSION_TOKEN (not set)')
    """
    variables = os.environ if environ is None else environ
    found = {name: value for name, value in variables.items() if value.strip()}
    profile = _Profile.read(found)
    is_signed = not _is_true(found.get("AWS_SKIP_SIGNATURE", ""))
    looked_at: list[str] = []
    return Settings(
        region=_region(found, profile),
        endpoint=_endpoint(found, profile),
        keys=_keys(found, profile, looked_at) if is_signed else None,
        is_signed=is_signed,
        metadata_endpoint=found.get("AWS_EC2_METADATA_SERVICE_ENDPOINT"),
        attempts=_attempts(found.get("AWS_MAX_ATTEMPTS")),
        looked_at=tuple(looked_at),
    )


@dataclass(frozen=True, slots=True)
class _Profile:
    name: str
    values: Mapping[str, str]
    services: Mapping[str, str]

    @classmethod
    def read(cls, found: Mapping[str, str]) -> _Profile:
        name = found.get("AWS_PROFILE") or found.get("AWS_DEFAULT_PROFILE") or "default"
        config = _parse(found, "AWS_CONFIG_FILE", "config")
        credentials = _parse(found, "AWS_SHARED_CREDENTIALS_FILE", "credentials")
        in_config = "default" if name == "default" else f"profile {name}"
        values: dict[str, str] = {}
        for parser, section in ((config, in_config), (credentials, name)):
            if parser.has_section(section):
                values.update(parser.items(section))
        if not values and name != "default":
            raise StorageError(
                "storage-settings",
                f"Expected the profile {name!a}, which AWS_PROFILE names, in the files of "
                "AWS; it is in neither.",
                where="~/.aws/config and ~/.aws/credentials",
                hint="See `aws configure list-profiles`.",
            )
        section = f"services {values.get('services', '')}"
        services = dict(config.items(section)) if config.has_section(section) else {}
        return cls(name, values, services)


def _parse(found: Mapping[str, str], variable: str, name: str) -> configparser.RawConfigParser:
    # No section lends its values to others, so no section may be called "DEFAULT" here.
    parser = configparser.RawConfigParser(default_section="\0", strict=False)
    home = Path(found.get("HOME") or "~").expanduser()
    path = Path(found[variable]).expanduser() if variable in found else home / ".aws" / name
    try:
        parser.read_string(path.read_text(encoding="utf-8"))
    except OSError:
        return parser
    except (configparser.Error, UnicodeDecodeError) as error:
        # The text of the error may quote a line, and with it a secret.
        raise StorageError(
            "storage-settings",
            "Expected a file of sections and of lines 'name = value'.",
            where=shown(str(path)),
        ) from (error if isinstance(error, UnicodeDecodeError) else None)
    return parser


def _region(found: Mapping[str, str], profile: _Profile) -> str:
    named = found.get("AWS_REGION") or found.get("AWS_DEFAULT_REGION")
    region = named or profile.values.get("region") or _DEFAULT_REGION
    if not re.fullmatch(r"[A-Za-z0-9-]{1,40}", region):
        raise StorageError(
            "storage-settings",
            f"Expected the name of a region such as {_DEFAULT_REGION}, got {region!a}.",
            where="AWS_REGION, AWS_DEFAULT_REGION or the profile's region",
        )
    return region


def _endpoint(found: Mapping[str, str], profile: _Profile) -> str | None:
    text = found.get("AWS_ENDPOINT_URL_S3") or found.get("AWS_ENDPOINT_URL")
    if text is None and not _is_true(found.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "")):
        nested = profile.services.get("s3", "").splitlines()
        pairs = dict(line.replace(" ", "").partition("=")[::2] for line in nested)
        text = pairs.get("endpoint_url") or profile.values.get("endpoint_url")
    if text is None:
        return None
    try:
        url = urlsplit(text)
        fits = url.scheme in ("http", "https") and url.hostname and (url.port or 1)
    except ValueError:
        fits = False
    if not fits or not text.isascii() or not text.isprintable() or " " in text:
        raise StorageError(
            "storage-settings",
            "Expected http://host:port or https://host:port as the endpoint of S3.",
            where="AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL or the profile's endpoint_url",
        )
    if url.username or url.password or url.query or url.fragment:
        raise StorageError(
            "storage-settings",
            "Expected an endpoint of S3 without a user, a password or a query.",
            where="AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL or the profile's endpoint_url",
            hint="Give credentials by AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
        )
    return text.rstrip("/")


def _keys(found: Mapping[str, str], profile: _Profile, looked_at: list[str]) -> Keys | None:
    """Return the keys, or None where a role gives them; append to `looked_at` on the way."""
    looked_at += [_state(name, name in found) for name in _KEY_VARIABLES]
    if all(name in found for name in _KEY_VARIABLES[:2]):
        key_id, secret, token = _KEY_VARIABLES
        return Keys(found[key_id], found[secret], found.get(token))
    if any(name in found for name in _KEY_VARIABLES[:2]):
        raise StorageError(
            "storage-settings",
            "Expected AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, got one of the two.",
            where="the environment",
        )
    values = [profile.values.get(name) for name in _PROFILE_KEYS]
    looked_at.append(_state(f"profile {profile.name!a}", bool(values[0] and values[1])))
    if values[0] and values[1]:
        return Keys(values[0], values[1], values[2])
    looked_at += [_state(name, name in found) for name in _ROLE_VARIABLES]
    if any(name in found for name in _ROLE_VARIABLES):
        return None
    fetched = [name for name in _FETCHED_BY_OTHERS if name in profile.values]
    if fetched:
        raise StorageError(
            "storage-settings",
            f"Expected an access key in the profile {profile.name!a}, got {fetched[0]}, "
            "which only AWS's own tools can follow.",
            where="~/.aws",
            hint='Run: eval "$(aws configure export-credentials --format env '
            f'--profile {profile.name})"',
        )
    if not _machine_has_role(found):
        looked_at.append("the instance's metadata service (no answer)")
        raise StorageError(
            "storage-forbidden",
            f"Expected credentials for S3, found none. Looked at: {', '.join(looked_at)}.",
            hint="Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or AWS_PROFILE, or set "
            "AWS_SKIP_SIGNATURE=true for a public bucket.",
        )
    looked_at.append("the instance's metadata service (answers)")
    return None


def _machine_has_role(found: Mapping[str, str]) -> bool:
    """Tell whether a metadata service listens: asking in vain for credentials takes minutes."""
    if _is_true(found.get("AWS_EC2_METADATA_DISABLED", "")):
        return False
    url = urlsplit(found.get("AWS_EC2_METADATA_SERVICE_ENDPOINT", _METADATA_HOST))
    try:
        where = (url.hostname or "", url.port or 80)
        socket.create_connection(where, timeout=_METADATA_WAIT_S).close()
    except (OSError, ValueError):
        return False
    return True


def _attempts(text: str | None) -> int:
    if text is None:
        return _DEFAULT_ATTEMPTS
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:4]) <= 100:
        raise StorageError(
            "storage-settings",
            f"Expected a number from 1 to 100 in AWS_MAX_ATTEMPTS, got {text!a}.",
        )
    return int(text)


def _state(name: str, is_set: bool) -> str:
    return f"{name} ({'set' if is_set else 'not set'})"


def _is_true(text: str) -> bool:
    return text.strip().lower() in ("1", "true", "yes", "on")
