"""AWS's event-stream framing: messages of typed headers and a payload, with two checksums."""

from __future__ import annotations

import json
import struct
from binascii import crc32
from collections.abc import Mapping

#: Content type of a response in this framing.
MEDIA_TYPE = "application/vnd.amazon.eventstream"

#: Most bytes of a payload that goes into one message; clients take 16 MiB.
LARGEST_PART = 1 << 20

_STRING = 7


def frame(headers: Mapping[str, str], payload: bytes) -> bytes:
    r"""Return one message.

    Examples
    --------
    >>> frame({}, b"").hex()
    '000000100000000005c248eb7d98c8ff'
    """
    packed = b"".join(_header(name, value) for name, value in headers.items())
    prelude = struct.pack("!II", 16 + len(packed) + len(payload), len(packed))
    message = prelude + struct.pack("!I", crc32(prelude)) + packed + payload
    return message + struct.pack("!I", crc32(message))


def payload_part(payload: bytes) -> bytes:
    """Return the message of a piece of a response's body."""
    headers = {
        ":message-type": "event",
        ":event-type": "PayloadPart",
        ":content-type": "application/octet-stream",
    }
    return frame(headers, payload)


def failure(kind: str, message: str, **facts: str) -> bytes:
    """Return the message that ends a stream with an error.

    Parameters
    ----------
    kind : str
        ``"ModelStreamError"`` or ``"InternalStreamFailure"``.
    message : str
    **facts : str
        Further members, such as ``ErrorCode``.
    """
    headers = {
        ":message-type": "exception",
        ":exception-type": kind,
        ":content-type": "application/json",
    }
    return frame(headers, json.dumps({"Message": message, **facts}).encode())


def _header(name: str, value: str) -> bytes:
    key, text = name.encode(), value.encode()
    return bytes([len(key)]) + key + struct.pack("!BH", _STRING, len(text)) + text
