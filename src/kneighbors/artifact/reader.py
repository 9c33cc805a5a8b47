"""Opening an artifact: checked, then mapped."""

from __future__ import annotations

import os
import weakref
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from numpy.typing import NDArray

from kneighbors.artifact.directory import Directory, OpenFile, damaged, wrong_length
from kneighbors.artifact.manifest import MAX_MANIFEST_BYTES, Manifest, Part, too_large
from kneighbors.artifact.names import MANIFEST
from kneighbors.artifact.npy import Header
from kneighbors.artifact.publishing import resolved
from kneighbors.artifact.rows import CheckedRows
from kneighbors.errors import ArtifactError, StorageError
from kneighbors.items import Catalog
from kneighbors.items.lists import Lists
from kneighbors.items.vocabulary import Vocabulary
from kneighbors.search.graph_opening import Index, open_index
from kneighbors.storage import translated

#: How often an artifact is opened anew that is replaced while it is being opened.
_ATTEMPTS = 20

#: Roles of parts that this version knows what to do with.
_USED_ROLES = frozenset(
    {"vectors", "checksums", "index", "ids", "items", "lookup", "vocabulary", "lists"}
)

#: Below this many bytes, hashing takes less time than starting threads.
_WORTH_THREADS = 1 << 22
_MOST_THREADS = 4


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
    """

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
    path: str | os.PathLike[str], *, unpack_to: str | os.PathLike[str] | None = None
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

    Returns
    -------
    Artifact

    Raises
    ------
    StorageError
        When there is nothing, or it cannot be read.
    ArtifactError
        ``artifact-unknown`` when it is no artifact; ``artifact-damaged``, ``artifact-incomplete``,
        ``artifact-newer``, ``artifact-invalid``, ``artifact-unsafe`` or ``artifact-too-large``.

    Notes
    -----
    Takes the time to read and hash the resident parts, about 0.5 ms a megabyte and thread. The
    vectors are mapped, not read. Replacing the artifact meanwhile is noticed: what is opened is
    the old one or the new one.
    """
    source = resolved(path)
    if source.is_dir():
        return _open_directory(source)
    import tempfile

    from kneighbors.artifact.unpacking import unpack

    with translated(source):
        source.stat()
    if unpack_to is not None:
        unpack(source, unpack_to)
        return _open_directory(resolved(unpack_to))
    # `weakref.finalize` of the temporary directory would warn; the artifact owns it instead.
    holder = tempfile.TemporaryDirectory(prefix="kneighbors-", ignore_cleanup_errors=True)
    try:
        folder = Path(holder.name) / "artifact"
        unpack(source, folder)
        artifact = _open_directory(folder)
    except BaseException:
        holder.cleanup()
        raise
    artifact._finalizer = weakref.finalize(artifact, holder.cleanup)
    return artifact


def _open_directory(path: Path) -> Artifact:
    for _ in range(_ATTEMPTS):
        directory = Directory(path)
        seen = directory.identity_of(MANIFEST)
        try:
            return Opened(directory).artifact()
        except (ArtifactError, StorageError):
            # Of an artifact that is replaced, the old files vanish one after the other.
            if is_current(directory, seen):
                raise
    return Opened(Directory(path)).artifact()


def is_current(directory: Directory, manifest: tuple[int, int, int] | None) -> bool:
    """Tell whether a path still leads to the directory, and the manifest, that it led to."""
    try:
        now = Directory(directory.path)
    except StorageError:
        return False
    return now.identity == directory.identity and now.identity_of(MANIFEST) == manifest


class Opened:
    """A directory whose manifest has been read, and whose files can be opened.

    Parameters
    ----------
    directory : Directory
        The opened directory.

    Raises
    ------
    ArtifactError
        When the manifest is missing or refused.
    """

    def __init__(self, directory: Directory) -> None:
        self.path = directory.path
        self.directory = directory
        try:
            file = self.directory.open(MANIFEST)
        except FileNotFoundError:
            raise ArtifactError(
                "artifact-unknown",
                f"Expected an artifact, got a directory without {MANIFEST}.",
                where=str(self.path),
                hint="Give the directory that holds it, or save the index again.",
            ) from None
        if file.bytes > MAX_MANIFEST_BYTES:
            raise too_large(file.bytes, file.where)
        self.manifest_bytes = file.read(0, file.bytes)
        self.manifest = Manifest.from_bytes(self.manifest_bytes, file.where)

    def open(self, part: Part) -> OpenFile:
        """Return a part's file, as long as the manifest says."""
        where = str(self.path / part.file)
        try:
            file = self.directory.open(part.file)
        except FileNotFoundError:
            raise ArtifactError(
                "artifact-incomplete",
                f"Expected the part {part.name!r}, found nothing.",
                where=where,
                hint="Restore the artifact, or save it again.",
            ) from None
        if file.bytes != part.bytes:
            raise wrong_length(where, file.bytes, part.bytes)
        return file

    def header(self, part: Part, file: OpenFile) -> Header:
        """Return the header of a part's file, which must say what the manifest says."""
        header = file.header()
        if (header.dtype, header.shape) != (part.dtype, part.shape):
            raise ArtifactError(
                "artifact-invalid",
                f"Expected {part.dtype} of shape {part.shape}, "
                f"got {header.dtype} of shape {header.shape}.",
                where=file.where,
            )
        return header

    def artifact(self) -> Artifact:
        """Check and map everything."""
        manifest = self.manifest
        files = {
            name: self.open(part)
            for name, part in manifest.parts.items()
            if part.role in _USED_ROLES
        }
        _check_digests(files, manifest.parts)
        arrays: dict[str, dict[str, NDArray[Any]]] = {
            role: {} for role in ("index", "ids", "lookup", "checksums", "vocabulary", "lists")
        }
        for name, file in files.items():
            part = manifest.parts[name]
            if part.role in arrays:
                arrays[part.role][name] = file.map_array(self.header(part, file))
        vectors = files["vectors"]
        rows = CheckedRows(
            vectors,
            self.header(manifest.parts["vectors"], vectors),
            arrays["checksums"]["vectors-blocks"],
            manifest.block_bytes,
        )
        index = _index(rows, manifest, arrays["index"], str(self.path))
        read_table = None
        if "items" in files:
            read_table = partial(_read_table, files["items"], manifest.parts["items"].shape)
        catalog = Catalog.from_parts(
            manifest.n_samples, manifest.id_type, arrays["ids"] | arrays["lookup"], read_table
        )
        vocabulary, lists = None, None
        if arrays["vocabulary"]:
            vocabulary = Vocabulary.from_parts(arrays["vocabulary"])
        if arrays["lists"]:
            lists = Lists.from_parts(arrays["lists"], manifest.n_samples)
        return Artifact(self.path, manifest, index, catalog, vocabulary, lists)


def _check_digests(files: Mapping[str, OpenFile], parts: Mapping[str, Part]) -> None:
    """Compare every resident part with its SHA-256, several at a time where that pays."""
    resident = [name for name in files if parts[name].role != "vectors"]
    resident.sort(key=lambda name: -files[name].bytes)
    if sum(files[name].bytes for name in resident) < _WORTH_THREADS:
        digests = [files[name].sha256() for name in resident]
    else:
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(min(_MOST_THREADS, os.cpu_count() or 1)) as pool:
            digests = list(pool.map(lambda name: files[name].sha256(), resident))
    for name, digest in zip(resident, digests, strict=True):
        if digest != parts[name].sha256:
            raise damaged(files[name].where, 0, files[name].bytes, "the SHA-256 differs")


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


def _read_table(file: OpenFile, shape: tuple[int, ...]) -> Any:
    from kneighbors.artifact.table import read_table

    return read_table(file.map(), shape, file.where)
