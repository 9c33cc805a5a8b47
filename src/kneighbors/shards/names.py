"""What the files of a sharded artifact are called."""

from __future__ import annotations

import re

#: What is to become of shards that are being written; gone once they are an artifact.
PLAN = "shards-plan.json"
#: A shard's directory: which fit it is of, and its number.
FOLDER = re.compile(r"shard-([0-9a-f]{12})-([0-9]{5})")
MOST_SHARDS = 10_000


def folder_of(generation: str, number: int) -> str:
    """Return the name of a shard's directory.

    Examples
    --------
    >>> folder_of("0123456789ab", 7)
    'shard-0123456789ab-00007'
    """
    return f"shard-{generation}-{number:05d}"
