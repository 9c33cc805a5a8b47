"""What is used of moto's insides: all of it, in one place, and refused where it has changed.

moto promises nothing of these names. The rest of the package uses them from here only.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from kneighbors.errors import LocalError, missing_extra

WSGI = Any


@dataclass(frozen=True, slots=True)
class Inside:
    """moto's application and the classes and states that the plane reaches into."""

    app: WSGI
    request_handler: Any
    s3: Any
    bucket: Any
    key: Any
    multipart: Any
    key_store: Any
    iam: Any
    sts: Any
    log_group: Any
    log_stream: Any
    logs: Any


def load(account: str, region: str) -> Inside:
    """Import moto and return what is used of it.

    Raises
    ------
    MissingExtra
        If moto or what its server needs is not installed.
    LocalError
        With code ``local-moto-version`` if moto's insides are not as expected.
    """
    try:
        import moto
        from moto.moto_server import werkzeug_app
    except ModuleNotFoundError as error:
        raise missing_extra(error.name or "moto", "local") from None
    try:
        from moto.iam.models import iam_backends
        from moto.logs.models import LogGroup, LogStream, logs_backends
        from moto.s3.models import FakeBucket, FakeKey, FakeMultipart, s3_backends
        from moto.s3.utils import _VersionedKeyStore
        from moto.sts.models import sts_backends

        found = Inside(
            app=werkzeug_app.DomainDispatcherApplication(werkzeug_app.create_backend_app),
            request_handler=werkzeug_app.MotoRequestHandler,
            s3=s3_backends[account]["aws"],
            bucket=FakeBucket,
            key=FakeKey,
            multipart=FakeMultipart,
            key_store=_VersionedKeyStore,
            iam=iam_backends[account]["aws"],
            sts=sts_backends[account]["aws"],
            log_group=LogGroup,
            log_stream=LogStream,
            logs=logs_backends[account][region],
        )
        _demand(found)
    except (ImportError, AttributeError, KeyError, TypeError) as error:
        raise LocalError(
            "local-moto-version",
            f"Expected the insides of moto 5.2, got moto {moto.__version__}, where {error}.",
            hint="Install it with: pip install 'moto[server]~=5.2'",
        ) from error
    return found


def _demand(inside: Inside) -> None:
    """Fail now, not at somebody's first upload, where a name that is reached into is gone."""
    for owner, names in (
        (inside.app, ("lock", "app_instances", "create_app")),
        (inside.s3, ("buckets", "tagger")),
        (inside.key_store, ("setlist", "getlist", "pop", "__setitem__")),
        (inside.sts, ("assume_role", "assumed_roles")),
        (inside.iam, ("create_role",)),
        (inside.logs, ("groups",)),
        (inside.log_stream, ("_update", "get_log_events", "filter_log_events", "put_log_events")),
    ):
        for name in names:
            getattr(owner, name)
    key = inside.key("name", b"", account_id="1", region_name="us-east-1")
    inside.multipart.instances_tracked.clear()
    for name in (
        "multipart",
        "_value_buffer",
        "_etag",
        "_metadata",
        "contentsize",
        "checksum_value",
    ):
        getattr(key, name)
    key.dispose()


def warm(inside: Inside) -> None:
    """Build the applications that every program needs, before the first asks for them."""
    for service in ("s3", "sts", "iam", "logs"):
        with inside.app.lock:
            if service not in inside.app.app_instances:
                inside.app.app_instances[service] = inside.app.create_app(service)


#: SageMaker may take the role: its SDK looks whether that is so.
_TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "sagemaker.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    ],
}


def adopt_identity(inside: Inside, arn: str, session: str, keys: tuple[str, str, str]) -> None:
    """Make a role, and give the keys to a session that has assumed it.

    Parameters
    ----------
    inside : Inside
    arn : str
        Of the role.
    session : str
        Name of the session.
    keys : tuple of (str, str, str)
        Access key, secret and session token.
    """
    inside.iam.create_role(
        role_name=arn.rpartition("/")[2],
        assume_role_policy_document=json.dumps(_TRUST),
        path="/",
        permissions_boundary=None,
        description="What runs on this machine.",
        tags=[],
        max_session_duration="43200",
    )
    role = inside.sts.assume_role(
        region_name="us-east-1",
        role_session_name=session,
        role_arn=arn,
        policy="",
        duration=43200,
        external_id="",
    )
    role.access_key_id, role.secret_access_key, role.session_token = keys
