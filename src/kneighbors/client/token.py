"""The token that a server wants, as the header that brings it."""

from __future__ import annotations

import os
from collections.abc import Mapping

VARIABLE = "KNEIGHBORS_TOKEN"


def with_token(
    headers: Mapping[str, str], token: str | None, *, is_endpoint: bool
) -> dict[str, str]:
    """Return headers with the token that was given, or else with the environment's.

    An endpoint of SageMaker takes none, so what the environment says is not meant for it; nor is
    it where the headers bring an ``Authorization`` of their own.
    """
    given = dict(headers)
    if token is None:
        if is_endpoint or any(name.lower() == "authorization" for name in headers):
            return given
        token = os.environ.get(VARIABLE, "").strip() or None
    if token is not None:
        given["Authorization"] = f"Bearer {token}"
    return given
