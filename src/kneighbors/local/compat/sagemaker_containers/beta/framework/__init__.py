"""The names that scripts import. What these modules have works; what they lack is absent."""

from __future__ import annotations

from . import (
    content_types,
    encoders,
    env,
    errors,
    modules,
    transformer,
    worker,
)
from .env import training_env

__all__ = [
    "content_types",
    "encoders",
    "env",
    "errors",
    "modules",
    "training_env",
    "transformer",
    "worker",
]
