"""A model's data on its way from S3 into a container's directory."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from kneighbors.errors import StorageError
from kneighbors.local.deployment import FleetFailed
from kneighbors.local.objects import split_s3
from kneighbors.sagemaker.archives import unpack_tree

if TYPE_CHECKING:
    from kneighbors.local.objects import Objects


def place(objects: Objects, container: dict[str, Any], home: Path, label: str) -> None:
    """Put a container's model data below its ``opt/ml``.

    Parameters
    ----------
    objects : Objects
    container : dict
        A ContainerDefinition.
    home : Path
        Of the container.
    label : str
        What failure reasons call the container.

    Raises
    ------
    FleetFailed
        If there is nothing at the address, or what is there cannot be unpacked.
    """
    base = home / "opt/ml"
    model = base / "model"
    model.mkdir(parents=True, exist_ok=True)
    if url := container.get("ModelDataUrl"):
        place_archive(objects, url, model, label)
    elif source := container.get("ModelDataSource"):
        _place_source(objects, source["S3DataSource"], model, label)
    for extra in container.get("AdditionalModelDataSources", []):
        channel = base / "additional-model-data-sources" / extra["ChannelName"]
        _place_source(objects, extra["S3DataSource"], channel, label)


def place_archive(objects: Objects, url: str, target: Path, label: str) -> None:
    """Download and unpack one ``model.tar.gz``."""
    archive = target.parent / f".{target.name}.tar.gz"
    _download(objects, url, archive, label)
    try:
        unpack_tree(archive, target)
    except StorageError as error:
        raise FleetFailed(
            f'Failed to extract model data archive for container "{label}" from URL "{url}". '
            "Please ensure that the object located at the URL is a valid tar.gz archive. "
            f"{error.message} {error.hint or ''}".rstrip()
        ) from error
    finally:
        archive.unlink(missing_ok=True)


def _place_source(objects: Objects, source: dict[str, Any], target: Path, label: str) -> None:
    url = source["S3Uri"]
    target.mkdir(parents=True, exist_ok=True)
    if source["S3DataType"] == "S3Object":
        if source["CompressionType"] == "Gzip":
            place_archive(objects, url, target, label)
        else:
            _download(objects, url, target / url.rpartition("/")[2], label)
        return
    bucket, prefix = split_s3(url)
    found = [key for key, _ in objects.list(bucket, prefix) if not key.endswith("/")]
    if not found:
        raise not_downloaded(url, label)
    for key in found:
        parts = key[len(prefix) :].split("/")
        if any(part in ("", ".", "..") for part in parts):
            raise FleetFailed(
                f'Failed to download model data for container "{label}" from URL "{url}": the '
                f"object {key!r} has a name that no file below a directory can have."
            )
        objects.download(bucket, key, target.joinpath(*parts))


def _download(objects: Objects, url: str, path: Path, label: str) -> None:
    bucket, key = split_s3(url)
    try:
        objects.download(bucket, key, path)
    except FileNotFoundError:
        raise not_downloaded(url, label) from None


def not_downloaded(url: str, label: str) -> FleetFailed:
    """Return the failure of an address where nothing is."""
    return FleetFailed(
        f'Failed to download model data for container "{label}" from URL: "{url}". Please ensure '
        "that there is an object located at the URL and that the role passed to CreateModel has "
        "permissions to download the object."
    )
