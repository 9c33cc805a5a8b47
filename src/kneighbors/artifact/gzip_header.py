r"""The header of our gzip files, which holds a SHA-256 of the whole file.

gzip's own checksum is over what was packed, 32 bits of it, and leaves bytes of the header, of the
padding in the stream and of matches that can be written in two ways without any. So our archives
carry in an extra field of the header, which every reader skips, the SHA-256 of the file with these
32 bytes replaced by zeros: then every bit of an archive counts.

::

    1f 8b 08 04  00 00 00 00  00 ff  24 00  4b 4e 20 00  32 bytes of SHA-256
    magic, flags time, none   system length "KN", length
"""

from __future__ import annotations

from hashlib import sha256

from kneighbors.errors import ArtifactError

_FLAGS_AT = 3
_HAS_EXTRA = 4
_PREFIX = bytes.fromhex("1f8b0804 00000000 00ff 2400 4b4e2000")
_ZEROS = bytes(32)

DIGEST_AT = len(_PREFIX)
HEADER_BYTES = DIGEST_AT + len(_ZEROS)

#: The header before the digest is known.
BLANK = _PREFIX + _ZEROS


class Seal:
    """Compares a file with the digest in its header, while the file is read.

    Parameters
    ----------
    start : bytes
        The first `HEADER_BYTES` of the file or more, or all of it.
    where : str
        Its path, for messages.

    Raises
    ------
    ArtifactError
        ``artifact-damaged`` when there is an extra field that is not ours. Files without one are
        those of other programs, and have nothing to compare with.
    """

    def __init__(self, start: bytes, where: str) -> None:
        self._where = where
        self._digest = None
        if len(start) <= _FLAGS_AT or not start[_FLAGS_AT] & _HAS_EXTRA:
            return
        if len(start) < HEADER_BYTES or not start.startswith(_PREFIX):
            raise self._damaged("its header is not ours")
        self._expected = start[DIGEST_AT:HEADER_BYTES]
        self._digest = sha256(BLANK)
        self._digest.update(start[HEADER_BYTES:])

    def update(self, data: bytes) -> None:
        """Take in what follows."""
        if self._digest is not None:
            self._digest.update(data)

    def check(self) -> None:
        """Refuse the file, which was read to its end, when it is not what was written.

        Raises
        ------
        ArtifactError
            ``artifact-damaged``.
        """
        if self._digest is not None and self._digest.digest() != self._expected:
            raise self._damaged("the SHA-256 differs")

    def _damaged(self, what: str) -> ArtifactError:
        return ArtifactError(
            "artifact-damaged",
            f"Expected the archive that was written, got another: {what}.",
            where=self._where,
            hint="Copy the archive again.",
        )
