"""``kneighbors transform``: files of queries in S3, answered by a batch transform job."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from kneighbors.cli.archive_options import bucket_option, front_option, image_option
from kneighbors.cli.console import progress_bars, write_json, write_line
from kneighbors.cli.targets import (
    instances_option,
    resolve,
    role_option,
    target_options,
    waiting_options,
)

_EPILOG = """\b
Examples:
  kneighbors transform M --to local --input s3://b/queries/ \\
      --output s3://b/answers/
  kneighbors transform wines-20261127 --input s3://b/q.jsonl \\
      --output s3://b/answers/ --content-type application/jsonlines \\
      --split Line --join

\b
Exit codes: 0 all answered; 1 AWS, the model or a file is at fault;
2 wrong usage; 130 interrupted; the job then goes on.
"""


@click.command(name="transform", epilog=_EPILOG)
@click.argument("model", metavar="M_OR_MODEL")
@target_options
@click.option("--input", required=True, metavar="S3", help="A file, or how their keys begin.")
@click.option("--output", required=True, metavar="S3", help="Where the answers go.")
@click.option("--content-type", default="application/x-npy", metavar="TYPE", help="Of the files.")
@click.option("--accept", metavar="TYPE", help="Of the answers.")
@click.option("--split", type=click.Choice(["None", "Line"]), default="None", help="Into records.")
@click.option(
    "--strategy", type=click.Choice(["SingleRecord", "MultiRecord"]), help="Records in a request."
)
@click.option("--join", is_flag=True, help="Join the answers to the records.")
@click.option("--name", metavar="NAME", help="Of the job; by default made of M's.")
@click.option("--instance-type", default="ml.m5.large", metavar="TYPE", help="ml.m5.large.")
@instances_option
@click.option("--max-concurrency", type=int, metavar="N", help="Requests at once to an instance.")
@click.option("--max-payload", "max_payload_mb", type=int, metavar="MB", help="Of a request.")
@role_option
@bucket_option
@image_option
@front_option
@click.option("--keep-model", is_flag=True, help="Leave the model that was made of M.")
@waiting_options("it has ended", 3600.0)
def command(
    model: str,
    to: str,
    region: str | None,
    profile: str | None,
    root: Path | None,
    no_wait: bool,
    timeout: float,
    keep_model: bool,
    as_json: bool,
    name: str | None,
    role: str | None,
    **options: Any,
) -> None:
    """Answer whole files of queries, with a batch transform job.

    M_OR_MODEL is an artifact, of which a model is made and removed again; or,
    where nothing lies at that path, the name of a model of SageMaker's.
    """
    from kneighbors.sagemaker.aws import Aws
    from kneighbors.sagemaker.deployment import Deployment, Variant, name_of, new_stamp
    from kneighbors.sagemaker.transform import TransformJob, transform, transform_artifact

    target = resolve(to, region, profile, root)
    aws = Aws(target.access)
    making = {key: options.pop(key) for key in ("bucket", "image", "front")}
    stamp = new_stamp()
    job_name = name or f"{name_of(model)[:40].rstrip('-')}-{stamp}"
    with progress_bars(wanted=True, lines=not as_json) as progress:
        waiting: dict[str, Any] = {"wait": not no_wait, "timeout_s": timeout, "progress": progress}
        if Path(model).exists() or model.startswith("s3://"):
            deployment = Deployment(
                name=name_of(model),
                variants=(Variant(model),),
                role=target.demand_role(role),
                region=aws.region,
                stamp=stamp,
                **making,
            )
            job = TransformJob(name=job_name, model=deployment.model_name(0), **options)
            done = transform_artifact(deployment, job, aws, keep_model=keep_model, **waiting)
        else:
            done = transform(TransformJob(name=job_name, model=model, **options), aws, **waiting)
    if as_json:
        write_json(done.to_dict())
        return
    write_line(f"{done.name}  {done.status} after {done.seconds:.1f} s")
    for file in done.files:
        write_line(file)
