"""A training job as SageMaker describes it to a container: files below ``/opt/ml/input/config``."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kneighbors.errors import ParameterRefused
from kneighbors.storage import translated

BASE_DIR = "/opt/ml"
BASE_DIR_VARIABLE = "SAGEMAKER_BASE_DIR"

#: Hyperparameters of SageMaker's own begin so; no script is given them.
RESERVED_PREFIX = "sagemaker_"
#: Those of them that are no settings of a framework, and what a tuning job adds.
_KNOWN_RESERVED = frozenset(
    f"sagemaker_{name}"
    for name in (
        "program",
        "submit_directory",
        "enable_cloudwatch_metrics",
        "region",
        "container_log_level",
        "job_name",
        "s3_output",
    )
)
_ALSO_RESERVED = frozenset({"default_user_module_name", "_tuning_objective_metric"})
_ONE_HOST = {"current_host": "algo-1", "hosts": ["algo-1"]}


@dataclass(frozen=True, kw_only=True)
class Job:
    """What a container is asked to train.

    Parameters
    ----------
    base : Path
        ``/opt/ml``, or what stands in for it.
    hyperparameters : dict
        All of them, as the JSON that their texts are, or else as text.
    channels : dict of str to dict
        Of the input data, by name: ``TrainingInputMode``, ``S3DistributionType`` and others.
    resources : dict
        ``current_host``, ``hosts`` and what else is known of the machines.
    checkpoints : dict or None
        ``S3Uri`` and ``LocalPath``, where the job keeps checkpoints.
    environ : mapping of str to str
        What the container was started with.
    """

    base: Path
    hyperparameters: dict[str, Any]
    channels: dict[str, Any]
    resources: dict[str, Any]
    checkpoints: dict[str, Any] | None
    environ: Mapping[str, str]

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Job:
        """Read the files of a job; those that are missing say nothing.

        Parameters
        ----------
        environ : mapping of str to str
            ``SAGEMAKER_BASE_DIR`` is read.

        Raises
        ------
        ParameterRefused
            With code ``job-config`` if a file is no JSON of the expected form.
        StorageError
            If one cannot be read.
        """
        base = base_dir(environ)
        config = base / "input" / "config"
        given = _read(config / "hyperparameters.json") or {}
        return cls(
            base=base,
            hyperparameters={name: _decoded(value) for name, value in given.items()},
            channels=_read(config / "inputdataconfig.json") or {},
            resources=_resources(config / "resourceconfig.json"),
            checkpoints=_read(config / "checkpointconfig.json"),
            environ=environ,
        )

    @property
    def program(self) -> str | None:
        """The script that the job runs, relative to its code; None if it names none."""
        given = self.environ.get("SAGEMAKER_PROGRAM") or self.reserved("program")
        return None if given is None else str(given)

    @property
    def submit_directory(self) -> str:
        """Where the code is: an address on S3, an archive or a directory."""
        given = self.reserved("submit_directory") or self.environ.get("SAGEMAKER_SUBMIT_DIRECTORY")
        if given is None and "code" in self.channels:
            return str(self.channel_path("code"))
        return str(self.code_dir if given is None else given)

    @property
    def code_dir(self) -> Path:
        """Where the code is run."""
        return self.base / "code"

    @property
    def model_dir(self) -> Path:
        """What becomes the model."""
        return self.base / "model"

    @property
    def output_dir(self) -> Path:
        """Where the job says that it failed, and leaves other files in ``data``."""
        return self.base / "output"

    @property
    def checkpoint_dir(self) -> Path | None:
        """Where checkpoints are kept; None if the job keeps none."""
        default = self.base / "checkpoints"
        if self.checkpoints is None:
            return default if default.is_dir() else None
        # The file speaks of the container's own path, wherever that really is.
        below = os.path.relpath(str(self.checkpoints.get("LocalPath") or default), BASE_DIR)
        return default if below.startswith("..") else self.base / below

    @property
    def hosts(self) -> list[str]:
        """Names of all hosts."""
        return [str(host) for host in self.resources["hosts"]]

    @property
    def current_host(self) -> str:
        """Name of this host."""
        return str(self.resources["current_host"])

    @property
    def own_hyperparameters(self) -> dict[str, Any]:
        """The user's hyperparameters."""
        return {name: value for name, value in self.hyperparameters.items() if not _is_own(name)}

    @property
    def framework_parameters(self) -> dict[str, Any]:
        """SageMaker's hyperparameters that are settings of a framework."""
        return {
            name: value
            for name, value in self.hyperparameters.items()
            if _is_own(name) and name not in _KNOWN_RESERVED | _ALSO_RESERVED
        }

    def channel_path(self, name: str) -> Path:
        """Return the directory of a channel."""
        return self.base / "input" / "data" / name

    def reserved(self, name: str) -> Any:
        """Return a hyperparameter of SageMaker's own, by its name without ``sagemaker_``."""
        return self.hyperparameters.get(RESERVED_PREFIX + name)


def base_dir(environ: Mapping[str, str]) -> Path:
    """Return ``/opt/ml``, or what the variable says in place of it.

    Examples
    --------
    >>> base_dir({}), base_dir({"SAGEMAKER_BASE_DIR": "/tmp/ml"})
    (PosixPath('/opt/ml'), PosixPath('/tmp/ml'))
    """
    return Path(environ.get(BASE_DIR_VARIABLE, "").strip() or BASE_DIR)


def _is_own(name: str) -> bool:
    return name.startswith(RESERVED_PREFIX) or name in _ALSO_RESERVED


def _read(path: Path) -> dict[str, Any] | None:
    """Return the object in a file; None without one."""
    with translated(path):
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return None
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise _malformed(path, f"Expected JSON, got {error}.") from None
    if not isinstance(found, dict):
        raise _malformed(path, f"Expected a JSON object, got {type(found).__name__}.")
    return found


def _resources(path: Path) -> dict[str, Any]:
    found = _read(path) or dict(_ONE_HOST)
    hosts = found.get("hosts")
    if not isinstance(hosts, list) or found.get("current_host") not in hosts:
        raise _malformed(path, "Expected a list of hosts, and the current host among them.")
    groups = found.get("instance_groups", [])
    needed = {"instance_group_name", "hosts"}
    if not isinstance(groups, list) or not all(
        isinstance(group, dict) and needed <= group.keys() for group in groups
    ):
        raise _malformed(path, "Expected instance groups with a name and hosts each.")
    return found


def _malformed(path: Path, message: str) -> ParameterRefused:
    return ParameterRefused("job-config", message, where=str(path))


def _decoded(value: Any) -> Any:
    """Return the JSON that a text is, as SDK v2 writes values, or the text itself."""
    try:
        return json.loads(value) if isinstance(value, str) else value
    except (ValueError, RecursionError):
        return value
