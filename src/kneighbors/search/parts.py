"""The arrays that an index is saved as, taken back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kneighbors.errors import ArtifactError


def part_of(
    parts: Mapping[str, NDArray[Any]], name: str, dtype: type[Any], shape: tuple[int, ...]
) -> NDArray[Any]:
    """Return one part, if it is what the rows and the plan call for.

    Raises
    ------
    ArtifactError
        With code ``artifact-invalid``: a product with an array of another shape would fail deep in
        a query, or answer wrongly.

    Examples
    --------
    >>> part_of({"centre": np.zeros(3)}, "centre", np.float64, (3,)).shape
    (3,)
    """
    expected = f"Expected a part {name!r} of shape {shape} and dtype {np.dtype(dtype)}"
    if name not in parts:
        raise ArtifactError("artifact-invalid", f"{expected}, got none.")
    part = parts[name]
    if part.shape != shape or part.dtype != np.dtype(dtype):
        raise ArtifactError(
            "artifact-invalid", f"{expected}, got shape {part.shape} and dtype {part.dtype}."
        )
    return part
