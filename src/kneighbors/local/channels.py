"""A training job's input: which objects each host gets, and as what files."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from kneighbors.local.faults import Fault, invalid
from kneighbors.local.objects import split_s3

if TYPE_CHECKING:
    from kneighbors.local.plane import Plane

Definition = dict[str, Any]


class InputRefused(ValueError):
    """Input that cannot be laid out as files; the message says why."""


@dataclass(frozen=True, slots=True)
class Source:
    """An object, and the name below the channel's directory that it gets."""

    bucket: str
    key: str
    name: str
    size: int


def mode_of(channel: Definition, default: str) -> str:
    """Return ``File``, ``FastFile`` or ``Pipe``."""
    mode: str = channel.get("InputMode") or default
    return mode


def check_channels(plane: Plane, channels: list[Definition], role: str) -> None:
    """Refuse a job whose input is not there, when it is created.

    Raises
    ------
    Fault
        ``ValidationException`` in AWS's words: two channels of one name, a bucket that is missing,
        no object under a prefix, a kind of source that is not implemented.
    """
    names = [channel["ChannelName"] for channel in channels]
    if len(set(names)) < len(names):
        raise invalid("Channel names must be unique within a training job.")
    for channel in channels:
        source = channel["DataSource"].get("S3DataSource")
        if source is None:
            kinds = ", ".join(channel["DataSource"])
            raise invalid(f"kneighbors local reads channels from S3DataSource, not from {kinds}.")
        if source["S3DataType"] not in ("S3Prefix", "ManifestFile"):
            raise invalid(
                "kneighbors local reads channels of S3DataType S3Prefix and ManifestFile, not "
                f"{source['S3DataType']}."
            )
        check_present(plane, source["S3Uri"], role)


def check_present(plane: Plane, uri: str, role: str) -> None:
    """Refuse an address under which there is nothing.

    Raises
    ------
    Fault
        ``ValidationException`` that names the address.
    """
    bucket, prefix = split_s3(uri)
    if not plane.objects.has_bucket(bucket):
        why = "The specified bucket does not exist"
    elif not plane.objects.list(bucket, prefix):
        why = "No object has a key that begins so"
    else:
        return
    raise invalid(
        f'No S3 objects found under S3 URL "{uri}" given in input data source. Please ensure that '
        f"the bucket exists in the selected region ({plane.region}), that objects exist under that "
        f'S3 prefix, and that the role "{role}" has "s3:ListBucket" permissions on bucket '
        f'"{bucket}". Error message from S3: {why}.'
    )


def sources_of(plane: Plane, channel: Definition) -> list[Source]:
    """Return a channel's objects with the names of their files, in the order of keys.

    Raises
    ------
    InputRefused
        If nothing is left of them, a manifest is no manifest, or a key is no name of a file.
    """
    source = channel["DataSource"]["S3DataSource"]
    uri = source["S3Uri"]
    try:
        bucket, prefix = split_s3(uri)
        found = (
            _listed_in(plane, bucket, prefix)
            if source["S3DataType"] == "ManifestFile"
            else _below(plane, bucket, prefix)
        )
    except Fault as fault:
        raise InputRefused(fault.message) from fault
    if not found:
        raise InputRefused(f'No S3 objects found under S3 URL "{uri}" given in input data source.')
    return found


def share(sources: list[Source], channel: Definition, host: int, hosts: int) -> list[Source]:
    """Return the part of a channel that one host gets: all of it, or every n-th object."""
    kind = channel["DataSource"]["S3DataSource"].get("S3DataDistributionType")
    return sources[host::hosts] if kind == "ShardedByS3Key" else sources


def download(plane: Plane, sources: list[Source], folder: Path) -> None:
    """Copy objects to files below a directory, which is made.

    Raises
    ------
    InputRefused
        If one is gone, or two want to be a file and a directory of one name.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for source in sources:
        try:
            plane.objects.download(source.bucket, source.key, folder / source.name)
        except FileNotFoundError as error:
            raise InputRefused(f"The object {error} is gone.") from error
        except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
            address = f"s3://{source.bucket}/{source.key}"
            raise InputRefused(
                f"The object {address} cannot become the file {source.name}: another object's key "
                "makes a file of its directory, or a directory of it."
            ) from error


def make_read_only(folder: Path) -> None:
    """Take the right to write away, as a FastFile channel has none."""
    for path in folder.rglob("*"):
        path.chmod(0o555 if path.is_dir() else 0o444)


def _below(plane: Plane, bucket: str, prefix: str) -> list[Source]:
    return [
        Source(bucket, key, _name(key, prefix), size)
        for key, size in plane.objects.list(bucket, prefix)
        if not key.endswith("/")  # what consoles make to show a folder
    ]


def _name(key: str, prefix: str) -> str:
    """Return the name of a key's file: what follows the prefix, which may end within a name."""
    folder = prefix if prefix.endswith("/") else f"{prefix}/"
    start = len(folder) if key.startswith(folder) else prefix.rfind("/") + 1
    name = key[start:]
    parts = PurePosixPath(name).parts
    if not parts or ".." in parts or name.startswith("/") or "\0" in name or "//" in name:
        raise InputRefused(f"The object {key!r} has a key that no file below a directory can have.")
    return name


def _listed_in(plane: Plane, bucket: str, key: str) -> list[Source]:
    address = f"s3://{bucket}/{key}"
    try:
        entries = json.loads(plane.objects.read(bucket, key))
        first, *names = entries
        start = first["prefix"]
        if not isinstance(start, str) or not all(isinstance(name, str) for name in names):
            raise TypeError
    except (FileNotFoundError, ValueError, KeyError, TypeError) as error:
        raise InputRefused(
            f'The manifest {address} must be a JSON list, {{"prefix": "s3://..."}} first and then '
            "names."
        ) from error
    base, prefix = split_s3(start)
    sizes = dict(plane.objects.list(base, prefix))
    missing = [name for name in names if prefix + name not in sizes]
    if missing:
        raise InputRefused(f"The manifest {address} names {start}{missing[0]}, which is not there.")
    return [
        Source(base, prefix + name, _name(prefix + name, prefix), sizes[prefix + name])
        for name in names
    ]
