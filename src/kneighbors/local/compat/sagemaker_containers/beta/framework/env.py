"""What a script may ask of the job that it runs in, read from the ``SM_*`` variables."""

from __future__ import annotations

import json
import os
from typing import Any

from .errors import ChannelDoesNotExistException

_TEXTS = (
    *("current_host", "model_dir", "output_data_dir", "output_dir", "input_dir", "module_dir"),
    *("input_config_dir", "output_intermediate_dir", "module_name", "network_interface_name"),
    *("user_entry_point", "framework_module"),
)
_JSONS = {
    "hosts": "SM_HOSTS",
    "hyperparameters": "SM_HPS",
    "resource_config": "SM_RESOURCE_CONFIG",
    "input_data_config": "SM_INPUT_DATA_CONFIG",
    "additional_framework_parameters": "SM_FRAMEWORK_PARAMS",
    "num_cpus": "SM_NUM_CPUS",
    "num_gpus": "SM_NUM_GPUS",
    "log_level": "SM_LOG_LEVEL",
}


class TrainingEnv:
    """The facts of a training job as attributes, such as ``hosts`` and ``model_dir``."""

    def __getattr__(self, name: str) -> Any:
        if name in _TEXTS:
            return os.environ.get(f"SM_{name.upper()}", "")
        if name in _JSONS:
            return json.loads(os.environ.get(_JSONS[name], "null"))
        raise AttributeError(name)

    @property
    def channel_input_dirs(self) -> dict[str, str]:
        """Directories by channel."""
        channels = json.loads(os.environ.get("SM_CHANNELS", "[]"))
        return {name: os.environ[f"SM_CHANNEL_{name.upper()}"] for name in channels}

    @property
    def is_master(self) -> bool:
        """Whether this is the first of the job's hosts."""
        return bool(self.current_host == self.master_hostname)

    @property
    def master_hostname(self) -> str:
        """The first of the job's hosts."""
        return str(min(self.hosts))


def training_env(**unused: object) -> TrainingEnv:
    """Return the facts of this training job."""
    return TrainingEnv()


def channel_path(channel: str) -> str:
    """Return the directory of a channel."""
    found = TrainingEnv().channel_input_dirs
    if channel not in found:
        raise ChannelDoesNotExistException(channel)
    return found[channel]


def num_cpus() -> int:
    """Return how many processors there are."""
    return os.cpu_count() or 1


def num_gpus() -> int:
    """Return how many graphics processors the job was told of."""
    return int(os.environ.get("SM_NUM_GPUS", "0"))
