"""New records of what a client names and tags."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kneighbors.local.faults import exists
from kneighbors.local.tags import tag

if TYPE_CHECKING:
    from kneighbors.local.plane import Plane


def create(
    plane: Plane, kind: str, arn: str, document: dict[str, Any], tags: list[dict[str, str]] | None
) -> None:
    """Write a new record and its tags.

    Parameters
    ----------
    plane : Plane
    kind : str
        Also what the ARN's resource begins with.
    arn : str
    document : dict
    tags : list of dict or None

    Raises
    ------
    Fault
        ``ValidationException`` if the name is taken, or the tags cannot be; nothing is written.
    """
    name = arn.rpartition("/")[2]
    called = "endpoint configuration" if kind == "endpoint-config" else kind
    if plane.records.get(kind, name) is not None:
        raise exists(called, arn)
    if tags:
        tag(plane, arn, tags)
    if not plane.records.create(kind, name, document):
        raise exists(called, arn)
