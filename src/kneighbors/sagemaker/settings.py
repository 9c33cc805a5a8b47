"""What a training run is asked to do, from its arguments and from what SageMaker's toolkit sets.

Arguments of the command line are stronger than hyperparameters (``SM_HPS``), which are stronger
than the other ``SM_*`` variables, which are stronger than the defaults. So a job behaves as a
script whose argparse defaults come from the environment.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kneighbors.errors import ParameterRefused
from kneighbors.sagemaker.option_values import (
    count_of,
    flag_of,
    integer_of,
    named_files_of,
    names_of,
    number_of,
    path_of,
    prefix_or_names_of,
    seed_of,
    text_of,
)
from kneighbors.sagemaker.shards import Shard
from kneighbors.search.graph_choice import Choice

DEFAULT_N_NEIGHBORS = 10
DEFAULT_METRIC = "cosine"

# SageMaker's own hyperparameters; its toolkit strips them, and so does a run without the toolkit.
_RESERVED_PREFIX = "sagemaker_"


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    r"""Everything that a training run needs to know.

    Parameters
    ----------
    train : str
        Where the corpus is: a file or a directory, as a path, ``file://`` or ``s3://``.
    model_dir : Path
        Directory that becomes the artifact; it may exist if it is empty.
    output_data_dir : Path, optional
        Directory of ``report.json``; None writes no report.
    metric : str, default="cosine"
        ``cosine``, ``euclidean`` (or ``l2``), ``sqeuclidean`` or ``inner_product``.
    n_neighbors : int, optional
        Neighbours that the service returns when a request does not say; None means 10, or every
        row of a smaller corpus.
    vector_column : str, optional
        Column that holds the vectors of a CSV, Parquet or Arrow corpus; None finds it.
    vector_columns : str or tuple of str, optional
        Columns of one dimension each, in this order; one text is the beginning that the names of
        numbered columns share, such as ``"dim_"``.
    id_column : str, optional
        Column of the corpus, or of `items`, whose values are the ids.
    columns : tuple of str, optional
        Columns of the corpus to keep as attributes; None keeps all.
    ids : str, optional
        File of ids, one a line or a one-dimensional ``.npy``.
    items : str, optional
        CSV or Parquet file of attributes, one row for each vector, in the same order.
    vocabulary : str, optional
        File of terms with vectors and weights, that can be queries.
    lists : tuple of (str, str), optional
        Names of lists, and files of the ids in them.
    algorithm : str, default="auto"
        ``exact``, ``hnsw`` for a graph that finds nearly all neighbours, or ``auto``, which is
        exact unless one of the next two says what to look for.
    target_recall : float, optional
        Share of the neighbours that must be found on average: the cheapest setting is sought.
    latency_ms : float, optional
        With ``auto``: a graph only where exact search takes longer.
    sample_queries : str, optional
        File or directory of vectors such as users send, read as a corpus is; what recall and time
        are measured on. By default rows that are held out meanwhile.
    hnsw_m, hnsw_ef_construction, hnsw_ef_search : int, optional
        HNSW's parameters, for who knows them.
    seed : int, default=0
        Seed of what the fit samples.
    overwrite : bool, default=False
        Whether an existing artifact may be replaced.
    checkpoint_dir : Path, optional
        Directory in which a run that is interrupted leaves what the next one can go on from.
    shard : Shard, optional
        This host's place among several; of the environment alone, and no option.

    Examples
    --------
    >>> settings = TrainingSettings.resolve(
    ...     {"metric": "euclidean"},
    ...     {"SM_CHANNEL_TRAIN": "/data", "SM_MODEL_DIR": "/model",
    ...      "SM_HPS": '{"n_neighbors": "5", "metric": "\\"cosine\\""}'},
    ... )
    >>> settings.train, settings.metric, settings.n_neighbors
    ('/data', 'euclidean', 5)
    """

    train: str
    model_dir: Path
    output_data_dir: Path | None = None
    metric: str = DEFAULT_METRIC
    n_neighbors: int | None = None
    vector_column: str | None = None
    vector_columns: str | tuple[str, ...] | None = None
    id_column: str | None = None
    columns: tuple[str, ...] | None = None
    ids: str | None = None
    items: str | None = None
    vocabulary: str | None = None
    lists: tuple[tuple[str, str], ...] = ()
    algorithm: str = "auto"
    target_recall: float | None = None
    latency_ms: float | None = None
    sample_queries: str | None = None
    hnsw_m: int | None = None
    hnsw_ef_construction: int | None = None
    hnsw_ef_search: int | None = None
    seed: int = 0
    overwrite: bool = False
    checkpoint_dir: Path | None = None
    shard: Shard | None = None

    @property
    def choice(self) -> Choice:
        """What was asked of the search.

        Raises
        ------
        ParameterRefused
            If the settings of the search contradict each other or are out of their bounds.
        """
        params = {
            "M": self.hnsw_m,
            "ef_construction": self.hnsw_ef_construction,
            "ef_search": self.hnsw_ef_search,
        }
        return Choice(
            self.algorithm,
            target_recall=self.target_recall,
            latency_ms=self.latency_ms,
            params={name: value for name, value in params.items() if value is not None},
        )

    @classmethod
    def resolve(cls, arguments: Mapping[str, Any], environ: Mapping[str, str]) -> TrainingSettings:
        """Merge arguments, hyperparameters and variables, the first that is set winning.

        Parameters
        ----------
        arguments : mapping of str to object
            By the names of the fields; None means not given.
        environ : mapping of str to str
            Usually ``os.environ``. ``SM_HPS``, ``SM_CHANNEL_TRAIN`` (or ``SM_CHANNEL_TRAINING``),
            ``SM_MODEL_DIR`` and ``SM_OUTPUT_DATA_DIR`` are read; where there are several hosts,
            ``SM_HOSTS``, ``SM_CURRENT_HOST`` and ``SM_INPUT_DATA_CONFIG`` as well.

        Raises
        ------
        ParameterRefused
            If a name is unknown, a value has the wrong type or is out of bounds, or the corpus or
            the model directory is given nowhere.
        """
        given = {name: value for name, value in arguments.items() if value is not None}
        _refuse_unknown(given, "the arguments")
        merged = {**_paths_of(environ), **hyperparameters(environ), **given}
        values = {name: _READERS[name](name, value) for name, value in merged.items()}
        for name, (option, variable) in _REQUIRED.items():
            if not values.get(name):
                raise ParameterRefused(
                    "parameter-missing",
                    f"Expected {option} or the variable {variable}, got neither.",
                )
        if merged["train"] == _paths_of(environ).get("train"):
            values["shard"] = Shard.of(environ)
        return cls(**values)


def hyperparameters(environ: Mapping[str, str]) -> dict[str, Any]:
    """Return the hyperparameters of ``SM_HPS`` by field name, without SageMaker's own.

    Values may be plain (SDK v3) or JSON in a string (SDK v2). A null means not given.

    Parameters
    ----------
    environ : mapping of str to str
        Usually ``os.environ``.

    Raises
    ------
    ParameterRefused
        If ``SM_HPS`` is no JSON object, or a name is unknown or comes twice in two spellings.
    """
    text = environ.get("SM_HPS")
    if not text:
        return {}
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ParameterRefused(
            "hyperparameters-malformed", f"Expected JSON, got {error}.", where="SM_HPS"
        ) from None
    if not isinstance(document, dict):
        raise ParameterRefused(
            "hyperparameters-malformed",
            f"Expected a JSON object, got {type(document).__name__}.",
            where="SM_HPS",
        )
    found: dict[str, Any] = {}
    for name, value in document.items():
        if name.startswith(_RESERVED_PREFIX):
            continue
        field = name.replace("-", "_")
        if field in found:
            raise ParameterRefused(
                "hyperparameter-doubled",
                f"Expected {field!r} once, got it in two spellings.",
                where="SM_HPS",
            )
        found[field] = _unquoted(value)
    _refuse_unknown(found, "SM_HPS")
    return {name: value for name, value in found.items() if value is not None}


def _paths_of(environ: Mapping[str, str]) -> dict[str, str]:
    variables = {
        "train": environ.get("SM_CHANNEL_TRAIN") or environ.get("SM_CHANNEL_TRAINING"),
        "model_dir": environ.get("SM_MODEL_DIR"),
        "output_data_dir": environ.get("SM_OUTPUT_DATA_DIR"),
    }
    return {name: value for name, value in variables.items() if value}


def _unquoted(value: Any) -> Any:
    """Undo SDK v2's second JSON encoding; leave text that is no JSON as it is."""
    if not isinstance(value, str):
        return value
    try:
        decoded = json.loads(value)
    except (ValueError, RecursionError):
        return value
    # A number stays text here: a column may be called "1", and integers are read from text anyway.
    return decoded if isinstance(decoded, str | bool | list) or decoded is None else value


def _refuse_unknown(given: Mapping[str, Any], where: str) -> None:
    for name in given:
        if name not in _READERS:
            near = difflib.get_close_matches(name, _READERS, n=1)
            raise ParameterRefused(
                "hyperparameter-unknown",
                f"Expected one of {', '.join(_READERS)}, got {name!r}.",
                where=where,
                hint=f"Did you mean {near[0]!r}?" if near else None,
            )


_READERS: dict[str, Callable[[str, Any], Any]] = {
    "train": text_of,
    "model_dir": path_of,
    "output_data_dir": path_of,
    "metric": text_of,
    "n_neighbors": count_of,
    "vector_column": text_of,
    "vector_columns": prefix_or_names_of,
    "id_column": text_of,
    "columns": names_of,
    "ids": text_of,
    "items": text_of,
    "vocabulary": text_of,
    "lists": named_files_of,
    "algorithm": text_of,
    "target_recall": number_of,
    "latency_ms": number_of,
    "sample_queries": text_of,
    "hnsw_m": integer_of,
    "hnsw_ef_construction": integer_of,
    "hnsw_ef_search": integer_of,
    "seed": seed_of,
    "overwrite": flag_of,
    "checkpoint_dir": path_of,
}
#: What can be given by name, on a command line or as a hyperparameter.
OPTIONS = tuple(_READERS)
_REQUIRED = {
    "train": ("--train PATH_OR_S3", "SM_CHANNEL_TRAIN"),
    "model_dir": ("--model-dir DIRECTORY", "SM_MODEL_DIR"),
}
