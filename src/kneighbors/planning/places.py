"""Where shards may run, and what each place adds to an answer and to the bill."""

from __future__ import annotations

from dataclasses import dataclass

from kneighbors.planning import constants as c
from kneighbors.planning import prices
from kneighbors.planning.prices import Instance


@dataclass(frozen=True)
class Place:
    """A way to run shards.

    Parameters
    ----------
    name, about : str
    instances : list of Instance
    one_s, several_s : float
        Seconds that it adds to an answer of one shard, and of several.
    call_s : float
        Seconds of the processor to ask one of several shards.
    disk_gb_usd : float
        Dollars a gigabyte and month of disks that are attached.
    most_disk_gb : float
        That may be attached to an instance.
    read_usd : float
        Dollars a month for each read a second beyond those that come with a disk.
    """

    name: str
    about: str
    instances: list[Instance]
    one_s: float
    several_s: float
    call_s: float
    disk_gb_usd: float
    most_disk_gb: float
    read_usd: float

    def disk_usd(self, instance: Instance, gigabytes: float, reads: float) -> float:
        """Return the dollars a month for disks of one instance."""
        if instance.nvme_gb >= gigabytes:
            return 0.0
        more = max(0.0, reads - prices.EBS_READS)
        return gigabytes * self.disk_gb_usd + more * self.read_usd

    def has_room(self, instance: Instance, gigabytes: float) -> bool:
        """Tell whether so much fits the disks of an instance."""
        return gigabytes <= max(instance.nvme_gb, self.most_disk_gb if not instance.nvme_gb else 0)


PLACES = (
    Place(
        "sagemaker",
        "an endpoint for each shard; the caller asks all of them and merges their answers",
        prices.SAGEMAKER,
        c.HTTP.value + c.SAGEMAKER.value,
        c.HTTP.value + c.SAGEMAKER.value,
        c.CALL_ENDPOINT.value,
        prices.SAGEMAKER_GB,
        prices.SAGEMAKER_MOST_GB,
        0.0,
    ),
    Place(
        "ec2",
        "kneighbors serve --cluster: actors of Ray hold the shards; one shard is served without",
        prices.EC2,
        c.HTTP.value,
        c.HTTP.value + c.RAY.value,
        c.CALL.value,
        prices.EBS_GB,
        16_384,
        prices.EBS_READ_USD,
    ),
)
