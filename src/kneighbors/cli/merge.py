"""``kneighbors merge``: the shards of several training hosts as one artifact."""

from __future__ import annotations

from pathlib import Path

import click

from kneighbors.cli.console import progress_bars, remark, write_json, write_line

_EPILOG = """\b
Examples:
  kneighbors merge model.tar.gz --model-dir M
  kneighbors merge host-1/model host-2/model --model-dir M
  kneighbors merge s3://bucket/job/output/model.tar.gz --model-dir M

The vectors are read from where they are; an archive is unpacked to the
directory for temporary files (TMPDIR) first.

\b
Exit codes: 0 done; 1 a shard is missing, damaged or unlike the others, or a
directory is at fault; 2 wrong usage; 130 interrupted; 143 terminated. Unless
it is 0, the old artifact is still there, or none.
"""


@click.command(name="merge", epilog=_EPILOG)
@click.argument("shards", metavar="SHARD...", nargs=-1, required=True)
@click.option(
    "--model-dir", metavar="DIR", required=True, help="Directory that becomes the artifact."
)
@click.option("--overwrite", is_flag=True, help="Replace an artifact that is there.")
@click.option("--no-progress", is_flag=True, help="No bars and no stages on stderr.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON document.")
def command(
    shards: tuple[str, ...], model_dir: str, overwrite: bool, no_progress: bool, as_json: bool
) -> None:
    """Make one artifact of the shards of several training hosts.

    A SHARD is an artifact, a directory with shard-HOST in it, or a .tar.gz of
    either. The shards of a job are joined in the order of its hosts, other
    artifacts in the order given; the result answers as one fitted on all rows.
    """
    from kneighbors.sagemaker.merging import merge

    with progress_bars(wanted=not no_progress, lines=not as_json) as progress:
        say = remark if not (as_json or no_progress) else (lambda text: None)
        manifest = merge(shards, Path(model_dir), overwrite=overwrite, progress=progress, say=say)
    figures = {
        "rows": manifest.n_samples,
        "dimensions": manifest.n_features,
        "shards": len(manifest.source["shards"]),
    }
    if as_json:
        write_json({**figures, "metric": manifest.metric, "model_dir": model_dir})
        return
    for name, value in figures.items():
        write_line(f"{name}={value};")
