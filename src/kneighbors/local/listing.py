"""Pages of a List operation: filtered, sorted and cut as AWS does it."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from typing import Any

from kneighbors.local.faults import invalid

Document = dict[str, Any]

#: Items of a page where the request does not say; AWS's default.
_PAGE = 10

#: Filters by time: the request's member, the document's, and whether the document's is to be less.
_TIMES = (
    ("CreationTimeBefore", "CreationTime", True),
    ("CreationTimeAfter", "CreationTime", False),
    ("LastModifiedTimeBefore", "LastModifiedTime", True),
    ("LastModifiedTimeAfter", "LastModifiedTime", False),
)


def page(
    documents: Iterable[tuple[str, Document]], request: Mapping[str, Any], status: str = ""
) -> tuple[list[Document], str | None]:
    """Return the documents that a request asks for, and the token of the next page.

    Parameters
    ----------
    documents : iterable of (str, dict)
        Names and documents; those have ``CreationTime``.
    request : mapping
        Of a List operation: ``NameContains``, ``CreationTimeBefore``, ``StatusEquals``, ``SortBy``,
        ``SortOrder``, ``MaxResults``, ``NextToken`` and the like.
    status : str, optional
        The member that ``StatusEquals`` and ``SortBy=Status`` mean.

    Raises
    ------
    Fault
        ``ValidationException`` for a token that no page gave.

    Examples
    --------
    >>> wines = [(f"wine-{n}", {"CreationTime": n}) for n in range(3)]
    >>> found, token = page(wines, {"MaxResults": 2})
    >>> found
    [{'CreationTime': 2}, {'CreationTime': 1}]
    >>> page(wines, {"MaxResults": 2, "NextToken": token})
    ([{'CreationTime': 0}], None)
    """
    found = [pair for pair in documents if _is_wanted(*pair, request, status)]
    by = request.get("SortBy", "CreationTime")
    keys = {"Name": lambda pair: pair[0], "Status": lambda pair: (pair[1].get(status, ""), pair[0])}
    default = lambda pair: (pair[1].get(by, pair[1]["CreationTime"]), pair[0])  # noqa: E731
    is_descending = request.get("SortOrder", "Descending") == "Descending"
    found.sort(key=keys.get(by, default), reverse=is_descending)
    start = _start(request.get("NextToken"))
    stop = start + request.get("MaxResults", _PAGE)
    token = base64.b64encode(f"from {stop}".encode()).decode() if stop < len(found) else None
    return [document for _, document in found[start:stop]], token


def _is_wanted(name: str, document: Document, request: Mapping[str, Any], status: str) -> bool:
    if request.get("NameContains", "").lower() not in name.lower():
        return False
    if status and document.get(status) != request.get("StatusEquals", document.get(status)):
        return False
    for asked, member, is_before in _TIMES:
        if asked in request and member in document:
            bound, own = float(request[asked]), document[member]
            if not (own < bound if is_before else own > bound):
                return False
    return True


def _start(token: str | None) -> int:
    if not token:
        return 0
    try:
        word, number = base64.b64decode(token, validate=True).decode().split(" ")
        start = int(number)
    except ValueError:
        start, word = -1, ""
    if word != "from" or start < 0:
        raise invalid("Invalid value for NextToken: no page has given it.")
    return start
