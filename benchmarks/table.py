"""Print the newest result of each corpus as Markdown, for the documentation.

    python benchmarks/table.py

The results are those that `benchmarks/run.py` appended.
"""

from __future__ import annotations

import json
from pathlib import Path

NAMES = {
    "kneighbors": "kneighbors",
    "blas_product": "one product with BLAS, nothing selected",
    "blas_top_k": "the product and its ten best",
    "faiss_flat": "FAISS flat",
    "usearch_exact": "USearch exact",
    "scikit_learn": "scikit-learn, `metric='cosine'`",
}


def main() -> None:
    """Print one table a corpus."""
    results = Path(__file__).parent / "results" / "exact.jsonl"
    newest = {}
    for line in results.read_text().splitlines():
        result = json.loads(line)
        newest[result["corpus"]] = result
    for result in newest.values():
        rows, width = result["shape"]
        versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
        print(f"{result['corpus']}, {rows:,} x {width} float32, {result['threads']} threads of an")
        print(f"{result['processor']}; {versions}; commit {result['commit']}:\n")
        print("| ten nearest | a query, ms | times ours | in batches of 32, ms | times ours |")
        print("|---|---|---|---|---|")
        for name, row in result["engines"].items():
            print(
                f"| {NAMES[name]} | {row['single_ms']:.2f} | {row['times_ours_single']:.1f} "
                f"| {row['batch32_ms_per_query']:.2f} | {row['times_ours_batch32']:.1f} |"
            )
        print()


if __name__ == "__main__":
    main()
