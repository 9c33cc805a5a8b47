"""What can be set about a server: each setting with its type, unit, bounds and variable.

`docs/reference/http-server.md` shows the same table; a test compares the two.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from kneighbors.errors import ParameterRefused
from kneighbors.formats.limits import Limits
from kneighbors.server.bounded import checked, parsed, setting
from kneighbors.server.cores import available_cores
from kneighbors.server.defences import GUARDS, Defences, refuse_blank

MIB = 1 << 20
#: Neighbours that each query of a request may have where all of them have equally many.
_ANSWERS_A_ROW = 100

LOG_LEVELS = ("debug", "info", "warning", "error")
LOG_FORMATS = ("text", "json")

# Bounds that a user may have set for all programs.
_BLAS_VARIABLES = (
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "OMP_NUM_THREADS",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(Defences):
    """Everything that can be set about a server, checked.

    The fields, their units, bounds and environment variables are listed in
    `docs/reference/http-server.md`.

    Raises
    ------
    ParameterRefused
        With code ``setting-type``, ``setting-range`` or ``setting-choice``.

    Examples
    --------
    >>> Settings(model="wines", port=0).max_body_bytes
    6291456
    >>> Settings.from_environment({"SAGEMAKER_BIND_TO_PORT": "9090"}).port
    9090
    """

    model: str = setting(
        "/opt/ml/model",
        "The artifact: a directory or a .tar.gz; or a place to which artifacts are published.",
        variable="KNEIGHBORS_MODEL",
    )
    multi_model: str = setting(
        "false",
        "Whether the model is a directory of models, which are loaded by requests to /models.",
        variable="SAGEMAKER_MULTI_MODEL",
        one_of=("false", "true"),
    )
    cluster: str = setting(
        "",
        "Cluster whose machines search the shards of the model: auto, host:port or "
        "ray://host:port; none if empty.",
        variable="KNEIGHBORS_CLUSTER",
    )
    replicas: int = setting(
        1,
        "Copies of each shard on the cluster.",
        variable="KNEIGHBORS_REPLICAS",
        least=1,
        most=1000,
    )
    rebalance_seconds: float = setting(
        10.0,
        "How often to look whether copies of shards had better be on other machines of the "
        "cluster; 0 moves none.",
        variable="KNEIGHBORS_REBALANCE_SECONDS",
        unit="s",
        least=0,
        most=3600,
    )
    explorer: str = setting(
        "false",
        "Whether there is a page at /explorer to explore the model in.",
        variable="KNEIGHBORS_EXPLORER",
        one_of=("false", "true"),
    )
    host: str = setting("127.0.0.1", "Address to listen on.", variable="KNEIGHBORS_HOST")
    port: int = setting(
        8080,
        "Port to listen on; 0 takes a free one.",
        variable="SAGEMAKER_BIND_TO_PORT",
        least=0,
        most=65_535,
    )
    workers: int = setting(
        0,
        "Processes that answer; 0 takes one for each core, up to 16.",
        variable="SAGEMAKER_MODEL_SERVER_WORKERS",
        least=0,
        most=256,
    )
    threads: int = setting(
        2,
        "Batches, and requests that are answered alone, that one worker works on at a time.",
        variable="KNEIGHBORS_THREADS",
        least=1,
        most=256,
    )
    batch_rows: int = setting(
        64,
        "Queries that one worker searches for together; those that come meanwhile are the next.",
        variable="KNEIGHBORS_BATCH_ROWS",
        least=1,
        most=10_000,
    )
    batch_wait_ms: float = setting(
        0.0,
        "Time that a request which finds nobody searching waits for others; 0 starts at once.",
        variable="KNEIGHBORS_BATCH_WAIT_MS",
        unit="ms",
        least=0,
        most=1000,
    )
    blas_threads: int = setting(
        0,
        "Threads of one matrix product; 0 shares the cores out among the workers.",
        variable="KNEIGHBORS_BLAS_THREADS",
        least=0,
        most=1024,
    )
    n_neighbors: int = setting(
        0,
        "Neighbours of a query that asks for no number; 0 takes what the artifact says, else 10.",
        variable="KNEIGHBORS_N_NEIGHBORS",
        least=0,
        most=10_000,
    )
    require_signature: str = setting(
        "",
        "File of public keys, of which one must have signed what is served.",
        variable="KNEIGHBORS_REQUIRE_SIGNATURE",
    )
    follow_seconds: float = setting(
        2.0,
        "How often to look whether something newer was published, where a place is served.",
        variable="KNEIGHBORS_FOLLOW_SECONDS",
        unit="s",
        least=0.05,
        most=3600,
    )
    cache_dir: str = setting(
        "",
        "Directory for copies of what is served from S3; by default one that goes with the server.",
        variable="KNEIGHBORS_CACHE_DIR",
    )
    max_body_bytes: int = setting(
        6 * MIB,
        "Size of a request's body.",
        variable="KNEIGHBORS_MAX_BODY_BYTES",
        unit="bytes",
        least=1,
        most=1 << 30,
    )
    max_rows: int = setting(
        10_000,
        "Queries in one request.",
        variable="KNEIGHBORS_MAX_ROWS",
        least=1,
        most=10_000_000,
    )
    max_neighbors: int = setting(
        10_000,
        "Neighbours of one query.",
        variable="KNEIGHBORS_MAX_NEIGHBORS",
        least=1,
        most=1_000_000,
    )
    max_ids: int = setting(
        10_000,
        "Ids, likes or terms in one list of a request.",
        variable="KNEIGHBORS_MAX_IDS",
        least=1,
        most=10_000_000,
    )
    max_items: int = setting(
        100_000,
        "Neighbours in one answer that come with their attributes.",
        variable="KNEIGHBORS_MAX_ITEMS",
        least=1,
        most=10_000_000,
    )
    stream_from: int = setting(
        10_000,
        "Neighbours in an answer from which on it is sent while it is computed; 0 never does.",
        variable="KNEIGHBORS_STREAM_FROM",
        least=0,
        most=1_000_000_000,
    )
    max_transforms: int = setting(
        0,
        "Requests at a time that /execution-parameters asks for; 0 goes by workers and threads.",
        variable="SAGEMAKER_MAX_CONCURRENT_TRANSFORMS",
        least=0,
        most=1000,
    )
    batch_strategy: str = setting(
        "MULTI_RECORD",
        "Whether /execution-parameters asks for many records in a request, or for one.",
        variable="SAGEMAKER_BATCH_STRATEGY",
        one_of=("MULTI_RECORD", "SINGLE_RECORD"),
    )
    model_memory_bytes: int = setting(
        0,
        "Memory for the models of a directory of models; 0 takes three quarters of what there is.",
        variable="KNEIGHBORS_MODEL_MEMORY_BYTES",
        unit="bytes",
        least=0,
        most=1 << 50,
    )
    when_full: str = setting(
        "refuse",
        "Whether a model for which no memory is left gets 507, or takes that of the one that was "
        "not used for longest.",
        variable="KNEIGHBORS_WHEN_FULL",
        one_of=("refuse", "unload"),
    )
    max_buffered_bytes: int = setting(
        64 * MIB,
        "Bodies that one worker holds at a time; more get 503.",
        variable="KNEIGHBORS_MAX_BUFFERED_BYTES",
        unit="bytes",
        least=1,
        most=1 << 40,
    )
    max_waiting: int = setting(
        64,
        "Requests that wait in one worker for a thread or a batch; more get 503.",
        variable="KNEIGHBORS_MAX_WAITING",
        least=0,
        most=100_000,
    )
    max_wait_ms: float = setting(
        100.0,
        "Time that the first of 32 requests may have waited for a batch; while it is longer, more "
        "get 503.",
        variable="KNEIGHBORS_MAX_WAIT_MS",
        unit="ms",
        least=0,
        most=3_600_000,
    )
    recheck_share: float = setting(
        0.01,
        "Share of approximate answers that are searched for again exactly, in spare time, to know "
        "how good they are.",
        variable="KNEIGHBORS_RECHECK_SHARE",
        least=0,
        most=1,
    )
    log_level: str = setting(
        "warning",
        "Least important line that is logged; at info, one line a request.",
        variable="KNEIGHBORS_LOG_LEVEL",
        one_of=LOG_LEVELS,
    )
    log_format: str = setting(
        "text",
        "How a line of the log is written.",
        variable="KNEIGHBORS_LOG_FORMAT",
        one_of=LOG_FORMATS,
    )

    def __post_init__(self) -> None:
        for one in fields(self):
            object.__setattr__(self, one.name, checked(one, getattr(self, one.name)))
        self.check()
        if self.explorer == self.multi_model == "true":
            raise ParameterRefused(
                "setting-conflict",
                "Expected either explorer or multi_model, got both: the page shows one model.",
                where="settings explorer and multi_model",
            )

    @classmethod
    def from_environment(
        cls, environment: Mapping[str, str] | None = None, **given: Any
    ) -> Settings:
        """Read what is not given from the environment.

        Parameters
        ----------
        environment : mapping of str to str, default=os.environ
        **given
            Settings that go before the environment; None is not given, a blank guard refused.
        """
        environment = os.environ if environment is None else environment
        values = {name: value for name, value in given.items() if value is not None}
        known = {one.name: one for one in fields(cls)}
        for name in values:
            if name not in known:
                raise ParameterRefused(
                    "setting-unknown",
                    f"Expected a setting among {', '.join(known)}, got {name!r}.",
                )
        for name, one in known.items():
            variable = one.metadata["variable"]
            if name in GUARDS:
                where = f"setting {name}" if name in values else f"variable {variable}"
                refuse_blank(values.get(name, environment.get(variable)), where)
            text = environment.get(variable, "").strip()
            if text and name not in values:
                values[name] = parsed(one, text)
        return cls(**values)

    @property
    def worker_count(self) -> int:
        """Number of processes that answer; one where a cluster does the work."""
        return self.workers or (1 if self.cluster else min(available_cores(), 16))

    @property
    def blas_thread_count(self) -> int:
        """Number of threads of one matrix product in one worker.

        Unless it is set, the cores are shared out; a bound that the user has set for all
        programs (``OPENBLAS_NUM_THREADS`` and its like) is kept.
        """
        if self.blas_threads:
            return self.blas_threads
        share = max(1, available_cores() // self.worker_count)
        bounds = (os.environ.get(name, "") for name in _BLAS_VARIABLES)
        return min([share, *(int(text) for text in bounds if text.isdecimal() and int(text))])

    @property
    def limits(self) -> Limits:
        """What one request may ask of the model."""
        return Limits(
            max_body_bytes=self.max_body_bytes,
            max_rows=self.max_rows,
            max_neighbors=self.max_neighbors,
            max_ids=self.max_ids,
            max_items=self.max_items,
            max_answers=max(Limits().max_answers, _ANSWERS_A_ROW * self.max_rows),
        )
