"""The functions of a user's script, checked once and called by the toolkits' rules."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from kneighbors.errors import KNeighborsError, ScriptError
from kneighbors.sagemaker import handlers
from kneighbors.sagemaker.script import HANDLER_NAMES, described, is_signal

#: How many arguments each is called with, `context` apart.
_ARGUMENTS = {
    "model_fn": 1,
    "input_fn": 2,
    "predict_fn": 2,
    "output_fn": 2,
    "transform_fn": 4,
    "pre_model_fn": 1,
    "model_warmup_fn": 2,
    "execution_parameters_fn": 0,
}
_PARTS = ("input_fn", "predict_fn", "output_fn")
_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


@dataclass(frozen=True, slots=True)
class Function:
    """One function of a script.

    Parameters
    ----------
    name : str
    call : callable
    takes_context : bool
        Whether it has one argument more than it needs, which is the context then.
    """

    name: str
    call: Callable[..., Any]
    takes_context: bool

    def __call__(self, *arguments: Any, context: Any = None) -> Any:
        """Call it.

        Raises
        ------
        ScriptError
            With code ``script-failed``, whatever it raises. What this package refuses inside of
            it passes, and so does a lack of memory.
        """
        try:
            return self.call(*arguments, context) if self.takes_context else self.call(*arguments)
        except (KNeighborsError, MemoryError):
            raise
        except BaseException as error:
            if is_signal(error):
                raise
            raise ScriptError(
                "script-failed", f"Expected {self.name} to return, got {described(error)}."
            ) from error


class Functions(Mapping[str, Function]):
    """The functions that a script defines, by name; those that are this package's own left out.

    Parameters
    ----------
    module : module

    Raises
    ------
    ScriptError
        With code ``script-invalid``, if one is no function or takes another number of arguments,
        or if there is a ``transform_fn`` beside one of the three that it stands for.
    """

    def __init__(self, module: ModuleType) -> None:
        found = {name: getattr(module, name, None) for name in HANDLER_NAMES}
        self._functions = {
            name: _checked(name, value)
            for name, value in found.items()
            if value is not None and value is not getattr(handlers, name, None)
        }
        mixed = [name for name in _PARTS if found[name] is not None]
        if "transform_fn" in self and mixed:
            raise ScriptError(
                "script-invalid",
                f"Expected transform_fn in place of {', '.join(_PARTS)}, got {mixed[0]} as well.",
            )

    def __getitem__(self, name: str) -> Function:
        return self._functions[name]

    def __iter__(self) -> Any:
        return iter(self._functions)

    def __len__(self) -> int:
        return len(self._functions)


def _checked(name: str, value: Any) -> Function:
    count = _ARGUMENTS[name]
    if not callable(value):
        raise ScriptError(
            "script-invalid", f"Expected {name} to be a function, got {type(value).__name__}."
        )
    if inspect.iscoroutinefunction(value) or inspect.isasyncgenfunction(value):
        raise ScriptError(
            "script-invalid", f"Expected {name} to be a plain function, got an async one."
        )
    try:
        parameters = inspect.signature(value).parameters.values()
    except ValueError:  # one that is written in C may not tell
        return Function(name, value, takes_context=False)
    most = sum(one.kind in _POSITIONAL for one in parameters)
    least = sum(
        one.default is inspect.Parameter.empty
        and one.kind in (*_POSITIONAL, inspect.Parameter.KEYWORD_ONLY)
        for one in parameters
    )
    is_open = any(one.kind is inspect.Parameter.VAR_POSITIONAL for one in parameters)
    takes_context = most == count + 1
    if least > count + takes_context or (most < count and not is_open):
        raise ScriptError(
            "script-invalid",
            f"Expected {name} to take {count} arguments, or one more for the context, got a "
            f"function that takes {inspect.signature(value)}.",
        )
    return Function(name, value, takes_context)
