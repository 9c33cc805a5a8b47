"""The response that an output_fn returns."""

from __future__ import annotations

from collections.abc import Mapping

from . import content_types


class Response:
    """A body with its content type and status; it has what readers of Flask's responses look for.

    Parameters
    ----------
    response : str or bytes, optional
    accept : str, optional
        Content type, where `mimetype` does not say.
    status : int, default=200
    headers : mapping, optional
    mimetype : str, optional
    direct_passthrough : bool
        Of no effect.
    """

    default_mimetype = content_types.JSON

    def __init__(
        self,
        response: str | bytes | None = None,
        accept: str | None = None,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        mimetype: str | None = None,
        direct_passthrough: bool = False,
    ) -> None:
        body = b"" if response is None else response
        self.data = body.encode() if isinstance(body, str) else bytes(body)
        self.status_code = status
        self.mimetype = mimetype or accept or self.default_mimetype
        self.content_type = self.mimetype
        self.headers = {**(headers or {}), "Content-Type": self.content_type}

    @property
    def response(self) -> list[bytes]:
        """The body in pieces: one."""
        return [self.data]

    def get_data(self, as_text: bool = False) -> bytes | str:
        """Return the body."""
        return self.data.decode() if as_text else self.data
