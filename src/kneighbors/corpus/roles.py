"""Which column is what: the vector, one of its dimensions, an id, or an attribute.

The rule, in this order; whatever it cannot decide is refused, and the refusal names the options:

1. The column that was asked for (``vector_column``), or the columns (``columns``).
2. A column named ``review_vector``.
3. The only column of vectors, as lists of floats or as texts such as ``[0.1 0.2]``, or the only
   series of columns of numbers, whose names end in consecutive integers after one common text:
   ``0, 1, 2``, ``d0, d1``, ``dim_000, dim_001``, ``x1, x2``. A series is put in the order of its
   integers. A column in it that holds something else is a fault of the file, unless most of them
   do.
4. The only column of lists of integers.

Without names (CSV without a header), the only column of vectors, or all columns of numbers.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from kneighbors.errors import CorpusRefused

#: The column of the layout in which published wine embeddings are found.
VECTOR_NAME = "review_vector"
_NUMBERED = re.compile(r"(.*?)([0-9]+)", re.DOTALL)
#: What pandas calls an index that had no name, in CSV and in Parquet.
_INDEX_NAME = re.compile(r"|Unnamed: 0(?:\.[0-9]+)*|__index_level_0__")
_MAX_NAMES = 8
_MAX_DIGITS = 9

Kind = Literal["number", "floats", "integers", "text vector", "other"]


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a file, before its role is known.

    Attributes
    ----------
    name : str
        Its name, unique in the file.
    kind : {"number", "floats", "integers", "text vector", "other"}
        What it holds: one number a row, a list of floats or of integers, a vector as text, or
        anything else.
    """

    name: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the caller asked for; the arguments of `read_corpus`."""

    vector_column: str | None = None
    id_column: str | None = None
    columns: Sequence[str] | str | None = None


@dataclass(frozen=True, slots=True)
class Roles:
    """What the columns of a file are.

    Attributes
    ----------
    vector : str or None
        The column of whole vectors.
    dimensions : tuple of str
        The columns of one number each, in the order of the dimensions, where `vector` is None.
    others : tuple of str
        The rest, in the order of the file: ids and attributes.
    """

    vector: str | None
    dimensions: tuple[str, ...]
    others: tuple[str, ...]


def is_index_name(name: str) -> bool:
    """Tell whether pandas gave this name to an index without one.

    Examples
    --------
    >>> [is_index_name(name) for name in ("", "Unnamed: 0", "__index_level_0__", "index")]
    [True, True, True, False]
    """
    return _INDEX_NAME.fullmatch(name) is not None


def choose(columns: Sequence[Column], wanted: Wanted, where: str, has_names: bool = True) -> Roles:
    """Decide what the columns of a file are.

    Parameters
    ----------
    columns : sequence of Column
        In the order of the file.
    wanted : Wanted
        What was asked for.
    where : str
        The file, for messages.
    has_names : bool, default=True
        Whether the names come from the file.

    Raises
    ------
    CorpusRefused
        With code ``corpus-columns``, when a column that was asked for is not there, or the rule
        decides nothing or between several.

    Examples
    --------
    >>> columns = [Column("id", "other"), Column("d0", "number"), Column("d1", "number")]
    >>> choose(columns, Wanted(), "wines.csv")
    Roles(vector=None, dimensions=('d0', 'd1'), others=('id',))
    """
    names = [column.name for column in columns]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise _refusal(
            f"Expected names that differ, got several columns named {_list(twice)}.", where
        )
    if wanted.id_column is not None:
        _demand([wanted.id_column], names, "id_column", where)
    vector, dimensions = _vector(columns, wanted, where, has_names)
    used = {vector, *dimensions} - {None}
    if wanted.id_column in used:
        raise _refusal(f"Expected ids beside the vector, got {wanted.id_column!a} as both.", where)
    return Roles(vector, dimensions, tuple(name for name in names if name not in used))


def _vector(
    columns: Sequence[Column], wanted: Wanted, where: str, has_names: bool
) -> tuple[str | None, tuple[str, ...]]:
    names = [column.name for column in columns]
    if wanted.vector_column is not None:
        if wanted.columns is not None:
            raise _refusal("Expected vector_column or columns, got both.", where)
        _demand([wanted.vector_column], names, "vector_column", where)
        return wanted.vector_column, ()
    if wanted.columns is not None:
        return None, _asked_for(wanted.columns, names, where)
    free = [column for column in columns if column.name != wanted.id_column]
    if any(column.name == VECTOR_NAME and column.kind != "number" for column in free):
        return VECTOR_NAME, ()
    whole = _of_kind(free, "floats", "text vector")
    numbers = [name for name in _of_kind(free, "number") if not is_index_name(name)]
    if not has_names and not whole and numbers:
        return None, tuple(numbers)
    series = list(_series([column.name for column in free], set(numbers))) if has_names else []
    if not whole and not series:
        whole = _of_kind(free, "integers")
    if len(whole) == 1 and not series:
        return whole[0], ()
    if len(series) == 1 and not whole:
        return None, series[0]
    if whole or series:
        found = [_list(whole)] * bool(whole) + [_span(members) for members in series]
        raise _refusal(
            f"Expected one column of vectors or one series of numbered columns, got "
            f"{' and '.join(found)}.",
            where,
            "Name the vector with vector_column, or its dimensions with columns.",
        )
    broken = [
        f" Those named {prefix!a} and a number are no series: {_gaps(found)}."
        for prefix, found in _numbered(names).items()
        if len(found) > 1 and _gaps(found)
    ]
    raise _refusal(
        "Expected a column of vectors, or columns of numbers whose names end in consecutive "
        f"integers (0, 1, 2 or d0, d1, d2), got the columns {_list(names)}.{''.join(broken[:1])}",
        where,
        "Name the vector with vector_column, or its dimensions with columns.",
    )


def _asked_for(asked: Sequence[str] | str, names: list[str], where: str) -> tuple[str, ...]:
    if isinstance(asked, str):
        found = _numbered(names).get(asked, [])
        gaps = _gaps(found)
        if gaps or not found:
            raise _refusal(
                f"Expected columns named {asked!a} and consecutive integers, got {_list(names)}"
                f"{f', where {gaps}' if gaps else ''}.",
                where,
            )
        return tuple(name for _, name in sorted(found))
    if not asked or len(set(asked)) < len(asked):
        raise _refusal("Expected names in columns, each of them once.", where)
    _demand(asked, names, "columns", where)
    return tuple(asked)


def _series(names: Iterable[str], numbers: set[str]) -> Iterator[tuple[str, ...]]:
    """Yield the names that share a text before consecutive integers, two or more of them.

    At least half of them must be of columns of numbers: one that is none is a fault to be named,
    and not a reason to overlook the rest.
    """
    for found in _numbered(names).values():
        members = tuple(name for _, name in sorted(found))
        if len(members) > 1 and not _gaps(found) and 2 * len(numbers & set(members)) >= len(found):
            yield members


def _numbered(names: Iterable[str]) -> dict[str, list[tuple[int, str]]]:
    members: dict[str, list[tuple[int, str]]] = {}
    for name in names:
        found = _NUMBERED.fullmatch(name)
        if found and len(found[2]) <= _MAX_DIGITS:
            members.setdefault(found[1], []).append((int(found[2]), name))
    return members


def _gaps(found: list[tuple[int, str]]) -> str:
    """Return what keeps numbered names from being a series, or nothing."""
    numbers = sorted(number for number, _ in found)
    for before, after in pairwise(numbers):
        if after == before:
            return f"{after} occurs twice"
        if after > before + 1:
            return f"{before + 1} is missing"
    return ""


def _of_kind(columns: Iterable[Column], *kinds: Kind) -> list[str]:
    return [column.name for column in columns if column.kind in kinds]


def _demand(asked: Iterable[str], names: list[str], argument: str, where: str) -> None:
    there = set(names)
    missing = [name for name in asked if name not in there]
    if missing:
        raise _refusal(
            f"Expected the columns that {argument} names, got none named {_list(missing)} among "
            f"{_list(names)}.",
            where,
        )


def _span(series: tuple[str, ...]) -> str:
    return f"{series[0]!a} to {series[-1]!a}"


def _list(names: Sequence[str]) -> str:
    if len(names) > _MAX_NAMES:
        return f"{', '.join(map(ascii, names[: _MAX_NAMES - 1]))}, ... ({len(names)} in all)"
    return ", ".join(map(ascii, names)) or "none"


def _refusal(message: str, where: str, hint: str | None = None) -> CorpusRefused:
    return CorpusRefused("corpus-columns", message, where=where, hint=hint)
