"""What S3 refuses, in our words.

obstore's errors quote whole answers, and answers quote access keys. So nothing of an error's text
reaches a message but the status, the name of S3's own error code and the kind of a broken
connection, each picked out by a pattern.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from kneighbors.errors import KNeighborsError, StorageError
from kneighbors.storage.address import Address
from kneighbors.storage.settings import Settings

_STATUS = re.compile(r"status code: (\d{3})")
_S3_CODE = re.compile(r"<Code>(\w{1,64})</Code>")
_CONNECTION = re.compile(
    r"Connection refused|Connection reset|timed out|TimedOut|dns error|certificate|"
    r"IncompleteMessage|UnexpectedEof|invalid peer certificate",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class _Refusal:
    code: str
    message: str
    hint: str | None = None


_FORBIDDEN = _Refusal("storage-forbidden", "S3 forbids it.")
_WRONG_KEYS = _Refusal(
    "storage-forbidden", "S3 does not accept the credentials.", "Check the key and its secret."
)
_EXPIRED = _Refusal(
    "storage-forbidden", "The credentials have expired.", "Fetch new ones and try again."
)
_WRONG_REGION = _Refusal(
    "storage-region",
    "The bucket lies in another region than {region}.",
    "Set AWS_REGION to the bucket's.",
)
_MISSING = _Refusal("storage-missing", "Expected an object, found nothing.")
_FULL = _Refusal("storage-full", "There is no room left.")
_CHANGED = _Refusal("storage-changed", "The object changed while it was being read.", "Try again.")
_BUSY = _Refusal("storage-unreachable", "S3 kept answering {status} through {attempts} attempts.")

#: By the name that S3 gives its error. What is not here is decided by the status.
_BY_CODE = {
    "NoSuchBucket": _Refusal("storage-missing", "There is no such bucket."),
    "NoSuchKey": _MISSING,
    "InvalidAccessKeyId": _WRONG_KEYS,
    "SignatureDoesNotMatch": _WRONG_KEYS,
    "InvalidToken": _WRONG_KEYS,
    "ExpiredToken": _EXPIRED,
    "RequestTimeTooSkewed": _Refusal(
        "storage-forbidden", "The clocks of this machine and of S3 differ too much.", "Set it."
    ),
    "PermanentRedirect": _WRONG_REGION,
    "TemporaryRedirect": _WRONG_REGION,
    "AuthorizationHeaderMalformed": _WRONG_REGION,
    "IllegalLocationConstraintException": _WRONG_REGION,
    "QuotaExceeded": _FULL,
    "XMinioStorageFull": _FULL,
    "EntityTooLarge": _Refusal("storage-full", "The object is larger than S3 takes."),
    "InvalidObjectState": _Refusal(
        "storage-forbidden", "The object is archived.", "Restore it from the archive first."
    ),
}
_BY_STATUS = {
    301: _WRONG_REGION,
    307: _WRONG_REGION,
    401: _WRONG_KEYS,
    403: _FORBIDDEN,
    404: _MISSING,
    412: _CHANGED,
    416: _CHANGED,
    507: _FULL,
}


def s3_error(error: BaseException, address: Address, settings: Settings) -> StorageError:
    """Return what an error of obstore means for an address.

    Returns
    -------
    StorageError
        With code ``storage-missing``, ``storage-forbidden``, ``storage-region``,
        ``storage-full``, ``storage-changed``, ``storage-address``, ``storage-unreachable`` or
        ``storage-failed``.
    """
    text = str(error)
    found_status, found_code = _STATUS.search(text), _S3_CODE.search(text)
    status = int(found_status[1]) if found_status else None
    name = found_code[1] if found_code else None
    refusal = _refusal(text, status, name)
    message = refusal.message.format(
        region=settings.region, status=status, attempts=settings.attempts
    )
    if status is not None and refusal is not _MISSING:
        message += f" Its answer was {status}{f' {name}' if name else ''}."
    if refusal.code == "storage-forbidden" and settings.looked_at:
        message += f" Credentials: {', '.join(settings.looked_at)}."
    if refusal.code == "storage-unreachable" or settings.endpoint:
        message += f" Endpoint: {settings.endpoint or f'AWS in {settings.region}'}."
    return StorageError(refusal.code, message, where=address.shown, hint=refusal.hint)


def _refusal(text: str, status: int | None, name: str | None) -> _Refusal:
    if name in _BY_CODE:
        return _BY_CODE[name]
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if status is not None and (status >= 500 or status in (408, 429)):
        return _BUSY
    if "redirect without LOCATION" in text:
        return _WRONG_REGION
    if "invalid path" in text.lower():
        return _Refusal(
            "storage-address",
            "There is an object below whose key holds empty parts, '.', '..' or control "
            "characters, which no client of this kind can name.",
            "Rename it.",
        )
    if "NotPartial" in text:
        return _Refusal("storage-failed", "The server ignores the range that was asked for.")
    if "HTTP error" in text or "HttpError" in text or "error sending request" in text:
        found = _CONNECTION.search(text)
        why = f" ({found[0].lower()})" if found else ""
        return _Refusal(
            "storage-unreachable",
            f"No answer came from S3{why}, in {{attempts}} attempts.",
            "Check the endpoint and the network.",
        )
    return _Refusal("storage-failed", "The request failed in a way that S3 does not explain.")


@contextmanager
def translated_s3(address: Address, settings: Settings) -> Iterator[None]:
    """Turn every error of obstore into a `StorageError` that names `address`.

    Raises
    ------
    StorageError
        See `s3_error`.
    """
    try:
        yield
    except KNeighborsError:
        raise
    except Exception as error:
        # obstore's own text may quote credentials, so it is no cause.
        raise s3_error(error, address, settings) from None
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # what a fault in Rust becomes
            raise
        raise s3_error(error, address, settings) from None
