"""What a corpus of a given size would take: shards, instances, memory, money and time, on paper.

Nothing is measured here. Numbers that were measured elsewhere are scaled, each with its source and
its error (`constants.py`), to list prices of a date (`prices.py`).
"""

from kneighbors.planning.choosing import plan
from kneighbors.planning.workload import Workload

__all__ = ["Workload", "plan"]
