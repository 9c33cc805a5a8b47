"""A process that runs already, such as a notebook, turned to the plane and back."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from pathlib import Path

from kneighbors.local.environment import foreign, variables
from kneighbors.local.root import demand_running, found_root
from kneighbors.local.shim import kneighbors_redirect

_LOCK = threading.Lock()
#: What the variables were before; None where a variable was not set. Empty where not activated.
_before: dict[str, str | None] = {}


@dataclass(frozen=True, slots=True)
class Activated:
    """Where this process's calls of AWS go now."""

    url: str
    root: Path
    role_arn: str

    def __str__(self) -> str:
        return f"SageMaker on this machine: {self.url} ({self.root}), role {self.role_arn}"

    __repr__ = __str__


def activate(root: str | os.PathLike[str] | None = None) -> Activated:
    """Turn this process to the control plane that is up on this machine.

    From now on boto3 and SageMaker's SDKs reach the plane in place of AWS, with sessions and
    clients that are made from now on; clients made before send their requests there too. Nothing
    of an account is used. To do it again is no harm; `deactivate` turns back.

    Parameters
    ----------
    root : path-like, optional
        Of the plane; by default ``KNEIGHBORS_LOCAL_ROOT`` or ``~/.kneighbors/local``.

    Returns
    -------
    Activated
        It prints where the plane is, and has the ``role_arn`` to give to jobs and models.

    Raises
    ------
    LocalError
        With code ``local-not-up``: a notebook does not start a plane.
    """
    place = found_root(None if root is None else Path(root))
    settings = demand_running(place)
    wanted = variables(place, settings, os.environ)
    # A process that runs already has read PYTHONPATH; its children are to be turned too.
    with _LOCK:
        for name in [*wanted, *foreign(os.environ, wanted)]:
            _before.setdefault(name, os.environ.get(name))
            if name in wanted:
                os.environ[name] = wanted[name]
            else:
                del os.environ[name]
        kneighbors_redirect.install()
        _forget_default_session()
    return Activated(settings.url, place, settings.role_arn)


def deactivate() -> None:
    """Turn this process back to where it was; nothing happens if it was not activated."""
    with _LOCK:
        if not _before:
            return
        for name, value in _before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        _before.clear()
        kneighbors_redirect.remove()
        _forget_default_session()


def _forget_default_session() -> None:
    """Have ``boto3.client`` read the variables anew: its session keeps the credentials it found."""
    import sys

    boto3 = sys.modules.get("boto3")
    if boto3 is not None:
        vars(boto3)["DEFAULT_SESSION"] = None
