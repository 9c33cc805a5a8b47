"""What is refused when a job is created, of any kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kneighbors.local.faults import invalid
from kneighbors.local.images import UnknownImage
from kneighbors.local.objects import split_s3

if TYPE_CHECKING:
    from kneighbors.local.plane import Plane


def check_output(plane: Plane, uri: str, member: str) -> None:
    """Refuse an address to write to whose bucket is not there.

    Raises
    ------
    Fault
        ``ValidationException`` that names the address.
    """
    bucket, _ = split_s3(uri)
    if not plane.objects.has_bucket(bucket):
        raise invalid(
            f'The {member} "{uri}" cannot be written to: The specified bucket does not exist. '
            f"Please ensure that the bucket exists in the selected region ({plane.region})."
        )


def check_image(plane: Plane, image: str) -> None:
    """Refuse an image that nothing on this machine stands in for.

    Raises
    ------
    Fault
        ``ValidationException`` that says how to name a command for it.
    """
    try:
        plane.images.check(image)
    except UnknownImage as error:
        raise invalid(str(error)) from error
