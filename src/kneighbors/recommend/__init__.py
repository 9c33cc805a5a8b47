"""From likes, ids, terms and filters to answers."""

from __future__ import annotations

from kneighbors.recommend.neighbors import Neighbors
from kneighbors.recommend.recommender import Recommender
from kneighbors.recommend.wanted import Wanted

__all__ = ["Neighbors", "Recommender", "Wanted"]
