"""Endpoints of a plane of its own, whose containers run `support.hosting_server`."""

from __future__ import annotations

import io
import itertools
import json
import sys
import tarfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from botocore.exceptions import ClientError

from support.local_plane import PlaneProcess
from support.server_process import ROOT, wait_for

IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/echo:1"
BUCKET = "cellar"
_SERVER = ROOT / "tests/support/hosting_server.py"


class HostingPlane:
    """A plane with a bucket, and what its tests do again and again.

    Parameters
    ----------
    root : Path
    **environment : str
        Variables of the plane.
    """

    def __init__(self, root: Path, **environment: str) -> None:
        command = f"*/echo:*={sys.executable} {_SERVER}"
        self.process = PlaneProcess(root, "--image", command, environment=environment)
        self._numbers = itertools.count(1)
        self.endpoints: list[str] = []
        self.s3.create_bucket(Bucket=BUCKET)

    @property
    def s3(self) -> Any:
        return self.process.client("s3")

    @property
    def api(self) -> Any:
        return self.process.client("sagemaker")

    @property
    def runtime(self) -> Any:
        return self.process.client("sagemaker-runtime")

    def new(self, word: str) -> str:
        """Return a name that no other test has."""
        return f"{word}-{next(self._numbers)}"

    def upload(self, data: bytes, key: str | None = None) -> str:
        """Put an object and return its address."""
        key = key or self.new("data")
        self.s3.put_object(Bucket=BUCKET, Key=key, Body=data)
        return f"s3://{BUCKET}/{key}"

    def read(self, url: str) -> bytes:
        """Return an object's bytes."""
        found = self.s3.get_object(Bucket=BUCKET, Key=url.removeprefix(f"s3://{BUCKET}/"))
        data: bytes = found["Body"].read()
        return data

    def has(self, url: str) -> bool:
        """Tell whether there is an object."""
        key = url.removeprefix(f"s3://{BUCKET}/")
        return "Contents" in self.s3.list_objects_v2(Bucket=BUCKET, Prefix=key)

    def model(self, version: str = "1", **container: Any) -> str:
        """Create a model and return its name; members that are None are left out."""
        name = self.new("model")
        if not {"ModelDataUrl", "ModelDataSource"} & container.keys():
            container["ModelDataUrl"] = self.upload(archive({"version.txt": version}))
        definition = {"Image": IMAGE, **container}
        self.api.create_model(
            ModelName=name,
            ExecutionRoleArn=self.process.role,
            PrimaryContainer={k: v for k, v in definition.items() if v is not None},
        )
        return name

    def config(self, *variants: dict[str, Any], **members: Any) -> str:
        """Create a configuration of variants with defaults and return its name."""
        name = self.new("config")
        self.api.create_endpoint_config(
            EndpointConfigName=name,
            ProductionVariants=[
                {
                    "VariantName": "AllTraffic",
                    **({} if "ServerlessConfig" in one else {"InstanceType": "ml.m5.large"}),
                    **one,
                }
                for one in variants
            ],
            **members,
        )
        return name

    def endpoint(self, *variants: dict[str, Any], wait: bool = True, **members: Any) -> str:
        """Create an endpoint and return its name, by default when it is in service."""
        name = self.new("endpoint")
        config = self.config(*(variants or ({"ModelName": self.model()},)), **members)
        self.api.create_endpoint(EndpointName=name, EndpointConfigName=config)
        self.endpoints.append(name)
        if wait:
            self.wait(name)
        return name

    def delete_endpoints(self, kept: int) -> None:
        """Delete those that were created after the first `kept`; what cannot be deleted stays."""
        while len(self.endpoints) > kept:
            with suppress(ClientError):
                self.api.delete_endpoint(EndpointName=self.endpoints.pop())

    def describe(self, endpoint: str) -> dict[str, Any]:
        """Return an endpoint's description."""
        found: dict[str, Any] = self.api.describe_endpoint(EndpointName=endpoint)
        return found

    def wait(self, endpoint: str, status: str = "InService") -> dict[str, Any]:
        """Return an endpoint's description as soon as nothing is done to it any more."""

        def settled() -> dict[str, Any] | None:
            found = self.describe(endpoint)
            if found["EndpointStatus"] not in ("Creating", "Updating", "Deleting"):
                return found
            time.sleep(0.05)  # what is asked all the time has less time to settle
            return None

        found: dict[str, Any] = wait_for(settled, f"{endpoint} to settle")
        assert status == found["EndpointStatus"], found.get("FailureReason")
        return found

    def ask(self, endpoint: str, do: str, **members: Any) -> Any:
        """Return what a container answers in JSON."""
        return json.loads(self.invoke(endpoint, {"do": do, **members})["Body"].read())

    def invoke(self, endpoint: str, request: dict[str, Any] | bytes, **members: Any) -> Any:
        """Call an endpoint and return the answer of boto3, whose body has arrived."""
        body = request if isinstance(request, bytes) else json.dumps(request).encode()
        answer = self.runtime.invoke_endpoint(EndpointName=endpoint, Body=body, **members)
        return {**answer, "Body": io.BytesIO(answer["Body"].read())}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: Any) -> None:
        self.process.__exit__(*error)


def archive(files: dict[str, str | bytes]) -> bytes:
    """Return a ``.tar.gz`` of files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in files.items():
            data = content.encode() if isinstance(content, str) else content
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return buffer.getvalue()
