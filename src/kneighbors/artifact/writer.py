"""Saving an index: every byte hashed as it is written, on disk before the artifact exists."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import AbstractContextManager, closing
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kneighbors import __version__
from kneighbors.artifact.manifest import MAX_MANIFEST_BYTES, Manifest, Part
from kneighbors.artifact.names import PART_NAME
from kneighbors.artifact.npy import build_header, dtype_code
from kneighbors.artifact.partfile import PartFile
from kneighbors.artifact.publishing import publish, resolved
from kneighbors.artifact.staging import Stage
from kneighbors.errors import ItemsRefused, ParameterRefused
from kneighbors.items import Catalog
from kneighbors.items.lists import Lists
from kneighbors.items.vocabulary import Vocabulary
from kneighbors.search.graph import GraphIndex
from kneighbors.search.graph_opening import Index
from kneighbors.search.progress import Progress, ignore
from kneighbors.search.rows import Rows

#: Length of the blocks of vectors that have a checksum each; docs/reference/artifact-format.md has
#: the measurements that chose it.
BLOCK_BYTES = 1 << 16

#: Vectors read and written at a time.
_SLAB_BYTES = 1 << 23

#: How the names of parts begin that no index may use.
_RESERVED = ("vectors", "items", "ids", "vocabulary", "lists")


def save(
    path: str | os.PathLike[str],
    index: Index,
    catalog: Catalog | None = None,
    *,
    vocabulary: Vocabulary | None = None,
    lists: Lists | None = None,
    overwrite: bool = False,
    source: Mapping[str, Any] | None = None,
    created: str | None = None,
    progress: Progress | None = None,
) -> Manifest:
    """Save an index, with what its rows are, as a directory.

    The directory appears whole or not at all: whatever interrupts the saving, at the path is what
    was there before, or the new artifact.

    Parameters
    ----------
    path : str or path
        A new path, an empty directory, or with `overwrite` an artifact. Its parent must exist.
    index : ExactIndex or GraphIndex
        What to save. Its vectors are read in slabs of 8 MiB and may be larger than memory.
    catalog : Catalog, optional
        Ids and attributes of the rows; without one the row numbers are the ids.
    vocabulary : Vocabulary, optional
        Terms that can be a query, with vectors as wide as the index's.
    lists : Lists, optional
        Named lists of rows.
    overwrite : bool, default False
        Replace an artifact that is there. Anything else is never replaced; other files beside an
        artifact stay.
    source : mapping, optional
        Where the corpus came from, in values that JSON has; kept in the manifest as it is.
    created : str, optional
        When, in UTC, such as ``"2026-01-02T03:04:05Z"``; now, by default. With it, the same index
        gives the same bytes.
    progress : callable, optional
        Called as ``progress("writing", done, total)`` in rows.

    Returns
    -------
    Manifest

    Raises
    ------
    StorageError
        ``artifact-exists`` or ``storage-exists`` when something is there; ``storage-full``,
        ``storage-forbidden``, ``storage-read-only`` and others when the system refuses. Nothing is
        left behind.
    ItemsRefused
        ``items-count`` when the catalogue is one of another number of rows; ``vocabulary-width``
        when the terms' vectors are of another width; ``row-unknown`` when a list names a row that
        is not there.
    ParameterRefused
        ``artifact-path``, or ``artifact-source`` when `source` is no JSON or too long.

    Notes
    -----
    Writes as fast as SHA-256 is taken twice, about 0.9 GB/s, or as the disk takes it.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from pathlib import Path
    >>> from kneighbors.artifact import open_artifact, save
    >>> from kneighbors.items import Catalog
    >>> from kneighbors.search.index import ExactIndex
    >>> from kneighbors.search.rows import ArrayRows
    >>> X = np.eye(3, dtype=np.float32)
    >>> index = ExactIndex.build(ArrayRows(X), "cosine")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "wines"
    ...     _ = save(path, index, Catalog(3, ids=["merlot", "syrah", "malbec"]))
    ...     with open_artifact(path) as artifact:
    ...         distances, indices = artifact.index.kneighbors(X[1:2], 1)
    ...         artifact.catalog.ids_of(indices[0])
    ['syrah']
    """
    catalog = Catalog(index.n_samples) if catalog is None else catalog
    if catalog.n_samples != index.n_samples:
        raise ItemsRefused(
            "items-count",
            f"Expected a catalogue of {index.n_samples} rows, got one of {catalog.n_samples}.",
        )
    lists = Lists() if lists is None else lists
    _check_fit(index, vocabulary, lists)
    target = resolved(path)
    # What is in the manifest by the caller's choice is looked at before anything is written.
    draft = _manifest(index, catalog, {}, source or {}, created)
    manifest: list[Manifest] = []

    def write(stage: Stage) -> bytes:
        parts = _Writing(stage, progress or ignore).write(index, catalog, vocabulary, lists)
        data = _manifest(index, catalog, parts, source or {}, draft.created).to_bytes()
        # Read back: what the rules would refuse later is not written now.
        manifest[:] = [Manifest.from_bytes(data)]
        return data

    publish(target, overwrite, write)
    return manifest[0]


def _check_fit(index: Index, vocabulary: Vocabulary | None, lists: Lists) -> None:
    if vocabulary is not None:
        vocabulary.check_width(index.n_features)
    for name in lists.names:
        rows = lists.rows(name)
        if len(rows) and not 0 <= rows[0] <= rows[-1] < index.n_samples:
            raise ItemsRefused(
                "row-unknown",
                f"Expected rows from 0 to {index.n_samples - 1}, got {rows[0]} to {rows[-1]}.",
                where=f"list {name!r}",
            )


class _Writing:
    """The parts of one artifact on their way into a stage."""

    def __init__(self, stage: Stage, progress: Progress) -> None:
        self._stage = stage
        self._progress = progress
        self._parts: dict[str, Part] = {}

    def write(
        self, index: Index, catalog: Catalog, vocabulary: Vocabulary | None, lists: Lists
    ) -> dict[str, Part]:
        # First, since a graph is bound to them by their SHA-256.
        self._vectors(index.rows)
        for name, array in _parts_of(index, self._parts["vectors"].sha256).items():
            if name.partition("-")[0] in _RESERVED or not PART_NAME.fullmatch(name):
                raise ValueError(f"A part of an index cannot be called {name!r}.")
            self._array(name, "index", array)
        for name, array in catalog.parts().items():
            # A reader can do without the slots: the ids are in order as well.
            self._array(name, "lookup" if name == "ids-slots" else "ids", array)
        for name, array in ({} if vocabulary is None else vocabulary.parts()).items():
            self._array(name, "vocabulary", array)
        for name, array in lists.parts().items():
            self._array(name, "lists", array)
        if catalog.table is not None:
            self._table(catalog.table)
        return self._parts

    def _array(self, name: str, role: str, array: NDArray[Any]) -> None:
        code = dtype_code(array.dtype)
        data = np.ascontiguousarray(array, dtype=code)
        with self._file(f"{name}.npy") as file:
            file.write(build_header(code, data.shape))
            if data.size:
                file.write(data.data.cast("B"))
        self._keep(name, role, file, code, data.shape)

    def _table(self, table: Any) -> None:
        from kneighbors.artifact.table import write_table

        with self._file("items.arrow") as file:
            write_table(file, table)
        self._keep("items", "items", file, "arrow", (table.num_rows, table.num_columns))

    def _vectors(self, rows: Rows) -> None:
        code = dtype_code(rows.dtype)
        n_samples, n_features = rows.shape
        step = max(1, _SLAB_BYTES // (n_features * rows.dtype.itemsize))
        with self._file("vectors.npy", BLOCK_BYTES) as file:
            file.write(build_header(code, rows.shape))
            for start in range(0, n_samples, step):
                stop = min(start + step, n_samples)
                slab = np.ascontiguousarray(rows.slice(start, stop), dtype=code)
                file.write(slab.data.cast("B"))
                self._progress("writing", stop, n_samples)
        self._keep("vectors", "vectors", file, code, rows.shape)
        checksums = np.frombuffer(file.checksums, dtype=np.uint8).reshape(-1, 32)
        self._array("vectors-blocks", "checksums", checksums)

    def _file(self, name: str, block_bytes: int | None = None) -> AbstractContextManager[PartFile]:
        return closing(self._stage.create(name, block_bytes))

    def _keep(
        self, name: str, role: str, file: PartFile, code: str, shape: tuple[int, ...]
    ) -> None:
        shape = tuple(int(length) for length in shape)
        self._parts[name] = Part(name, role, file.name, file.bytes, file.sha256, code, shape)


def _parts_of(index: Index, origin: str) -> dict[str, NDArray[Any]]:
    return index.parts(origin) if isinstance(index, GraphIndex) else index.parts()


def _manifest(
    index: Index,
    catalog: Catalog,
    parts: Mapping[str, Part],
    source: Mapping[str, Any],
    created: str | None = None,
) -> Manifest:
    manifest = Manifest(
        metric=index.metric,
        n_samples=index.n_samples,
        n_features=index.n_features,
        dtype=index.rows.dtype.name,
        id_type=catalog.id_type,
        plan=index.plan,
        parts=parts,
        block_bytes=BLOCK_BYTES,
        created=created or datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        writer={"kneighbors": __version__, "numpy": np.__version__},
        source=source,
    )
    try:
        length = len(manifest.to_bytes())
    except (TypeError, ValueError, RecursionError) as error:
        raise ParameterRefused(
            "artifact-source", f"Expected a source of values that JSON has ({error})."
        ) from error
    # Half of it is left to the parts, which are few.
    if length > MAX_MANIFEST_BYTES // 2:
        raise ParameterRefused(
            "artifact-source",
            f"Expected a source of at most {MAX_MANIFEST_BYTES // 2:,} bytes as JSON, "
            f"got {length:,} with the rest of the manifest.",
        )
    return manifest
