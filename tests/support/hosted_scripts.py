"""Model directories with a user's script in them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from kneighbors.artifact import save
from kneighbors.items import Catalog
from kneighbors.sagemaker.hosting import Hosted, open_hosted
from kneighbors.search.index import ExactIndex
from kneighbors.search.rows import ArrayRows
from support.wire_model import IDS, ITEMS, corpus

#: What `support.wire_model.make_model` answers from, and an artifact of it as well.
X = corpus()
_INDEX = ExactIndex.build(ArrayRows(X), "cosine")


def model_folder(folder: Path, **scripts: str) -> Path:
    """Return a new model directory: an artifact, and in ``code/`` scripts by their stems."""
    target = folder / "model"
    catalog = Catalog(len(X), IDS, pa.table(ITEMS))
    save(target, _INDEX, catalog, source={"n_neighbors": 4})
    for stem, text in scripts.items():
        (target / "code").mkdir(exist_ok=True)
        (target / "code" / f"{stem}.py").write_text(text)
    return target


def hosted(
    folder: Path, script: str, environ: Mapping[str, str] | None = None, **options: Any
) -> Hosted:
    """Return what is hosted where ``code/inference.py`` has this text."""
    return open_hosted(model_folder(folder, inference=script), environ or {}, **options)
