"""Files of this machine and objects of S3, through one small door.

Nothing here knows what a file means. What is written is whole or absent; what goes wrong is a
`kneighbors.errors.StorageError` that names the address. Needs the standard library only, and
obstore (the extra ``s3``) once an address is on S3.
"""

from __future__ import annotations

from kneighbors.storage.address import Address, shown
from kneighbors.storage.failures import storage_error, translated
from kneighbors.storage.opening import open_store
from kneighbors.storage.store import Entry, Store

__all__ = ["Address", "Entry", "Store", "open_store", "shown", "storage_error", "translated"]
