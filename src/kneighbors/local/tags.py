"""Tags on things that have an ARN."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kneighbors.local.faults import Fault, invalid
from kneighbors.local.operations import Request, operation

if TYPE_CHECKING:
    from kneighbors.local.plane import Plane

_MOST = 50
_PAGE = 50
#: What can be tagged: the kinds of records, which are the first part of an ARN's resource.
_KINDS = {"training-job", "transform-job", "model", "endpoint-config", "endpoint"}

Tags = list[dict[str, str]]


def tag(plane: Plane, arn: str, tags: Tags) -> Tags:
    """Set tags, and return all that the thing has now.

    Raises
    ------
    Fault
        If a key is reserved or given twice, or there would be more than 50.
    """
    keys = [one["Key"] for one in tags]
    if len(set(keys)) < len(keys):
        raise invalid("Duplicate tag keys found. Each key may be given once.")
    for key in keys:
        if key.lower().startswith("aws:"):
            raise invalid(f"The tag key {key!r} begins with 'aws:', which is reserved.")
    merged = {one["Key"]: one["Value"] for one in [*tags_of(plane, arn), *tags]}
    if len(merged) > _MOST:
        raise invalid(f"A resource has at most {_MOST} tags, these would be {len(merged)}.")
    _keep(plane, arn, [{"Key": key, "Value": value} for key, value in merged.items()])
    return tags_of(plane, arn)


def tags_of(plane: Plane, arn: str) -> Tags:
    """Return the tags of a thing, in the order in which they were set first."""
    document = plane.records.get("tags", arn)
    return [] if document is None else list(document["Tags"])


def forget_tags(plane: Plane, arn: str) -> None:
    """Remove all tags of a thing that is deleted."""
    plane.records.delete("tags", arn)


@operation("AddTags")
def add_tags(plane: Plane, request: Request) -> dict[str, Any]:
    """Set tags on a thing that exists."""
    _check_exists(plane, request["ResourceArn"])
    return {"Tags": tag(plane, request["ResourceArn"], request["Tags"])}


@operation("ListTags")
def list_tags(plane: Plane, request: Request) -> dict[str, Any]:
    """Return the tags of a thing, a page at a time."""
    _check_exists(plane, request["ResourceArn"])
    found, token = tags_of(plane, request["ResourceArn"]), request.get("NextToken", "0")
    if not token.isdecimal():
        raise invalid("The NextToken is not one that this operation has returned.")
    start, size = int(token), request.get("MaxResults", _PAGE)
    more = str(start + size) if start + size < len(found) else None
    return {"Tags": found[start : start + size], "NextToken": more}


@operation("DeleteTags")
def delete_tags(plane: Plane, request: Request) -> dict[str, Any]:
    """Remove tags by their keys; those that a thing does not have are no error."""
    arn = request["ResourceArn"]
    _check_exists(plane, arn)
    _keep(plane, arn, [one for one in tags_of(plane, arn) if one["Key"] not in request["TagKeys"]])
    return {}


def _keep(plane: Plane, arn: str, tags: Tags) -> None:
    if not plane.records.create("tags", arn, {"Tags": tags}):
        plane.records.update("tags", arn, {"Tags": tags})


def _check_exists(plane: Plane, arn: str) -> None:
    beginning = plane.arn("")
    kind, _, name = arn.removeprefix(beginning).partition("/")
    if not arn.startswith(beginning) or kind not in _KINDS or not name:
        known = ", ".join(sorted(_KINDS))
        raise invalid(
            f"The ARN {arn!r} is of nothing that can be tagged here: {beginning}KIND/NAME, where "
            f"KIND is one of {known}."
        )
    if plane.records.get(kind, name) is None:
        raise Fault("ResourceNotFound", f"Could not find the resource {arn}.")
