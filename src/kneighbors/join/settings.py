"""What a join asks of each query, as a request would."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from kneighbors.errors import ParameterRefused

#: Queries of a part: enough to be searched well, few enough to be lost without pain.
DEFAULT_ROWS_PER_PART = 16_384


@dataclass(frozen=True, kw_only=True)
class JoinSettings:
    """What a join asks of each query.

    Parameters
    ----------
    n_neighbors : int, optional
        Neighbours of each query; by default what the artifact says. With a radius and none of
        them, all rows within it.
    radius : float, optional
        Largest distance of a neighbour.
    filter : dict, optional
        What the attributes of a neighbour have to be; `docs/reference/filters.md`.
    exclude_self : bool, optional
        Leave a query out of its own neighbours: its row where the corpus is joined with itself,
        which is the default there; else the row that has the query's id.
    exclude_ids, include_ids : tuple of (str or int), optional
        Rows that may not be neighbours, and the only ones that may.
    vector_column, id_column : str, optional
        Of the queries, as of `kneighbors.corpus.read_corpus`.
    columns : str or tuple of str, optional
        Likewise.
    rows_per_part : int, optional
        Queries that are answered and written together; 16,384, or fewer where memory is limited.
    memory_bytes : int, optional
        What a part may take, about; the parts are made so small.
    """

    n_neighbors: int | None = None
    radius: float | None = None
    filter: Any = None
    exclude_self: bool | None = None
    exclude_ids: tuple[str | int, ...] = ()
    include_ids: tuple[str | int, ...] | None = None
    vector_column: str | None = None
    id_column: str | None = None
    columns: str | tuple[str, ...] | None = None
    rows_per_part: int | None = None
    memory_bytes: int | None = None

    def __post_init__(self) -> None:
        for name in ("rows_per_part", "memory_bytes"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ParameterRefused(
                    "parameter-range", f"Expected {name} of at least 1, got {value}.", where=name
                )

    def asked(self) -> dict[str, Any]:
        """Return what the answers depend on, as JSON has it."""
        fields = asdict(self)
        del fields["rows_per_part"], fields["memory_bytes"]
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in fields.items()
        }

    def part_rows(self, n_features: int, n_neighbors: int) -> int:
        """Return how many queries a part has."""
        if self.rows_per_part is not None:
            return self.rows_per_part
        if self.memory_bytes is None:
            return DEFAULT_ROWS_PER_PART
        # Vectors as they are, in float64 and again for the search; then a distance, a row and an
        # id of each neighbour, as numpy, Python and Arrow have them.
        row_bytes = 24 * n_features + 200 * n_neighbors
        return max(1, min(DEFAULT_ROWS_PER_PART, self.memory_bytes // (4 * row_bytes)))
