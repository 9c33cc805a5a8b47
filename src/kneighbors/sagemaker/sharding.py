"""Training in shards: the corpus is read and fitted a shard at a time, never as a whole.

`plan_of` looks at the corpus and says what the shards will be, `write_planned` makes one of them
from that alone, here or elsewhere, and `train_sharded` makes all of them and the artifact.
Whatever ends a run leaves the shards that are done, and the next run goes on behind them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kneighbors.artifact.names import MANIFEST, SHARDS
from kneighbors.artifact.publishing import resolved
from kneighbors.corpus.ranges import RangedCorpus
from kneighbors.errors import ArtifactError, ParameterRefused, Refused, StorageError
from kneighbors.sagemaker.checkpoints import Say
from kneighbors.sagemaker.labels import catalog_of, check_label_options
from kneighbors.sagemaker.settings import DEFAULT_N_NEIGHBORS, TrainingSettings
from kneighbors.sagemaker.sharded_report import ShardedReport
from kneighbors.sagemaker.words import read_vocabulary
from kneighbors.search.gate import check_corpus, check_n_neighbors
from kneighbors.search.metrics import check_metric
from kneighbors.search.progress import Progress, ignore
from kneighbors.search.rows import ArrayRows
from kneighbors.shards.manifest import ShardEntry
from kneighbors.shards.names import FOLDER, PLAN
from kneighbors.shards.opening import read_manifest
from kneighbors.shards.plan import ShardPlan
from kneighbors.shards.publishing import publish_shards, remove_others
from kneighbors.shards.writing import find_shard, write_shard
from kneighbors.storage import Address, translated
from kneighbors.storage.local import writing_whole

#: Files of the corpus that ``shards.json`` names; there may be thousands.
_MOST_FILES = 100
#: What may lie in a directory that becomes an artifact in shards.
_OURS = frozenset({SHARDS, PLAN, "lost+found"})


def plan_of(
    settings: TrainingSettings,
    *,
    n_shards: int | None = None,
    rows_per_shard: int | None = None,
    created: str | None = None,
    corpus: RangedCorpus | None = None,
) -> ShardPlan:
    """Look at a corpus, and say what its shards will be.

    Parameters
    ----------
    settings : TrainingSettings
    n_shards, rows_per_shard : int
        One of them.
    created : str, optional
        As of `ShardPlan.even`.
    corpus : RangedCorpus, optional
        The corpus of the settings, if it was looked at already.

    Raises
    ------
    ParameterRefused
        ``shards-number``, or ``shards-unsupported`` for settings that shards have not.
    KNeighborsError
        As reading the corpus raises it.
    """
    _refuse_unsupported(settings)
    check_label_options(settings)
    corpus = corpus or ranged(settings)
    n_neighbors = settings.n_neighbors
    if n_neighbors is None:
        n_neighbors = min(DEFAULT_N_NEIGHBORS, corpus.shape[0])
    labels = {"ids": settings.ids, "items": settings.items, "vocabulary": settings.vocabulary}
    return ShardPlan.even(
        check_metric(settings.metric),
        corpus.shape,
        corpus.dtype.name,
        n_shards=n_shards,
        rows_per_shard=rows_per_shard,
        created=created,
        source={
            "address": settings.train,
            "n_neighbors": check_n_neighbors(n_neighbors, corpus.shape[0]),
            "seed": settings.seed,
            "files": corpus.sources[:_MOST_FILES],
            "n_files": len(corpus.sources),
            "labels": {name: path for name, path in labels.items() if path is not None},
            "id_column": settings.id_column,
            "columns": None if settings.columns is None else list(settings.columns),
        },
    )


def ranged(settings: TrainingSettings) -> RangedCorpus:
    """Return the corpus of the settings, to be read a range at a time."""
    # As a corpus is read whole: the column of ids may be in a file of its own.
    columns: Any = settings.vector_columns
    return RangedCorpus(
        settings.train,
        vector_column=settings.vector_column,
        id_column=settings.id_column if settings.items is None else None,
        columns=columns,
    )


def write_planned(
    settings: TrainingSettings,
    plan: ShardPlan,
    number: int,
    target: Path,
    progress: Progress = ignore,
    *,
    corpus: RangedCorpus | None = None,
) -> ShardEntry:
    """Read the rows of one shard, fit and save them; may be run again, and anywhere.

    Parameters
    ----------
    settings : TrainingSettings
    plan : ShardPlan
        What `plan_of` made of the settings.
    number : int
        Which shard, from 0.
    target : Path
        Directory in which the shard's own directory is made.
    progress : Progress, optional
    corpus : RangedCorpus, optional
        As of `plan_of`.

    Raises
    ------
    KNeighborsError
        As `kneighbors.shards.write_shard`, and as reading raises it, with the shard's name.

    Notes
    -----
    Memory: the ids and attributes of the shard, its head, and blocks of 16 MiB; its vectors are in
    a file without a name meanwhile, unless they can be mapped where they are.
    """
    found = find_shard(plan, number, target)
    if found is not None:
        return found
    first, stop = plan.rows_of(number)
    corpus = corpus or ranged(settings)
    part = corpus.range(first, stop)
    try:
        X = check_corpus(part.X, plan.metric)
        catalog = catalog_of(settings, part, slice(first, stop), plan.n_samples)
    except Refused as error:
        where = f"shard {number}, whose rows begin with {first}"
        if error.where:
            where += f": {error.where}"
        raise type(error)(error.code, error.message, where=where, hint=error.hint) from error
    vocabulary = None
    if number == 0 and settings.vocabulary is not None:
        vocabulary = read_vocabulary(settings.vocabulary)
        vocabulary.check_width(X.shape[1])
    rows = ArrayRows(X)
    return write_shard(
        plan, number, rows, catalog, target, vocabulary=vocabulary, progress=progress
    )


def train_sharded(
    settings: TrainingSettings,
    progress: Progress = ignore,
    say: Say = lambda text: None,
    *,
    n_shards: int | None = None,
    rows_per_shard: int | None = None,
    build: Callable[[ShardPlan, Path], None] | None = None,
) -> ShardedReport:
    """Make an artifact in shards of a corpus.

    Parameters
    ----------
    settings : TrainingSettings
    progress : Progress, optional
    say : callable, optional
        Called with lines for a log.
    n_shards, rows_per_shard : int
        One of them.
    build : callable, optional
        Makes all shards of a plan in a directory; by default they are made here, one after another.

    Raises
    ------
    StorageError
        ``artifact-exists`` if there is an artifact and it may not be replaced, ``storage-exists``
        if there is something else.
    KNeighborsError
        As `plan_of` and `write_planned`.
    """
    began = time.perf_counter()
    target = resolved(settings.model_dir)
    _check_target(target, overwrite=settings.overwrite)
    corpus = ranged(settings)
    fresh = plan_of(settings, n_shards=n_shards, rows_per_shard=rows_per_shard, corpus=corpus)
    plan = _begun(fresh, target, say)
    kept = sum(find_shard(plan, n, target) is not None for n in range(plan.n_shards))
    if build is not None:
        build(plan, target)
    else:
        for number in range(plan.n_shards):
            write_planned(settings, plan, number, target, corpus=corpus)
            progress("shards", number + 1, plan.n_shards)
    manifest = publish_shards(plan, target)
    return ShardedReport(manifest, target, time.perf_counter() - began, kept)


def rebuild_shard(settings: TrainingSettings, number: int, progress: Progress = ignore) -> Path:
    """Make one shard of an artifact again, from the corpus that it was made from.

    Parameters
    ----------
    settings : TrainingSettings
        As of the training; `model_dir` is the artifact.
    number : int
        Which shard, from 0.
    progress : Progress, optional

    Returns
    -------
    Path
        The directory that was missing.

    Raises
    ------
    ArtifactError
        ``shards-differ`` if the corpus or the settings are not those of the artifact.
    StorageError
        ``artifact-exists`` if the shard is there: remove it if it is damaged.
    """
    target = resolved(settings.model_dir)
    manifest = read_manifest(target)
    ends = (0, *(shard.stop for shard in manifest.shards))
    corpus = ranged(settings)
    like = plan_of(settings, n_shards=1, created=manifest.created, corpus=corpus)
    plan = ShardPlan(
        like.metric, like.n_samples, like.n_features, like.dtype, ends, like.created, like.source
    )
    if plan.n_samples != manifest.n_samples or plan.generation != manifest.generation:
        raise ArtifactError(
            "shards-differ",
            f"Expected the corpus and the settings of the generation {manifest.generation}, got "
            "others.",
            where=str(target),
            hint="Give the options of the training, and the corpus as it was.",
        )
    path = target / plan.folder(plan.rows_of(number) and number)
    if (path / MANIFEST).exists():
        raise StorageError(
            "artifact-exists",
            "Expected a shard that is missing, got one that is there.",
            where=str(path),
            hint="Remove it first, if it is damaged.",
        )
    entry = write_planned(settings, plan, number, target, progress, corpus=corpus)
    expected = manifest.shards[number].manifest_sha256
    if entry.manifest_sha256 != expected:
        raise ArtifactError(
            "shards-differ",
            "Expected the bytes that were saved, got others: the rows have changed, or versions "
            "that compute have.",
            where=str(path),
            hint="Train all shards again.",
        )
    return path


def _refuse_unsupported(settings: TrainingSettings) -> None:
    asked = {
        "--list": bool(settings.lists),
        "--algorithm": settings.algorithm not in ("auto", "exact"),
        "--target-recall": settings.target_recall is not None,
        "--latency-ms": settings.latency_ms is not None,
        "--checkpoint-dir": settings.checkpoint_dir is not None,
    }
    for option, given in asked.items():
        if given:
            raise ParameterRefused(
                "shards-unsupported",
                f"Expected no {option} with shards, which are exact and go on by themselves "
                "where a run has ended.",
                where=option,
            )


def _check_target(target: Path, *, overwrite: bool) -> None:
    """Refuse a directory that has something else in it, or an artifact."""
    with translated(target):
        names = {path.name for path in target.iterdir()} if target.exists() else set()
    if SHARDS in names and not overwrite:
        raise StorageError(
            "artifact-exists",
            "Expected a new path, got that of an artifact.",
            where=str(target),
            hint="Choose another, or ask for it to be overwritten.",
        )
    odd = {name for name in names - _OURS if not FOLDER.fullmatch(name)}
    if odd:
        raise StorageError(
            "storage-exists",
            f"Expected a new path, an empty directory or shards, got {sorted(odd)[0]!r} there.",
            where=str(target),
            hint="Choose another; what is not an artifact in shards is never overwritten.",
        )


def _begun(fresh: ShardPlan, target: Path, say: Say) -> ShardPlan:
    """Return the plan of a run that was interrupted, if it is the same; else write the new one."""
    path = target / PLAN
    if path.exists():
        with translated(path):
            earlier = ShardPlan.from_bytes(path.read_bytes(), str(path))
        if earlier.is_like(fresh):
            say(f"Going on with the shards of {earlier.created}.")
            return earlier
        published = read_manifest(target).generation if (target / SHARDS).exists() else None
        remove_others(target, published)
        say("Shards of another plan were not finished; they are removed.")
    with writing_whole(Address.parse(path)) as file:
        file.write(fresh.to_bytes())
    return fresh
