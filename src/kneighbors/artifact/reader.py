"""Opening an artifact: checked, then mapped."""

from __future__ import annotations

import os
import weakref
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from numpy.typing import NDArray

from kneighbors.artifact.described import ITEM_ROLES, arrays_of, described, table_reader
from kneighbors.artifact.directory import Directory, OpenFile
from kneighbors.artifact.growing import GrowingCopy
from kneighbors.artifact.hashing import check_digests
from kneighbors.artifact.keys import PublicKeys, trusted
from kneighbors.artifact.manifest import Manifest
from kneighbors.artifact.memfile import available_memory, is_possible, maps
from kneighbors.artifact.names import MANIFEST
from kneighbors.artifact.npy import Header
from kneighbors.artifact.opened import Opened, is_current
from kneighbors.artifact.publishing import resolved
from kneighbors.artifact.rows import CheckedRows
from kneighbors.artifact.sealed import copy_of
from kneighbors.errors import ArtifactError, StorageError
from kneighbors.items import Catalog
from kneighbors.items.lists import Lists
from kneighbors.items.vocabulary import Vocabulary
from kneighbors.search.graph_opening import Index, open_index
from kneighbors.storage import translated

#: How often an artifact is opened anew that is replaced while it is being opened.
_ATTEMPTS = 20

#: Roles of parts that this version knows what to do with.
_ARRAY_ROLES = ITEM_ROLES | {"checksums", "index"}
_USED_ROLES = _ARRAY_ROLES | {"vectors"}


class Artifact:
    """An opened artifact.

    Made by `open_artifact`. May be used by threads. It is a context manager; what was taken from
    it (`index`, `catalog`, arrays) remains usable after it is closed, as long as it is referred to.

    Parameters
    ----------
    path : Path
        The directory.
    manifest : Manifest
        What it says of itself.
    index : ExactIndex or GraphIndex
        Mapped and ready to answer.
    catalog : Catalog
        What the rows are. Its table is read from the file when it is first needed, and pyarrow is
        imported then.
    vocabulary : Vocabulary or None
        Terms that can be a query, if it has any.
    lists : Lists
        Named lists of rows.

    Attributes
    ----------
    path, manifest, index, catalog, vocabulary, lists
        As above.
    is_mapped : bool
        Whether files are mapped: then cutting one short ends the process.
    signed_by : str or None
        Name of the key that signed it, where a signature was required.
    """

    is_mapped: bool = True
    signed_by: str | None = None

    def __init__(
        self,
        path: Path,
        manifest: Manifest,
        index: Index,
        catalog: Catalog,
        vocabulary: Vocabulary | None = None,
        lists: Lists | None = None,
    ) -> None:
        self.path = path
        self.manifest = manifest
        self.vocabulary = vocabulary
        self.lists = Lists() if lists is None else lists
        self._index: Index | None = index
        self._catalog: Catalog | None = catalog
        self._finalizer: weakref.finalize[..., Artifact] | None = None

    @property
    def index(self) -> Index:
        """The index; refused with ``artifact-closed`` once the artifact is closed."""
        if self._index is None:
            raise self._closed()
        return self._index

    @property
    def catalog(self) -> Catalog:
        """What the rows are; refused with ``artifact-closed`` once the artifact is closed."""
        if self._catalog is None:
            raise self._closed()
        return self._catalog

    def close(self) -> None:
        """Let go of the files, and remove them if they were unpacked for this artifact alone.

        Maps and descriptors end when nothing refers to them any more, so that no reader is left
        with a number that means another file. Closing twice does nothing.
        """
        self._index = None
        self._catalog = None
        self.vocabulary = None
        self.lists = Lists()
        if self._finalizer is not None:
            self._finalizer()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        shape = f"{self.manifest.n_samples} x {self.manifest.n_features}"
        return f"Artifact({str(self.path)!r}, {shape}, {self.manifest.metric})"

    def _closed(self) -> ArtifactError:
        return ArtifactError(
            "artifact-closed", "Expected an open artifact, got a closed one.", where=str(self.path)
        )


def open_artifact(
    path: str | os.PathLike[str],
    *,
    unpack_to: str | os.PathLike[str] | None = None,
    require_signature: str | os.PathLike[str] | PublicKeys | None = None,
    mapped: bool | None = None,
) -> Artifact:
    """Open a saved index.

    The manifest and all parts but the vectors are checked byte for byte before this returns; of
    the vectors, each block when it is first touched. So no answer is computed from a damaged byte.

    Parameters
    ----------
    path : str or path
        A directory, or a ``.tar.gz`` of one.
    unpack_to : str or path, optional
        Where an archive is unpacked to, a new path or an empty directory, which then stays. By
        default it is a temporary directory, removed when the artifact is closed, is no longer
        referred to, or the process ends in an orderly way. Processes that are to share one mapped
        copy open one directory: `unpack` once, then open that.
    require_signature : str, path or PublicKeys, optional
        Public keys, or their file, of which one must have signed the artifact: checked before
        anything of it is believed. Needs the extra ``signing``.
    mapped : bool, optional
        Whether the files are mapped, which they are by default but in a server. A mapped file that
        somebody cuts short ends the process, and one that is written to changes answers. With False
        nothing is mapped: the resident parts are copied into memory, and vectors are read where
        they are wanted and checked again when their file has changed. Where the copy would take
        more than half of the memory, or the system is not Linux, the files are mapped all the same;
        `Artifact.is_mapped` tells.

    Returns
    -------
    Artifact

    Raises
    ------
    StorageError
        When there is nothing, or it cannot be read.
    ArtifactError
        ``artifact-unknown`` when it is no artifact; ``artifact-damaged``, ``artifact-incomplete``,
        ``artifact-newer``, ``artifact-invalid``, ``artifact-unsafe`` or ``artifact-too-large``;
        ``signature-missing``, ``signature-malformed``, ``signature-untrusted`` or
        ``signature-mismatch``.

    Notes
    -----
    Takes the time to read and hash the resident parts, about 0.5 ms a megabyte and thread. The
    vectors are not read. Replacing the artifact meanwhile is noticed: what is opened is
    the old one or the new one.
    """
    source = resolved(path)
    keys = trusted(require_signature)
    mapped = maps() if mapped is None else mapped
    with translated(source):
        is_directory = source.is_dir()
    if is_directory:
        return _open_directory(source, keys, mapped=mapped)
    import tempfile

    from kneighbors.artifact.unpacking import unpack

    with translated(source):
        source.stat()
    if unpack_to is not None:
        unpack(source, unpack_to, require_signature=keys)
        return _open_directory(resolved(unpack_to), keys, mapped=mapped)
    # `weakref.finalize` of the temporary directory would warn; the artifact owns it instead.
    with translated(tempfile.gettempdir()):
        holder = tempfile.TemporaryDirectory(prefix="kneighbors-", ignore_cleanup_errors=True)
    try:
        folder = Path(holder.name) / "artifact"
        unpack(source, folder, require_signature=keys)
        artifact = _open_directory(folder, keys, mapped=mapped)
    except BaseException:
        holder.cleanup()
        raise
    artifact._finalizer = weakref.finalize(artifact, holder.cleanup)
    return artifact


def _open_directory(path: Path, keys: PublicKeys | None, *, mapped: bool) -> Artifact:
    for _ in range(_ATTEMPTS):
        directory = Directory(path)
        seen = directory.identity_of(MANIFEST)
        try:
            return _artifact(Opened(directory, keys), mapped=mapped)
        except (ArtifactError, StorageError):
            # Of an artifact that is replaced, the old files vanish one after the other.
            if is_current(directory, seen):
                raise
    return _artifact(Opened(Directory(path), keys), mapped=mapped)


def _artifact(opened: Opened, *, mapped: bool) -> Artifact:
    """Check and map, or copy, everything."""
    manifest = opened.manifest
    files = {
        name: opened.open(part) for name, part in manifest.parts.items() if part.role in _USED_ROLES
    }
    vectors = files.pop("vectors")
    mapped = mapped or not is_possible() or _size(files) > available_memory() // 2
    try:
        contents = (
            _mapped(files, manifest) if mapped else copy_of(files, manifest.parts, manifest.digest)
        )
    except BaseException:
        # Whoever keeps the error keeps the frames that it came through, but no files.
        files.clear()
        raise
    wheres = {name: files[name].where for name in contents}
    arrays = arrays_of(contents, manifest, wheres, _ARRAY_ROLES)
    header = opened.header(manifest.parts["vectors"], vectors)
    rows = CheckedRows(
        vectors,
        header,
        arrays["checksums"]["vectors-blocks"],
        manifest.block_bytes,
        mapped=mapped,
        copy=None if mapped else _growing(manifest, header, vectors.bytes),
        copies_ahead=_reads_all(manifest),
    )
    index = _index(rows, manifest, arrays["index"], str(opened.path))
    said = described(opened.path, manifest, arrays, table_reader(contents, manifest, wheres))
    artifact = Artifact(opened.path, manifest, index, said.catalog, said.vocabulary, said.lists)
    artifact.is_mapped = mapped
    artifact.signed_by = opened.signed_by
    return artifact


def _mapped(files: Mapping[str, OpenFile], manifest: Manifest) -> dict[str, memoryview]:
    check_digests(lambda name: files[name].sha256(), files, manifest.parts)
    return {name: memoryview(file.map()) for name, file in files.items()}


def _growing(manifest: Manifest, header: Header, length: int) -> GrowingCopy | None:
    """Return a copy of the vectors for queries that read all of them, if memory allows it."""
    if manifest.total_bytes > available_memory() // 2:
        return None
    return GrowingCopy(manifest.digest, header, length, manifest.block_bytes)


def _reads_all(manifest: Manifest) -> bool:
    """Tell whether queries read all vectors, one after the other."""
    plan = manifest.plan.get("exact", manifest.plan)
    return isinstance(plan, dict) and plan.get("engine") == "product"


def _size(files: Mapping[str, OpenFile]) -> int:
    return sum(file.bytes for file in files.values())


def _index(
    rows: CheckedRows, manifest: Manifest, parts: Mapping[str, NDArray[Any]], where: str
) -> Index:
    try:
        origin = manifest.parts["vectors"].sha256
        return open_index(rows, manifest.metric, parts, manifest.plan, origin)
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        if isinstance(error, ArtifactError):
            raise
        reason = f"{type(error).__name__}: {error!s:.100}"
        raise ArtifactError(
            "artifact-invalid",
            f"Expected the parts and the plan of an index, got others ({reason}).",
            where=where,
        ) from error
