"""What a training run found: ``report.json``, and the lines that SageMaker makes metrics of."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kneighbors.storage import Address
from kneighbors.storage.local import writing_whole

REPORT_NAME = "report.json"


@dataclass(frozen=True, kw_only=True)
class Report:
    """Figures of a training run.

    Parameters
    ----------
    rows, dimensions : int
        Shape of the corpus.
    dtype : str
        Its element type, ``"float32"`` or ``"float64"``.
    metric : str
        Canonical name of the metric.
    n_neighbors : int
        Neighbours that the service returns when a request does not say.
    zero_rows, duplicate_rows : int
        Rows of norm zero; rows that equal an earlier row.
    norms : dict of str to float
        ``min``, ``median``, ``mean`` and ``max``.
    head : int
        Coordinates that the search keeps in memory of each rotated row.
    plan : dict
        What the index decided at fit, and why.
    candidates_share : float
        Share of the rows that the bound leaves to be scored exactly, on average over the sample
        queries.
    query_ms : dict of str to float
        ``median`` and ``p99`` of single queries in milliseconds, and how many ``queries``.
    artifact_bytes : int
        Size of all parts on disk.
    seconds : dict of str to float
        Time by stage, and ``total``.
    versions : dict of str to str
        Of the program, Python and the libraries that computed.
    source : dict
        What the artifact was made from.
    model_dir : str
        Where the artifact is.
    """

    rows: int
    dimensions: int
    dtype: str
    metric: str
    n_neighbors: int
    zero_rows: int
    duplicate_rows: int
    norms: dict[str, float]
    head: int
    plan: dict[str, Any]
    candidates_share: float
    query_ms: dict[str, float]
    artifact_bytes: int
    seconds: dict[str, float]
    versions: dict[str, str]
    source: dict[str, Any]
    model_dir: str

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON-able values, in the order of the fields."""
        return asdict(self)

    def metrics(self) -> dict[str, float]:
        """Return the numbers that become metrics of a training job, by name."""
        return dict(_numbers_of(self))

    def metric_lines(self) -> list[str]:
        """Return one ``name=value;`` a metric, for stdout.

        Examples
        --------
        A definition for SageMaker's ``MetricDefinitions``::

            {"Name": "query_ms_median", "Regex": "query_ms_median=([0-9.eE+-]+);"}
        """
        return [f"{name}={_written(value)};" for name, value in self.metrics().items()]


def write_report(report: Report, directory: Path) -> Path:
    """Write ``report.json``, whole or not at all, over an older one if there is one.

    Parameters
    ----------
    report : Report
        What to write.
    directory : Path
        Made if it does not exist.

    Returns
    -------
    Path
        Of the file.

    Raises
    ------
    StorageError
        If the directory cannot be made or written to.
    """
    target = directory / REPORT_NAME
    text = json.dumps(report.to_dict(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    with writing_whole(Address.parse(target)) as file:
        file.write(text.encode())
    return target


def _numbers_of(report: Report) -> Iterator[tuple[str, float]]:
    yield "rows", report.rows
    yield "dimensions", report.dimensions
    yield "zero_rows", report.zero_rows
    yield "duplicate_rows", report.duplicate_rows
    for name, value in report.norms.items():
        yield f"norm_{name}", value
    yield "head", report.head
    yield "candidates_share", report.candidates_share
    yield "query_ms_median", report.query_ms["median"]
    yield "query_ms_p99", report.query_ms["p99"]
    yield "artifact_bytes", report.artifact_bytes
    for stage, value in report.seconds.items():
        yield f"seconds_{stage}", value


def _written(value: float) -> str:
    if isinstance(value, int):
        return str(value)
    if not math.isfinite(value):
        raise ValueError(f"a metric must be finite, got {value}")
    return f"{value:.6g}"
