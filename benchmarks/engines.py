"""The engines that are compared, by name."""

from __future__ import annotations

import approximate_engines as approximate
import exact_engines as exact
from engine import Engine

_WIDTHS = (10, 12, 16, 20, 24, 32, 40, 48, 64, 80, 96, 128, 160, 192, 256, 384, 512, 768, 1024)
_PROBES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)

EXACT = {
    "kneighbors": Engine("kneighbors", exact.ours),
    "blas_product": Engine(
        "one product with BLAS, nothing selected", exact.blas_product, selects=False
    ),
    "blas_top_k": Engine("the product and its ten best", exact.blas_top_k),
    "faiss_flat": Engine("FAISS flat", exact.faiss_flat),
    "usearch_exact": Engine("USearch exact", exact.usearch_exact),
    "scikit_learn": Engine("scikit-learn, float32", exact.scikit_learn),
    "scikit_learn_float64": Engine(
        "scikit-learn as the walk-through uses it, float64", exact.scikit_learn_float64
    ),
}
APPROXIMATE = {
    "kneighbors_hnsw": Engine("kneighbors, HNSW", approximate.ours_hnsw, _WIDTHS),
    "faiss_hnsw": Engine("FAISS HNSW", approximate.faiss_hnsw, _WIDTHS),
    "faiss_ivf": Engine("FAISS IVF", approximate.faiss_ivf, _PROBES),
    "faiss_sq8": Engine("FAISS scalar quantiser", approximate.faiss_sq8, (1, 2, 3, 4, 8, 16)),
    "usearch_hnsw": Engine("USearch HNSW", approximate.usearch_hnsw, _WIDTHS),
    "hnswlib": Engine("hnswlib", approximate.hnswlib, _WIDTHS),
    "voyager": Engine("Voyager", approximate.voyager, _WIDTHS),
    "scann": Engine("ScaNN", approximate.scann, _PROBES),
    "pynndescent": Engine(
        "PyNNDescent", approximate.pynndescent, (0, 2, 5, 8, 10, 12, 15, 20, 25, 30, 40, 50)
    ),
}
ENGINES = {**EXACT, **APPROXIMATE}
