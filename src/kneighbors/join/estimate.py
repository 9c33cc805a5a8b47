"""What a join will take, from a small piece of it that is done and thrown away."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kneighbors.artifact import Artifact
from kneighbors.generations import open_saved
from kneighbors.join.answering import Answering
from kneighbors.join.joining import plan_of
from kneighbors.join.output import part_bytes
from kneighbors.join.queries import open_queries
from kneighbors.join.settings import JoinSettings

#: Queries that are answered to see how long they take, in several places of all.
_SAMPLE = 256
_PLACES = 4


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a join will take.

    Attributes
    ----------
    queries, parts, rows_per_part : int
    corpus_rows : int
    n_neighbors : int or None
        None where a radius alone decides.
    sampled : int
        Queries that the next two come from.
    seconds : float
        Of all queries, were they all as those.
    bytes : int
        Of all files of answers, likewise.
    """

    queries: int
    parts: int
    rows_per_part: int
    corpus_rows: int
    n_neighbors: int | None
    sampled: int
    seconds: float
    bytes: int

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return asdict(self)


def estimate(
    queries: str | None,
    model: str | Path | Artifact,
    settings: JoinSettings | None = None,
    *,
    threads: int = 1,
) -> Estimate:
    """Answer a few queries, and say what all will take; nothing is written.

    Parameters
    ----------
    queries, model, settings, threads
        As of `kneighbors.join.join`.

    Raises
    ------
    KNeighborsError
        As there.
    """
    settings = settings or JoinSettings()
    artifact = model if isinstance(model, Artifact) else open_saved(model, threads=threads)
    try:
        answering = Answering(artifact, settings)
        source = open_queries(queries, artifact, settings)
        plan = plan_of(artifact, source, answering, settings)
        size = min(_SAMPLE // _PLACES, plan.n_queries)
        last = plan.n_queries - size
        starts = sorted({last * place // (_PLACES - 1) for place in range(_PLACES)})
        # What is done once, such as reading attributes, is not multiplied.
        answering.table(source.range(0, 1), 0)
        began = time.perf_counter()
        length = 0
        for start in starts:
            table = answering.table(source.range(start, start + size), start)
            length += len(part_bytes(plan, 0, table))
        seconds = time.perf_counter() - began
        sampled = size * len(starts)
        return Estimate(
            queries=plan.n_queries,
            parts=plan.n_parts,
            rows_per_part=plan.rows_per_part,
            corpus_rows=artifact.manifest.n_samples,
            n_neighbors=answering.n_neighbors,
            sampled=sampled,
            seconds=round(seconds / sampled * plan.n_queries, 3),
            bytes=length * plan.n_queries // sampled,
        )
    finally:
        if artifact is not model:
            artifact.close()
