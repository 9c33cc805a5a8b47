"""The stages of a training run that are worth keeping: the corpus as read, and the bounds."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from kneighbors.corpus import Corpus, read_corpus
from kneighbors.corpus.sources import find_sources
from kneighbors.sagemaker.checkpoints import Checkpoints, Say, Stage
from kneighbors.sagemaker.settings import TrainingSettings
from kneighbors.search.index import ExactIndex
from kneighbors.search.progress import Progress
from kneighbors.search.rows import Rows
from kneighbors.storage import Address, open_store, translated

_CHUNK_BYTES = 8 << 20


@dataclass(frozen=True)
class Resumer:
    """Does the expensive stages of a run, or takes up what an earlier run came to.

    Parameters
    ----------
    settings : TrainingSettings
    progress : Progress
    checkpoints : Checkpoints or None
        None keeps nothing.
    names : list of str
        Of the corpus's files, as messages call them.
    """

    settings: TrainingSettings
    progress: Progress
    checkpoints: Checkpoints | None
    names: list[str]

    @classmethod
    def of(cls, settings: TrainingSettings, progress: Progress, say: Say) -> Resumer:
        """Look at the inputs: with checkpoints, every byte of the corpus is read for its SHA-256.

        Raises
        ------
        CorpusRefused, StorageError
            If the corpus cannot be found or read.
        """
        if settings.checkpoint_dir is None:
            return cls(settings, progress, None, [])
        inputs = _inputs(settings.train, progress)
        digests = [{key: value for key, value in one.items() if key != "name"} for one in inputs]
        folder = settings.checkpoint_dir
        if settings.shard is not None:
            # SageMaker brings the checkpoints of all hosts to one place.
            folder = folder / settings.shard.folder
        checkpoints = Checkpoints(folder, {"inputs": digests}, say)
        return cls(settings, progress, checkpoints, [one["name"] for one in inputs])

    def corpus(self) -> Corpus:
        """Return the corpus, read or taken up.

        Raises
        ------
        CorpusRefused, ArrayRefused, ItemsRefused, StorageError
            As `read_corpus` raises them.
        """
        reading: dict[str, Any] = {
            "vector_column": self.settings.vector_column,
            "id_column": self.settings.id_column if self.settings.items is None else None,
            "columns": self.settings.vector_columns,
        }

        def read() -> Corpus:
            return read_corpus(self.settings.train, **reading, progress=self.progress)

        if self.checkpoints is None:
            return read()
        kept = self.checkpoints.load("corpus", **reading)
        if kept is not None:
            return _corpus_of(kept, self.names)
        corpus = read()
        # What is mapped where it lies was neither copied nor converted.
        if not isinstance(corpus.X, np.memmap):
            self.checkpoints.keep("corpus", _stage_of(corpus), **reading)
        return corpus

    def index(self, rows: Rows, metric: str, build: Callable[[], ExactIndex]) -> ExactIndex:
        """Return the index of a corpus, built or taken up."""
        if self.checkpoints is None:
            return build()
        facts = {
            "metric": metric,
            "seed": self.settings.seed,
            "rows": [*rows.shape, rows.dtype.name],
            "columns": [self.settings.vector_column, self.settings.vector_columns],
        }
        kept = self.checkpoints.load("index", **facts)
        if kept is not None:
            return ExactIndex.from_parts(rows, metric, kept.arrays, kept.facts["plan"])
        index = build()
        self.checkpoints.keep("index", Stage({"plan": index.plan}, index.parts()), **facts)
        return index


def _inputs(train: str, progress: Progress) -> list[dict[str, Any]]:
    """Return what the files of a corpus are, byte for byte."""
    address = Address.parse(train)
    store = open_store(address)
    sources = find_sources(address, store)
    total, done = sum(source.size_bytes for source in sources), 0
    found = []
    for source in sources:
        digest = hashlib.sha256()
        with translated(source.address), store.open_read(source.address) as file:
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
                done += len(chunk)
                progress("hashing", min(done, total), total)
        found.append(
            {
                "name": source.address.shown,
                "kind": source.kind,
                "bytes": source.size_bytes,
                "sha256": digest.hexdigest(),
            }
        )
    return found


def _stage_of(corpus: Corpus) -> Stage:
    import pyarrow as pa

    stage = Stage({"sources": corpus.sources}, {"vectors": corpus.X})
    if corpus.ids is not None:
        stage.tables["ids"] = pa.table({"ids": corpus.ids})
    if corpus.items is not None:
        stage.tables["items"] = corpus.items
    return stage


def _corpus_of(stage: Stage, names: list[str]) -> Corpus:
    # The same bytes may have come to another path this time.
    sources = [
        {**source, "name": name} for source, name in zip(stage.facts["sources"], names, strict=True)
    ]
    ids = stage.tables["ids"].column("ids") if "ids" in stage.tables else None
    return Corpus(stage.arrays["vectors"], ids, stage.tables.get("items"), sources)
