"""Damaged bodies that come through one door, what is counted, and what an answer must be."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fuzz.corpora import corpus
from fuzz.mutation import Mutator
from kneighbors.errors import KNeighborsError
from kneighbors.formats import Parameters, Request
from kneighbors.server.statuses import status_of
from support.counts import Counts
from support.wire_bodies import read_answer
from support.wire_model import distances_to

#: Seconds for a body of some kilobytes; ten thousand times what most take.
MOST_SECONDS = 10.0


def short(content_type: str) -> str:
    """Return the last part of a content type."""
    return content_type.rpartition("/")[2]


class Trial:
    """Damaged bodies of one content type, one after the other.

    Parameters
    ----------
    content_type, door, seed : str
        Which together name the sequence of bodies.
    """

    def __init__(self, content_type: str, door: str, seed: str = "0") -> None:
        self.counts = Counts(f"damaged {short(content_type)}", door)
        self._mutator = Mutator(f"{content_type} {door} {seed}", corpus(content_type))
        self._body = b""

    def next(self) -> bytes:
        """Return the next body."""
        self.counts.tried += 1
        self._body = self._mutator.next()
        return self._body

    def __str__(self) -> str:
        return f"body {self.counts.tried} of {self.counts.kind}: {self._body[:2000]!r}"

    def refused(self, error: KNeighborsError) -> None:
        """Check a refusal: a 4xx, in words that can be sent."""
        if not 400 <= status_of(error) < 500:
            self.counts.status_5xx += 1
            pytest.fail(f"{error!r}: {self}")
        assert len(str(error).encode()) < 4000, self

    def took(self, seconds: float) -> None:
        """Check the time that a body took."""
        if seconds > MOST_SECONDS:
            self.counts.hangs += 1
            pytest.fail(f"{seconds:.1f} s: {self}")


def check_reply(X: NDArray[Any], request: Request, body: bytes, content_type: str) -> None:
    """Assert that an answer is one of neighbours by cosine; for plain vectors, brute force's.

    Raises
    ------
    AssertionError
    """
    answer = read_answer(body, content_type)
    assert request.n_queries == len(answer)
    given, default = request.parameters, Parameters()
    names = (one.name for one in fields(Parameters))
    is_plain = {n for n in names if getattr(given, n) != getattr(default, n)} <= {"n_neighbors"}
    for number, (distances, found) in enumerate(answer):
        assert np.isfinite(distances).all()
        # Diverse answers, and those between likes and dislikes, are in an order of their own.
        if not given.diversity and given.strategy == "mean":
            assert distances == sorted(distances)
        assert len(distances) == len(found) == len(set(found))
        assert all(0 <= row < len(X) for row in found)
        if request.vectors is None or not is_plain:
            continue
        assert (given.n_neighbors or 10) == len(found)
        q = request.vectors[number].astype(np.float64)
        every = distances_to(X, q / np.abs(q).max(), "cosine")
        np.testing.assert_allclose(distances, np.sort(every)[: len(found)], atol=1e-9)
        np.testing.assert_allclose(distances, every[found], atol=1e-9)
