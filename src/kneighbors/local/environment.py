"""The environment in which a program finds the plane where it looks for AWS."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from kneighbors.local.plane import REGION
from kneighbors.local.root import ROOT_VARIABLE, Settings

SHIM = Path(__file__).parent / "shim"
#: SageMaker's SDKs would tell AWS of every use.
_SDK_CONFIG = """\
SchemaVersion: '1.0'
SageMaker:
  PythonSDK:
    Modules:
      TelemetryOptOut: true
"""


def variables(root: Path, settings: Settings, around: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that a program needs.

    Parameters
    ----------
    root : Path
        Of the plane. Files that the variables name are written there.
    settings : Settings
    around : mapping of str to str
        The environment as it is, whose lists are kept and added to.
    """
    folder = root / "client"
    folder.mkdir(exist_ok=True)
    for name, text in (("config", ""), ("credentials", ""), ("sagemaker.yaml", _SDK_CONFIG)):
        if not (folder / name).exists():
            (folder / name).write_text(text)
    return {
        "AWS_ENDPOINT_URL": settings.url,
        **settings.keys,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
        # Empty, so that no real account is ever used.
        "AWS_CONFIG_FILE": str(folder / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(folder / "credentials"),
        "AWS_EC2_METADATA_DISABLED": "true",
        "SAGEMAKER_USER_CONFIG_OVERRIDE": str(folder / "sagemaker.yaml"),
        "KNEIGHBORS_LOCAL_URL": settings.url,
        ROOT_VARIABLE: str(root),
        "PYTHONPATH": _joined(str(SHIM), around.get("PYTHONPATH"), os.pathsep),
        "NO_PROXY": _joined("127.0.0.1", around.get("NO_PROXY"), ","),
        "no_proxy": _joined("127.0.0.1", around.get("no_proxy"), ","),
    }


def foreign(around: Mapping[str, str], wanted: Mapping[str, str]) -> list[str]:
    """Return the variables that would lead elsewhere: all others of AWS's.

    Examples
    --------
    >>> foreign({"AWS_PROFILE": "work", "AWS_REGION": "eu-west-1"}, {"AWS_REGION": "us-east-1"})
    ['AWS_PROFILE']
    """
    kept = {"AWS_CA_BUNDLE", "AWS_MAX_ATTEMPTS", "AWS_RETRY_MODE"}
    return sorted(
        name
        for name in around
        if name.startswith("AWS_") and name not in wanted and name not in kept
    )


def program_environment(
    root: Path, settings: Settings, around: Mapping[str, str]
) -> dict[str, str]:
    """Return the whole environment of a program."""
    wanted = variables(root, settings, around)
    gone = set(foreign(around, wanted))
    return {name: value for name, value in around.items() if name not in gone} | wanted


def _joined(first: str, rest: str | None, separator: str) -> str:
    others = [part for part in (rest or "").split(separator) if part and part != first]
    return separator.join([first, *others])
