"""``kneighbors convert``: a pickled scikit-learn model as an artifact."""

from __future__ import annotations

from typing import Any

import click

from kneighbors.cli.console import progress_bars, remark, write_json, write_line

_EPILOG = """\b
Examples:
  kneighbors convert model.joblib --trust-pickle --model-dir M
  kneighbors convert model.joblib --trust-pickle --model-dir M \\
      --items wines.csv --id-column wine_id

Unpickling runs whatever code the writer of the file put into it. Say
--trust-pickle only of a file that you, or somebody you trust, made.

\b
Exit codes: 0 done; 1 the pickle or a directory is at fault; 2 wrong usage;
130 interrupted.
"""


@click.command(name="convert", epilog=_EPILOG)
@click.argument("pickled", metavar="PICKLE")
@click.option("--model-dir", required=True, metavar="DIR", help="Directory to become the artifact.")
@click.option("--trust-pickle", is_flag=True, help="Unpickle it, and run what is in it.")
@click.option(
    "--ids", metavar="FILE", help="Ids by row: .npy, .txt (one a line), .csv or .parquet."
)
@click.option("--items", metavar="FILE", help="Attributes by row: .csv or .parquet.")
@click.option("--id-column", metavar="NAME", help="Column of --items that holds the ids.")
@click.option("--overwrite", is_flag=True, help="Replace an artifact that is there.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(pickled: str, model_dir: str, as_json: bool, **options: Any) -> None:
    """Turn a pickled scikit-learn model into an artifact.

    PICKLE is a fitted NearestNeighbors or KNeighborsTransformer, of dense
    vectors, with cosine or Euclidean distance.
    """
    from kneighbors.sagemaker.convert import convert

    with progress_bars(wanted=True) as progress:
        converted = convert(pickled, model_dir, progress=progress, **options)
    for warning in converted.warnings:
        remark(f"warning: {warning}")
    manifest = converted.manifest
    if as_json:
        write_json(
            {
                "model_dir": model_dir,
                "estimator": converted.estimator,
                "n_samples": manifest.n_samples,
                "n_features": manifest.n_features,
                "metric": manifest.metric,
                "digest": manifest.digest,
                "warnings": list(converted.warnings),
            }
        )
        return
    write_line(
        f"{model_dir}  {manifest.n_samples:,} x {manifest.n_features:,} {manifest.dtype}, "
        f"{manifest.metric}, from a {converted.estimator}"
    )
