"""A client of the service, for Python: arrays in, arrays out.

Needs urllib3, the extra ``client``. What travels is described in `docs/reference/wire-format.md`,
and the client itself in `docs/reference/client.md`.
"""

from __future__ import annotations

from kneighbors.client.client import Client
from kneighbors.client.connection import ServiceAnswerError
from kneighbors.recommend import Neighbors

__all__ = ["Client", "Neighbors", "ServiceAnswerError"]
