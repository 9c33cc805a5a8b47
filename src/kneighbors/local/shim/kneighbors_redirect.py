"""Send what botocore would send to AWS to the control plane of this machine instead.

``AWS_ENDPOINT_URL`` moves almost every request there; but SageMaker's SDKs give STS an address of
their own, which goes before it. So the last step before the network is changed: a request to AWS's
domain goes to the plane, whatever client made it, and whenever.

Standard library only, and no newer Python than 3.8: it is loaded by programs of other environments.
"""

from __future__ import annotations

import os
import re
import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any, Optional, Sequence  # noqa: UP035
from urllib.parse import urlsplit, urlunsplit

#: The plane's address; where ``AWS_ENDPOINT_URL`` is another, nothing is changed.
PLANE_VARIABLE = "KNEIGHBORS_LOCAL_URL"
_MODULE = "botocore.httpsession"
_DOMAINS = re.compile(r"(?:^|\.)amazonaws\.com(?:\.cn)?$|\.api\.aws$")
#: A bucket in front of S3's own name: its requests say in the path, on a plane, where they go.
_BUCKET = re.compile(r"^(?P<bucket>[a-z0-9][a-z0-9.-]*)\.s3[.-]")
_ORIGINAL = "_kneighbors_original_send"


def redirected(url: str) -> str:
    """Return where a request goes: to the plane, if it was for AWS."""
    plane = os.environ.get(PLANE_VARIABLE)
    if not plane or os.environ.get("AWS_ENDPOINT_URL") != plane:
        return url
    parts = urlsplit(url)
    host = parts.hostname or ""
    if not _DOMAINS.search(host):
        return url
    bucket = _BUCKET.match(host)
    path = "/" + bucket.group("bucket") + parts.path if bucket else parts.path
    there = urlsplit(plane)
    return urlunsplit((there.scheme, there.netloc, path, parts.query, ""))


def install() -> None:
    """Change botocore, now if it is loaded, otherwise when it is."""
    module = sys.modules.get(_MODULE)
    if module is not None:
        _change(module)
    elif not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


def remove() -> None:
    """Leave botocore as it was."""
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, _Finder)]
    session = getattr(sys.modules.get(_MODULE), "URLLib3Session", None)
    if session is not None and hasattr(session, _ORIGINAL):
        session.send = getattr(session, _ORIGINAL)
        delattr(session, _ORIGINAL)


def _change(module: ModuleType) -> None:
    session = getattr(module, "URLLib3Session", None)
    if session is None or hasattr(session, _ORIGINAL):
        return
    original = session.send

    def send(self: Any, request: Any) -> Any:
        request.url = redirected(request.url)
        return original(self, request)

    setattr(session, _ORIGINAL, original)
    session.send = send


class _Finder(MetaPathFinder):
    """Change the module right after it was loaded."""

    def find_spec(
        self,
        fullname: str,
        path: Optional[Sequence[str]],  # noqa: UP045
        target: Optional[ModuleType] = None,  # noqa: UP045
    ) -> Optional[ModuleSpec]:  # noqa: UP045
        if fullname != _MODULE:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader)
        return spec


class _Loader(Loader):
    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def create_module(self, spec: ModuleSpec) -> Optional[ModuleType]:  # noqa: UP045
        module: Optional[ModuleType] = self._inner.create_module(spec)  # noqa: UP045
        return module

    def exec_module(self, module: ModuleType) -> None:
        self._inner.exec_module(module)
        _change(module)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)
