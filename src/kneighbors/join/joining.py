"""The join itself: what is missing is made, a part at a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from kneighbors.artifact import Artifact
from kneighbors.errors import ParameterRefused, StorageError
from kneighbors.generations import open_saved
from kneighbors.join.answering import Answering
from kneighbors.join.output import SUCCESS, Output, total_bytes
from kneighbors.join.plan import JoinPlan
from kneighbors.join.queries import Queries, open_queries
from kneighbors.join.report import JoinReport
from kneighbors.join.settings import JoinSettings
from kneighbors.search.progress import Progress, ignore

Say = Callable[[str], None]


def join(
    queries: str | None,
    model: str | Path | Artifact,
    output: str,
    settings: JoinSettings | None = None,
    *,
    resume: bool = False,
    overwrite: bool = False,
    threads: int = 1,
    progress: Progress = ignore,
    say: Say = lambda text: None,
) -> JoinReport:
    """Find the neighbours of every query, and write them to Parquet files.

    Parameters
    ----------
    queries : str or None
        Where they are, as `kneighbors.corpus.read_corpus` takes it; None means every row of the
        corpus.
    model : str, Path or Artifact
        An artifact, sharded or not; an opened one stays open.
    output : str
        A new directory or prefix, local or on S3.
    settings : JoinSettings, optional
        What is asked of each query.
    resume : bool, default=False
        Go on with a run that was ended, whose parts are kept. If there was none, begin.
    overwrite : bool, default=False
        Remove what an earlier join wrote, and begin.
    threads : int, default=1
        Shards that are searched at the same time.
    progress : Progress, optional
        Called as ``progress("joining", done, total)`` in queries.
    say : callable, optional
        Called with lines for a log.

    Returns
    -------
    JoinReport

    Raises
    ------
    StorageError
        ``join-exists`` if there are answers and neither of the two is given, ``storage-exists``
        for other things there, ``join-part`` or ``join-journal`` for what was changed since,
        ``join-busy`` while another join writes there.
    ParameterRefused
        ``join-differs`` if the run that was begun was another.
    KNeighborsError
        As opening the model, reading the queries and searching raise it.

    Notes
    -----
    Each part is whole or not there, so a run may be killed at any instant. Memory: what the search
    needs, and some hundred bytes for each neighbour of a part.

    Examples
    --------
    >>> import numpy as np
    >>> from kneighbors import NearestNeighbors
    >>> from kneighbors.join import JoinSettings, join
    >>> folder = getfixture("tmp_path")
    >>> X = np.array([[0.0, 0.0], [3.0, 4.0], [6.0, 8.0]])
    >>> NearestNeighbors().fit(X).save(folder / "M")
    >>> report = join(None, folder / "M", str(folder / "out"), JoinSettings(n_neighbors=1))
    >>> report.queries, report.parts
    (3, 1)
    >>> from pyarrow import parquet
    >>> parquet.read_table(folder / "out").column("rows").to_pylist()
    [[1], [0], [1]]
    """
    if resume and overwrite:
        raise ParameterRefused(
            "parameter-conflict", "Expected either resume or overwrite, got both."
        )
    settings = settings or JoinSettings()
    artifact = model if isinstance(model, Artifact) else open_saved(model, threads=threads)
    try:
        began = time.perf_counter()
        answering = Answering(artifact, settings)
        source = open_queries(queries, artifact, settings)
        plan = plan_of(artifact, source, answering, settings)
        with Output(output).locked():
            place = Output(output)
            plan = _prepared(place, plan, settings, resume=resume, overwrite=overwrite, say=say)
            kept = _answer_all(place, plan, source, answering, progress)
            parts = place.finish(plan)["parts"]
        seconds = time.perf_counter() - began
        return JoinReport(
            place.shown, plan.n_queries, plan.n_parts, kept, total_bytes(parts), seconds
        )
    finally:
        if artifact is not model:
            artifact.close()


def plan_of(
    artifact: Artifact, source: Queries, answering: Answering, settings: JoinSettings
) -> JoinPlan:
    """Return what a join is to do."""
    n_neighbors = answering.n_neighbors or 1
    return JoinPlan(
        model=artifact.manifest.digest,
        asked={**settings.asked(), "n_neighbors": answering.n_neighbors},
        queries=source.facts,
        n_queries=source.n_queries,
        rows_per_part=settings.part_rows(artifact.index.n_features, n_neighbors),
    )


def _prepared(
    place: Output,
    plan: JoinPlan,
    settings: JoinSettings,
    *,
    resume: bool,
    overwrite: bool,
    say: Say,
) -> JoinPlan:
    """Look at what is there, and write down what is to be done."""
    place.refuse_foreign()
    if overwrite:
        place.clear()
    if not (place.is_empty or resume):
        raise StorageError(
            "join-exists",
            "Expected a new output, got one with answers of a join.",
            where=place.shown,
            hint="Choose another, or ask to go on with it (--resume) or to begin anew "
            "(--overwrite).",
        )
    place.sweep()
    earlier = place.earlier()
    if earlier is not None:
        before, done = earlier
        if settings.rows_per_part is None:
            # How it was cut is no question of what is asked.
            plan = JoinPlan(
                plan.model, plan.asked, plan.queries, plan.n_queries, before.rows_per_part
            )
        plan.refuse_other(before, place.shown)
        say(f"{SUCCESS} is there already." if done else "Going on with an earlier run.")
    elif not place.is_empty:
        # Parts without a journal: whose they are is not known.
        raise StorageError(
            "join-journal",
            "Expected the journal of the run that wrote these parts, got none.",
            where=place.shown,
            hint="Ask for them to be overwritten.",
        )
    else:
        place.begin(plan)
    return plan


def _answer_all(
    place: Output, plan: JoinPlan, source: Queries, answering: Answering, progress: Progress
) -> int:
    """Make the parts that are missing; return how many were there."""
    kept = 0
    for part in range(plan.n_parts):
        first, stop = plan.span(part)
        if place.has_part(plan, part):
            kept += 1
        else:
            place.write_part(plan, part, answering.table(source.range(first, stop), first))
        progress("joining", stop, plan.n_queries)
    return kept
