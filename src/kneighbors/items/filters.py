"""A filter: which rows of a catalogue may be answers."""

from __future__ import annotations

import sys
from functools import cached_property, reduce
from typing import TYPE_CHECKING, Any

import numpy as np

from kneighbors.errors import ItemsRefused
from kneighbors.items.bitmaps import Bitmap, packed, unpacked
from kneighbors.items.buffers import BoolArray
from kneighbors.items.conditions import AllOf, Condition, Node, Not
from kneighbors.items.filter_reading import read_filter
from kneighbors.items.predicates import Contains, Missing, OneOf, Predicate, evaluate
from kneighbors.items.reasons import reason_of

if TYPE_CHECKING:
    from kneighbors.items.catalog import Catalog


class Filter:
    """A filter that was checked against a catalogue.

    Made by `Filter.compile`. May be used by threads.

    Parameters
    ----------
    node : Node
        Its conditions.
    catalog : Catalog
        Whose rows it is about.

    Examples
    --------
    >>> from kneighbors.items import Catalog
    >>> items = {"variety": ["Malbec", "Syrah", "Malbec"], "price": [12.5, 20.0, 60.0]}
    >>> catalog = Catalog.from_data(3, items=items)
    >>> chosen = Filter.compile({"variety": "Malbec", "price": {"lt": 30}}, catalog)
    >>> chosen.mask(), chosen.n_matching
    (array([ True, False, False]), 1)
    """

    def __init__(self, node: Node, catalog: Catalog) -> None:
        self._node = node
        self._catalog = catalog

    @classmethod
    def compile(cls, spec: Any, catalog: Catalog, where: str = "filter") -> Filter:
        """Read a filter in JSON's terms.

        Parameters
        ----------
        spec : object
            As a JSON reader returns it; `docs/reference/filters.md` describes the language.
        catalog : Catalog
            Its schema decides what is right.
        where : str, default "filter"
            What the filter is called in refusals.

        Raises
        ------
        ParameterRefused
            ``filter-type``, ``filter-operator``, ``filter-value`` or ``filter-too-large``, with the
            path in the JSON.
        ItemsRefused
            ``items-column-unknown``; ``items-missing`` when the catalogue has no attributes.

        Notes
        -----
        Looks at no row. At most 200 conditions and 10,000 values, 16 levels deep.
        """
        if not catalog.has_items:
            raise ItemsRefused(
                "items-missing",
                "Expected an index with attributes, got one without.",
                where=where,
                hint="Leave the filter away, or train with --items.",
            )
        return cls(read_filter(spec, catalog.kinds, where), catalog)

    def mask(self) -> BoolArray:
        """Return which rows may be answers.

        Returns
        -------
        ndarray of shape (n_samples,), dtype bool
            Read-only, and the same object at every call.
        """
        return self._mask

    @property
    def n_matching(self) -> int:
        """Number of rows that may be answers."""
        return self._n_matching

    def reason(self) -> str | None:
        """Tell why no row can be an answer; None if one can.

        Returns
        -------
        str or None
            Two conditions that exclude each other, a value that no row has, or how many rows each
            condition leaves on its own.
        """
        if self._n_matching:
            return None
        return reason_of(self._node, self._count)

    @cached_property
    def _mask(self) -> BoolArray:
        return unpacked(self._bitmap(self._node), self._catalog.n_samples)

    @cached_property
    def _n_matching(self) -> int:
        return int(np.count_nonzero(self._mask))

    def _count(self, node: Node) -> int:
        return int(np.count_nonzero(unpacked(self._bitmap(node), self._catalog.n_samples)))

    def _bitmap(self, node: Node) -> Bitmap:
        if isinstance(node, Condition):
            return self._of_condition(node)
        if isinstance(node, Not):
            return ~self._bitmap(node.node)
        if not node.nodes:
            return packed(np.full(self._catalog.n_samples, isinstance(node, AllOf)))
        combine = np.bitwise_and if isinstance(node, AllOf) else np.bitwise_or
        return reduce(combine, map(self._bitmap, node.nodes))

    def _of_condition(self, condition: Condition) -> Bitmap:
        bitmap = self._of_predicate(condition.predicate)
        if not condition.negated:
            return bitmap
        return ~(bitmap | self._of_predicate(Missing(condition.predicate.column)))

    def _of_predicate(self, predicate: Predicate) -> Bitmap:
        values = predicate.values if isinstance(predicate, (OneOf, Contains)) else ()
        return self._catalog.bitmaps.get(
            predicate,
            lambda: evaluate(predicate, self._catalog.column(predicate.column)),
            key_bytes=sum(map(sys.getsizeof, values)),
        )

    def __repr__(self) -> str:
        return f"Filter({self._n_matching} of {self._catalog.n_samples} rows)"
