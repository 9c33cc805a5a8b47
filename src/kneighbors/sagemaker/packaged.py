"""What a packaged model is, and what its container has to be told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from kneighbors.errors import ParameterRefused
from kneighbors.sagemaker.images import STOCK_VERSION, image_uri

Front = Literal["stock", "ours"]
Format = Literal["kneighbors", "sklearn"]

FRONTS: tuple[Front, ...] = ("stock", "ours")
FORMATS: tuple[Format, ...] = ("kneighbors", "sklearn")

#: Where a container finds the folder ``code/`` of its model.
CODE_DIR = "/opt/ml/model/code"
OWN_SCRIPT = "sklearn_nearest_neighbors.py"
PLAIN_SCRIPT = "plain_scikit_learn.py"
_OWN_FRONT = "kneighbors.server.wsgi:main"
#: The newest image that both versions of the Python SDK can name for hosting.
_PLAIN_VERSION = "1.2-1"


@dataclass(frozen=True, slots=True)
class Packaged:
    """An archive for SageMaker, and how to make a model of it.

    Parameters
    ----------
    path : Path
        The ``model.tar.gz``.
    bytes : int
        Its length.
    format : {"kneighbors", "sklearn"}
    front : {"stock", "ours"}
    environment : dict of str to str
        What CreateModel needs as ``Environment``.
    image_version : str
        Version of AWS's scikit-learn image that it is made for.
    sourcedir : Path, optional
        The code alone, where it was asked for.
    """

    path: Path
    bytes: int
    format: Format
    front: Front
    environment: dict[str, str] = field(default_factory=dict)
    image_version: str = STOCK_VERSION
    sourcedir: Path | None = None

    def image(self, region: str) -> str:
        """Return the address of the image in a region; errors as of `image_uri`."""
        return image_uri(region, self.image_version)

    def to_dict(self) -> dict[str, Any]:
        """Return what ``kneighbors package --json`` prints."""
        return {
            "path": str(self.path),
            "bytes": self.bytes,
            "format": self.format,
            "front": self.front,
            "image_version": self.image_version,
            "environment": self.environment,
            "sourcedir": None if self.sourcedir is None else str(self.sourcedir),
        }


def image_version_of(format: Format) -> str:
    """Return the version of AWS's image that models of a format are made for by default."""
    return _PLAIN_VERSION if format == "sklearn" else STOCK_VERSION


def environment_of(
    format: Format, front: Front, script: str, extra: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return the variables that a packaged model's container needs.

    Parameters
    ----------
    format : {"kneighbors", "sklearn"}
    front : {"stock", "ours"}
    script : str
        Name of the script in ``code/``.
    extra : mapping of str to str, optional
        Further ones, which win.

    Raises
    ------
    ParameterRefused
        With code ``package-front``: our front answers only from our artifact.

    Examples
    --------
    >>> environment_of("kneighbors", "stock", "wines.py")["SAGEMAKER_PROGRAM"]
    'wines.py'
    """
    if format == "sklearn" and front == "ours":
        raise ParameterRefused(
            "package-front",
            "Expected --front stock with --format sklearn, which needs nothing of ours; got ours.",
        )
    environment = {"SAGEMAKER_CONTAINER_LOG_LEVEL": "20"}
    if front == "stock":
        # The image installs a script that it is told of with pip, at every start. Our front finds
        # it in the model.
        environment |= {"SAGEMAKER_PROGRAM": script, "SAGEMAKER_SUBMIT_DIRECTORY": CODE_DIR}
    if format == "kneighbors":
        environment["PYTHONPATH"] = CODE_DIR
    if front == "ours":
        environment["SAGEMAKER_SERVING_MODULE"] = _OWN_FRONT
    return {**environment, **(extra or {})}
