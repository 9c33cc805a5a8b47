"""A corpus that is no wine: books, with an attribute of every kind and a hostile title."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pyarrow as pa

from kneighbors.artifact import save
from kneighbors.items import Catalog
from kneighbors.items.vocabulary import Vocabulary
from kneighbors.search.index import ExactIndex
from kneighbors.search.rows import ArrayRows

N_BOOKS, N_FEATURES = 1200, 12
GENRES = ("Adventure", "Biography", "Cookery", "Drama", "Essay")
TAGS = ("long", "short", "sad", "merry", "illustrated")
WORDS = (
    *("Amber", "River", "Stone", "Winter", "Garden", "Paper"),
    *("Silver", "Harbour", "Quiet", "Letter", "Morning", "Island"),
)
HOSTILE_ROW = 7
HOSTILE = '<img src=x onerror="document.body.dataset.broken=1"><b>Ünsafe</b> & Co'
TERMS = ("moonlight", "seafaring", "solitude", "sea-salt")


def titles() -> list[str]:
    names = [
        f"The {WORDS[row % 12]} {WORDS[(row // 12) % 12]} {row // 144 + 1}"
        for row in range(N_BOOKS)
    ]
    names[HOSTILE_ROW] = HOSTILE
    return names


def books() -> pa.Table:
    rng = np.random.default_rng(5)
    rows = range(N_BOOKS)
    price = [None if row % 40 == 0 else float(row % 90) + 0.5 for row in rows]
    return pa.table(
        {
            "genre": pa.array([GENRES[row % 5] for row in rows]).dictionary_encode(),
            "called": titles(),
            "price": price,
            "year": [1900 + row % 120 for row in rows],
            "in print": [row % 3 > 0 for row in rows],
            "added": [dt.date(2020, 1, 1) + dt.timedelta(days=row % 365) for row in rows],
            "tags": [
                [str(one) for one in rng.choice(TAGS, row % 3, replace=False)] for row in rows
            ],
        }
    )


def vectors() -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    rng = np.random.default_rng(6)
    centres = rng.standard_normal((len(GENRES), N_FEATURES)) * 2
    noise = rng.standard_normal((N_BOOKS, N_FEATURES))
    return (centres[np.arange(N_BOOKS) % len(GENRES)] + noise).astype(np.float32)


def save_books(folder: Path) -> Path:
    X = vectors()
    ids = [f"b{row:04d}" for row in range(N_BOOKS)]
    save(
        folder,
        ExactIndex.build(ArrayRows(X), "cosine"),
        Catalog(N_BOOKS, ids, books()),
        vocabulary=Vocabulary(TERMS, X[: len(TERMS)]),
    )
    return folder
