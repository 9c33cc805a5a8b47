"""What a server lets clients do: who may ask, how large requests are, how long they may take."""

from __future__ import annotations

from dataclasses import dataclass

from kneighbors.errors import ParameterRefused
from kneighbors.server.bounded import setting

#: Settings that are not taken for left out where they are given and blank.
GUARDS = frozenset({"auth_token", "auth_token_file", "tls_certificate", "tls_key"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Defences:
    """The part of `kneighbors.server.settings.Settings` that stands between it and its clients."""

    auth_token: str = setting(
        "",
        "A token that every request but /ping has to bring; several with spaces between. Better "
        "in the variable than on the command line, which others see.",
        variable="KNEIGHBORS_AUTH_TOKEN",
        secret=True,
    )
    auth_token_file: str = setting(
        "",
        "A file of such tokens, one a line; it is read again when it changes.",
        variable="KNEIGHBORS_AUTH_TOKEN_FILE",
    )
    tls_certificate: str = setting(
        "",
        "A file with the certificate, and its chain, in PEM: then HTTPS is spoken.",
        variable="KNEIGHBORS_TLS_CERTIFICATE",
    )
    tls_key: str = setting(
        "",
        "A file with the certificate's key in PEM, without a password; the certificate's own file "
        "if it has both.",
        variable="KNEIGHBORS_TLS_KEY",
    )
    max_connections: int = setting(
        4096,
        "Open connections of one worker; more get 503.",
        variable="KNEIGHBORS_MAX_CONNECTIONS",
        least=1,
        most=1_000_000,
    )
    max_url_bytes: int = setting(
        8192,
        "Length of the request line; a longer one gets 414.",
        variable="KNEIGHBORS_MAX_URL_BYTES",
        unit="bytes",
        least=64,
        most=65_536,
    )
    max_header_bytes: int = setting(
        16_384,
        "Size of all headers together; more get 431.",
        variable="KNEIGHBORS_MAX_HEADER_BYTES",
        unit="bytes",
        least=256,
        most=1 << 20,
    )
    max_headers: int = setting(
        100,
        "Number of headers; more get 431.",
        variable="KNEIGHBORS_MAX_HEADERS",
        least=1,
        most=10_000,
    )
    header_timeout_s: float = setting(
        10.0,
        "From the first byte of a request, or from the connection, to the end of its headers.",
        variable="KNEIGHBORS_HEADER_TIMEOUT_S",
        unit="s",
        least=0.05,
        most=600,
    )
    body_timeout_s: float = setting(
        10.0,
        "Time for a body on top of what the least rate allows.",
        variable="KNEIGHBORS_BODY_TIMEOUT_S",
        unit="s",
        least=0.05,
        most=600,
    )
    min_body_rate: int = setting(
        16_384,
        "Slowest pace at which a body may arrive and an answer may be read.",
        variable="KNEIGHBORS_MIN_BODY_RATE",
        unit="bytes/s",
        least=1,
        most=1 << 30,
    )
    write_timeout_s: float = setting(
        30.0,
        "Time to read an answer on top of what the least rate allows.",
        variable="KNEIGHBORS_WRITE_TIMEOUT_S",
        unit="s",
        least=0.05,
        most=600,
    )
    keep_alive_s: float = setting(
        75.0,
        "Time that an idle connection stays open.",
        variable="KNEIGHBORS_KEEP_ALIVE_S",
        unit="s",
        least=0.05,
        most=3600,
    )
    answer_timeout_s: float = setting(
        60.0,
        "From the end of a body to the answer; then the client gets 503.",
        variable="SAGEMAKER_MODEL_SERVER_TIMEOUT",
        unit="s",
        least=0.05,
        most=3600,
    )
    drain_timeout_s: float = setting(
        25.0,
        "Time that requests in flight get after SIGTERM.",
        variable="KNEIGHBORS_DRAIN_TIMEOUT_S",
        unit="s",
        least=0.05,
        most=3600,
    )

    def check(self) -> None:
        """Refuse what contradicts itself.

        Raises
        ------
        ParameterRefused
            With code ``setting-conflict``.
        """
        if self.tls_key and not self.tls_certificate:
            raise ParameterRefused(
                "setting-conflict",
                "Expected a certificate beside its key, got a key alone.",
                where="settings tls_certificate and tls_key",
            )

    @property
    def wants_tokens(self) -> bool:
        """Whether requests have to bring a token."""
        return bool(self.auth_token or self.auth_token_file)


def refuse_blank(text: object, where: str) -> None:
    """Refuse a guard that was asked for and is nothing, as ``"$TOKEN"`` is where it is not set.

    Raises
    ------
    ParameterRefused
        With code ``setting-empty``.
    """
    if isinstance(text, str) and not text.strip():
        raise ParameterRefused(
            "setting-empty",
            "Expected a value, got an empty one, with which the server would go unguarded.",
            where=where,
            hint="Leave it out if that is what you want.",
        )
