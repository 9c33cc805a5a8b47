"""Which format an answer is written in: the Accept header against what the formats carry."""

from __future__ import annotations

from functools import lru_cache
from typing import Never

from kneighbors.errors import BodyRefused
from kneighbors.formats.media import Accepted, MediaType, parse_accept
from kneighbors.formats.registry import ALIASES, CSV, FORMATS, JSON, MEDIA_TYPES
from kneighbors.formats.text import shown

_LABELS = (*FORMATS, *ALIASES)
_NOTHING: frozenset[str] = frozenset()


@lru_cache(maxsize=512)
def negotiate(accept: str | None, source: str = JSON, needs: frozenset[str] = _NOTHING) -> Accepted:
    """Return the format of the answer that suits a client best.

    Parameters
    ----------
    accept : str, optional
        The Accept header. None and the empty string accept everything.
    source : str, default="application/json"
        Canonical media type of the request, preferred where the client leaves the choice.
    needs : frozenset of {"ragged", "items"}, default=frozenset()
        What the format has to carry.

    Returns
    -------
    Accepted
        Of the formats with the highest weight, the one named most precisely; then the request's
        own; then the one named first; then the order of `FORMATS`.

    Raises
    ------
    BodyRefused
        With code ``accept-malformed``; ``accept-unsupported`` where no format is acceptable;
        ``accept-ragged`` or ``accept-items`` where those acceptable cannot carry the answer.

    Examples
    --------
    >>> negotiate("*/*", source="text/csv").name
    'text/csv'
    >>> negotiate("application/x-npy", needs=frozenset({"items"}))
    Traceback (most recent call last):
    kneighbors.errors.BodyRefused: Expected an Accept header that allows application/json or \
application/jsonlines, since attributes have no place in 'application/x-npy'.
    """
    ranges = parse_accept(accept) if accept else []
    if not ranges:
        ranges = [MediaType("*/*")]
    offers = [offer for label in _LABELS if (offer := _weigh(label, ranges, source)) is not None]
    if not offers:
        raise BodyRefused(
            "accept-unsupported",
            f"Expected an Accept header that allows one of {', '.join(MEDIA_TYPES)}, got "
            f"{shown(accept)}.",
        )
    able = [offer for offer in offers if needs <= FORMATS[offer[1].name].carries]
    if not able:
        _refuse_narrow(accept, needs)
    return max(able, key=lambda offer: offer[0])[1]


def _weigh(
    label: str, ranges: list[MediaType], source: str
) -> tuple[tuple[float, ...], Accepted] | None:
    """Return how much a client wants a media type, as a key to sort by, or None if not at all."""
    name = ALIASES.get(label, label)
    patterns = (label,) if label in ALIASES else (label, f"{label.partition('/')[0]}/*", "*/*")
    for vagueness, pattern in enumerate(patterns):
        matching = [(place, one) for place, one in enumerate(ranges) if one.name == pattern]
        if not matching:
            continue
        # The most precise range decides, even where it says no.
        place, media = max(matching, key=lambda pair: pair[1].weight)
        if media.weight == 0:
            return None
        key = (media.weight, -vagueness, name == source, -place, -_LABELS.index(label))
        return key, Accepted(name, _content_type(label, media.parameters), media.parameters)
    return None


def _content_type(label: str, parameters: dict[str, str]) -> str:
    if label == CSV and parameters.get("header", "").lower() == "present":
        return "text/csv; header=present"
    return label


def _refuse_narrow(accept: str | None, needs: frozenset[str]) -> Never:
    able = [name for name, form in FORMATS.items() if needs <= form.carries]
    code, what = (
        ("accept-items", "attributes have")
        if "items" in needs
        else ("accept-ragged", "rows of different lengths have")
    )
    raise BodyRefused(
        code,
        f"Expected an Accept header that allows {' or '.join(able)}, since {what} no place in "
        f"{shown(accept)}.",
    )
