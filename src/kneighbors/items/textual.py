"""Columns of text, given the types that their cells show."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

#: What each cell of a column must look like for it to be something else than text. Whatever would
#: change on the way back stays text: leading zeros as in 007, or a sign that would be lost.
_FORMS = {
    "int64": r"^(0|-?[1-9][0-9]*)$",
    "float64": r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]{1,3})?$",
    "bool": r"^(true|false)$",
}


def narrowed(text: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column of text as integers, floats or booleans, if that is what every cell says.

    Examples
    --------
    >>> import pyarrow as pa
    >>> str(narrowed(pa.chunked_array([["1", None, "-30"]])).type)
    'int64'
    >>> str(narrowed(pa.chunked_array([["007", "8"]])).type)
    'string'
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if text.null_count == len(text):
        return text
    for kind, form in _FORMS.items():
        if not pc.all(pc.match_substring_regex(text, form)).as_py():
            continue
        try:
            return text.cast(pa.type_for_alias(kind))
        except pa.ArrowInvalid:
            # More digits than 64 bits hold: as a float it would lose some.
            return text
    return text
