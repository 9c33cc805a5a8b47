"""How batch transform should call, as far as nobody else says."""

from __future__ import annotations

from typing import Any

from kneighbors.server.settings import MIB, Settings

_MOST_MIB_AT_A_TIME = 100


def execution_parameters_of(settings: Settings) -> dict[str, Any]:
    """Return what ``/execution-parameters`` answers for a model."""
    payload = max(1, min(settings.max_body_bytes // MIB, _MOST_MIB_AT_A_TIME))
    at_a_time = settings.max_transforms or settings.worker_count * settings.threads
    return {
        # SageMaker bounds the product of the two.
        "MaxConcurrentTransforms": max(1, min(at_a_time, _MOST_MIB_AT_A_TIME // payload)),
        "BatchStrategy": settings.batch_strategy,
        "MaxPayloadInMB": payload,
    }
