"""Reading what is to be fitted: vectors, ids and attributes, from files of several kinds.

Strict on purpose: what cannot be read as it stands is refused with file, line and column, and
nothing is guessed, dropped or rounded in silence. Needs numpy, and pyarrow for all but ``.npy``.
"""

from __future__ import annotations

from kneighbors.corpus.corpus import Corpus
from kneighbors.corpus.reader import read_corpus

__all__ = ["Corpus", "read_corpus"]
