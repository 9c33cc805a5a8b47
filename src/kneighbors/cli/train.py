"""``kneighbors train``: fit a corpus and save the artifact, by hand or as a SageMaker job."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import click

from kneighbors.cli.console import progress_bars, remark, write_json, write_line

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from kneighbors.sagemaker.report import Report
    from kneighbors.sagemaker.sharded_report import ShardedReport
    from kneighbors.sagemaker.training import TrainingSettings
    from kneighbors.search.progress import Progress
    from kneighbors.shards import ShardPlan

_EPILOG = """\b
Examples:
  kneighbors train --train wines.parquet --id-column wine_id --model-dir M
  kneighbors train --train s3://bucket/train/ --metric euclidean \\
      --model-dir M --output-data-dir O
  kneighbors train --train vectors.npy --shards 8 --model-dir M

Options may be written with underscores, as SageMaker passes hyperparameters
(--n_neighbors 10). What is not given comes from SM_HPS, SM_CHANNEL_TRAIN,
SM_MODEL_DIR and SM_OUTPUT_DATA_DIR.

\b
Exit codes: 0 done; 1 the data or a directory is at fault; 2 wrong usage;
130 interrupted; 143 terminated. Unless it is 0, the old artifact is still
there, or none.
"""


def _dashes(token: str) -> str:
    return token.replace("_", "-")


@click.command(name="train", epilog=_EPILOG, context_settings={"token_normalize_func": _dashes})
@click.option("--train", metavar="PATH_OR_S3", help="Corpus: a file, a directory, or s3://...")
@click.option("--model-dir", metavar="DIR", help="Directory that becomes the artifact.")
@click.option(
    "--output-data-dir", metavar="DIR", help="Directory for report.json and distances.svg."
)
@click.option(
    "--metric",
    metavar="NAME",
    help="cosine (default), euclidean (l2), sqeuclidean or inner_product.",
)
@click.option(
    "--n-neighbors",
    metavar="N",
    help="Neighbours that the service returns unless a request says otherwise; 10 by default.",
)
@click.option("--vector-column", metavar="NAME", help="Column of the vectors.")
@click.option(
    "--vector-columns",
    metavar="NAMES",
    help="Columns of one dimension each, with commas between, or how the names of numbered "
    "ones begin.",
)
@click.option("--id-column", metavar="NAME", help="Column of the ids, in the corpus or in --items.")
@click.option(
    "--columns",
    metavar="NAMES",
    help="Columns of the corpus to keep as attributes, with commas between.",
)
@click.option(
    "--ids", metavar="FILE", help="Ids by row: .npy, .txt (one a line), .csv or .parquet."
)
@click.option("--items", metavar="FILE", help="Attributes by row: .csv or .parquet.")
@click.option(
    "--vocabulary",
    metavar="FILE",
    help="Terms that can be queries: a column 'term', their vectors, and if there are such, "
    "columns 'weight' and 'synonyms'.",
)
@click.option(
    "--list",
    "--lists",
    "lists",
    multiple=True,
    metavar="NAME=FILE",
    help="A list of ids that requests may name, read as --ids is; may be given several times.",
)
@click.option(
    "--algorithm",
    metavar="NAME",
    help="auto (default: exact, unless one of the next two asks for less), exact or hnsw.",
)
@click.option(
    "--target-recall",
    metavar="R",
    help="Take the cheapest search that finds this share of the neighbours, such as 0.99.",
)
@click.option(
    "--latency-ms", metavar="MS", help="With auto: take a graph where exact search takes longer."
)
@click.option(
    "--sample-queries",
    metavar="PATH_OR_S3",
    help="Vectors such as users send, to measure on; rows are held out otherwise.",
)
@click.option("--hnsw-m", metavar="N", help="Links of a node of the graph; 32 by default.")
@click.option("--hnsw-ef-construction", metavar="N", help="Width of its building; 100 by default.")
@click.option("--hnsw-ef-search", metavar="N", help="Width of a search; 64 by default.")
@click.option("--seed", metavar="N", help="Seed of what the fit samples; 0 by default.")
@click.option(
    "--overwrite",
    # A hyperparameter arrives as `--overwrite true`, a person writes `--overwrite`.
    is_flag=False,
    flag_value="true",
    metavar="[true|false]",
    help="Replace an artifact that is there.",
)
@click.option(
    "--checkpoint-dir",
    metavar="DIR",
    help="Directory of what an interrupted run leaves, for the next one to go on from.",
)
@click.option(
    "--shards", "n_shards", type=int, metavar="N", help="Make an artifact of so many shards."
)
@click.option("--rows-per-shard", type=int, metavar="N", help="Or of shards of so many rows each.")
@click.option(
    "--shard", "number", type=int, metavar="N", help="Make a shard again that is missing, from 0."
)
@click.option(
    "--cluster",
    metavar="ADDRESS",
    help="Make the shards on a cluster: auto, host:port or ray://host:port.",
)
@click.option(
    "--memory-per-task",
    metavar="SIZE",
    help="Memory that one shard may take while it is made, such as 2GiB.",
)
@click.option("--no-progress", is_flag=True, help="No bars and no stages on stderr.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON document.")
def command(
    as_json: bool,
    no_progress: bool,
    n_shards: int | None,
    rows_per_shard: int | None,
    number: int | None,
    cluster: str | None,
    memory_per_task: str | None,
    **options: Any,
) -> None:
    """Fit a corpus, save the artifact and print one metric a line.

    The corpus is .npy, .npz, .csv, .parquet or .arrow, or a directory of such
    files in the order of their names. Columns that are not the vector become
    attributes of the rows.
    """
    from kneighbors.sagemaker.training import TrainingSettings, train_host

    options["lists"] = options["lists"] or None
    settings = TrainingSettings.resolve(options, os.environ)
    if sum(one is not None for one in (n_shards, rows_per_shard, number)) > 1:
        raise click.UsageError("Expected one of --shards, --rows-per-shard and --shard.")
    if cluster is not None and n_shards is None and rows_per_shard is None:
        raise click.UsageError("Expected --shards or --rows-per-shard with --cluster.")
    if number is not None:
        from kneighbors.sagemaker.sharding import rebuild_shard

        path = rebuild_shard(settings, number)
        if as_json:
            write_json({"shard": str(path)})
        else:
            write_line(f"shard={path};")
        return
    with progress_bars(wanted=not no_progress, lines=not as_json) as progress:
        report: Report | ShardedReport | None
        if n_shards is not None or rows_per_shard is not None:
            from kneighbors.sagemaker.sharding import train_sharded

            report = train_sharded(
                settings,
                progress,
                remark,
                n_shards=n_shards,
                rows_per_shard=rows_per_shard,
                build=None
                if cluster is None
                else _on(cluster, memory_per_task, settings, progress),
            )
        else:
            report = train_host(settings, progress, remark)
    if report is None:
        return
    if as_json:
        write_json(report.to_dict())
        return
    for line in report.metric_lines():
        write_line(line)
    if sys.stderr.isatty():
        remark(f"Saved {report.model_dir}. Try: kneighbors query {report.model_dir} --row 0")


def _on(
    cluster: str, memory: str | None, settings: TrainingSettings, progress: Progress
) -> Callable[[ShardPlan, Path], None]:
    """Return what makes all shards of a plan on a cluster."""
    from functools import partial

    from kneighbors.cli.sizes import bytes_of
    from kneighbors.cluster import build_shards
    from kneighbors.sagemaker.sharding import write_planned

    def build(plan: ShardPlan, target: Path) -> None:
        build_shards(
            partial(write_planned, settings, plan, target=target),
            plan.n_shards,
            cluster,
            memory_bytes=None if memory is None else bytes_of(memory),
            environ=tuple(name for name in os.environ if name.startswith("AWS_")),
            progress=progress,
        )

    return build
