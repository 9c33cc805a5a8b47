"""Files of keys that sign artifacts: Ed25519, in PEM, as OpenSSL reads and writes them.

The arithmetic is that of the package `cryptography` (the extra ``signing``), which is imported when
a key is needed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kneighbors.artifact.signature import (
    ALGORITHM,
    Signature,
    message_of,
    mismatch,
    missing,
)
from kneighbors.errors import ArtifactError, ParameterRefused, missing_extra
from kneighbors.storage import translated

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )

#: Ends the name of the file with the public half of a new pair.
PUBLIC = ".pub"

_MOST_BYTES = 1 << 16
_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----\s.*?-----END \1-----", re.DOTALL)
_BEGIN = b"-----BEGIN "


class PublicKeys:
    """Keys whose signatures are believed.

    Parameters
    ----------
    keys : dict of str to Ed25519PublicKey
        By their names, see `name_of`.
    where : str
        Where they come from, for messages.
    """

    def __init__(self, keys: dict[str, Ed25519PublicKey], where: str) -> None:
        self._keys = keys
        self._where = where

    @property
    def names(self) -> list[str]:
        """The names of the keys, sorted."""
        return sorted(self._keys)

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> PublicKeys:
        """Return the public keys in a file: one block of PEM after the other.

        During a rotation a file holds the old key and the new one; text between the blocks is left
        to people.

        Raises
        ------
        ParameterRefused
            ``key-malformed`` when there is none, ``key-kind`` when one is no public key of Ed25519.
        StorageError
            When the file cannot be read.
        MissingExtra
            When the extra ``signing`` is not installed.
        """
        from_pem = _library().load_pem_public_key
        keys = {}
        for kind, block in _blocks(path):
            if kind != b"PUBLIC KEY":
                raise _wrong_kind("public", kind.decode().lower(), path)
            key = _loaded(partial(from_pem, block), "public", path)
            keys[name_of(key)] = key
        return cls(keys, os.fspath(path))

    def check(self, manifest: bytes, signature: bytes | None, where: str) -> str:
        """Refuse a manifest that none of these keys has signed; return the name of the one.

        Parameters
        ----------
        manifest : bytes
            The file, of which nothing has been believed yet.
        signature : bytes or None
            The text of ``manifest.sig``.
        where : str
            The artifact, for messages.

        Raises
        ------
        ArtifactError
            ``signature-missing``, ``signature-malformed``, ``signature-untrusted`` when another key
            made it, ``signature-mismatch`` when it is that of another manifest.
        """
        from cryptography.exceptions import InvalidSignature

        if signature is None:
            raise missing(where)
        said = Signature.from_bytes(signature, where)
        key = self._keys.get(said.key)
        if key is None:
            raise ArtifactError(
                "signature-untrusted",
                f"Expected a signature by one of {', '.join(self.names)}, got one by {said.key}.",
                where=where,
                hint=f"If that key is to be believed, add its public half to {self._where}.",
            )
        said.check_subject(manifest, where)
        try:
            key.verify(said.signature, message_of(manifest))
        except InvalidSignature:
            raise mismatch("one that the key did not make", where) from None
        return said.key


def trusted(keys: str | os.PathLike[str] | PublicKeys | None) -> PublicKeys | None:
    """Return public keys, read from a file unless they have been."""
    return PublicKeys.read(keys) if isinstance(keys, (str, os.PathLike)) else keys


def name_of(key: Ed25519PublicKey) -> str:
    """Return the name of a public key: the first 16 hexadecimal digits of its SHA-256."""
    return sha256(key.public_bytes_raw()).hexdigest()[:16]


def new_key(path: str | os.PathLike[str]) -> str:
    """Make a pair of keys, and return its name.

    Parameters
    ----------
    path : str or path
        A new file for the private half, readable by its owner alone. The public half goes beside
        it, to the same name with ``.pub`` appended.

    Raises
    ------
    StorageError
        ``storage-exists`` when one of the files is there, or what the system refuses.
    MissingExtra
        When the extra ``signing`` is not installed.
    """
    library = _library()
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    private = Ed25519PrivateKey.generate()
    pem, forms = library.Encoding.PEM, library.PublicFormat
    secret = private.private_bytes(pem, library.PrivateFormat.PKCS8, library.NoEncryption())
    public = private.public_key().public_bytes(pem, forms.SubjectPublicKeyInfo)
    path = Path(path)
    shown = path.with_name(path.name + PUBLIC)
    _write_new(path, secret, 0o600)
    try:
        _write_new(shown, public, 0o644)
    except BaseException:
        path.unlink()
        raise
    return name_of(private.public_key())


def read_private_key(path: str | os.PathLike[str]) -> Ed25519PrivateKey:
    """Return the private key in a file.

    Raises
    ------
    ParameterRefused
        ``key-malformed`` or ``key-kind``, never with what is in the file.
    StorageError
        When the file cannot be read.
    MissingExtra
        When the extra ``signing`` is not installed.
    """
    from_pem = _library().load_pem_private_key
    kind, block = _blocks(path)[0]
    if kind != b"PRIVATE KEY":
        raise _wrong_kind("private", kind.decode().lower(), path)
    key: Ed25519PrivateKey = _loaded(partial(from_pem, block, None), "private", path)
    return key


def _library() -> Any:
    try:
        from cryptography.hazmat.primitives import serialization
    except ImportError as error:
        raise missing_extra("cryptography", "signing") from error
    return serialization


def _blocks(path: str | os.PathLike[str]) -> list[tuple[bytes, bytes]]:
    with translated(path), Path(path).open("rb") as file:
        data = file.read(_MOST_BYTES + 1)
    found = [(match[1], match[0]) for match in _BLOCK.finditer(data)]
    if not found or len(found) != data.count(_BEGIN) or len(data) > _MOST_BYTES:
        raise _malformed(path)
    return found


def _loaded(load: Callable[[], Any], half: str, path: str | os.PathLike[str]) -> Any:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ed25519

    wanted = ed25519.Ed25519PublicKey if half == "public" else ed25519.Ed25519PrivateKey
    try:
        key = load()
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # What the library says could quote the file.
        raise _malformed(path) from None
    if not isinstance(key, wanted):
        raise _wrong_kind(half, f"{type(key).__name__.lstrip('_')}", path)
    return key


def _write_new(path: Path, data: bytes, mode: int) -> None:
    with translated(path):
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        with os.fdopen(os.open(path, flags, mode), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())


def _malformed(path: str | os.PathLike[str]) -> ParameterRefused:
    return ParameterRefused(
        "key-malformed",
        "Expected keys in PEM, got a file that holds none, or none that is whole.",
        where=os.fspath(path),
        hint="Make a pair: kneighbors sign --new-key FILE.",
    )


def _wrong_kind(half: str, got: str, path: str | os.PathLike[str]) -> ParameterRefused:
    return ParameterRefused(
        "key-kind",
        f"Expected a {half} key of {ALGORITHM.capitalize()}, not encrypted, got {got}.",
        where=os.fspath(path),
        hint="The private half signs, and the public half is what others are given.",
    )
