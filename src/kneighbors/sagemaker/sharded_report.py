"""What became of a training in shards."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kneighbors.shards.manifest import ShardsManifest


@dataclass(frozen=True, slots=True)
class ShardedReport:
    """What became of a training in shards.

    Attributes
    ----------
    manifest : ShardsManifest
    model_dir : Path
    seconds : float
    kept : int
        Shards that an earlier run had made.
    """

    manifest: ShardsManifest
    model_dir: Path
    seconds: float
    kept: int

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        manifest = self.manifest
        return {
            "rows": manifest.n_samples,
            "dimensions": manifest.n_features,
            "dtype": manifest.dtype,
            "metric": manifest.metric,
            "generation": manifest.generation,
            "shards": [
                {"folder": one.folder, "first_row": one.first_row, "rows": one.rows}
                for one in manifest.shards
            ],
            "shards_kept": self.kept,
            "artifact_bytes": manifest.total_bytes,
            "seconds": round(self.seconds, 4),
            "model_dir": str(self.model_dir),
        }

    def metric_lines(self) -> list[str]:
        """Return one metric a line, as a training job's log has them."""
        document = self.to_dict()
        names = ("rows", "dimensions", "artifact_bytes", "seconds")
        lines = [f"{name}={document[name]};" for name in names]
        return [*lines, f"shards={len(self.manifest.shards)};"]
