"""Who may ask: the one place that decides by tokens, and by where a server listens."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence

from kneighbors.server.refusals import HTTPRefused
from kneighbors.server.settings import Settings
from kneighbors.server.tokens import Tokens, token_in

#: What anybody may ask: SageMaker's platform, and whoever else watches over the server.
OPEN_PATHS = frozenset({"/ping"})


class Guard:
    """Lets requests through, or refuses them.

    Parameters
    ----------
    settings : Settings
    is_platform : bool, default=False
        Whether SageMaker's platform is who asks. It loads and unloads models from outside of the
        container, brings no token, and lets nobody else reach the port.

    Raises
    ------
    ParameterRefused
        Of `Tokens`.
    """

    def __init__(self, settings: Settings, *, is_platform: bool = False) -> None:
        self.tokens = Tokens(settings) if settings.wants_tokens else None
        # A page can bring no other; where models are loaded, no page is served, and a browser
        # that sends by itself what it knows would let other sites' pages load them.
        self._basic = settings.explorer == "true"
        self._may_manage = is_platform or self.tokens is not None or is_loopback(settings.host)

    def check(self, path: str, given: Sequence[bytes]) -> None:
        """Refuse who brings no token of ours where there are some.

        Parameters
        ----------
        path : str
            As it is written in the request.
        given : sequence of bytes
            Values of ``Authorization``.

        Raises
        ------
        HTTPRefused
            With code ``token-missing`` or ``token-unknown``.
        """
        if self.tokens is None or path in OPEN_PATHS:
            return
        token = token_in(given[0], basic=self._basic) if len(given) == 1 else None
        if token is None:
            expected = "Expected one header Authorization: Bearer with a token."
            raise HTTPRefused("token-missing", expected, challenges=self._challenges())
        if not self.tokens.know(token):
            expected = "Expected a token that the server knows, got another."
            raise HTTPRefused(
                "token-unknown", expected, challenges=self._challenges(', error="invalid_token"')
            )

    def check_management(self) -> None:
        """Refuse what changes the state of a server that anybody could reach.

        Raises
        ------
        HTTPRefused
            With code ``management-closed``.
        """
        if not self._may_manage:
            raise HTTPRefused(
                "management-closed",
                "Expected a server with tokens, or one that listens on this machine alone: others "
                "are not managed by requests.",
            )

    def _challenges(self, more: str = "") -> tuple[str, ...]:
        bearer = f'Bearer realm="kneighbors"{more}'
        return ('Basic realm="kneighbors"', bearer) if self._basic else (bearer,)


def is_loopback(host: str) -> bool:
    """Tell whether a server that listens on an address can be reached from this machine alone.

    Examples
    --------
    >>> is_loopback("127.0.0.1"), is_loopback("0.0.0.0")
    (True, False)
    """
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return False
    addresses = [ipaddress.ip_address(str(one[4][0]).partition("%")[0]) for one in found]
    return bool(addresses) and all(address.is_loopback for address in addresses)
