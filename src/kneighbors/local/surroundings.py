"""The variables that a container's processes see.

A container has nothing of the machine's environment but what makes programs run and reach a
network: no credentials, no settings of the user's Python.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kneighbors.local.plane import Plane

_KEPT = {"PATH", "LANG", "TZ", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "OMP_NUM_THREADS"}
#: Compared in upper case: proxies are given in either.
_KEPT |= {"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY"}
_KEPT |= {"SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"}
_KEPT_BEGINNINGS = ("LC_", "PIP_", "UV_")
#: These would send what a script installs out of its container.
_ELSEWHERE = {"PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_USER", "PIP_PYTHON", "PIP_SRC"}


def host_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return what of the machine's environment a container gets.

    Examples
    --------
    >>> host_environment({"LANG": "C", "AWS_PROFILE": "work", "PIP_TARGET": "/usr/lib"})
    {'LANG': 'C'}
    """
    return {
        name: value
        for name, value in environ.items()
        if (name.upper() in _KEPT or name.startswith(_KEPT_BEGINNINGS)) and name not in _ELSEWHERE
    }


def container_environment(plane: Plane, home: Path) -> dict[str, str]:
    """Return what every container of a plane is told.

    Parameters
    ----------
    plane : Plane
    home : Path
        Of the container.
    """
    told = {
        "SAGEMAKER_BASE_DIR": str(home / "opt" / "ml"),
        "SAGEMAKER_REGION": plane.region,
        "AWS_REGION": plane.region,
        "AWS_DEFAULT_REGION": plane.region,
        "AWS_ENDPOINT_URL": plane.url,
        "S3_ENDPOINT_URL": plane.url,
        "HOME": str(home / "root"),
        "TMPDIR": str(home / "tmp"),
        "PYTHONUNBUFFERED": "1",
        "PYTHONNOUSERSITE": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_CACHE_DIR": str(plane.root.absolute() / "pip-cache"),
    }
    config = Path("~/.config/pip/pip.conf").expanduser()
    if config.is_file():  # where to install from; the container's home is another one
        told["PIP_CONFIG_FILE"] = str(config)
    return told | plane.access
