"""A corpus that was read: its vectors, and what else was written about each."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kneighbors.search.rows import FloatArray

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True, eq=False)
class Corpus:
    """What `read_corpus` returns.

    Attributes
    ----------
    X : ndarray of shape (n_samples, n_features), dtype float32 or float64
        C-contiguous, in native byte order. A read-only `numpy.memmap` where one local ``.npy``
        file holds just that. Not yet checked for NaN in binary files, nor for zero vectors: the
        search's own gate does it.
    ids : pyarrow.Array of length n_samples, or None
        Texts or integers, unique and without nulls; None if the files have none.
    items : pyarrow.Table with n_samples rows, or None
        The columns that are neither vector nor id; None if there are none.
    sources : list of dict
        The files in the order they were read, each with ``name``, ``rows``, ``bytes`` and
        ``sha256`` (None for files of more than 256 MiB).
    """

    X: FloatArray
    ids: pa.Array | None = None
    items: pa.Table | None = None
    sources: list[dict[str, Any]] = field(default_factory=list)
