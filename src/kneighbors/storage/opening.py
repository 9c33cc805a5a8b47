"""From an address to the store that keeps it."""

from __future__ import annotations

from kneighbors.storage.address import Address
from kneighbors.storage.store import Store


def open_store(address: Address) -> Store:
    """Return the store that keeps an address.

    Nothing is contacted yet. For S3, the settings of AWS are read from the environment now (see
    `kneighbors.storage.settings`).

    Raises
    ------
    MissingExtra
        If the address is on S3 and obstore is not installed.
    StorageError
        If the settings of AWS contradict each other or name what is not there.

    Examples
    --------
    >>> from kneighbors.storage import Address, open_store
    >>> address = Address.parse(getfixture("tmp_path")) / "greeting.txt"
    >>> store = open_store(address)
    >>> store.put(address, b"hello")
    >>> store.read(address, 1, 3)
    b'el'
    """
    if address.scheme == "s3":
        from kneighbors.storage.s3 import S3Store

        return S3Store(address.bucket)
    from kneighbors.storage.local import LocalStore

    return LocalStore()
