"""The shards of several training hosts, made one artifact.

The rows of all shards, in their order, are fitted anew: a rotation and a head measured on all rows
together are what a single host would have found, so the artifact answers, byte for byte, as one
that was fitted on everything. Taking over one shard's rotation would answer the same and save one
of the passes over the vectors, but the heads of the other shards would have to be computed all the
same. The vectors are never all in memory; each block's checksum is compared as it is read.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kneighbors.artifact import Artifact, Manifest, open_artifact, save
from kneighbors.artifact.names import MANIFEST
from kneighbors.errors import ArtifactError, ParameterRefused
from kneighbors.sagemaker.archives import fetched, unpack_tree
from kneighbors.sagemaker.joining import joined_catalog
from kneighbors.sagemaker.settings import DEFAULT_N_NEIGHBORS
from kneighbors.sagemaker.shards import EMPTY_NAME, PREFIX, EmptyShard, in_order
from kneighbors.sagemaker.training import MOST_FILES, check_targets
from kneighbors.search.index import ExactIndex
from kneighbors.search.progress import Progress, ignore
from kneighbors.shards.rows import JoinedRows
from kneighbors.storage import Address, translated
from kneighbors.storage.temporary import temporary_folder

_HINT = "Train all hosts in one job, or with the same settings."


@dataclass(frozen=True)
class _Found:
    """A shard, wherever it was."""

    where: str
    artifact: Artifact | None
    host: str | None
    hosts: tuple[str, ...]
    n_neighbors: int
    metric: str

    @property
    def rows(self) -> int:
        return 0 if self.artifact is None else self.artifact.manifest.n_samples


def merge(
    shards: Sequence[str],
    model_dir: Path,
    *,
    overwrite: bool = False,
    progress: Progress = ignore,
    say: Callable[[str], None] = lambda text: None,
) -> Manifest:
    """Make one artifact of the shards of several hosts.

    Parameters
    ----------
    shards : sequence of str
        Artifacts, directories with ``shard-<host>`` in them, or ``.tar.gz`` of either; paths or
        ``s3://``. Shards of a job are put into the order of their hosts; artifacts of other origin
        stay in the order given.
    model_dir : Path
        Directory that becomes the artifact.
    overwrite : bool, default=False
        Whether an artifact that is there may be replaced.
    progress : Progress, optional
    say : callable, optional
        Called with a line for each shard.

    Returns
    -------
    Manifest
        Of the new artifact.

    Raises
    ------
    ArtifactError
        With code ``shards-differ`` if metric, width, dtype, kind of ids, columns, settings or
        versions are not the same in all; ``shards-incomplete`` if a host's is missing or there
        twice; ``shards-empty`` if none has rows; or what opening or reading one is refused for.
    ParameterRefused
        With code ``parameter-conflict`` if a shard is given twice.
    ItemsRefused
        With code ``ids-doubled`` if an id is in two rows.
    StorageError
        If something cannot be read, unpacked or written.

    Notes
    -----
    Memory: the head of the joint index, the ids, and a block of 16 MiB. An archive is unpacked
    into the directory for temporary files, one after another, and removed in the end.
    """
    check_targets(model_dir, overwrite=overwrite)
    with ExitStack() as stack:
        found = [one for shard in shards for one in _open(shard, stack)]
        found = _ordered(found)
        _refuse_doubled(shards)
        whole = [(one, one.artifact) for one in found if one.artifact is not None]
        if not whole:
            raise ArtifactError("shards-empty", "Expected a shard with rows, got none.")
        _demand_alike(found)
        artifacts = [artifact for _, artifact in whole]
        for one in found:
            say(f"{one.where}: {one.rows} rows")
        rows = JoinedRows([artifact.index.rows for artifact in artifacts])
        catalog = joined_catalog([one.where for one, _ in whole], artifacts)
        first = artifacts[0].manifest
        seed = int((first.source or {}).get("seed", 0))
        index = ExactIndex.build(rows, first.metric, random_state=seed, progress=progress)
        with translated(model_dir):
            model_dir.absolute().parent.mkdir(parents=True, exist_ok=True)
        return save(
            model_dir,
            index,
            catalog,
            # Every host was given the same one.
            vocabulary=artifacts[0].vocabulary,
            overwrite=overwrite,
            source=_source(found, seed, rows.shape[0]),
            progress=progress,
        )


def _refuse_doubled(shards: Sequence[str]) -> None:
    """Refuse a shard that is given twice: its rows would be."""
    seen: set[str] = set()
    for shard in shards:
        address = Address.parse(shard)
        place = os.path.realpath(address.path) if address.scheme == "file" else address.shown
        if place in seen:
            raise ParameterRefused(
                "parameter-conflict", "Expected every shard once, got one twice.", where=shard
            )
        seen.add(place)


def _open(shard: str, stack: ExitStack) -> list[_Found]:
    """Return the shards at an address, those of a directory in the order of their hosts."""
    room = stack.enter_context(temporary_folder())
    path = fetched(shard, room)
    with translated(path):
        is_directory = path.is_dir() or not path.exists()
    if not is_directory:
        unpacked = room / "unpacked"
        unpack_tree(path, unpacked)
        path = unpacked
    with translated(path):
        below = [entry.name for entry in path.iterdir() if entry.name.startswith(PREFIX)]
        is_shard = (path / MANIFEST).exists() or (path / EMPTY_NAME).exists()
    if is_shard:
        return [_read(path, shard, stack)]
    if not below:
        raise ArtifactError(
            "artifact-unknown",
            f"Expected an artifact, or directories called {PREFIX}HOST, got neither.",
            where=shard,
        )
    return [_read(path / name, f"{shard}, {name}", stack) for name in in_order(below)]


def _read(path: Path, where: str, stack: ExitStack) -> _Found:
    with translated(path):
        is_empty = (path / EMPTY_NAME).exists() and not (path / MANIFEST).exists()
    if is_empty:
        empty = EmptyShard.read(path / EMPTY_NAME)
        hosts = tuple(empty.hosts)
        return _Found(where, None, empty.host, hosts, empty.n_neighbors, empty.metric)
    artifact = stack.enter_context(open_artifact(path))
    source: Any = artifact.manifest.source or {}
    try:
        place = source.get("shard") or {}
        return _Found(
            where,
            artifact,
            place.get("host"),
            tuple(place.get("hosts", ())),
            int(place.get("n_neighbors") or source.get("n_neighbors") or DEFAULT_N_NEIGHBORS),
            artifact.manifest.metric,
        )
    except (AttributeError, TypeError, ValueError) as error:
        raise ArtifactError(
            "artifact-invalid", f"Expected the place of a shard, got {error}.", where=where
        ) from error


def _ordered(found: list[_Found]) -> list[_Found]:
    """Return shards in the order of the hosts that they say; as they are, if none says any."""
    hosts = found[0].hosts
    if any(one.hosts != hosts for one in found):
        odd = next(one for one in found if one.hosts != hosts)
        raise _differ(
            "hosts", ", ".join(hosts) or "none", ", ".join(odd.hosts) or "none", odd.where
        )
    if not hosts:
        return found
    there = [one.host for one in found]
    for host in hosts:
        if there.count(host) != 1:
            raise ArtifactError(
                "shards-incomplete",
                f"Expected one shard of each of {', '.join(hosts)}, got {there.count(host)} of "
                f"{host}.",
                where=found[0].where,
                hint="Give the model archives, or the directories, of all hosts.",
            )
    return sorted(found, key=lambda one: hosts.index(str(one.host)))


def _demand_alike(found: list[_Found]) -> None:
    """Refuse shards that were not fitted in one way, or that hold other columns."""
    facts = [(one, _facts(one)) for one in found]
    first = next(fact for one, fact in facts if one.artifact is not None)
    for one, fact in facts:
        for name, value in fact.items():
            if value != first[name]:
                raise _differ(name, first[name], value, one.where)


def _facts(one: _Found) -> dict[str, Any]:
    facts: dict[str, Any] = {"metric": one.metric, "n_neighbors": one.n_neighbors}
    if one.artifact is None:
        return facts
    manifest = one.artifact.manifest
    schema = one.artifact.catalog.schema
    return {
        **facts,
        "dimensions": manifest.n_features,
        "dtype": manifest.dtype,
        "kind of ids": manifest.id_type,
        "columns": None if schema is None else ", ".join(f"{f.name} ({f.type})" for f in schema),
        "version": (manifest.writer or {}).get("kneighbors"),
        "seed": (manifest.source or {}).get("seed", 0),
    }


def _differ(name: str, expected: Any, got: Any, where: str) -> ArtifactError:
    return ArtifactError(
        "shards-differ",
        f"Expected the {name} {expected} as in the first shard, got {got}.",
        where=where,
        hint=_HINT,
    )


def _source(found: Sequence[_Found], seed: int, n_samples: int) -> dict[str, Any]:
    files: list[Any] = []
    n_files = 0
    for one in found:
        if one.artifact is not None:
            source: Any = one.artifact.manifest.source or {}
            files += source.get("files", [])
            n_files += int(source.get("n_files", 0))
    return {
        "n_neighbors": min(found[0].n_neighbors, n_samples),
        "seed": seed,
        "files": files[:MOST_FILES],
        "n_files": n_files,
        "shards": [
            {
                "host": one.host,
                "rows": one.rows,
                "digest": None if one.artifact is None else one.artifact.manifest.digest,
            }
            for one in found
        ],
    }
