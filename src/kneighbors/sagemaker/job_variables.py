"""What a script is given of a job: the arguments and variables that AWS's training toolkit makes.

The same names, the same values, the same JSON; a test compares them with the toolkit's own.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from typing import Any

from kneighbors.sagemaker.job import Job

_LOG_LEVEL_INFO = 20
_ONE_GROUP = "homogeneousCluster"
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


def arguments_of(job: Job) -> list[str]:
    """Return the user's hyperparameters as arguments of a script, sorted by name."""
    found: list[str] = []
    for name, value in sorted(job.own_hyperparameters.items()):
        found += [f"--{name}" if len(name) > 1 else f"-{name}", _argument(value)]
    return found


def variables_of(job: Job) -> dict[str, str]:
    """Return the variables of a script, without those that the container has already."""
    environment = _environment(job)
    shown = {
        name: value
        for name, value in environment.items()
        if name not in _ONLY_IN_TRAINING_ENV | {"hyperparameters", "channel_input_dirs"}
    }
    shown |= {
        "hps": environment["hyperparameters"],
        "framework_params": shown.pop("additional_framework_parameters"),
        "channels": sorted(job.channels),
        "user_args": arguments_of(job),
        "training_env": environment,
    }
    if not shown["topology"]:
        del shown["topology"]
    shown |= {f"channel_{name}": str(job.channel_path(name)) for name in job.channels}
    shown |= {f"hp_{name}": value for name, value in job.own_hyperparameters.items()}
    return {
        "SAGEMAKER_JOB_NAME": str(job.reserved("job_name") or ""),
        "SAGEMAKER_REGION": _region(job),
        "CURRENT_HOST": job.current_host,
        **{f"SM_{name.upper()}": _variable(value) for name, value in shown.items()},
    }


def _region(job: Job) -> str:
    environ = job.environ
    default = environ.get("AWS_DEFAULT_REGION") or environ.get("AWS_REGION") or ""
    return str(job.reserved("region") or default)


def _environment(job: Job) -> dict[str, Any]:
    resources, program = job.resources, job.program
    group = resources.get("current_group_name", _ONE_GROUP)
    groups = resources.get("instance_groups", [])
    spread = job.framework_parameters.get("sagemaker_distribution_instance_groups", [])
    members = {entry["instance_group_name"]: entry for entry in groups}
    spread_hosts = [host for name in members if name in spread for host in members[name]["hosts"]]
    if not groups:
        spread_hosts = list(job.hosts)
    master = (spread_hosts or job.hosts)[0]
    return {
        "additional_framework_parameters": job.framework_parameters,
        "channel_input_dirs": {name: str(job.channel_path(name)) for name in job.channels},
        "current_host": job.current_host,
        "current_instance_group": group,
        "current_instance_group_hosts": members.get(group, {}).get("hosts", []),
        "current_instance_type": resources.get("current_instance_type", "local"),
        "distribution_hosts": spread_hosts,
        "distribution_instance_groups": spread,
        "framework_module": job.environ.get("SAGEMAKER_TRAINING_MODULE"),
        "hosts": job.hosts,
        "hyperparameters": job.own_hyperparameters,
        "input_config_dir": str(job.base / "input" / "config"),
        "input_data_config": job.channels,
        "input_dir": str(job.base / "input"),
        "instance_groups": list(members),
        "instance_groups_dict": members,
        "is_hetero": len(members) > 1,
        "is_master": job.current_host == master,
        "is_modelparallel_enabled": None,
        "is_smddpmprun_installed": False,
        "is_smddprun_installed": False,
        "job_name": job.environ.get("TRAINING_JOB_NAME"),
        "log_level": job.hyperparameters.get("sagemaker_container_log_level", _LOG_LEVEL_INFO),
        "master_hostname": master,
        "model_dir": str(job.model_dir),
        "module_dir": job.submit_directory,
        "module_name": program.removesuffix(".py") if program else program,
        "network_interface_name": resources.get("network_interface_name", "eth0"),
        "num_cpus": os.cpu_count() or 1,
        "num_gpus": _num_gpus(),
        "num_neurons": 0,
        "output_data_dir": str(job.output_dir / "data"),
        "output_dir": str(job.output_dir),
        "output_intermediate_dir": str(job.output_dir / "intermediate"),
        "resource_config": resources,
        "topology": resources.get("topology", []),
        "user_entry_point": program,
    }


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
