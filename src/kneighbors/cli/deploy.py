"""``kneighbors deploy``: an artifact as an endpoint, on SageMaker or on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kneighbors.cli.archive_options import bucket_option, contents_options, image_option
from kneighbors.cli.console import progress_bars, remark, write_json, write_line
from kneighbors.cli.targets import (
    Target,
    instances_option,
    pairs,
    resolve,
    role_option,
    target_options,
    waiting_options,
)

if TYPE_CHECKING:
    from kneighbors.sagemaker.deploy import Deployed
    from kneighbors.sagemaker.deployment import Deployment, Variant

_EPILOG = """\b
Examples:
  kneighbors deploy M --to local
  kneighbors deploy M --name wines --role arn:aws:iam::123456789012:role/SM
  kneighbors deploy M2 --name wines --update --role ...
  kneighbors deploy M --serverless 3072 --max-concurrency 10 --role ...
  kneighbors deploy M --async s3://bucket/answers/ --role ...
  kneighbors deploy M --variant new=M2,weight=0.1 --role ...
  kneighbors deploy M --role ... --region eu-west-1 --dry-run

M is an artifact, or s3://.../model.tar.gz as `kneighbors package` makes it.
A deployment that fails shows the container's last lines and leaves nothing
behind; one that is interrupted while it waits goes on.

\b
Exit codes: 0 in service; 1 AWS, the artifact or the endpoint is at fault;
2 wrong usage; 130 interrupted.
"""
_DEFAULT_MB = "2048"
_BUCKET_PATH = "-"


@click.command(name="deploy", epilog=_EPILOG)
@click.argument("model", metavar="M")
@target_options
@click.option("--name", metavar="NAME", help="Of the endpoint; by default made of M's.")
@click.option("--instance-type", metavar="TYPE", help="ml.m5.large by default.")
@instances_option
@role_option
@bucket_option
@click.option("--prefix", default="kneighbors", metavar="KEY", help="What keys begin with.")
@image_option
@contents_options
@click.option("--update", is_flag=True, help="Change the endpoint that is there, blue/green.")
@click.option(
    "--serverless",
    is_flag=False,
    flag_value=_DEFAULT_MB,
    type=int,
    metavar="[MB]",
    help="Without instances; with this much memory, 2048 by default.",
)
@click.option(
    "--async",
    "async_output",
    is_flag=False,
    flag_value=_BUCKET_PATH,
    metavar="[S3]",
    help="Answers go into S3, by default below --prefix.",
)
@click.option("--max-concurrency", type=int, metavar="N", help="With --serverless or --async.")
@click.option(
    "--variant",
    "variants",
    multiple=True,
    metavar="NAME=M[,weight=W]",
    help="A further model; also ,instance-type=T and ,instances=N.",
)
@click.option(
    "--env", "environment", multiple=True, metavar="NAME=VALUE", help="Of the containers."
)
@click.option("--tag", "tags", multiple=True, metavar="NAME=VALUE", help="Of all that is made.")
@click.option("--network-isolation", is_flag=True, help="Containers without a network.")
@click.option(
    "--startup-timeout",
    "startup_timeout_s",
    type=int,
    metavar="S",
    help="How long a container may take to be healthy, 60 to 3600; 480 by default.",
)
@click.option("--dry-run", is_flag=True, help="Print the requests as JSON, and send none.")
@waiting_options("it is in service", 1800.0)
def command(
    model: str,
    to: str,
    region: str | None,
    profile: str | None,
    root: Path | None,
    dry_run: bool,
    no_wait: bool,
    timeout: float,
    as_json: bool,
    **options: Any,
) -> None:
    """Make an endpoint of an artifact, and try it with a query.

    The archive is made and uploaded, the model, the configuration and the
    endpoint are created, and the first row's neighbours are asked for.
    """
    from kneighbors.sagemaker.deploy import Aws, check_models, deploy
    from kneighbors.sagemaker.requests import all_requests

    target = resolve(to, region, profile, root)
    aws = Aws(target.access)
    deployment = _deployment(model, target, aws.region, options)
    check_models(deployment)
    if dry_run:
        write_json({"requests": [request.to_dict() for request in all_requests(deployment)]})
        return
    with progress_bars(wanted=True, lines=not as_json) as progress:
        made = deploy(deployment, aws, wait=not no_wait, timeout_s=timeout, progress=progress)
    if as_json:
        write_json(made.to_dict())
    else:
        _show(made, target)


def _deployment(model: str, target: Target, region: str, options: dict[str, Any]) -> Deployment:
    from kneighbors.sagemaker.deployment import (
        DEFAULT_INSTANCE_TYPE,
        Deployment,
        Variant,
        account_of,
        name_of,
    )

    role = target.demand_role(options.pop("role"))
    name = options.pop("name") or name_of(model)
    usual = options.pop("instance_type") or DEFAULT_INSTANCE_TYPE
    first = Variant(model, instance_type=usual, instances=options.pop("instances"))
    others = [variant_of(text, usual) for text in options.pop("variants")]
    if options["async_output"] == _BUCKET_PATH:
        bucket = options["bucket"] or f"sagemaker-{region}-{account_of(role)}"
        options["async_output"] = f"s3://{bucket}/{options['prefix'].strip('/')}/{name}/answers"
    return Deployment(
        name=name,
        variants=(first, *others),
        role=role,
        region=region,
        serverless_mb=options.pop("serverless"),
        environment=pairs(options.pop("environment"), "--env"),
        tags=pairs(options.pop("tags"), "--tag"),
        **options,
    )


def variant_of(text: str, instance_type: str) -> Variant:
    """Return the variant that ``NAME=M,weight=0.1`` says.

    Examples
    --------
    >>> variant_of("new=M2,weight=0.1", "ml.m5.large").weight
    0.1
    """
    from kneighbors.sagemaker.deployment import Variant

    name, sign, rest = text.partition("=")
    model, *parts = rest.split(",")
    given = pairs(tuple(parts), "--variant")
    unknown = set(given) - {"weight", "instance-type", "instances"}
    if not sign or not model or unknown:
        raise click.UsageError(
            f"Expected NAME=M[,weight=W][,instance-type=T][,instances=N] for --variant, "
            f"got {text!r}."
        )
    try:
        weight, instances = float(given.get("weight", 1)), int(given.get("instances", 1))
    except ValueError:
        raise click.UsageError(f"Expected numbers for --variant, got {text!r}.") from None
    return Variant(model, name, weight, given.get("instance-type", instance_type), instances)


def _show(made: Deployed, target: Target) -> None:
    where = "" if target.is_local else f', region="{made.region}"'
    write_line(f"{made.name}  {made.status} after {made.seconds:.1f} s")
    write_line(made.arn)
    remark("Ask it with one of:")
    remark(f'  kneighbors.Client.sagemaker("{made.name}"{where}).kneighbors(Q)')
    remark(f'  sagemaker 2:  SKLearnPredictor("{made.name}").predict(Q)')
    remark(f'  sagemaker 3:  Endpoint.get("{made.name}").invoke(body, NPY, NPY)')
    remark(
        f'  boto3:        client("sagemaker-runtime").invoke_endpoint(EndpointName="{made.name}", '
        "ContentType=NPY, Accept=NPY, Body=body)"
    )
    if target.is_local:
        remark("  each in a program that runs under: kneighbors local run -- ...")
    remark("NPY is application/x-npy; body is what numpy.save writes.")
