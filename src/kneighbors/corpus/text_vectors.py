"""Vectors that were written as text, as ``str(array)`` or ``json.dumps(list)`` write them.

``[ 0.12 -0.03 ... ]`` over one line or several, separated by white space, or ``[0.12, -0.03]``,
separated by commas; the brackets may be missing. Columns are parsed by Arrow; where it stumbles,
cell by cell, to say which number it was.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kneighbors.corpus.numerals import Fault, is_number, read_number, shown

if TYPE_CHECKING:
    import pyarrow as pa

_SPACE = " \t\r\n\f\v"
_LOOKS_LIKE = re.compile(r"\s*\[\s*(?:[-+.]?[0-9]|[+-]?nan|[+-]?inf|\])", re.IGNORECASE)
_WORD = re.compile(r"[^ \t\r\n\f\v]+")
_TEXT_BYTES = 1 << 20
_TRUNCATED = (
    "Set numpy.set_printoptions(threshold=sys.maxsize) before the file is written, or save the "
    "vectors as Parquet."
)


def looks_like_vector(text: str) -> bool:
    """Tell whether a text begins as a bracketed vector does.

    Examples
    --------
    >>> looks_like_vector("[ 0.12 -0.03]"), looks_like_vector("[brackets]"), looks_like_vector("1")
    (True, False, False)
    """
    return _LOOKS_LIKE.match(text) is not None


def parse_column(cells: pa.StringArray, width: int | None) -> NDArray[np.float64] | None:
    """Return the vectors of a column of texts, or None if any cell wants a closer look.

    Parameters
    ----------
    cells : StringArray of length n
        No nulls.
    width : int or None
        The dimension; that of the first cell if None.

    Returns
    -------
    ndarray of shape (n, width), dtype float64, or None

    Notes
    -----
    Twice as fast as ``numpy.fromstring`` cell by cell. About 1 MiB of text is parsed at once,
    since Arrow needs six times the text on the way.
    """
    step = max(1, _TEXT_BYTES * len(cells) // max(1, cells.nbytes))
    parts = []
    for start in range(0, len(cells), step):
        part = _parse_part(cells.slice(start, step), width)
        if part is None:
            return None
        width = part.shape[1]
        parts.append(part)
    return np.concatenate(parts) if parts else None


def _parse_part(cells: pa.StringArray, width: int | None) -> NDArray[np.float64] | None:
    import pyarrow as pa
    import pyarrow.compute as pc

    if cells.null_count:
        return None
    cells = pc.ascii_trim(cells, characters=_SPACE)
    if not _all_bracketed(pc, cells):
        return None
    inner = pc.ascii_trim(cells, characters="[]" + _SPACE)
    commas = pc.max(pc.count_substring(inner, ",")).as_py()
    split = pc.split_pattern(inner, ",") if commas else pc.ascii_split_whitespace(inner)
    lengths = pc.list_value_length(split)
    width = lengths[0].as_py() if width is None else width
    if pc.min_max(lengths).as_py() != {"min": width, "max": width}:
        return None
    tokens = split.flatten()
    if commas:
        tokens = pc.ascii_trim(tokens, characters=_SPACE)
    try:
        numbers = pc.cast(tokens, pa.float64()).to_numpy()
    except pa.ArrowInvalid:
        return None
    vectors: NDArray[np.float64] = numbers.reshape(len(cells), width)
    return vectors if np.isfinite(vectors).all() else None


def _all_bracketed(pc: Any, cells: pa.StringArray) -> bool:
    """Tell whether each cell has one pair of brackets around it, or each has none."""
    opening = pc.min_max(pc.count_substring(cells, "[")).as_py()
    closing = pc.min_max(pc.count_substring(cells, "]")).as_py()
    if opening == closing == {"min": 0, "max": 0}:
        return True
    if not opening == closing == {"min": 1, "max": 1}:
        return False
    both = pc.and_(pc.starts_with(cells, "["), pc.ends_with(cells, "]"))
    return bool(pc.all(both).as_py())


def parse_cell(text: str, width: int | None) -> list[float] | Fault:
    r"""Return the vector that one text is, or what is wrong with it.

    Examples
    --------
    >>> parse_cell("[ 1.  2.5\n 3e-1]", 3)
    [1.0, 2.5, 0.3]
    >>> parse_cell("[1, 2]", 3).message
    'Expected 3 numbers, got 2.'
    """
    start = len(text) - len(text.lstrip(_SPACE))
    bare = text.strip(_SPACE)
    if not bare:
        return Fault("corpus-cell-empty", "Expected a vector, got nothing.", "Remove the row.")
    if bare.startswith("["):
        if not bare.endswith("]"):
            return Fault(
                "corpus-vector-text",
                "Expected a bracket at the end of the vector.",
                offset=start + len(bare),
            )
        start, bare = start + 1, bare[1:-1]
    fault = _fault_of_whole(bare)
    if fault is not None:
        return fault
    values: list[float] = []
    for offset, token in _tokens(bare):
        found = read_number(token)
        if isinstance(found, Fault):
            message = f"{found.message[:-1]}, as number {len(values) + 1} of the vector."
            return Fault(found.code, message, found.hint, start + offset)
        values.append(found)
    if width is not None and len(values) != width:
        return Fault("corpus-ragged", f"Expected {width} numbers, got {len(values)}.")
    return values if values else Fault("corpus-cell-empty", "Expected a vector, got no numbers.")


def _tokens(bare: str) -> Iterator[tuple[int, str]]:
    """Yield what should be numbers, each with its offset."""
    if "," not in bare:
        for word in _WORD.finditer(bare):
            yield word.start(), word[0]
        return
    offset = 0
    for token in bare.split(","):
        yield offset + len(token) - len(token.lstrip(_SPACE)), token.strip(_SPACE)
        offset += len(token) + 1


def _fault_of_whole(bare: str) -> Fault | None:
    """Return what is wrong with a vector as a whole, where the first token alone would puzzle."""
    if "..." in bare:
        return Fault(
            "corpus-vector-truncated",
            "Expected every number of the vector, got '...': whoever wrote the file left most of "
            "them out, and they cannot be had back from it.",
            _TRUNCATED,
            bare.index("..."),
        )
    if "[" in bare or "]" in bare:
        return Fault(
            "corpus-vector-text",
            "Expected one vector in one cell, got brackets within brackets.",
            offset=bare.find("[") + 1,
        )
    first = bare.split(",")[0].split()
    if first and not is_number(first[0]) and re.match(r"[A-Za-z]\w*\(", first[0]):
        return Fault(
            "corpus-vector-text",
            f"Expected numbers, got {shown(first[0])}.",
            "Write the vector as str(array) or as a JSON list.",
        )
    return None
