"""A model as the page sees it: facets, names, a map. Everything is made once, when first asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from kneighbors import __version__
from kneighbors.errors import ItemsRefused, KNeighborsError
from kneighbors.items.vocabulary_checks import folded
from kneighbors.server.explorer.colours import N_COLOURS, by_range, by_value
from kneighbors.server.explorer.facets import Facet, facet, kind_of, numbers_of
from kneighbors.server.explorer.frames import frame
from kneighbors.server.explorer.projection import Projection, sampled

if TYPE_CHECKING:
    import pyarrow as pa

    from kneighbors.sagemaker.model import Model

T = TypeVar("T")

#: Points that a map has; of more rows it shows a sample.
MOST_POINTS = 250_000
#: Names that are searched; a larger corpus is found by id alone.
_MOST_NAMES = 3_000_000
_MOST_TERMS = 20
#: Rows that decide which attribute is the title.
_LOOKED_AT = 10_000
#: What is made once.
_MADE = ("about", "preparing", "projection", "map")
_TITLES = ("title", "name", "label", "headline", "product")


class View:
    """What the explorer shows of one model.

    Parameters
    ----------
    model : Model

    Notes
    -----
    May be used by threads: whichever asks first makes a thing, the others wait for it.
    """

    def __init__(self, model: Model) -> None:
        self.model = model
        self._catalog = model.catalog
        self._locks = {name: threading.Lock() for name in _MADE}
        self._made: dict[str, Any] = {}

    def about(self) -> bytes:
        """Return the model's facts, schema and facets, as JSON."""
        return self._once("about", lambda: json.dumps(self._about()).encode())

    def prepare(self) -> None:
        """Begin to make what the page asks for first, before it asks; does not wait."""
        self._once("preparing", self._begin_to_prepare)

    def search(self, typed: str, limit: int) -> dict[str, Any]:
        """Return the rows that are called as was typed; the one whose id it is comes first."""
        rows = self._by_id(typed)
        if typed.strip() and self.model.n_samples <= _MOST_NAMES:
            matches = self._catalog.search_text(typed, self._title, limit)
            rows += [match.row for match in matches if match.row not in rows]
        return {"results": self.items(rows[:limit])}

    def items(self, rows: list[int]) -> list[dict[str, Any]]:
        """Return row, id and attributes of each row."""
        ids = self._catalog.ids_of(rows)
        attributes = self._catalog.attributes_of(rows)
        return [
            {"row": row, "id": id_, "attributes": values}
            for row, id_, values in zip(rows, ids, attributes, strict=True)
        ]

    def places(self, rows: list[int]) -> list[list[float]]:
        """Return where rows lie on the map."""
        order = np.argsort(rows)
        placed = np.empty((len(rows), 2))
        placed[order] = self._projection.points(np.asarray(rows, np.int64)[order])
        return np.round(placed, 5).tolist()  # type: ignore[no-any-return]

    def map(self) -> bytes:
        """Return the map's points: a frame of coordinates, and of rows where it is a sample."""
        return self._once("map", self._map)

    def colours(self, name: str) -> bytes:
        """Return the colours of the map's points by an attribute, with the legend in the header.

        Raises
        ------
        ItemsRefused
            With code ``items-column-unknown``.
        """
        table = self._catalog.table
        if table is None or name not in table.column_names:
            self._catalog.attributes_of([], [name])  # refuses it
            raise ItemsRefused("items-missing", "Expected attributes to colour by, got none.")
        column, described = table[name], facet(name, table[name])
        header: dict[str, Any] = {"column": name, "kind": described["kind"]}
        rows = sampled(self.model.n_samples, MOST_POINTS)
        if described["kind"] in ("values", "list"):
            header["values"] = [one["value"] for one in described["values"][:N_COLOURS]]
            codes = by_value(column, header["values"])
        elif described["kind"] in ("range", "date"):
            numbers = numbers_of(column)
            known = numbers[np.isfinite(numbers)]
            least, most = float(known.min()), described.get("top", float(known.max()))
            header |= {"min": described["min"], "max": described.get("top", described["max"])}
            codes = by_range(numbers, least, most)
        else:
            codes = np.zeros(len(column), np.uint8)
        return frame(header, codes[rows])

    def terms(self, typed: str) -> dict[str, Any]:
        """Return the terms that begin, or have a word that begins, as was typed."""
        vocabulary = getattr(self.model.artifact, "vocabulary", None)
        if vocabulary is None:
            return {"terms": []}
        wanted = folded(typed)
        begin = [term for term in vocabulary.terms if folded(term).startswith(wanted)]
        inside = [term for term in vocabulary.terms if f" {wanted}" in folded(term)]
        alike = [] if begin or inside else vocabulary.suggestions(typed)
        return {"terms": list(dict.fromkeys([*begin, *inside, *alike]))[:_MOST_TERMS]}

    def _once(self, name: str, make: Callable[[], T]) -> T:
        with self._locks[name]:
            if name not in self._made:
                self._made[name] = make()
            made: T = self._made[name]
            return made

    @cached_property
    def _title(self) -> str | None:
        return title_of(self._catalog.table)

    def _begin_to_prepare(self) -> threading.Thread:
        thread = threading.Thread(target=self._prepare, name="kneighbors-explorer", daemon=True)
        thread.start()
        return thread

    def _prepare(self) -> None:
        # What is wrong is told to whoever asks.
        with suppress(KNeighborsError):
            self.about()
            if self.model.n_samples <= _MOST_NAMES:
                self._catalog.search_text("", self._title, 1)
            self.map()

    @property
    def _projection(self) -> Projection:
        index = self.model.index
        return self._once(
            "projection", lambda: Projection(index.rows, is_angular=index.metric == "cosine")
        )

    def _map(self) -> bytes:
        n_samples = self.model.n_samples
        rows = sampled(n_samples, MOST_POINTS)
        places = np.round(self._projection.points(rows) * 65_535).astype(np.uint16)
        is_sample = len(rows) < n_samples
        header = {"n": len(rows), "n_samples": n_samples, "is_sample": is_sample}
        arrays = [places, rows.astype(np.uint32)] if is_sample else [places]
        return frame(header, *arrays)

    def _by_id(self, typed: str) -> list[int]:
        id_ = typed.strip()
        try:
            wanted = id_ if self._catalog.id_type == "string" else int(id_)
            rows: list[int] = self._catalog.rows_of([wanted]).tolist()
        except (ItemsRefused, ValueError):
            return []
        return rows

    def _about(self) -> dict[str, Any]:
        model, table = self.model, self._catalog.table
        columns: list[Facet] = []
        if table is not None:
            columns = [facet(name, table[name]) for name in table.column_names]
        artifact = model.artifact
        vocabulary = getattr(artifact, "vocabulary", None)
        lists = getattr(artifact, "lists", None)
        return {
            "name": "" if artifact is None else artifact.path.name,
            "version": __version__,
            "generation": model.facts["generation"],
            "metric": model.metric,
            "n_samples": model.n_samples,
            "n_features": model.n_features,
            "id_type": self._catalog.id_type,
            "n_neighbors": model.default_n_neighbors,
            "max_neighbors": min(model.n_samples, model.limits.max_neighbors),
            "title": self._title,
            "columns": columns,
            "n_terms": 0 if vocabulary is None else len(vocabulary),
            "lists": [] if lists is None else list(lists.names),
        }


def title_of(table: pa.Table | None) -> str | None:
    """Return the attribute by which people know an item: the text that differs most between rows.

    Examples
    --------
    >>> import pyarrow as pa
    >>> title_of(pa.table({"kind": ["a", "a", "b"], "called": ["x", "y", "z"], "year": [1, 2, 3]}))
    'called'
    """
    if table is None:
        return None
    best, most = None, 0.5
    head = table.slice(0, _LOOKED_AT)
    for name in table.column_names:
        if kind_of(table.schema.field(name).type) != "values":
            continue
        column = head[name]
        distinct = len(column.unique()) / max(1, len(column))
        distinct += name.lower() in _TITLES  # the word for it goes before what differs more
        if distinct > most:
            best, most = name, distinct
    return best
