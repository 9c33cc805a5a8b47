"""The one place that loads obstore, and tells it how S3 is reached."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from kneighbors.errors import missing_extra
from kneighbors.storage.settings import Settings

try:
    import obstore
    from obstore import store as obstores
except ImportError as error:
    raise missing_extra("obstore", "s3") from error

__all__ = ["connect", "obstore"]

_CONNECT_TIMEOUT = timedelta(seconds=5)
#: For one range or one part: 70 KB a second are enough.
_REQUEST_TIMEOUT = timedelta(minutes=2)
#: No new attempt is made after this.
_RETRY_TIMEOUT = timedelta(minutes=3)


def connect(bucket: str, settings: Settings) -> obstores.S3Store:
    """Return obstore's view of a bucket; nothing is sent yet."""
    config: Any = {"region": settings.region}
    if settings.endpoint:
        config["endpoint"] = settings.endpoint
    if settings.metadata_endpoint:
        config["metadata_endpoint"] = settings.metadata_endpoint
    config["skip_signature"] = not settings.is_signed
    return obstores.S3Store(
        bucket,
        config=config,
        client_options={
            "allow_http": (settings.endpoint or "").startswith("http://"),
            "connect_timeout": _CONNECT_TIMEOUT,
            "timeout": _REQUEST_TIMEOUT,
        },
        retry_config={"max_retries": settings.attempts - 1, "retry_timeout": _RETRY_TIMEOUT},
        credential_provider=_provider(settings),
    )


def _provider(settings: Settings) -> Callable[[], Any] | None:
    keys = settings.keys
    if keys is None:
        return None
    return lambda: {
        "access_key_id": keys.access_key_id,
        "secret_access_key": keys.secret_access_key,
        "token": keys.session_token,
        "expires_at": None,
    }
