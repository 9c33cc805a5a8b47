"""Archives to S3: into a bucket that is there, with progress."""

from __future__ import annotations

from pathlib import Path
from threading import Lock

from kneighbors.errors import StorageError
from kneighbors.sagemaker.aws import Aws, AwsRefusal, asking
from kneighbors.sagemaker.deployment import Deployment
from kneighbors.sagemaker.made import Made
from kneighbors.sagemaker.package import package
from kneighbors.sagemaker.requests import uploads
from kneighbors.search.progress import Progress
from kneighbors.storage.temporary import temporary_folder

_MISSING = ("404", "NoSuchBucket", "NotFound")


def upload_all(deployment: Deployment, aws: Aws, made: Made, progress: Progress) -> tuple[str, ...]:
    """Package and upload what is not in S3 yet, and return the addresses.

    Raises
    ------
    KNeighborsError
        As of `package`, `ensure_bucket` and `upload`.
    """
    addresses: list[str] = []
    with temporary_folder() as folder:
        for variant, request in uploads(deployment):
            bucket, key = request.parameters["Bucket"], request.parameters["Key"]
            if not addresses:
                ensure_bucket(aws, bucket, create=deployment.bucket is None)
            packaged = package(
                variant.model,
                folder / "model.tar.gz",
                front=deployment.front,
                format=deployment.format,
                entry_point=deployment.entry_point,
                progress=progress,
            )
            made.note(request)
            upload(aws, packaged.path, bucket, key, progress)
            packaged.path.unlink()
            addresses.append(f"s3://{bucket}/{key}")
    return tuple(addresses)


def ensure_bucket(aws: Aws, bucket: str, *, create: bool) -> None:
    """Refuse a bucket that is not there, or make it.

    Raises
    ------
    StorageError
        With code ``bucket-missing``.
    """
    try:
        aws.call("s3", "HeadBucket", Bucket=bucket)
    except AwsRefusal as error:
        if error.aws_code not in _MISSING:
            raise
        if not create:
            raise StorageError(
                "bucket-missing",
                "Expected a bucket in S3, found none of this name.",
                where=f"s3://{bucket}",
                hint=f"Make it, in the region {aws.region}, or name another.",
            ) from None
        # us-east-1 is the one region that must not be named.
        elsewhere = {"CreateBucketConfiguration": {"LocationConstraint": aws.region}}
        aws.call(
            "s3",
            "CreateBucket",
            Bucket=bucket,
            **({} if aws.region == "us-east-1" else elsewhere),
        )


def upload(aws: Aws, path: Path, bucket: str, key: str, progress: Progress) -> None:
    """Upload a file, in several parts if it is large.

    Raises
    ------
    StorageError, ServiceError
        When S3 refuses or cannot be reached; there is then no such object.
    """
    from boto3.s3.transfer import TransferConfig

    total, done, lock = path.stat().st_size, 0, Lock()

    def step(count: int) -> None:
        nonlocal done
        # Parts go up in threads.
        with lock:
            done += count
            progress("uploading", done, total)

    client = aws.client("s3")
    # boto3 would use another library for this where one is installed.
    config = TransferConfig(preferred_transfer_client="classic")
    with asking("s3:PutObject"):
        client.upload_file(str(path), bucket, key, Callback=step, Config=config)
