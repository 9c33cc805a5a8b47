"""The control plane's parts, as the operations see them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kneighbors.local.hosting import Hosting
    from kneighbors.local.images import Images
    from kneighbors.local.logs import Logs
    from kneighbors.local.objects import Objects
    from kneighbors.local.records import Records
    from kneighbors.local.running import Running

REGION = "us-east-1"
#: The account that moto has.
ACCOUNT = "123456789012"


@dataclass(slots=True)
class Plane:
    """What operations work with.

    Parameters
    ----------
    root : Path
        Directory of all state.
    url : str
        Where the plane listens: ``http://127.0.0.1:PORT``.
    records : Records
        Documents, on disk.
    objects : Objects
        S3, as it looks from within.
    logs : Logs
        CloudWatch's log streams, on disk.
    images : Images
        What stands in for a container image.
    running : Running
        Jobs and endpoints that are processes now.
    region, account : str
    access : dict
        Variables that let a container's processes in: ``AWS_ACCESS_KEY_ID`` and the like.

    Attributes
    ----------
    hosting : Hosting
        Endpoints; `kneighbors.local.hosting.resume` sets it.
    """

    root: Path
    url: str
    records: Records
    objects: Objects
    logs: Logs
    images: Images
    running: Running
    region: str = field(default=REGION)
    account: str = field(default=ACCOUNT)
    access: dict[str, str] = field(default_factory=dict)
    hosting: Hosting = field(init=False)

    def arn(self, resource: str, service: str = "sagemaker") -> str:
        """Return the ARN of a resource, such as ``endpoint/wines``."""
        return f"arn:aws:{service}:{self.region}:{self.account}:{resource}"
