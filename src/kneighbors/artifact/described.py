"""What the rows of an artifact are, without the rows: ids, attributes, terms and lists."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from kneighbors.artifact.directory import Directory
from kneighbors.artifact.hashing import check_digests
from kneighbors.artifact.manifest import Manifest, Part
from kneighbors.artifact.npy import MAX_HEADER_BYTES, array_of, parse_header
from kneighbors.artifact.opened import Opened, check_header
from kneighbors.items import Catalog
from kneighbors.items.lists import Lists
from kneighbors.items.vocabulary import Vocabulary

#: Roles of the parts that say what the rows are.
ITEM_ROLES = frozenset({"ids", "items", "lookup", "vocabulary", "lists"})

Arrays = Mapping[str, Mapping[str, NDArray[Any]]]


@dataclass(frozen=True)
class Described:
    """What the rows of an artifact are.

    Attributes
    ----------
    path : Path
    manifest : Manifest
    catalog : Catalog
    vocabulary : Vocabulary or None
    lists : Lists
    """

    path: Path
    manifest: Manifest
    catalog: Catalog
    vocabulary: Vocabulary | None
    lists: Lists


def open_described(path: Path) -> Described:
    """Open what a directory says of its rows; parts of other roles need not be there.

    Parameters
    ----------
    path : Path
        Directory of an artifact, or of a copy of its manifest and of these parts.

    Raises
    ------
    ArtifactError, StorageError
        As `kneighbors.artifact.open_artifact`.

    Notes
    -----
    The parts are read and hashed, then mapped.
    """
    opened = Opened(Directory(path))
    manifest = opened.manifest
    parts = [part for part in manifest.parts.values() if part.role in ITEM_ROLES]
    files = {part.name: opened.open(part) for part in parts}
    check_digests(lambda name: files[name].sha256(), files, manifest.parts)
    contents = {name: memoryview(file.map()) for name, file in files.items()}
    wheres = {name: file.where for name, file in files.items()}
    arrays = arrays_of(contents, manifest, wheres, ITEM_ROLES)
    return described(path, manifest, arrays, table_reader(contents, manifest, wheres))


def described(
    path: Path, manifest: Manifest, arrays: Arrays, read_table: Callable[[], Any] | None
) -> Described:
    """Return what arrays, by role and name, and a table say of the rows."""
    catalog = Catalog.from_parts(
        manifest.n_samples, manifest.id_type, {**arrays["ids"], **arrays["lookup"]}, read_table
    )
    vocabulary = Vocabulary.from_parts(arrays["vocabulary"]) if arrays["vocabulary"] else None
    lists = Lists.from_parts(arrays["lists"], manifest.n_samples) if arrays["lists"] else Lists()
    return Described(path, manifest, catalog, vocabulary, lists)


def arrays_of(
    contents: Mapping[str, memoryview],
    manifest: Manifest,
    wheres: Mapping[str, str],
    roles: frozenset[str],
) -> dict[str, dict[str, NDArray[Any]]]:
    """Return the arrays of parts, by role and name; the table of items is none."""
    arrays: dict[str, dict[str, NDArray[Any]]] = {role: {} for role in roles - {"items"}}
    for name, data in contents.items():
        part = manifest.parts[name]
        if part.role in arrays:
            arrays[part.role][name] = _array(part, data, wheres[name])
    return arrays


def table_reader(
    contents: Mapping[str, memoryview], manifest: Manifest, wheres: Mapping[str, str]
) -> Callable[[], Any] | None:
    """Return what reads the table of attributes, if there is one."""
    if "items" not in contents:
        return None
    return partial(_read_table, contents["items"], manifest.parts["items"].shape, wheres["items"])


def _array(part: Part, data: memoryview, where: str) -> NDArray[Any]:
    header = parse_header(bytes(data[:MAX_HEADER_BYTES]), len(data), where)
    check_header(part, header, where)
    return array_of(data, header)


def _read_table(data: memoryview, shape: tuple[int, ...], where: str) -> Any:
    from kneighbors.artifact.table import read_table

    return read_table(data, shape, where)
