"""Upper bounds of all scores from *codes*: the head of each row in bytes, multiplied as integers.

A row z is again P h + r, but h is now ``middle + steps * a`` with small integers a, so that a row's
head takes a byte a coordinate. Any h is right, since the rest r is taken from the h that the codes
stand for. With g = P'q,

    z.q  =  h.g + r.(q - P g) + (P'r).g  <=  h.g + |r| |q - P g| + |P'r| |g|,

and each of these terms is a product of a number of the row with a number of the query, as is the
offset. All numbers of the row become codes, all numbers of the query become integers of one unit,
and a product of integers, exact in 32 bits, bounds every row. `docs/explanation/exact-search.md`
has the proof.

The product is the kernel's or NumKong's (the extra ``fast``). Where there is neither nothing here
is used: `kneighbors.search.head` bounds the same rows from float32 numbers, and the answers are the
same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kneighbors.search.frame import Frame
from kneighbors.search.metrics import Float64Array, lengths
from kneighbors.search.parts import part_of
from kneighbors.search.rotation import Rotated, Rotation
from kneighbors.search.rounding import MOST_CODE, Float32Array, round_up

if TYPE_CHECKING:
    from kneighbors.search.accelerator import Codes

Int8Array = NDArray[np.int8]

#: Columns of the offset: it is coarse in one byte, so that two share it.
_OFFSET_COPIES = 2
#: More than the relative error of a few float64 operations.
ROUNDING = 2.0**-40


def extra_columns(frame: Frame) -> int:
    """Return the number of bytes of a row beside its head."""
    return 3 + _OFFSET_COPIES * frame.has_offsets


@dataclass(frozen=True)
class Scale:
    """What the codes of some columns stand for: ``middle + step * code``.

    Attributes
    ----------
    middle, step : ndarray of shape (n_columns,), dtype float64
    """

    middle: Float64Array
    step: Float64Array

    @classmethod
    def over(cls, least: Float64Array, most: Float64Array, copies: int = 1) -> Scale:
        """Return the scale on which `copies` codes together reach from `least` to `most`."""
        step = (most - least) / (2 * MOST_CODE * copies)
        # Wider by a little, so that no rounding leads beyond the last code.
        return cls((most + least) / 2, np.maximum(step * (1 + ROUNDING), 2.0**-120))

    def nearest(self, values: Float64Array) -> Float64Array:
        """Return the codes nearest to values; what is out of reach gets the last one."""
        return np.clip(np.rint((values - self.middle) / self.step), -MOST_CODE, MOST_CODE)

    def above(self, values: Float64Array) -> Float64Array:
        """Return the least codes that stand for no less than the values."""
        codes = np.ceil((values - self.middle) / self.step)
        return codes + (self.value(codes) < values)

    def value(self, codes: Float64Array) -> Float64Array:
        """Return what codes stand for."""
        return self.middle + self.step * codes


class CodeBounds:
    """Upper bounds of scores by integer products.

    Parameters
    ----------
    frame : Frame
        Where the rows are placed.
    basis : ndarray of shape (n_features, m), dtype float64, or None
        Heads are the coordinates in its columns; None for all coordinates as they are.
    scale : ndarray of shape (2, n_columns), dtype float64
        Middle and step of every column.
    codes : ndarray of shape (n_samples, n_columns), dtype int8
        Heads, lengths of the rests, lengths of what the basis sees of the rests, offsets, and last
        the lengths of all other codes.
    """

    def __init__(
        self, frame: Frame, basis: Float64Array | None, scale: Float64Array, codes: Int8Array
    ) -> None:
        self.frame = frame
        self.basis = basis
        self.scale = Scale(scale[0], scale[1])
        self.codes = codes
        self.head_size = codes.shape[1] - extra_columns(frame)
        self.rotation = None if basis is None else Rotation(frame, basis)

    @classmethod
    def from_parts(
        cls, frame: Frame, shape: tuple[int, int], size: int, parts: Mapping[str, NDArray[Any]]
    ) -> CodeBounds:
        """Take the parts of a saved index."""
        n_samples, n_features = shape
        n_columns = size + extra_columns(frame)
        basis = None
        if size < n_features:
            basis = part_of(parts, "code_basis", np.float64, (n_features, size))
        return cls(
            frame,
            basis,
            part_of(parts, "code_scale", np.float64, (2, n_columns)),
            part_of(parts, "codes", np.int8, (n_samples, n_columns)),
        )

    def parts(self) -> dict[str, NDArray[Any]]:
        """Return the arrays to save."""
        scale = np.stack([self.scale.middle, self.scale.step])
        out: dict[str, NDArray[Any]] = {"codes": self.codes, "code_scale": scale}
        out["centre"] = self.frame.centre
        return out if self.basis is None else {**out, "code_basis": self.basis}

    @cached_property
    def packed(self) -> Codes | None:
        """The codes as the accelerator wants them, a private copy; None if there is none."""
        from kneighbors.search.accelerator import pack

        return pack(self.codes)


class CodeDraft:
    """The codes of a corpus in the making, block by block.

    Parameters
    ----------
    frame : Frame
    basis : ndarray of shape (n_features, m), dtype float64, or None
        None for all coordinates as they are.
    sample : ndarray of shape (n, n_features)
        Placed rows, from which the reach of the codes is taken. A row beyond it is bounded less
        tightly.
    n_samples : int
    """

    def __init__(
        self, frame: Frame, basis: Float64Array | None, sample: Float64Array, n_samples: int
    ) -> None:
        self.frame = frame
        self.basis = basis
        heads = sample if basis is None else sample @ basis
        self._scale = Scale.over(heads.min(axis=0), heads.max(axis=0))
        self._head_size = heads.shape[1]
        self.codes = np.empty((n_samples, self._head_size + extra_columns(frame)), np.int8)
        self._numbers = np.empty((3, n_samples), np.float32)

    def fill_plain(self, start: int, Z: Float64Array) -> None:
        """Take in placed rows, the first of which is row `start`, without a basis."""
        off = self._code(start, Z)
        own = lengths(Z)
        self._take(start, off, off, own, self.frame.slack * (own + off + self.frame.reach(Z)))

    def fill(self, start: int, rotated: Rotated) -> None:
        """Take in rotated rows, the first of which is row `start`."""
        heads = rotated.coordinates[:, : self._head_size]
        off = self._code(start, heads)
        rotation = rotated.rotation
        own = rotated.lengths
        error = rotation.error * (own + off + rotated.reach)
        seen = off + rotation.skew * (own + off)
        self._take(start, rotated.rests(heads, off), seen, own, error)

    def _code(self, start: int, heads: Float64Array) -> Float64Array:
        """Write the codes of heads, and return how far off they are, as a bound."""
        block = self._scale.nearest(heads)
        self.codes[start : start + len(heads), : self._head_size] = block
        off = self._scale.value(block) - heads
        return lengths(off) * (1 + self.frame.slack) + self.frame.slack * lengths(heads)

    def _take(
        self,
        start: int,
        rests: Float64Array,
        seen: Float64Array,
        own: Float64Array,
        error: Float64Array,
    ) -> None:
        slack = self.frame.slack
        offsets = -0.5 * own * own * (1 - 2 * slack)
        numbers = [rests * (1 + slack) + error, seen * (1 + slack) + 4 * error]
        numbers.append(offsets + error * own)
        self._numbers[:, start : start + len(own)] = round_up(np.stack(numbers))

    def bounds(self) -> CodeBounds:
        """Write the codes of all that is not the heads, and return the bounds."""
        scales, place = [self._scale], self._head_size
        for number, copies in zip(self._numbers, _copies(self.frame), strict=False):
            scales.append(_append(self.codes, place, number, copies))
            place += copies
        scales.append(_append_lengths(self.codes))
        middle = np.concatenate([np.atleast_1d(one.middle) for one in scales])
        step = np.concatenate([np.atleast_1d(one.step) for one in scales])
        return CodeBounds(self.frame, self.basis, np.stack([middle, step]), self.codes)


def _copies(frame: Frame) -> tuple[int, ...]:
    return (1, 1, _OFFSET_COPIES) if frame.has_offsets else (1, 1)


def _append(codes: Int8Array, place: int, number: Float32Array, copies: int) -> Scale:
    """Write the codes of a number, spread over some columns; return their scale."""
    values = number.astype(np.float64)
    scale = Scale.over(values.min(), values.max(), copies)
    whole = scale.above(values)
    for copy in range(copies):
        part = np.clip(np.ceil(whole / (copies - copy)), -MOST_CODE, MOST_CODE)
        codes[:, place + copy] = part
        whole = whole - part
    # Each copy stands for its share of the middle.
    return Scale(np.full(copies, scale.middle / copies), np.full(copies, scale.step))


def _append_lengths(codes: Int8Array) -> Scale:
    """Write the lengths of all other codes into the last column, and return its scale."""
    step = max(1, (1 << 22) // codes.shape[1])
    squares = np.empty(len(codes))
    for start in range(0, len(codes), step):
        block = codes[start : start + step, :-1].astype(np.float64)
        squares[start : start + step] = np.einsum("ij,ij->i", block, block)
    sizes = np.sqrt(squares)
    unit = max(float(sizes.max()) * (1 + ROUNDING) / MOST_CODE, 2.0**-120)
    codes[:, -1] = np.minimum(np.ceil(sizes * (1 + ROUNDING) / unit), MOST_CODE)
    return Scale(np.zeros(1), np.full(1, unit))
