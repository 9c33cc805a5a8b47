"""Training: from an address to a saved artifact and a report, as SageMaker's script mode asks.

`TrainingSettings` says what is wanted; `train` does it. Nothing here parses a command line or
prints. The artifact appears whole or not at all, and so does the report; whatever ends the run
early leaves the old ones as they were.
"""

from __future__ import annotations

import platform
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from kneighbors import __version__, artifact
from kneighbors.artifact.occupancy import look
from kneighbors.artifact.publishing import resolved
from kneighbors.corpus import Corpus, read_corpus
from kneighbors.errors import ParameterRefused
from kneighbors.evaluate.tuning_figure import FIGURE_NAME as TRADE_OFF_NAME
from kneighbors.evaluate.tuning_figure import write_trade_off
from kneighbors.sagemaker.checkpoints import Say
from kneighbors.sagemaker.figure import write_figure
from kneighbors.sagemaker.labels import catalog_of, check_label_options
from kneighbors.sagemaker.probe import CountingRows, probe_index
from kneighbors.sagemaker.profile import profile_corpus
from kneighbors.sagemaker.report import Report, write_report
from kneighbors.sagemaker.resuming import Resumer
from kneighbors.sagemaker.settings import DEFAULT_N_NEIGHBORS, TrainingSettings
from kneighbors.sagemaker.shards import EmptyShard, has_no_files
from kneighbors.sagemaker.words import read_lists, read_vocabulary
from kneighbors.search.gate import check_corpus, check_n_neighbors, check_queries
from kneighbors.search.graph_library import library
from kneighbors.search.graph_opening import Index
from kneighbors.search.index import ExactIndex
from kneighbors.search.metrics import check_metric
from kneighbors.search.progress import Progress, ignore
from kneighbors.storage import translated

__all__ = ["Report", "TrainingSettings", "train", "train_host"]

_COMPUTING = ("numpy", "pyarrow")
#: Files of the corpus that the manifest names; there may be thousands.
MOST_FILES = 100


def train_host(
    settings: TrainingSettings, progress: Progress = ignore, say: Say = lambda text: None
) -> Report | None:
    """Train on one host, which may be one of several.

    Where the corpus is split between the hosts (``ShardedByS3Key``), each fits its own part and
    saves it to ``model_dir/shard-<host>``, or says there that it was given none;
    `kneighbors.sagemaker.merging.merge` makes one artifact of them. Where all hosts have all of it,
    the first one trains as if it were alone, and the others have nothing to do.

    Parameters
    ----------
    settings : TrainingSettings
        `shard` is this host's place.
    progress : Progress, optional
    say : callable, optional
        Called with lines for a log.

    Returns
    -------
    Report or None
        None where this host had nothing to fit.

    Raises
    ------
    ParameterRefused
        With code ``shard-labels`` if a split corpus has its ids or attributes in files of their
        own: nobody knows which of their rows belong to which host's.
    KNeighborsError
        As `train` raises it.
    """
    shard = settings.shard
    if shard is None:
        return train(settings, progress, say)
    if not shard.is_split:
        if shard.is_first:
            return train(replace(settings, shard=None), progress, say)
        say(f"Every host has the whole corpus; {shard.hosts[0]} fits it, {shard.host} does not.")
        return None
    if settings.ids is not None or settings.items is not None or settings.lists:
        raise ParameterRefused(
            "shard-labels",
            "Expected ids and attributes in the files of the corpus, which is split between "
            "hosts, and no lists, got them in files of their own.",
            hint="Write them into the corpus's files as columns, or train on one host.",
        )
    output = settings.output_data_dir
    settings = replace(
        settings,
        model_dir=settings.model_dir / shard.folder,
        output_data_dir=None if output is None else output / shard.folder,
    )
    if has_no_files(Path(settings.train)):
        EmptyShard(
            host=shard.host,
            hosts=list(shard.hosts),
            metric=check_metric(settings.metric),
            n_neighbors=settings.n_neighbors or DEFAULT_N_NEIGHBORS,
        ).write(settings.model_dir)
        say(f"{shard.host} was given no file of the corpus, and saves an empty shard.")
        return None
    return train(settings, progress, say)


def train(
    settings: TrainingSettings, progress: Progress = ignore, say: Say = lambda text: None
) -> Report:
    """Read a corpus, fit it, save the artifact and write the report.

    Parameters
    ----------
    settings : TrainingSettings
        See `TrainingSettings.resolve` for where they come from.
    progress : Progress, optional
        Called as ``progress(stage, done, total)``.
    say : callable, optional
        Called with lines for a log, about checkpoints.

    Returns
    -------
    Report
        What ``report.json`` in ``output_data_dir`` holds.

    Raises
    ------
    ParameterRefused
        If the metric is unknown, or more neighbours are wanted than there are rows.
    StorageError
        If the corpus cannot be read, or a directory cannot be written to; ``artifact-exists`` if
        there is an artifact already and `overwrite` is false, before anything is read.
    CorpusRefused, ArrayRefused, ItemsRefused
        If the corpus, its values, its labels, the vocabulary or a list break a rule.

    Notes
    -----
    Memory: the corpus (nothing for a single ``.npy``, which stays mapped), the head of the index
    and 16 bytes a row. With `checkpoint_dir`, the corpus as it was read and the head are written
    there too, and the corpus is read once more, for its SHA-256.
    """
    metric = check_metric(settings.metric)
    choice = settings.choice
    if choice.algorithm == "hnsw" or choice.target_recall is not None:
        library()
    check_label_options(settings)
    check_targets(settings.model_dir, settings.output_data_dir, overwrite=settings.overwrite)
    clock = _Clock()
    with clock.stage("reading"):
        stages = Resumer.of(settings, progress, say)
        corpus = stages.corpus()
    with clock.stage("checking"):
        X = check_corpus(corpus.X, metric)
        n_neighbors = _n_neighbors(settings, X.shape[0])
        catalog = catalog_of(settings, corpus)
        vocabulary = None
        if settings.vocabulary is not None:
            vocabulary = read_vocabulary(settings.vocabulary)
            vocabulary.check_width(X.shape[1])
        lists = read_lists(settings.lists, catalog)
        profile = profile_corpus(X, progress)
    with clock.stage("fitting"):
        rows = CountingRows(X)

        def build() -> ExactIndex:
            return ExactIndex.build(rows, metric, random_state=settings.seed, progress=progress)

        index = _chosen(settings, stages.index(rows, metric, build), n_neighbors, progress)
    source = _source(settings, corpus, n_neighbors)
    # Before anything is measured: a job that is stopped meanwhile has its model.
    with clock.stage("saving"):
        with translated(settings.model_dir):
            settings.model_dir.absolute().parent.mkdir(parents=True, exist_ok=True)
        artifact.save(
            settings.model_dir,
            index,
            catalog,
            vocabulary=vocabulary,
            lists=lists,
            overwrite=settings.overwrite,
            source=source,
            progress=progress,
        )
    with clock.stage("measuring"):
        probe = probe_index(index, rows, n_neighbors, settings.seed, progress)
    report = Report(
        rows=X.shape[0],
        dimensions=X.shape[1],
        dtype=X.dtype.name,
        metric=metric,
        n_neighbors=n_neighbors,
        zero_rows=profile.zero_rows,
        duplicate_rows=profile.duplicate_rows,
        norms=profile.norms,
        head=int(index.plan.get("exact", index.plan).get("head_size", 0)),
        plan=dict(index.plan),
        candidates_share=probe.candidates_share,
        query_ms=probe.query_ms,
        artifact_bytes=_bytes_below(settings.model_dir),
        seconds=clock.seconds(),
        versions=_versions(),
        source=source,
        model_dir=str(settings.model_dir),
    )
    if settings.output_data_dir is not None:
        write_report(report, settings.output_data_dir)
        write_figure(report, probe, profile, settings.output_data_dir)
        tuning = index.plan.get("tuning", {})
        if tuning.get("settings"):
            write_trade_off(
                settings.output_data_dir / TRADE_OFF_NAME,
                tuning["settings"],
                tuning["target_recall"],
            )
    return report


def _chosen(
    settings: TrainingSettings, exact: ExactIndex, n_neighbors: int, progress: Progress
) -> Index:
    """Return the index that was asked for, over the exact one."""
    queries = None
    if settings.sample_queries is not None:
        read = read_corpus(settings.sample_queries, progress=progress).X
        queries = check_queries(read, exact.n_features, exact.metric, name="sample_queries")
    return settings.choice.apply(
        exact,
        queries=queries,
        n_neighbors=n_neighbors,
        random_state=settings.seed,
        progress=progress,
    )


def _source(settings: TrainingSettings, corpus: Corpus, n_neighbors: int) -> dict[str, Any]:
    source = {
        "address": settings.train,
        "n_neighbors": n_neighbors,
        "seed": settings.seed,
        "files": corpus.sources[:MOST_FILES],
        "n_files": len(corpus.sources),
    }
    if settings.shard is not None:
        source["shard"] = {
            "host": settings.shard.host,
            "hosts": list(settings.shard.hosts),
            "n_neighbors": settings.n_neighbors or DEFAULT_N_NEIGHBORS,
        }
    return source


class _Clock:
    """Seconds by stage."""

    def __init__(self) -> None:
        self._began = time.perf_counter()
        self._stages: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self._stages[name] = time.perf_counter() - began

    def seconds(self) -> dict[str, float]:
        total = time.perf_counter() - self._began
        return {name: round(value, 4) for name, value in {**self._stages, "total": total}.items()}


def _n_neighbors(settings: TrainingSettings, n_samples: int) -> int:
    if settings.n_neighbors is None:
        return min(DEFAULT_N_NEIGHBORS, n_samples)
    if settings.shard is not None:
        # Of all hosts' rows together there may be enough.
        return min(settings.n_neighbors, n_samples)
    return check_n_neighbors(settings.n_neighbors, n_samples)


def check_targets(
    model_dir: Path, output_data_dir: Path | None = None, *, overwrite: bool = False
) -> None:
    """Refuse early what would fail after a long fit; the writers check again.

    Raises
    ------
    StorageError
        If something else is there, or a directory cannot be written to.
    """
    with translated(model_dir):
        look(resolved(model_dir)).refuse(model_dir, overwrite)
        # One of the two is enough: a mount point is written into, all else is written beside.
        try:
            _probe(model_dir.absolute().parent)
        except OSError:
            if not model_dir.is_dir():
                raise
            _probe(model_dir)
    if output_data_dir is not None:
        with translated(output_data_dir):
            _probe(output_data_dir.absolute())


def _probe(folder: Path) -> None:
    """Make a file in the nearest folder that exists; it has no name that could be left there."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    with tempfile.TemporaryFile(prefix=".kneighbors-probe-", dir=folder):
        pass


def _bytes_below(path: Path) -> int:
    with translated(path):
        if path.is_file():
            return path.stat().st_size
        return sum(entry.stat().st_size for entry in path.rglob("*") if entry.is_file())


def _versions() -> dict[str, str]:
    found: dict[str, Any] = {"kneighbors": __version__, "python": platform.python_version()}
    for package in _COMPUTING:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = np.__version__ if package == "numpy" else "unknown"
    return found
