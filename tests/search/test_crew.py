"""The threads that work on one call together."""

from __future__ import annotations

import pytest

from kneighbors.search.crew import threads, together


def test_every_piece_is_done_once_by_whoever_comes_first() -> None:
    pieces = iter(list(range(1000)))
    done: list[int] = []

    def work() -> None:
        while (piece := next(pieces, None)) is not None:
            done.append(piece)

    together(work, 4)
    assert sorted(done) == list(range(1000))


def test_what_goes_wrong_on_any_thread_is_the_callers_to_know() -> None:
    def work() -> None:
        raise ValueError("no such piece")

    for _ in range(20):
        with pytest.raises(ValueError, match="no such piece"):
            together(work, 4)


def test_a_limit_on_threads_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert threads() == 1
    monkeypatch.setenv("OMP_NUM_THREADS", "many")
    assert threads() >= 1
