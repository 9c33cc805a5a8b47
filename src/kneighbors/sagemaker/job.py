"""A training job as SageMaker describes it to a container, and the variables that come of it.

The files lie below ``/opt/ml/input/config``. The variables are those that AWS's training toolkit
makes for a script: the same names, the same values, the same JSON.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
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
_LOG_LEVEL_INFO = 20
_ONE_HOST = {"current_host": "algo-1", "hosts": ["algo-1"]}
_ONE_GROUP = "homogeneousCluster"


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
        given = self.environ.get("SAGEMAKER_PROGRAM") or self._reserved("program")
        return None if given is None else str(given)

    @property
    def submit_directory(self) -> str:
        """Where the code is: an address on S3, an archive or a directory."""
        given = self._reserved("submit_directory") or self.environ.get("SAGEMAKER_SUBMIT_DIRECTORY")
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

    def arguments(self) -> list[str]:
        """Return the user's hyperparameters as arguments of a script, sorted by name."""
        found: list[str] = []
        for name, value in sorted(self.own_hyperparameters.items()):
            found += [f"--{name}" if len(name) > 1 else f"-{name}", _argument(value)]
        return found

    def variables(self) -> dict[str, str]:
        """Return the variables of a script, without those that the container has already."""
        environment = self._environment
        shown = {
            name: value
            for name, value in environment.items()
            if name not in _ONLY_IN_TRAINING_ENV | {"hyperparameters", "channel_input_dirs"}
        }
        shown |= {
            "hps": environment["hyperparameters"],
            "framework_params": shown.pop("additional_framework_parameters"),
            "channels": sorted(self.channels),
            "user_args": self.arguments(),
            "training_env": environment,
        }
        if not shown["topology"]:
            del shown["topology"]
        shown |= {f"channel_{name}": str(self.channel_path(name)) for name in self.channels}
        shown |= {f"hp_{name}": value for name, value in self.own_hyperparameters.items()}
        return {
            "SAGEMAKER_JOB_NAME": str(self._reserved("job_name") or ""),
            "SAGEMAKER_REGION": self._region,
            "CURRENT_HOST": self.current_host,
            **{f"SM_{name.upper()}": _variable(value) for name, value in shown.items()},
        }

    def _reserved(self, name: str) -> Any:
        return self.hyperparameters.get(RESERVED_PREFIX + name)

    @property
    def _region(self) -> str:
        environ = self.environ
        default = environ.get("AWS_DEFAULT_REGION") or environ.get("AWS_REGION") or ""
        return str(self._reserved("region") or default)

    @cached_property
    def _environment(self) -> dict[str, Any]:
        resources, program = self.resources, self.program
        group = resources.get("current_group_name", _ONE_GROUP)
        groups = resources.get("instance_groups", [])
        spread = self.framework_parameters.get("sagemaker_distribution_instance_groups", [])
        members = {entry["instance_group_name"]: entry for entry in groups}
        spread_hosts = [
            host for name in members if name in spread for host in members[name]["hosts"]
        ]
        if not groups:
            spread_hosts = list(self.hosts)
        master = (spread_hosts or self.hosts)[0]
        return {
            "additional_framework_parameters": self.framework_parameters,
            "channel_input_dirs": {name: str(self.channel_path(name)) for name in self.channels},
            "current_host": self.current_host,
            "current_instance_group": group,
            "current_instance_group_hosts": members.get(group, {}).get("hosts", []),
            "current_instance_type": resources.get("current_instance_type", "local"),
            "distribution_hosts": spread_hosts,
            "distribution_instance_groups": spread,
            "framework_module": self.environ.get("SAGEMAKER_TRAINING_MODULE"),
            "hosts": self.hosts,
            "hyperparameters": self.own_hyperparameters,
            "input_config_dir": str(self.base / "input" / "config"),
            "input_data_config": self.channels,
            "input_dir": str(self.base / "input"),
            "instance_groups": list(members),
            "instance_groups_dict": members,
            "is_hetero": len(members) > 1,
            "is_master": self.current_host == master,
            "is_modelparallel_enabled": None,
            "is_smddpmprun_installed": False,
            "is_smddprun_installed": False,
            "job_name": self.environ.get("TRAINING_JOB_NAME"),
            "log_level": self.hyperparameters.get("sagemaker_container_log_level", _LOG_LEVEL_INFO),
            "master_hostname": master,
            "model_dir": str(self.model_dir),
            "module_dir": self.submit_directory,
            "module_name": program.removesuffix(".py") if program else program,
            "network_interface_name": resources.get("network_interface_name", "eth0"),
            "num_cpus": os.cpu_count() or 1,
            "num_gpus": _num_gpus(),
            "num_neurons": 0,
            "output_data_dir": str(self.output_dir / "data"),
            "output_dir": str(self.output_dir),
            "output_intermediate_dir": str(self.output_dir / "intermediate"),
            "resource_config": resources,
            "topology": resources.get("topology", []),
            "user_entry_point": program,
        }


_ONLY_IN_TRAINING_ENV = frozenset(
    {
        "distribution_hosts",
        "is_master",
        "is_modelparallel_enabled",
        "is_smddpmprun_installed",
        "is_smddprun_installed",
        "job_name",
        "master_hostname",
    }
)


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
    return found


def _malformed(path: Path, message: str) -> ParameterRefused:
    return ParameterRefused("job-config", message, where=str(path))


def _decoded(value: Any) -> Any:
    """Return the JSON that a text is, as SDK v2 writes values, or the text itself."""
    try:
        return json.loads(value) if isinstance(value, str) else value
    except (ValueError, RecursionError):
        return value


def _variable(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _argument(value: Any) -> str:
    if isinstance(value, dict):
        return ",".join(f"{name}={part}" for name, part in sorted(value.items()))
    return "" if value is None else str(value)


def _num_gpus() -> int:
    command = shutil.which("nvidia-smi")
    if command is None:
        return 0
    done = subprocess.run([command, "--list-gpus"], capture_output=True, text=True, check=False)  # noqa: S603
    return sum(line.startswith("GPU ") for line in done.stdout.splitlines())
