"""Where the queries come from: files of vectors, or the corpus itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from kneighbors.artifact import Artifact
from kneighbors.corpus.ranges import RangedCorpus
from kneighbors.errors import ParameterRefused, Refused
from kneighbors.join.settings import JoinSettings
from kneighbors.search.gate import check_queries
from kneighbors.search.rows import FloatArray, RowArray
from kneighbors.storage import Address

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """Some queries.

    Parameters
    ----------
    vectors : ndarray of shape (n_queries, n_features)
        Checked by the gate.
    ids : pyarrow.Array or None
        What they are called.
    own_rows : ndarray of shape (n_queries,), dtype int64, or None
        The row of the corpus that each is, or -1; None if that is not asked for.
    """

    vectors: FloatArray
    ids: pa.Array | None
    own_rows: RowArray | None


class Queries(Protocol):
    """Queries that are read a range at a time."""

    n_queries: int
    facts: dict[str, Any]

    def range(self, first: int, stop: int) -> Asked:
        """Return some of them."""


def open_queries(address: str | None, artifact: Artifact, settings: JoinSettings) -> Queries:
    """Return the queries at an address; those of the corpus itself without one.

    Raises
    ------
    CorpusRefused, StorageError
        As reading them raises it.
    ParameterRefused
        ``exclude-self-needs-ids`` if queries without ids, or a corpus without, are to exclude
        themselves.
    """
    if address is None:
        return OwnRows(artifact, settings)
    return FileQueries(address, artifact, settings)


class OwnRows:
    """The corpus as its own queries.

    Parameters
    ----------
    artifact : Artifact
    settings : JoinSettings
    """

    def __init__(self, artifact: Artifact, settings: JoinSettings) -> None:
        self._artifact = artifact
        self._excludes = settings.exclude_self is not False
        self.n_queries = artifact.manifest.n_samples
        self.facts: dict[str, Any] = {"queries": "the corpus itself"}

    def range(self, first: int, stop: int) -> Asked:
        """Return some rows of the corpus."""
        rows = np.arange(first, stop, dtype=np.int64)
        catalog = self._artifact.catalog
        ids = None
        if catalog.id_type != "row":
            ids = id_array(catalog.ids_of(rows), catalog.id_type)
        vectors = self._artifact.index.rows.slice(first, stop)
        return Asked(vectors, ids, rows if self._excludes else None)


class FileQueries:
    """Queries in files, read as a corpus is.

    Parameters
    ----------
    address : str
    artifact : Artifact
        What they are asked of.
    settings : JoinSettings
    """

    def __init__(self, address: str, artifact: Artifact, settings: JoinSettings) -> None:
        self._corpus = RangedCorpus(
            address,
            vector_column=settings.vector_column,
            id_column=settings.id_column,
            columns=settings.columns,
        )
        self._artifact = artifact
        self._shown = Address.parse(address).shown
        self._excludes = bool(settings.exclude_self)
        if self._excludes and artifact.catalog.id_type == "row":
            raise ParameterRefused(
                "exclude-self-needs-ids",
                "Expected a corpus with ids, for queries to leave themselves out; got one without.",
                hint="Join the corpus with itself, without QUERIES.",
            )
        self.n_queries = self._corpus.shape[0]
        self.facts: dict[str, Any] = {"queries": self._shown, "files": self._corpus.sources}
        # Another width is told before anything is written.
        self.range(0, 1)

    def range(self, first: int, stop: int) -> Asked:
        """Read some of the queries."""
        part = self._corpus.range(first, stop)
        index = self._artifact.index
        try:
            vectors = check_queries(part.X, index.n_features, index.metric, name="queries")
        except Refused as error:
            where = f"{self._shown}, of the rows from {first} on"
            if error.where:
                where += f", {error.where}"
            raise type(error)(error.code, error.message, where=where, hint=error.hint) from error
        return Asked(vectors, part.ids, self._own_rows(part.ids) if self._excludes else None)

    def _own_rows(self, ids: Any) -> RowArray:
        if ids is None:
            raise ParameterRefused(
                "exclude-self-needs-ids",
                "Expected queries with ids, to leave themselves out; got none.",
                hint="Name their column with --id-column.",
            )
        catalog = self._artifact.catalog
        values = ids.to_pylist()
        kind = str if catalog.id_type == "string" else int
        if not all(isinstance(value, kind) for value in values):
            raise ParameterRefused(
                "exclude-self-needs-ids",
                f"Expected queries whose ids are of the kind of the corpus's, {catalog.id_type}.",
            )
        found: RowArray = catalog.lookup.find(values)
        return found


def id_array(ids: list[str | int], id_type: str) -> pa.Array:
    """Return ids as an Arrow array."""
    import pyarrow as pa

    return pa.array(ids, pa.string() if id_type == "string" else pa.int64())
