"""What is to be deployed: endpoint, variants, and how they are called, checked."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from kneighbors.errors import ParameterRefused
from kneighbors.sagemaker.packaged import Format, Front

#: Tag by which `delete` knows what was made for an endpoint.
OWNER_TAG = "kneighbors:endpoint"
DEFAULT_INSTANCE_TYPE = "ml.m5.large"
DEFAULT_VARIANT = "AllTraffic"

_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")
_ROLE = re.compile(r"arn:aws[a-z-]*:iam::(\d{12}):role/[\w+=,.@/-]{1,512}")
_LONGEST_NAME = 63
_SERVERLESS_MB = range(1024, 6145, 1024)
_MOST_TAGS = 49


@dataclass(frozen=True, slots=True)
class Variant:
    """One model behind an endpoint.

    Parameters
    ----------
    model : str
        An artifact, a directory or a ``.tar.gz``; or ``s3://`` and the address of a
        ``model.tar.gz`` that `kneighbors.sagemaker.package.package` made.
    name : str, default="AllTraffic"
    weight : float, default=1.0
        Share of the requests, among the weights of all variants.
    instance_type : str, default="ml.m5.large"
    instances : int, default=1
    """

    model: str
    name: str = DEFAULT_VARIANT
    weight: float = 1.0
    instance_type: str = DEFAULT_INSTANCE_TYPE
    instances: int = 1

    @property
    def is_remote(self) -> bool:
        """Whether the archive is in S3 already."""
        return self.model.startswith("s3://")


@dataclass(frozen=True, kw_only=True, slots=True)
class Deployment:
    """An endpoint as it shall be.

    Parameters
    ----------
    name : str
        Of the endpoint.
    variants : tuple of Variant
    role : str
        ARN of the role that the endpoint takes.
    region : str
    bucket : str, optional
        Where archives go; by default the one that SageMaker's SDK uses too.
    prefix : str, default="kneighbors"
        What their keys begin with.
    image : str, optional
        By default AWS's scikit-learn image of the region.
    front : {"stock", "ours"}, default="stock"
    format : {"kneighbors", "sklearn"}, default="kneighbors"
    entry_point : str, optional
        As of `kneighbors.sagemaker.package.package`.
    environment : mapping of str to str
        Further variables of the containers.
    serverless_mb : int, optional
        Memory of a serverless endpoint.
    async_output : str, optional
        ``s3://`` address for the answers of an asynchronous endpoint.
    max_concurrency : int, optional
        Of a serverless endpoint (5 by default), or for each instance of an asynchronous one.
    network_isolation : bool, default=False
    startup_timeout_s : int, optional
        How long a container may take to be healthy, 60 to 3,600 s; 8 minutes by default.
    tags : mapping of str to str
    update : bool, default=False
        Whether the endpoint exists already, and changes.
    stamp : str
        What tells the names of this deployment from others.

    Raises
    ------
    ParameterRefused
        ``endpoint-name``, ``role-malformed``, ``variant-malformed``, ``serverless-memory``,
        ``parameter-conflict``, ``parameter-range`` or ``tag-malformed``.
    """

    name: str
    variants: tuple[Variant, ...]
    role: str
    region: str
    bucket: str | None = None
    prefix: str = "kneighbors"
    image: str | None = None
    front: Front = "stock"
    format: Format = "kneighbors"
    entry_point: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    serverless_mb: int | None = None
    async_output: str | None = None
    max_concurrency: int | None = None
    network_isolation: bool = False
    startup_timeout_s: int | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    update: bool = False
    stamp: str = field(default_factory=lambda: new_stamp())

    def __post_init__(self) -> None:
        check_name(self.name)
        check_role(self.role)
        _check_variants(self.variants)
        if self.serverless_mb is not None and self.async_output is not None:
            raise ParameterRefused(
                "parameter-conflict", "Expected either serverless or asynchronous, got both."
            )
        if self.serverless_mb is not None and self.serverless_mb not in _SERVERLESS_MB:
            raise ParameterRefused(
                "serverless-memory",
                f"Expected one of {', '.join(map(str, _SERVERLESS_MB))} MB, "
                f"got {self.serverless_mb}.",
            )
        if self.serverless_mb is not None and len(self.variants) > 1:
            raise ParameterRefused(
                "parameter-conflict", "Expected one variant of a serverless endpoint, got several."
            )
        if self.max_concurrency is not None and self.max_concurrency < 1:
            raise ParameterRefused(
                "parameter-range", f"Expected max_concurrency >= 1, got {self.max_concurrency}."
            )
        if self.startup_timeout_s is not None and not 60 <= self.startup_timeout_s <= 3600:
            raise ParameterRefused(
                "parameter-range",
                f"Expected 60 <= startup_timeout_s <= 3600, got {self.startup_timeout_s}.",
            )
        if self.async_output is not None and not self.async_output.startswith("s3://"):
            raise ParameterRefused(
                "parameter-type", f"Expected s3://bucket/prefix, got {self.async_output!r}."
            )
        _check_tags(self.tags)

    @property
    def bucket_or_default(self) -> str:
        """The bucket; the default one is named by region and account, as the SDK names it."""
        return self.bucket or f"sagemaker-{self.region}-{account_of(self.role)}"

    def model_name(self, place: int) -> str:
        """Return the name of the model of the variant of that number."""
        return self._named(self.stamp if place == 0 else f"{self.stamp}-{place}")

    @property
    def config_name(self) -> str:
        """The name of the endpoint configuration."""
        return self._named(self.stamp)

    def archive_key(self, place: int) -> str:
        """Return the key in S3 of the archive of the variant of that number."""
        prefix = self.prefix.strip("/")
        return f"{prefix}/{self.model_name(place)}/model.tar.gz".lstrip("/")

    def _named(self, suffix: str) -> str:
        return f"{self.name[: _LONGEST_NAME - 1 - len(suffix)].rstrip('-')}-{suffix}"


def new_stamp() -> str:
    """Return a suffix for names that nobody else has: the time in UTC, and some chance."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def name_of(model: str) -> str:
    """Return a name for the endpoint of a model.

    Examples
    --------
    >>> name_of("models/Wine_v2"), name_of("s3://wines/kneighbors/w-1/model.tar.gz")
    ('Wine-v2', 'w-1')
    """
    path = Path(model.removeprefix("s3://").removesuffix("/"))
    stem = path.name.split(".")[0]
    if stem == "model" and path.parent.name:
        stem = path.parent.name
    return re.sub(r"[^a-zA-Z0-9]+", "-", stem).strip("-")[:_LONGEST_NAME] or "kneighbors"


def check_name(name: str) -> None:
    """Refuse what can be no name of an endpoint.

    Raises
    ------
    ParameterRefused
        With code ``endpoint-name``.
    """
    if not _NAME.fullmatch(name):
        raise ParameterRefused(
            "endpoint-name",
            f"Expected a name of 1 to {_LONGEST_NAME} letters, digits and hyphens, not at its "
            f"ends; got {name!r:.100}.",
        )


def check_role(role: str) -> None:
    """Refuse what is no ARN of a role.

    Raises
    ------
    ParameterRefused
        With code ``role-malformed``.
    """
    if not _ROLE.fullmatch(role):
        raise ParameterRefused(
            "role-malformed",
            f"Expected the ARN of a role, such as arn:aws:iam::123456789012:role/SageMaker, "
            f"got {role!r:.200}.",
        )


def account_of(role: str) -> str:
    """Return the account that a role belongs to."""
    match = _ROLE.fullmatch(role)
    return "" if match is None else match[1]


def _check_variants(variants: tuple[Variant, ...]) -> None:
    names = [variant.name for variant in variants]
    for variant in variants:
        fault = None
        if not _NAME.fullmatch(variant.name) or names.count(variant.name) > 1:
            fault = "a name of letters, digits and hyphens that no other variant has"
        elif not 0 <= variant.weight < float("inf"):
            fault = "a weight of at least 0"
        elif variant.instances < 1:
            fault = "at least one instance"
        if fault is not None:
            raise ParameterRefused("variant-malformed", f"Expected {fault}, got {variant}.")
    if not sum(variant.weight for variant in variants) > 0:
        raise ParameterRefused(
            "variant-malformed", "Expected a variant with a weight above 0, got none."
        )


def _check_tags(tags: Mapping[str, str]) -> None:
    for key, value in tags.items():
        # AWS keeps names that begin so to itself.
        if not 1 <= len(key) <= 128 or len(value) > 256 or key.lower().startswith("aws:"):
            raise ParameterRefused(
                "tag-malformed",
                "Expected tags of 1 to 128 characters, not beginning with 'aws:', with values of "
                f"at most 256; got {key!r:.140}.",
            )
    if len(tags) > _MOST_TAGS:
        raise ParameterRefused(
            "tag-malformed", f"Expected at most {_MOST_TAGS} tags, got {len(tags)}."
        )
