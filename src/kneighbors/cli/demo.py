"""``kneighbors demo``: the whole job on this machine, and scikit-learn's answer beside ours."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np
from numpy.typing import NDArray

from kneighbors.cli.console import stdout_console
from kneighbors.cli.failures import EXIT_FAULT, Ended
from kneighbors.cli.screen import Screen

if TYPE_CHECKING:
    from kneighbors.cli.demo_compare import Agreement
    from kneighbors.cli.demo_server import DemoServer
    from kneighbors.datasets import Wines
    from kneighbors.search.index import ExactIndex

_EPILOG = """\b
Examples:
  kneighbors demo
  kneighbors demo --n 20000 --keep wines

It needs the extras cli and serve, a gigabyte and a half of memory and 300 MB
in the directory for temporary files. Everything that is shown was measured in
the same run.

\b
Exit codes: 0 the answers are scikit-learn's own; 1 they are not, or something
failed; 2 wrong usage; 130 interrupted.
"""

_METRIC = "cosine"
_N_NEIGHBORS = 10
_TERMS = ("black cherry", "vanilla", "tobacco")
_MORE_QUERIES = 31
_TIMING_BUDGET_S = 12.0
_COLUMNS = ("name", "country", "points")


@click.command(name="demo", epilog=_EPILOG)
@click.option(
    "--n",
    type=click.IntRange(min=_N_NEIGHBORS, max=10_000_000),
    default=180_000,
    show_default=True,
    metavar="N",
    help="Number of wines.",
)
@click.option("--keep", metavar="DIR", help="Save the artifact there, and leave it there.")
def command(n: int, keep: str | None) -> None:
    """Fit, save, serve and query wines, and compare with scikit-learn.

    The wines, their tasting terms and their 300-dimensional embeddings are
    generated. The server is a real one, on a free port of this machine.
    """
    show = Screen(stdout_console())
    holder: Any = nullcontext(None) if keep else tempfile.TemporaryDirectory(prefix="kneighbors-")
    with holder as folder:
        model = Path(keep) if keep else Path(folder) / "wines"
        ok = _run(show, n, model)
    if keep:
        show.line(f"Kept. Try: kneighbors serve {keep}")
    if not ok:
        raise Ended(EXIT_FAULT)


def _run(show: Screen, n: int, model: Path) -> bool:
    from kneighbors.cli.demo_server import DemoServer

    wines, index = _prepared(show, n, model)
    query = wines.embed(_TERMS)
    with show.stage("starting a server") as stage, DemoServer(model) as server:
        stage.done(f"{server.url}, healthy {server.ready_s:.2f} s after its command")
        answer = server.predict(query)
        show.line()
        show.line(f"POST /invocations, application/x-npy: the vector of {', '.join(_TERMS)}")
        show.line()
        show.line(nested(answer))
        _show_names(show, wines, answer)
        return _compared(show, wines, index, server, query, answer)


def _prepared(show: Screen, n: int, model: Path) -> tuple[Wines, ExactIndex]:
    """Generate, fit and save."""
    from kneighbors import artifact
    from kneighbors.datasets import make_wines
    from kneighbors.items import Catalog
    from kneighbors.search.gate import check_corpus
    from kneighbors.search.index import ExactIndex
    from kneighbors.search.rows import ArrayRows

    with show.stage(f"generating {n:,} wines") as stage:
        wines = make_wines(n)
        stage.done(" x ".join(f"{length:,}" for length in wines.X.shape) + f" {wines.X.dtype}")
    with show.stage("fitting") as stage:
        index = ExactIndex.build(ArrayRows(check_corpus(wines.X, _METRIC)), _METRIC)
        stage.done(str(index.plan.get("reason", "")))
    with show.stage("saving") as stage:
        catalog = Catalog(n, wines.ids, wines.items)
        source = {"address": f"make_wines({n})", "n_neighbors": _N_NEIGHBORS}
        manifest = artifact.save(model, index, catalog, source=source)
        stage.done(f"{manifest.total_bytes / 1e6:,.0f} MB in {len(manifest.parts)} parts: {model}")
    return wines, index


def _show_names(show: Screen, wines: Wines, answer: NDArray[np.float64]) -> None:
    from kneighbors.cli.tables import answer_table

    distances, rows = answer[0], answer[1].astype(np.int64)
    prediction = {
        "distances": distances.tolist(),
        "indices": rows.tolist(),
        "ids": rows.tolist(),
        "items": wines.items.select(_COLUMNS).take(rows).to_pylist(),
    }
    show.console.print(answer_table(prediction, show.console.width))


def _compared(
    show: Screen,
    wines: Wines,
    index: ExactIndex,
    server: DemoServer,
    query: NDArray[np.float32],
    answer: NDArray[np.float64],
) -> bool:
    """Ask scikit-learn the same, and say what it answered and how long everyone took."""
    from kneighbors.cli.demo_compare import Contestant, compare, medians_ms
    from kneighbors.datasets import make_wines
    from kneighbors.server.cores import available_cores, set_blas_threads

    def all_cores() -> None:
        set_blas_threads(available_cores())

    queries = np.vstack([query, make_wines(_MORE_QUERIES, seed=1).X])
    with show.stage("asking scikit-learn") as stage:
        wide, narrow = _scikit_learn(wines.X.astype(np.float64)), _scikit_learn(wines.X)
        theirs = wide.kneighbors(queries.astype(np.float64))
        served = server.predict(queries)
        served[:, 0] = answer
        agreement = compare((served[0], served[1].astype(np.int64)), theirs)
        stage.done(f"{len(queries)} queries")
    with show.stage("timing") as stage:
        contestants = (
            Contestant("kneighbors, one thread", _in_process(index), lambda: set_blas_threads(1)),
            Contestant("kneighbors, over HTTP", lambda q: server.predict(q[0])),
            Contestant(
                "scikit-learn, float64", lambda q: wide.kneighbors(q.astype(np.float64)), all_cores
            ),
            Contestant("scikit-learn, float32", narrow.kneighbors, all_cores),
        )
        medians, turns = medians_ms(contestants, queries, _TIMING_BUDGET_S)
        stage.done(f"medians of {turns} single queries each, in turn")
    _show_times(show, medians)
    _show_verdict(show, agreement, list(medians.values()))
    return not agreement.faults


def _scikit_learn(X: NDArray[Any]) -> Any:
    """Return the walk-through's own model."""
    from sklearn.neighbors import NearestNeighbors

    return NearestNeighbors(n_neighbors=_N_NEIGHBORS, metric=_METRIC).fit(X)


def _in_process(index: ExactIndex) -> Any:
    """Return our model as scikit-learn's is: fitted in this process, its corpus in memory."""
    from kneighbors.search.gate import check_queries

    def ask(Q: NDArray[Any]) -> object:
        return index.kneighbors(check_queries(Q, index.n_features, _METRIC), _N_NEIGHBORS)

    return ask


def _show_times(show: Screen, medians: dict[str, float]) -> None:
    from kneighbors.cli.tables import new_table

    table = new_table()
    table.add_column("a query")
    table.add_column("median", justify="right")
    for name, value in medians.items():
        table.add_row(name, f"{value:.2f} ms")
    show.console.print(table)


def _show_verdict(show: Screen, agreement: Agreement, medians: Sequence[float]) -> None:
    if agreement.faults:
        show.line("The answers are not scikit-learn's:", style="red")
        for fault in agreement.faults:
            show.line(f"  {fault}")
        return
    in_process, over_http, wide, narrow = medians
    show.line(
        f"The ten rows and their distances are scikit-learn's own, and they came "
        f"{wide / in_process:.0f} times faster, {wide / over_http:.0f} times over HTTP.",
        style="bold green",
    )
    show.line(
        f"So were those of {agreement.queries - 1} more queries (no distance differs by more than "
        f"{agreement.largest_difference:.1e}). With float32 in scikit-learn: "
        f"{narrow / in_process:.0f} and {narrow / over_http:.0f} times."
    )


def nested(answer: NDArray[np.float64]) -> str:
    """Write an answer as numpy would, distances with three digits over whole rows.

    Parameters
    ----------
    answer : ndarray of shape (2, n_neighbors)

    Examples
    --------
    >>> print(nested(np.array([[0.1371, 0.1424], [91913, 24923]])))
    [[0.137 0.142]
     [91913 24923]]
    """
    lines = [
        [f"{distance:.3f}" for distance in answer[0]],
        [str(int(row)) for row in answer[1]],
    ]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    rows = [" ".join(text.rjust(w) for text, w in zip(line, widths, strict=True)) for line in lines]
    return f"[[{rows[0]}]\n [{rows[1]}]]"
