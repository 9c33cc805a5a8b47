"""What the rows are: their ids and their attributes.

`Catalog` is all that other layers need. Nothing here knows of vectors, files of an artifact or
HTTP; pyarrow is imported only where an attribute table is made or read.
"""

from __future__ import annotations

from kneighbors.items.catalog import Catalog

__all__ = ["Catalog"]
