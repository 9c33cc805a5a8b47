"""A container's variables, AWS's own names among them, as the settings of a server.

`kneighbors.server.settings` reads the variables that mean one setting each. Here are those that
mean several, are written otherwise, or may contradict one another. Where a variable of ours, whose
name begins with ``KNEIGHBORS_``, says the same thing, it goes first.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any, NoReturn

from kneighbors.errors import ParameterRefused
from kneighbors.server.settings import MIB, Settings

BASE_DIR = "/opt/ml"

_MOST_BODY_MIB = 1024
#: SageMaker's bound on what a batch transform sends at a time.
_MOST_BATCH_MIB = 100
_PAYLOAD = "SAGEMAKER_MAX_PAYLOAD_IN_MB"
_SIZES = {_PAYLOAD: MIB, "MAX_CONTENT_LENGTH": 1, "SAGEMAKER_MAX_REQUEST_SIZE": 1}
_TRANSFORMS = "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS"
_MULTI = "SAGEMAKER_MULTI_MODEL"
_BATCH = "SAGEMAKER_BATCH"
_RANGE = re.compile(r"([0-9]{1,5})-([0-9]{1,5})")
_FLAGS = {"true": True, "1": True, "false": False, "0": False, "": False}
_LEVELS = ((10, "debug"), (20, "info"), (30, "warning"))
_LEVEL_NAMES = {"debug": 10, "info": 20, "warning": 30, "warn": 30, "error": 40, "critical": 50}


def container_settings(environ: Mapping[str, str]) -> Settings:
    """Return the settings of a server in a container.

    Parameters
    ----------
    environ : mapping of str to str
        Usually ``os.environ``.

    Raises
    ------
    ParameterRefused
        If a variable is malformed or out of its bounds, or two contradict each other: with code
        ``setting-type``, ``setting-range``, ``setting-choice`` or ``setting-conflict``.

    Examples
    --------
    >>> settings = container_settings({"SAGEMAKER_BASE_DIR": "/tmp/ml"})
    >>> settings.model, settings.host, settings.port
    ('/tmp/ml/model', '0.0.0.0', 8080)
    >>> container_settings({"SAGEMAKER_MULTI_MODEL": "true"}).model
    '/opt/ml/models'
    """
    given = {name: value.strip() for name, value in environ.items() if value.strip()}
    _check_port_range(given)
    base = PurePath(given.get("SAGEMAKER_BASE_DIR", BASE_DIR))
    is_multi, is_batch = _flag(given, _MULTI), _flag(given, _BATCH)
    if is_multi and is_batch:
        _conflict(f"{_MULTI} and {_BATCH}", "one of them: SageMaker has no batch of several models")
    found: dict[str, Any] = {
        "multi_model": "true" if is_multi else "false",
        "answer_timeout_s": _agreed(
            given,
            {"SAGEMAKER_MODEL_SERVER_TIMEOUT": 1, "SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS": 1},
        ),
        **_payload(given),
    }
    ours = {
        "KNEIGHBORS_MODEL": ("model", str(base / ("models" if is_multi else "model"))),
        # The platform connects from outside the container.
        "KNEIGHBORS_HOST": ("host", "0.0.0.0"),  # noqa: S104
        "KNEIGHBORS_LOG_LEVEL": ("log_level", _log_level(given)),
        "KNEIGHBORS_MAX_WAITING": ("max_waiting", _number(given, "SAGEMAKER_MODEL_JOB_QUEUE_SIZE")),
    }
    found |= {name: value for variable, (name, value) in ours.items() if variable not in given}
    # The flag is written in several ways there, and has been read above.
    rest = {name: value for name, value in given.items() if name != _MULTI}
    return Settings.from_environment(rest, **found)


def _payload(given: Mapping[str, str]) -> dict[str, Any]:
    """Return the bounds of bodies; what is longer holds more rows, and more of it is held."""
    if "KNEIGHBORS_MAX_BODY_BYTES" in given:
        return {}
    size = _agreed(given, _SIZES)
    if size is None:
        return {}
    if size > _MOST_BODY_MIB * MIB:
        raise ParameterRefused(
            "setting-range",
            f"Expected of {', '.join(_SIZES.keys() & given.keys())} at most {_MOST_BODY_MIB} MiB.",
        )
    transforms = _number(given, _TRANSFORMS) or 1
    if _flag(given, _BATCH) and size * transforms > _MOST_BATCH_MIB * MIB:
        _conflict(
            f"{_PAYLOAD} and {_TRANSFORMS}",
            f"a product of at most {_MOST_BATCH_MIB}, as SageMaker has it",
        )
    # 0 says that the platform sends files of any length, in chunks.
    size = int(size) or _MOST_BODY_MIB * MIB
    bounds: dict[str, Any] = {"max_body_bytes": size}
    default = Settings()
    if "KNEIGHBORS_MAX_ROWS" not in given:
        times = -(-size // default.max_body_bytes)
        bounds["max_rows"] = default.max_rows * times
    if "KNEIGHBORS_MAX_BUFFERED_BYTES" not in given:
        bounds["max_buffered_bytes"] = max(default.max_buffered_bytes, size * transforms)
    return bounds


def _agreed(given: Mapping[str, str], units: Mapping[str, int]) -> float | None:
    """Return what variables of one meaning say, None if none is given."""
    said = {
        name: number * unit
        for name, unit in units.items()
        if (number := _number(given, name)) is not None
    }
    if len(set(said.values())) > 1:
        _conflict(" and ".join(said), "one value")
    return next(iter(said.values()), None)


def _number(given: Mapping[str, str], name: str) -> int | None:
    text = given.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 16):
        _malformed(name, "a whole number", text)
    return int(text)


def _flag(given: Mapping[str, str], name: str) -> bool:
    text = given.get(name, "")
    flag = _FLAGS.get(text.lower())
    if flag is None:
        _malformed(name, "true or false", text)
    return flag


def _log_level(given: Mapping[str, str]) -> str | None:
    """Return our name of a level of Python's, which AWS's SDK gives as a number."""
    name = "SAGEMAKER_CONTAINER_LOG_LEVEL"
    text = given.get(name)
    if text is None:
        return None
    number = _LEVEL_NAMES.get(text.lower())
    if number is None:
        number = _number(given, name) or 0
    return next((level for most, level in _LEVELS if number <= most), "error")


def _check_port_range(given: Mapping[str, str]) -> None:
    """Refuse a range that is none; beside its own port the server needs no other."""
    name = "SAGEMAKER_SAFE_PORT_RANGE"
    text = given.get(name)
    if text is None:
        return
    found = _RANGE.fullmatch(text)
    if found is None or not 1 <= int(found[1]) <= int(found[2]) <= 65_535:
        _malformed(name, "two ports, the lower first, such as 9000-9999", text)


def _malformed(name: str, expected: str, text: str) -> NoReturn:
    raise ParameterRefused(
        "setting-type",
        f"Expected {name} to be {expected}, got {text!r:.100}.",
        where=f"variable {name}",
    )


def _conflict(names: str, expected: str) -> NoReturn:
    raise ParameterRefused(
        "setting-conflict",
        f"Expected of {names} {expected}, got others.",
        where=f"variables {names}",
        hint="Unset one of them.",
    )
