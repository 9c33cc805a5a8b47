"""What an endpoint is to run: the configuration and the models, as they were when it was asked.

Plain data that is kept in the endpoint's record, so that an endpoint comes back after a restart
even if its configuration or its models have been deleted since, as a live one goes on.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from kneighbors.local.kinds import ENDPOINT_CONFIGS, MODELS

if TYPE_CHECKING:
    from kneighbors.local.plane import Plane

#: Defaults of AWS, in seconds.
STARTUP_TIMEOUT_S = 480
DOWNLOAD_TIMEOUT_S = 600


class FleetFailed(Exception):
    """A fleet that cannot be brought up.

    Parameters
    ----------
    reason : str
        For the endpoint's FailureReason.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class VariantPlan:
    """One production variant.

    Parameters
    ----------
    name : str
    weight : float
    count : int
        Instances; 1 where it is serverless.
    containers : list of dict
        Definitions as in CreateModel; several are a pipeline.
    is_direct : bool
        Whether a call goes to one of the containers instead of through all.
    isolated : bool
        Whether the model asks for network isolation.
    serverless : dict or None
        Its ServerlessConfig.
    startup_timeout_s, download_timeout_s : int
    """

    name: str
    weight: float
    count: int
    containers: list[dict[str, Any]]
    is_direct: bool = False
    isolated: bool = False
    serverless: dict[str, Any] | None = None
    startup_timeout_s: int = STARTUP_TIMEOUT_S
    download_timeout_s: int = DOWNLOAD_TIMEOUT_S


@dataclass(frozen=True, slots=True)
class DeploymentPlan:
    """What an endpoint runs.

    Parameters
    ----------
    config : str
        Name of the endpoint configuration.
    variants : list of VariantPlan
    asynchronous : dict or None
        Its AsyncInferenceConfig.
    """

    config: str
    variants: list[VariantPlan] = field(default_factory=list)
    asynchronous: dict[str, Any] | None = None

    def as_document(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return asdict(self)

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> DeploymentPlan:
        """Return what `as_document` wrote."""
        variants = [VariantPlan(**one) for one in document["variants"]]
        return cls(document["config"], variants, document["asynchronous"])


def plan(plane: Plane, config_name: str) -> DeploymentPlan:
    """Return what a configuration deploys now.

    Raises
    ------
    Fault
        ``ValidationException`` if the configuration or one of its models is not there.
    """
    config = ENDPOINT_CONFIGS.found(plane, config_name)
    variants = [_variant(plane, one) for one in config["ProductionVariants"]]
    return DeploymentPlan(config_name, variants, config.get("AsyncInferenceConfig"))


def _variant(plane: Plane, variant: dict[str, Any]) -> VariantPlan:
    model = MODELS.found(plane, variant["ModelName"])
    execution = model.get("InferenceExecutionConfig", {})
    return VariantPlan(
        name=variant["VariantName"],
        weight=variant.get("InitialVariantWeight", 1.0),
        count=variant.get("InitialInstanceCount", 1),
        containers=model.get("Containers") or [model["PrimaryContainer"]],
        is_direct=execution.get("Mode") == "Direct",
        isolated=model.get("EnableNetworkIsolation", False),
        serverless=variant.get("ServerlessConfig"),
        startup_timeout_s=variant.get(
            "ContainerStartupHealthCheckTimeoutInSeconds", STARTUP_TIMEOUT_S
        ),
        download_timeout_s=variant.get("ModelDataDownloadTimeoutInSeconds", DOWNLOAD_TIMEOUT_S),
    )
