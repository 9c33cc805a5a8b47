"""Which rows may be answers at all: those asked for, those a filter leaves, less those named.

Each step narrows what the one before it left. Which of them took a row away is kept, for it is the
reason where too few rows are left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kneighbors.errors import ItemsRefused, ParameterRefused
from kneighbors.formats.request import Id, Parameters
from kneighbors.formats.text import shown
from kneighbors.items import Catalog
from kneighbors.search.rows import RowArray

if TYPE_CHECKING:
    from kneighbors.items.filters import Filter
    from kneighbors.items.lists import Lists

BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Allowed:
    """The rows that may be answers of all the queries of a request.

    Parameters
    ----------
    mask : ndarray of shape (n_samples,), dtype bool
        Read-only.
    is_included, is_filtered, is_listed : bool
        Whether a row was taken away by not being among those asked for, by the filter, by a list
        of exclusions.
    filter : Filter, optional
        For a word about why it leaves nothing.
    """

    mask: BoolArray
    is_included: bool = False
    is_filtered: bool = False
    is_listed: bool = False
    filter: Filter | None = None

    def shortage(self, excluded: RowArray) -> str:
        """Return why no more rows are left when a query excludes these besides."""
        if self.is_listed or bool(self.mask[excluded].any()):
            return "excluded"
        return "filter" if self.is_filtered else "included"

    def detail(self) -> str | None:
        """Return what the filter has to say where it leaves no row."""
        return None if self.filter is None else self.filter.reason()


class Allowing:
    """What the restrictions of a request are held against.

    Parameters
    ----------
    catalog : Catalog
    lists : Lists, optional
        Lists of rows by name.
    """

    def __init__(self, catalog: Catalog, lists: Lists | None = None) -> None:
        self.catalog = catalog
        self.lists = lists

    def allowed(self, parameters: Parameters, where: str) -> Allowed | None:
        """Return the rows that a request allows; None where it says nothing about them.

        Raises
        ------
        ItemsRefused, ParameterRefused
            For ids, lists and filters that there are not.
        """
        steps: list[BoolArray] = []
        is_included = is_filtered = is_listed = False
        n_samples = self.catalog.n_samples
        mask: BoolArray | None = None
        if parameters.include_ids is not None:
            rows = self.rows_of(parameters.include_ids, parameters, "include_ids")
            steps.append(_mask_of(rows, n_samples))
        if parameters.include_list is not None:
            rows = self._rows_listed(parameters.include_list, "include_list")
            steps.append(_mask_of(rows, n_samples))
        for step in steps:
            mask = step if mask is None else mask & step
        if mask is not None:
            is_included = not mask.all()
        compiled = None
        if parameters.filter is not None:
            compiled = self._compile(parameters.filter, where)
            matching = compiled.mask()
            is_filtered = not (matching.all() if mask is None else matching[mask].all())
            mask = matching if mask is None else mask & matching
        if parameters.exclude_list is not None:
            rows = self._rows_listed(parameters.exclude_list, "exclude_list")
            mask = np.ones(n_samples, dtype=np.bool_) if mask is None else mask.copy()
            is_listed = bool(mask[rows].any())
            mask[rows] = False
        if mask is None:
            return None
        return Allowed(mask, is_included, is_filtered, is_listed, compiled)

    def rows_of(self, ids: Sequence[Id], parameters: Parameters, name: str) -> RowArray:
        """Return the rows of the ids that a parameter holds, each once."""
        if not ids:
            return np.empty(0, dtype=np.int64)
        if name in parameters.ids_are_text and self.catalog.id_type != "string":
            ids = [_as_integer(one, name) for one in ids]
        try:
            return np.unique(self.catalog.rows_of(ids))
        except ItemsRefused as error:
            raise ItemsRefused(
                error.code, error.message, where=f"{name}, {error.where}", hint=error.hint
            ) from error

    def _rows_listed(self, names: Sequence[str], parameter: str) -> RowArray:
        if self.lists is None or not self.lists.names:
            raise ItemsRefused(
                "list-unknown",
                f"Expected a list of the artifact, got {shown(names[0])}.",
                where=parameter,
                hint="The artifact has no lists.",
            )
        found = []
        for name in names:
            try:
                found.append(self.lists.rows(name))
            except (ItemsRefused, ParameterRefused) as error:
                raise type(error)(
                    error.code, error.message, where=parameter, hint=error.hint
                ) from error
        return np.unique(np.concatenate(found))

    def _compile(self, spec: dict[str, Any], where: str) -> Filter:
        from kneighbors.items.filters import Filter

        return Filter.compile(spec, self.catalog, where)


def _mask_of(rows: RowArray, n_samples: int) -> BoolArray:
    mask = np.zeros(n_samples, dtype=np.bool_)
    mask[rows] = True
    return mask


def _as_integer(text: Id, name: str) -> int:
    digits = str(text)
    if not (digits.isascii() and digits.lstrip("+-").isdigit() and len(digits) <= 20):
        raise ItemsRefused("id-type", f"Expected an integer id, got {shown(text)}.", where=name)
    try:
        return int(digits)
    except ValueError as error:
        raise ItemsRefused(
            "id-type", f"Expected an integer id, got {shown(text)}.", where=name
        ) from error
