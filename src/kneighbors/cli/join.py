"""``kneighbors join``: the neighbours of every row of a file, or of a corpus among themselves."""

from __future__ import annotations

import errno
import json
import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from kneighbors.cli.console import progress_bars, remark, write_json, write_line
from kneighbors.cli.sizes import bytes_of
from kneighbors.errors import ParameterRefused

if TYPE_CHECKING:
    from kneighbors.artifact import Artifact
    from kneighbors.join import Estimate, JoinSettings
    from kneighbors.search.progress import Progress

_EPILOG = """\b
Examples:
  kneighbors join queries.parquet --model M --output neighbours -k 20
  kneighbors join --model M --output neighbours --filter '{"price": {"lt": 30}}'
  kneighbors join --model M --output neighbours --dry-run
  kneighbors join --model M --output neighbours --resume

The answers are Parquet files in a directory, whole or not there, and a list of
them with checksums, _SUCCESS.json, that is written last. A run that was ended
in any way goes on with --resume.

\b
Exit codes: 0 done; 1 the queries, the artifact or the output is at fault;
2 wrong usage; 130 interrupted; 143 terminated.
"""

_INTEGER = re.compile(r"-?[0-9]{1,19}")
#: Seconds between two lines in a log.
_EVERY = 10.0


@click.command(name="join", epilog=_EPILOG)
@click.argument("queries", metavar="[QUERIES]", required=False)
@click.option("--model", required=True, metavar="M", help="Artifact, in shards or not; or a place.")
@click.option("--output", required=True, metavar="OUT", help="A new directory, or s3://...")
@click.option("-k", "--n-neighbors", type=int, metavar="N", help="Neighbours of each query.")
@click.option("--radius", type=float, metavar="R", help="Largest distance of a neighbour.")
@click.option("--filter", metavar="JSON", help="What the attributes have to be.")
@click.option(
    "--exclude-self/--include-self",
    default=None,
    help="Leave a query out of its own neighbours: by its row without QUERIES, where that is so "
    "unless said otherwise; by its id with them.",
)
@click.option("--exclude-id", "exclude_ids", multiple=True, metavar="ID", help="Leave out an id.")
@click.option("--include-id", "include_ids", multiple=True, metavar="ID", help="Allow only ids.")
@click.option("--vector-column", metavar="NAME", help="Column of the queries' vectors.")
@click.option(
    "--vector-columns", metavar="NAMES", help="Columns of one dimension each, or their beginning."
)
@click.option("--id-column", metavar="NAME", help="Column of the queries' ids.")
@click.option("--rows-per-part", type=int, metavar="N", help="Queries of a file; 16,384.")
@click.option(
    "--memory-limit",
    metavar="SIZE",
    help="Memory that may be taken, such as 2GiB; the system holds the process to it.",
)
@click.option(
    "--threads", type=int, default=1, metavar="N", help="Shards searched at a time; 1 by default."
)
@click.option("--cluster", metavar="ADDRESS", help="Search on a cluster: auto or ray://host:port.")
@click.option(
    "--replicas", type=int, default=1, metavar="N", help="Copies of each shard on the cluster."
)
@click.option("--resume", is_flag=True, help="Go on with a run that was ended.")
@click.option("--overwrite", is_flag=True, help="Remove what an earlier join wrote there.")
@click.option("--dry-run", is_flag=True, help="Say what it will take, and write nothing.")
@click.option("--no-progress", is_flag=True, help="No bar and no lines on stderr.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(
    queries: str | None,
    model: str,
    output: str,
    memory_limit: str | None,
    threads: int,
    cluster: str | None,
    replicas: int,
    resume: bool,
    overwrite: bool,
    dry_run: bool,
    no_progress: bool,
    as_json: bool,
    **asked: Any,
) -> None:
    """Find the nearest neighbours of every row, and write them to Parquet.

    QUERIES is .npy, .npz, .csv, .parquet or .arrow, or a directory of such
    files, here or on S3. Without it every row of the corpus is a query.
    """
    from kneighbors.join import estimate, join

    limit = None if memory_limit is None else bytes_of(memory_limit)
    if limit is not None:
        _take_memory_as_needed()
    with _opened(model, threads, cluster, replicas) as artifact:
        settings = _settings(asked, limit, artifact.catalog.id_type)
        if dry_run or limit is not None:
            # Under a limit too: code that is loaded later, and what a BLAS takes when it is first
            # called, would end the run in words of their own where they do not fit.
            found = estimate(queries, artifact, settings)
        if dry_run:
            if as_json:
                write_json(found.to_dict())
            else:
                _show(found)
            return
        with _held_to(limit), _progress(wanted=not no_progress) as progress:
            report = join(
                queries,
                artifact,
                output,
                settings,
                resume=resume,
                overwrite=overwrite,
                progress=progress,
                say=remark,
            )
    if as_json:
        write_json(report.to_dict())
        return
    write_line(
        f"{report.queries:,} queries answered in {report.parts:,} parts ({report.parts_kept:,} of "
        f"them before), {report.bytes:,} bytes, {report.seconds:.1f} s: {report.output}"
    )


def _opened(model: str, threads: int, cluster: str | None, replicas: int) -> Artifact:
    if cluster is not None:
        from kneighbors.cluster import open_on_cluster

        return open_on_cluster(model, cluster, replicas=replicas)
    from kneighbors.generations import open_saved

    return open_saved(model, threads=threads)


def _settings(asked: dict[str, Any], limit: int | None, id_type: str) -> JoinSettings:
    from kneighbors.join import JoinSettings
    from kneighbors.sagemaker.option_values import prefix_or_names_of

    columns = asked.pop("vector_columns")
    if columns is not None:
        columns = prefix_or_names_of("vector_columns", columns)
    text = asked.pop("filter")
    ids = {
        name: tuple(_typed(one, id_type) for one in asked.pop(name))
        for name in ("exclude_ids", "include_ids")
    }
    return JoinSettings(
        **asked,
        columns=columns,
        filter=None if text is None else _json(text),
        exclude_ids=ids["exclude_ids"],
        include_ids=ids["include_ids"] or None,
        memory_bytes=limit,
    )


def _typed(text: str, id_type: str) -> str | int:
    return int(text) if id_type != "string" and _INTEGER.fullmatch(text) else text


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise ParameterRefused(
            "parameter-type",
            f"Expected --filter to be JSON, got {text[:60]!r}.",
            hint="""Write it as '{"price": {"lt": 30}}'.""",
        ) from error


def _take_memory_as_needed() -> None:
    """Let Arrow take memory when it is used: its usual pool reserves a GiB, and that counts.

    Arrow reads the variable when it is first asked for memory.
    """
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")


@contextmanager
def _held_to(limit: int | None) -> Iterator[None]:
    """Let the system refuse this process more memory than a limit; mapped files do not count.

    Raises
    ------
    ParameterRefused
        With code ``join-memory`` where the limit was too small.
    """
    if limit is None:
        yield
        return
    import resource

    before = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, before[1]))
    try:
        yield
    except (MemoryError, OSError) as error:
        if isinstance(error, OSError) and error.errno != errno.ENOMEM:
            raise
        raise ParameterRefused(
            "join-memory",
            f"Expected {limit:,} bytes of memory to be enough, and they were not.",
            where="--memory-limit",
            hint="Allow more, or make the parts smaller with --rows-per-part; then --resume.",
        ) from error
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)


@contextmanager
def _progress(*, wanted: bool) -> Iterator[Progress]:
    """Give a callback that draws a bar, or writes a line now and then where nobody watches."""
    if not wanted or sys.stderr.isatty():
        with progress_bars(wanted=wanted) as progress:
            yield progress
        return
    began = time.monotonic()
    told = began

    def tell(stage: str, done: int, total: int) -> None:
        nonlocal told
        now = time.monotonic()
        if now - told >= _EVERY and done < total:
            told = now
            left = (now - began) / done * (total - done)
            remark(f"{stage}: {done:,} of {total:,} queries, about {left:,.0f} s left")

    yield tell


def _show(found: Estimate) -> None:
    k = "all" if found.n_neighbors is None else f"{found.n_neighbors:,}"
    write_line(f"queries     {found.queries:,}, {k} neighbours each")
    write_line(f"corpus      {found.corpus_rows:,} rows")
    write_line(f"parts       {found.parts:,} of {found.rows_per_part:,} queries")
    write_line(f"time        about {found.seconds:,.0f} s, from {found.sampled:,} queries")
    write_line(f"output      about {found.bytes:,} bytes")
