"""What the stock scikit-learn image serves with, on the toolkit that AWS publishes.

The image's own module is not published as a package. This one does the same with the same toolkit:
the user's functions, each in place of a default one, called by Flask, loaded by the first request
that a worker gets.
"""

import importlib
from collections.abc import Callable, Iterable
from typing import Any

from sagemaker_containers.beta.framework import env, modules, transformer, worker

HANDLERS = ("model_fn", "input_fn", "predict_fn", "output_fn", "transform_fn")
_app: list[Any] = []


def _load() -> Any:
    serving = env.ServingEnv()
    try:  # what starts gunicorn has installed it
        script = importlib.import_module(serving.module_name)
    except ImportError:
        script = modules.import_module(serving.module_dir, serving.module_name)
    handlers = {name: getattr(script, name) for name in HANDLERS if hasattr(script, name)}
    user = transformer.Transformer(**handlers)
    user.initialize()
    return worker.Worker(
        transform_fn=user.transform,
        module_name=serving.module_name,
        execution_parameters_fn=getattr(script, "execution_parameters_fn", None),
    )


def main(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer a request; the first one waits for the model."""
    if not _app:
        _app.append(_load())
    return _app[0](environ, start_response)  # type: ignore[no-any-return]
