"""TLS by the server's own means: a context that follows its certificate."""

from __future__ import annotations

import ssl
from pathlib import Path

from kneighbors.errors import ParameterRefused
from kneighbors.server.defences import Defences
from kneighbors.server.watched import Watched


def watched_context(defences: Defences) -> Watched[ssl.SSLContext] | None:
    """Return the context for new connections, None where no certificate is set.

    Raises
    ------
    ParameterRefused
        With code ``tls-files``.
    """
    certificate, key = defences.tls_certificate, defences.tls_key
    if not certificate:
        return None
    paths = [certificate, key] if key else [certificate]
    return Watched(paths, lambda: _context(certificate, key or None))


def _context(certificate: str, key: str | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # A client that lets the server compute key exchanges for ever does so on new connections,
    # which are counted.
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    for path in filter(None, (certificate, key)):
        if not Path(path).is_file():
            raise _unusable(path, "a file in PEM, found none")
    try:
        # Asked for a password, OpenSSL would wait for somebody to type it.
        context.load_cert_chain(certificate, key, password=_no_password)
    except (OSError, ValueError) as error:  # of which ssl.SSLError is one
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
        expected = f"a certificate and its key in PEM, without a password: {reason}"
        raise _unusable(" and ".join(filter(None, (certificate, key))), expected) from error
    return context


def _no_password() -> str:
    raise ValueError("the key has a password")


def _unusable(where: str, expected: str) -> ParameterRefused:
    return ParameterRefused(
        "tls-files",
        f"Expected {expected}.",
        where=where,
        hint="Give --tls-certificate the certificate and its chain, and --tls-key its key.",
    )
