"""Instances and what they cost: list prices of one region at one date, to be checked before use.

On-demand, Linux, us-east-1. Sizes of a family cost the same a vCPU, which is how the table is kept.
SageMaker's are those of real-time hosting.
"""

from __future__ import annotations

from dataclasses import dataclass

DATE = "2026-11-28"
REGION = "us-east-1"
REMARK = "list price, check before use"
#: How far a price may be off: they were not fetched, and prices change.
EC2_ERROR, SAGEMAKER_ERROR, STORAGE_ERROR = "5 %", "10 %", "20 %"

HOURS_A_MONTH = 730
#: Dollars a gigabyte and month.
S3_GB, EBS_GB, SAGEMAKER_GB = 0.023, 0.08, 0.14
#: gp3: reads a second that come with a volume, that it may have at most, and dollars for one more.
EBS_READS, EBS_MOST_READS, EBS_READ_USD = 3_000, 16_000, 0.005
#: Gigabytes that SageMaker attaches to an instance at most (VolumeSizeInGB).
SAGEMAKER_MOST_GB = 512
#: Where the questions are taken apart and put together again; vCPUs of one.
FRONT_VCPUS = 8

_SIZES = {
    2: "large",
    4: "xlarge",
    8: "2xlarge",
    16: "4xlarge",
    32: "8xlarge",
    36: "9xlarge",
    48: "12xlarge",
    64: "16xlarge",
    72: "18xlarge",
    96: "24xlarge",
    128: "32xlarge",
}


@dataclass(frozen=True)
class Instance:
    """A kind of machine.

    Parameters
    ----------
    name : str
    vcpus : int
    memory_bytes : int
    hourly_usd : float
    nvme_gb : float
        Local disks; 0 for none.
    reads : int
        Random reads of its disks a second, at most.
    """

    name: str
    vcpus: int
    memory_bytes: int
    hourly_usd: float
    nvme_gb: float
    reads: int


def _family(
    name: str,
    vcpus: tuple[int, ...],
    gib: int,
    usd: float,
    *,
    nvme_gb: float = 0.0,
    reads: int = 0,
) -> list[Instance]:
    """Return the sizes of a family from its GiB, dollars an hour and NVMe for each vCPU."""
    most = EBS_READS if name.startswith("ml.") else EBS_MOST_READS
    return [
        Instance(
            f"{name}.{_SIZES[n]}",
            n,
            n * gib << 30,
            round(n * usd, 4),
            n * nvme_gb,
            n * reads or most,
        )
        for n in vcpus
    ]


_SIXTH = (2, 4, 8, 16, 32, 48, 64, 96, 128)
_FIFTH = (2, 4, 8, 16, 48, 96)

EC2 = [
    *_family("c6i", _SIXTH, 2, 0.0425),
    *_family("m6i", _SIXTH, 4, 0.048),
    *_family("r6i", _SIXTH, 8, 0.063),
    *_family("i4i", (2, 4, 8, 16, 32, 64, 128), 8, 0.0858, nvme_gb=234.375, reads=25_000),
]
SAGEMAKER = [
    *_family("ml.c5", (2, 4, 8, 16, 36, 72), 2, 0.051),
    *_family("ml.m5", _FIFTH, 4, 0.0576),
    *_family("ml.r5", _FIFTH, 8, 0.0756),
]
#: Dollars an hour of a front: one m6i.2xlarge.
FRONT_USD = FRONT_VCPUS * 0.048
