"""Where a command deploys to: AWS, or the control plane of this machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from kneighbors.errors import ParameterRefused

if TYPE_CHECKING:
    from kneighbors.sagemaker.aws import Access

F = TypeVar("F", bound=Callable[..., None])

_ROLE_VARIABLE = "KNEIGHBORS_ROLE"


@dataclass(frozen=True, slots=True)
class Target:
    """Where to deploy to.

    Parameters
    ----------
    access : Access
        How it is reached.
    role : str, optional
        Of the endpoints, where there is a usual one.
    is_local : bool
    """

    access: Access
    role: str | None
    is_local: bool

    def demand_role(self, given: str | None) -> str:
        """Return the role to give to an endpoint.

        Raises
        ------
        ParameterRefused
            With code ``role-missing``.
        """
        role = given or self.role
        if role is None:
            raise ParameterRefused(
                "role-missing",
                f"Expected the ARN of a role for SageMaker, as --role or {_ROLE_VARIABLE}; "
                "got neither.",
            )
        return role


def target_options(command: F) -> F:
    """Add the options that say where to deploy to."""
    for option in reversed(
        (
            click.option(
                "--to",
                type=click.Choice(["sagemaker", "local"]),
                default="sagemaker",
                help="AWS, or the control plane of `kneighbors local`; sagemaker by default.",
            ),
            click.option("--region", metavar="NAME", help="Of AWS; by default what boto3 finds."),
            click.option("--profile", metavar="NAME", help="Of the configuration of AWS's tools."),
            click.option(
                "--root",
                type=click.Path(path_type=Path),
                metavar="DIR",
                help="With --to local: of the control plane.",
            ),
        )
    ):
        command = option(command)
    return command


def instances_option(command: F) -> F:
    """Add the option for the number of instances."""
    return click.option("--instances", type=int, default=1, metavar="N", help="1 by default.")(
        command
    )


def waiting_options(until: str, seconds: float) -> Callable[[F], F]:
    """Return what adds the options for how a command ends: when, and with which words.

    Parameters
    ----------
    until : str
        What is waited for, as in ``"it has ended"``.
    seconds : float
        How long, by default.
    """
    options = (
        click.option("--no-wait", is_flag=True, help=f"Do not wait until {until}."),
        click.option(
            "--timeout",
            type=float,
            default=seconds,
            metavar="S",
            help=f"How long to wait; {seconds:g}.",
        ),
        click.option("--json", "as_json", is_flag=True, help="Print one JSON document."),
    )

    def add(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return command

    return add


def role_option(command: F) -> F:
    """Add the option for the role of an endpoint."""
    return click.option(
        "--role",
        envvar=_ROLE_VARIABLE,
        metavar="ARN",
        help=f"Role that the containers take; {_ROLE_VARIABLE} says it too.",
    )(command)


def pairs(texts: tuple[str, ...], option: str) -> dict[str, str]:
    """Return ``NAME=VALUE`` texts as a mapping."""
    found = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not sign or not name:
            raise click.UsageError(f"Expected NAME=VALUE for {option}, got {text!r}.")
        found[name] = value
    return found


def resolve(to: str, region: str | None, profile: str | None, root: Path | None) -> Target:
    """Return where to deploy to.

    Raises
    ------
    LocalError
        With code ``local-not-up``, for ``--to local``.
    MissingExtra
        When boto3 is not installed.
    """
    from kneighbors.sagemaker.aws import Access

    if to == "sagemaker":
        if root is not None:
            raise click.UsageError("--root goes with --to local.")
        return Target(Access(region=region, profile=profile), None, is_local=False)
    if profile is not None:
        raise click.UsageError("--profile goes with --to sagemaker.")
    from kneighbors.local.plane import REGION
    from kneighbors.local.root import default_root, demand_running

    settings = demand_running(root or default_root())
    access = Access(
        region=region or REGION,
        endpoint_url=settings.url,
        access_key_id=settings.access_key,
        secret_access_key=settings.secret_key,
        session_token=settings.token,
    )
    return Target(access, settings.role_arn, is_local=True)
