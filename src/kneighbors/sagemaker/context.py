"""What a handler's argument `context` tells it about the request, and lets it say."""

from __future__ import annotations

from pathlib import Path
from typing import Any


class Context:
    """One request as a handler sees it, by the names that AWS's multi-model-server gives it.

    Methods take an index since that server can hand several requests over at a time. Here it is
    always one, of index 0.

    Parameters
    ----------
    model_dir : Path
    headers : dict of str to str, optional
        Of the request: ``Content-Type``, ``Accept`` and the custom attributes, where there are any.
    """

    def __init__(self, model_dir: Path, headers: dict[str, str] | None = None) -> None:
        self._headers = headers or {}
        self.model_name = "model"
        self.manifest: dict[str, Any] = {}
        self.system_properties: dict[str, Any] = {
            "model_dir": str(model_dir),
            "gpu_id": None,
            "batch_size": 1,
            "server_name": "kneighbors",
        }
        self.status = 200
        self.response_headers: dict[str, str] = {}

    def get_all_request_header(self, index: int = 0) -> dict[str, str]:
        """Return the headers of the request."""
        return dict(self._headers)

    def get_request_header(self, index: int, name: str) -> str | None:
        """Return a header of the request, however its name is written; None if there is none."""
        wanted = name.lower()
        return next((text for key, text in self._headers.items() if key.lower() == wanted), None)

    def set_response_status(self, code: int = 200, phrase: str = "", index: int = 0) -> None:
        """Say with which status to answer; the phrase is the standard's."""
        self.status = int(code)

    def set_all_response_status(self, code: int = 200, phrase: str = "") -> None:
        """Say with which status to answer."""
        self.set_response_status(code, phrase)

    def set_response_content_type(self, index: int, value: str) -> None:
        """Say what the answer is."""
        self.set_response_header(index, "Content-Type", value)

    def set_response_header(self, index: int, name: str, value: str) -> None:
        """Send a header with the answer."""
        self.response_headers[str(name)] = str(value)
