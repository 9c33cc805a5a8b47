"""The files that tell a container what to train: ``/opt/ml/input/config``."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kneighbors.local.channels import mode_of

Definition = dict[str, Any]

#: Where checkpoints are if a job does not say.
CHECKPOINTS = "/opt/ml/checkpoints"
_BASE = "/opt/ml"


@dataclass(frozen=True, slots=True)
class Host:
    """One machine of a job.

    Parameters
    ----------
    name : str
        ``algo-1`` and so on.
    instance_type : str
    group : str
        The instance group that it belongs to.
    """

    name: str
    instance_type: str
    group: str


def hosts_of(resources: Definition) -> list[Host]:
    """Return a job's machines.

    Examples
    --------
    >>> hosts_of({"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1})
    [Host(name='algo-1', instance_type='ml.m5.large', group='homogeneousCluster')]
    """
    groups = resources.get("InstanceGroups") or [
        {
            "InstanceType": resources["InstanceType"],
            "InstanceCount": resources["InstanceCount"],
            "InstanceGroupName": "homogeneousCluster",
        }
    ]
    kinds = [
        (group["InstanceType"], group["InstanceGroupName"])
        for group in groups
        for _ in range(group["InstanceCount"])
    ]
    return [Host(f"algo-{number}", *kind) for number, kind in enumerate(kinds, start=1)]


def write_config(job: Definition, base: Path, host: Host, hosts: list[Host]) -> None:
    """Write the files of one host.

    Parameters
    ----------
    job : dict
        As CreateTrainingJob has it.
    base : Path
        What the host sees as ``/opt/ml``.
    host : Host
    hosts : list of Host
        All of the job's.
    """
    config = base / "input" / "config"
    config.mkdir(parents=True, exist_ok=True)
    files = {
        "hyperparameters": job.get("HyperParameters", {}),
        "inputdataconfig": _channels(job),
        "resourceconfig": _resources(host, hosts),
    }
    if checkpoints := job.get("CheckpointConfig"):
        files["checkpointconfig"] = {
            "S3Uri": checkpoints["S3Uri"],
            # As a path of this machine: it holds whether or not the host has an /opt/ml.
            "LocalPath": str(checkpoint_folder(job, base)),
        }
    for name, content in files.items():
        (config / f"{name}.json").write_text(json.dumps(content, indent=2))


def checkpoint_folder(job: Definition, base: Path) -> Path:
    """Return where a job's checkpoints are on this machine."""
    path = str(job["CheckpointConfig"].get("LocalPath", CHECKPOINTS))
    return base / path.removeprefix(_BASE).strip("/")


def is_below_base(path: str) -> bool:
    """Tell whether a container's path is below its ``/opt/ml``.

    Examples
    --------
    >>> is_below_base("/opt/ml/checkpoints"), is_below_base("/opt/ml/../x"), is_below_base("/x")
    (True, False, False)
    """
    return path.startswith(f"{_BASE}/") and ".." not in Path(path).parts


def rerooted(text: str, base: Path) -> str:
    """Return a text in which ``/opt/ml`` is a host's own."""
    return text.replace(_BASE, str(base))


def _channels(job: Definition) -> Definition:
    default = job["AlgorithmSpecification"]["TrainingInputMode"]
    found = {}
    for channel in job.get("InputDataConfig", []):
        source = channel["DataSource"]["S3DataSource"]
        facts = {
            "TrainingInputMode": mode_of(channel, default),
            "S3DistributionType": source.get("S3DataDistributionType", "FullyReplicated"),
            "RecordWrapperType": channel.get("RecordWrapperType", "None"),
        }
        if content_type := channel.get("ContentType"):
            facts["ContentType"] = content_type
        found[channel["ChannelName"]] = facts
    return found


def _resources(host: Host, hosts: list[Host]) -> Definition:
    groups: dict[str, list[Host]] = {}
    for one in hosts:
        groups.setdefault(one.group, []).append(one)
    return {
        "current_host": host.name,
        "current_instance_type": host.instance_type,
        "current_group_name": host.group,
        "hosts": [one.name for one in hosts],
        "instance_groups": [
            {
                "instance_group_name": name,
                "instance_type": members[0].instance_type,
                "hosts": [one.name for one in members],
            }
            for name, members in groups.items()
        ],
        "network_interface_name": "lo",
    }
