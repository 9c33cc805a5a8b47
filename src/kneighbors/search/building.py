"""Building stages of bounds: one pass over the corpus fills all of them, block by block."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from kneighbors.search.codes import CodeDraft
from kneighbors.search.fine import FineBounds
from kneighbors.search.frame import Frame
from kneighbors.search.head import HeadBounds, blocks_of, columns_for, columns_of
from kneighbors.search.metrics import Float64Array
from kneighbors.search.product import EUCLIDEAN, ProductBounds, factors_of
from kneighbors.search.progress import Progress
from kneighbors.search.rotation import Rotated, Rotation
from kneighbors.search.rows import FloatArray, Rows
from kneighbors.search.staged import StagedBounds, plain_bounds


@dataclass(frozen=True)
class Sizes:
    """How many coordinates each stage takes; None where there is no such stage.

    Attributes
    ----------
    head, codes, fine : int or None
        With all coordinates, codes need no rotation.
    product : bool
        Whether the plain product is safe, and so there as the last resort.
    """

    head: int | None = None
    codes: int | None = None
    fine: int | None = None
    product: bool = True


class _Block:
    """Some rows of the corpus: as they are, placed, and rotated, each made when it is wanted."""

    def __init__(self, rotation: Rotation, start: int, V: FloatArray) -> None:
        self._rotation = rotation
        self.V = V
        self.start = start
        self.part = slice(start, start + len(V))

    @cached_property
    def placed(self) -> Float64Array:
        return self._rotation.frame.place(self.V)

    @cached_property
    def rotated(self) -> Rotated:
        return self._rotation(self.placed)


class _Draft(Protocol):
    """Bounds in the making."""

    def fill(self, block: _Block) -> None:
        """Take in a block of rows."""


class _Head:
    def __init__(self, frame: Frame, basis: Float64Array, n_samples: int) -> None:
        self.size = basis.shape[1]
        columns = np.empty((columns_for(frame, self.size), n_samples), np.float32)
        self.bounds = HeadBounds(frame, basis, columns)

    def fill(self, block: _Block) -> None:
        self.bounds.columns[:, block.part] = columns_of(block.rotated, self.size)


class _Fine:
    def __init__(self, frame: Frame, basis: Float64Array, n_samples: int) -> None:
        self.size = basis.shape[1]
        columns = np.empty((n_samples, columns_for(frame, self.size)), np.float32)
        self.bounds = FineBounds(frame, basis, columns)

    def fill(self, block: _Block) -> None:
        self.bounds.columns[block.part] = columns_of(block.rotated, self.size).T


class _Codes:
    def __init__(self, draft: CodeDraft) -> None:
        self.draft = draft

    def fill(self, block: _Block) -> None:
        if self.draft.basis is None:
            self.draft.fill_plain(block.start, block.placed)
        else:
            self.draft.fill(block.start, block.rotated)


class _Plain:
    def __init__(self, metric: str, rows: Rows) -> None:
        factors = np.empty((1 + (metric in EUCLIDEAN), rows.shape[0]), np.float32)
        self.bounds: ProductBounds = plain_bounds(metric, rows, factors)

    def fill(self, block: _Block) -> None:
        metric = self.bounds.frame.metric
        self.bounds.factors[:, block.part] = factors_of(metric, block.V)


def build_stages(
    frame: Frame,
    basis: Float64Array,
    sizes: Sizes,
    sample: Float64Array,
    rows: Rows,
    progress: Progress,
) -> StagedBounds:
    """Build the stages whose sizes are given.

    Parameters
    ----------
    frame : Frame
    basis : ndarray of shape (n_features, n_features), dtype float64
        Orthonormal columns, the most telling first.
    sizes : Sizes
        With a head, or with the product.
    sample : ndarray of shape (n, n_features)
        Placed rows.
    rows : Rows
    progress : callable

    Notes
    -----
    Costs 2 * n_samples * n_features * size operations in float64, size being that of the largest
    stage, and a few blocks of 16 MiB of memory beside the bounds.
    """
    n_samples, n_features = rows.shape

    def first(size: int) -> Float64Array:
        return np.ascontiguousarray(basis[:, :size])

    head = _Head(frame, first(sizes.head), n_samples) if sizes.head else None
    fine = _Fine(frame, first(sizes.fine), n_samples) if sizes.fine else None
    plain = _Plain(frame.metric, rows) if sizes.product else None
    codes = None
    rotated = 0
    if sizes.codes:
        rotated = sizes.codes if sizes.codes < n_features else 0
        codes = _Codes(CodeDraft(frame, first(rotated) if rotated else None, sample, n_samples))
    rotation = Rotation(frame, first(max(sizes.head or 0, sizes.fine or 0, rotated)))
    drafts: list[_Draft] = [draft for draft in (head, fine, codes, plain) if draft is not None]
    for start, stop in blocks_of(n_samples, n_features):
        block = _Block(rotation, start, rows.slice(start, stop))
        for draft in drafts:
            draft.fill(block)
        progress("rotating", stop, n_samples)
    coarse = head or plain
    if coarse is None:
        raise ValueError("Expected a head or the product.")
    return StagedBounds(
        coarse.bounds,
        None if codes is None else codes.draft.bounds(),
        None if fine is None else fine.bounds,
        None if plain is None else plain.bounds,
    )
