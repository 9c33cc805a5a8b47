"""What the first records of a CSV say about all of it: names, and what each column is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kneighbors.corpus.numerals import could_be_number, is_number
from kneighbors.corpus.records import Block, cells_of
from kneighbors.corpus.roles import Column, Kind, Roles, Wanted, choose
from kneighbors.corpus.text_vectors import looks_like_vector
from kneighbors.errors import CorpusRefused

#: From so many columns on, a record 0, 1, 2, ... is no accident but a header.
_SURE_HEADER = 8
_MAX_DIGITS = 9
_OTHER_SEPARATORS = {b";": "semicolons", b"\t": "tabs", b"|": "bars"}


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of a CSV.

    Attributes
    ----------
    names : tuple of str
        Of the header; ``column_1``, ``column_2`` ... without one.
    has_header : bool
        Whether the first record is one.
    roles : Roles
        What they are.
    """

    names: tuple[str, ...]
    has_header: bool
    roles: Roles


def layout_of(
    block: Block, wanted: Wanted, demand: Callable[[Sequence[str]], None] = lambda names: None
) -> Layout:
    """Decide the layout of a CSV by its first two records.

    Parameters
    ----------
    block : Block
        The first of the file.
    wanted : Wanted
        What the caller asked for.
    demand : callable, optional
        Gets the names before their roles are decided, to refuse them if it has to.

    The first record is a header unless one of its cells is a number that no column would be
    called: one with a point or an exponent, or an integer that does not count on from 0 or 1. A
    record of integers from 0 on is a header if the next record has other numbers; where that does
    not tell, and the columns are few, it is refused.

    Raises
    ------
    CorpusRefused
        With code ``corpus-columns`` or ``corpus-encoding``.
    """
    found = [
        _texts(record, f"{block.shown}, line {line}")
        for (line, record), _ in zip(block.records(), range(2), strict=False)
    ]
    first, second = found[0], found[1] if len(found) > 1 else None
    where = f"{block.shown}, line {block.line}"
    if first == [""]:
        raise CorpusRefused(
            "corpus-ragged", "Expected a header or a row, got a blank line.", where=where
        )
    has_header = _is_header(first, second, where)
    sample = second if has_header else first
    named = [text.strip() for text in first]
    names = tuple(named if has_header else (f"column_{n + 1}" for n in range(len(first))))
    demand(names)
    if sample is None:
        raise CorpusRefused("corpus-empty", "Expected rows, got a header alone.", where=block.shown)
    kinds = [_kind(text) for text in sample]
    # A record of another length is refused later, with its line; here, what is missing is empty.
    kinds += ["number"] * (len(names) - len(kinds))
    columns = [Column(name, kind) for name, kind in zip(names, kinds, strict=False)]
    _check_separator(block, columns)
    return Layout(names, has_header, choose(columns, wanted, block.shown, has_header))


def _texts(record: bytes, where: str) -> list[str]:
    try:
        return [cell.data.decode() for cell in cells_of(record)]
    except UnicodeDecodeError as error:
        raise CorpusRefused(
            "corpus-encoding",
            f"Expected UTF-8, got the byte 0x{record[error.start]:02x}.",
            where=where,
        ) from error


def _is_header(first: Sequence[str], second: Sequence[str] | None, where: str) -> bool:
    numbers = [text.strip() for text in first if is_number(text)]
    if not numbers:
        # A row without any number is data only if it holds vectors, or NaN in place of numbers.
        return not any(looks_like_vector(text) for text in first) and not all(
            could_be_number(text) and text for text in first
        )
    if not all(text.isdigit() and len(text) <= _MAX_DIGITS for text in numbers):
        return False
    counted = [int(text) for text in numbers]
    if counted[0] not in (0, 1) or counted != list(range(counted[0], counted[0] + len(counted))):
        return False
    if len(counted) >= _SURE_HEADER or len(counted) < len(first):
        return True
    if second is not None and any(is_number(text) and not _is_integer(text) for text in second):
        return True
    raise CorpusRefused(
        "corpus-columns",
        f"Expected a header or a row of numbers, got {','.join(first)}, which may be either.",
        where=where,
        hint="Give the columns names with letters, or write the first row with decimal points.",
    )


def _is_integer(text: str) -> bool:
    return text.strip().lstrip("+-").isdigit()


def _kind(text: str) -> Kind:
    if could_be_number(text):
        return "number"
    return "text vector" if looks_like_vector(text) else "other"


def _check_separator(block: Block, columns: Sequence[Column]) -> None:
    if len(columns) > 1 or columns[0].kind == "text vector":
        return
    first = block.data[: int(block.ends[0])]
    for byte, name in _OTHER_SEPARATORS.items():
        if byte in first:
            raise CorpusRefused(
                "corpus-columns",
                f"Expected cells between commas, got {name}.",
                where=f"{block.shown}, line {block.line}",
            )
