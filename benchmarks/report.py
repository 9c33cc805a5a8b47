"""Write the documentation's page on performance from the results.

    python benchmarks/report.py            # docs/explanation/performance.md and its figures

Nothing is measured here. Of each corpus, axis and size the newest line in `benchmarks/results`
counts; what has no line is said not to have been measured. A test holds the page to the results.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import results
from engines import ENGINES
from growth_figures import CROSSOVER, figures
from losses import losses
from service_figures import service

PAGE = Path(__file__).resolve().parents[1] / "docs" / "explanation" / "performance.md"
FIGURES = PAGE.parent / "performance"
_NOT_YET = "Not measured yet.\n"
_ORDER = ("wines", "clustered", "flat", "isotropic", "duplicates")

_HEAD = """\
# Performance

How fast, how large, compared with what; what others do better stands beside what they do worse. The
page is written by `benchmarks/report.py` from the lines in `benchmarks/results`, each of which says
on which processor, with which versions and of which commit it was measured. [Exact
search](exact-search.md) says why an exact answer need not read the whole matrix.

Times differ from machine to machine, and ratios less so. To measure again, on a machine that does
nothing else:

| command | what it measures | takes |
|---|---|---|
| `make bench` | nearly all engines, smaller corpora, HTTP: the short form | under ten minutes |
| `.venv-bench/bin/python benchmarks/run.py` | all engines on all corpora | two hours |
| `.venv-bench/bin/python benchmarks/http_load.py` | the endpoint | five minutes |
| `.venv-bench/bin/python benchmarks/growth.py` | growth along four axes | an hour |
| `.venv-bench/bin/python benchmarks/ten_million.py` | 12 GB of vectors in 8 GiB | ten minutes |
| `.venv-bench/bin/python benchmarks/filters.py` | queries with a filter | ten minutes |
| `.venv-bench/bin/python benchmarks/overload.py` | twice what a server can do | three minutes |
| `.venv-bench/bin/python benchmarks/swap.py` | new generations under load | three minutes |
| `.venv/bin/python benchmarks/explorer.py` | the page, in a browser | a minute |
| `.venv-bench/bin/python benchmarks/must_show.py` | every claim below | twenty minutes |
| `.venv-bench/bin/python benchmarks/report.py` | nothing: writes this page | a second |

`make bench` makes the environment `.venv-bench`. Of the peers, hnswlib is compiled when it is
installed; those that pip cannot have are left out, with the reason.
"""

_METHOD = """\
## How it is measured

- Every engine is in a process of its own and may use two threads. They take turns of ten calls, so
  that a slow moment of the machine falls on all of them.
- All answer cosine for the same float32 vectors: scikit-learn by its own metric, the others by the
  inner product of normalised vectors. Half of the queries are rows, half lie between two rows.
- *Recall* counts answers that are no farther than the true tenth neighbour of a float64 scan,
  within 1e-6. Approximate engines are tuned to the least effort that reaches 0.99 on other queries.
  All graphs have 32 links a row and 100 candidates while they are built.
- *Memory* is what the process holds to answer, vectors included, on top of its libraries.
- *The product with BLAS* is one matrix product of the vectors and the queries by numpy, with
  nothing selected: what reading the matrix once costs. It is not a search.
- *Open loop*: the times at which requests are due are fixed in advance, and latency runs from when
  a request was due, so that a server that stalls cannot hide it. The load runs on the same cores.
- *Cold* start: the artifact's, the package's and Python's files were dropped from the page cache.
  Pages that a running program has mapped stay, so that it is not quite as cold as after a boot.
"""


def page() -> str:
    """Return the page."""
    parts = [_HEAD, *_claims(), *_engines(), *_losses(), *_http()]
    parts += [*service(_origin), *_ten_million(), *_growth()]
    return "\n".join([*parts, _METHOD])


def _claims() -> Iterator[str]:
    yield "## What must hold\n"
    found = [line for line in results.read("claims") if line["scale"] == 1]
    if not found:
        yield _NOT_YET
        return
    line = found[-1]
    yield f"{_origin(line)}\n"
    yield "| claim | measured | wanted | |\n|---|---|---|---|"
    for one in line["claims"]:
        if one["holds"] is None:
            yield f"| {one['claim']} | not measured | | |"
            continue
        sign = "at most" if one["at_most"] else "at least"
        verdict = "holds" if one["holds"] else "**does not hold**"
        yield f"| {one['claim']} | {one['measured']:g} | {sign} {one['wanted']:g} | {verdict} |"
    yield ""


def newest_engines() -> list[dict[str, Any]]:
    """Return the newest line of each corpus and shape that has the most engines."""
    found: dict[tuple[str, int, int], dict[str, Any]] = {}
    for line in results.read("engines"):
        key = (line["corpus"], *line["shape"])
        if key not in found or len(line["engines"]) >= len(found[key]["engines"]):
            found[key] = line
    return sorted(found.values(), key=lambda line: (_ORDER.index(line["corpus"]), line["shape"]))


def _engines() -> Iterator[str]:
    yield "## Ten nearest neighbours, engine by engine\n"
    for line in newest_engines():
        rows, width = line["shape"]
        yield f"### {line['corpus'].capitalize()}, {rows:,} x {width}\n"
        yield f"{_origin(line)} Milliseconds a query; in brackets times ours.\n"
        yield (
            "| engine | alone | p95 | p99 | in batches of 32 | queries/s | recall | build, s "
            "| MiB |\n|---|---|---|---|---|---|---|---|---|"
        )
        ours = line["engines"]["kneighbors"]
        for name, row in line["engines"].items():
            cells = [
                f"{row['single_ms']:.2f} ({row['single_ms'] / ours['single_ms']:.1f})",
                _cell(row, "single_p95_ms", ".2f"),
                _cell(row, "single_p99_ms", ".2f"),
                f"{row['batch32_ms']:.2f} ({row['batch32_ms'] / ours['batch32_ms']:.1f})",
                _cell(row, "queries_per_s", ",.0f"),
                _cell(row, "recall", ".4g"),
                _cell(row, "build_s", ".2f"),
                _cell(row, "memory_mib", ",.0f"),
            ]
            yield f"| {ENGINES[name].title} | " + " | ".join(cells) + " |"
        yield ""
        for name, reason in line.get("left_out", {}).items():
            yield f"{ENGINES[name].title} was left out: {reason}\n"


def _losses() -> Iterator[str]:
    yield "## Where others do better\n"
    yield "Every engine of the tables above that is ahead of our exact search by 5 % or more:\n"
    yield from (f"- {sentence}" for line in newest_engines() for sentence in losses(line))
    yield ""


def _http() -> Iterator[str]:
    yield "## Over HTTP\n"
    found = results.read("http")
    if not found:
        yield _NOT_YET
        return
    line = found[-1]
    rows, width = line["shape"]
    yield (
        f"Wines, {rows:,} x {width}, exact, `application/x-npy`, {line['workers']} workers. "
        f"{_origin(line)}\n"
    )
    yield "| | median, ms | p95 | p99 |\n|---|---|---|---|"
    for name, title in (("in_process", "the search in process"), ("alone", "one client")):
        yield _row(title, line, name)
    for one in line["open_loop"]:
        title = f"open loop, {one['rate_per_s']:,.0f}/s ({one['share']:.0%} of the top rate)"
        yield _row(title, one, "open")
    yield ""
    yield (
        f"{line['clients']} clients, each with its next query after the last answer: "
        f"{line['top_per_s']:,.0f} requests/s. A handler that returns a constant under the same "
        f"server reaches {line['constant_per_s']:,.0f}. First healthy ping after "
        f"{line['first_ping_warm_s']:.2f} s with a warm page cache, "
        f"{line['first_ping_cold_s']:.2f} s with a cold one. All processes together hold "
        f"{line['pss_mib']:,.0f} MiB, of which {line['private_mib']:,.0f} MiB are no file's.\n"
    )


def _ten_million() -> Iterator[str]:
    yield "## Ten million rows in 8 GiB\n"
    found = [line for line in results.read("ten_million") if line["shape"][0] == 10_000_000]
    if not found:
        yield _NOT_YET
        return
    line = found[-1]
    yield f"{_origin(line)}\n"
    yield (
        f"12 GB of generated wines, fitted in {line['fit_s']:,.0f} s and saved in "
        f"{line['save_s']:,.0f} s, with at most {line['fit_private_mib']:,.0f} MiB of memory that "
        f"is no file's. Served by one worker: first healthy ping after "
        f"{line['first_ping_s']:.1f} s, {line['serve_private_mib']:,.0f} MiB that are "
        f"no file's ({line['serve_pss_mib']:,.0f} with the pages of mapped files that happen to be "
        f"resident). A query takes "
        f"{line['in_process_ms']:.1f} ms in process and {line['alone_ms']:.1f} ms over HTTP (p99 "
        f"{line['alone_p99_ms']:.1f} ms). Both programs ran with a limit of "
        f"{line['limit_mib']:,} MiB on what they may allocate.\n"
    )


def _growth() -> Iterator[str]:
    yield "## How cost grows\n"
    lines = results.read("growth")
    if not lines:
        yield _NOT_YET
        return
    yield f"{_origin(lines[-1])}\n"
    for name, chart in figures(lines).items():
        yield f"![{chart.title}](performance/{name}.svg)\n"
        if chart.mark is not None:
            yield CROSSOVER.format(chart.mark[0])


def _origin(line: Mapping[str, Any]) -> str:
    day = f", {line['date']}" if "date" in line else ""
    versions = ", ".join(f"{n} {v}" for n, v in line["versions"].items() if v != "absent")
    return (
        f"{line['threads']} threads of an {line['processor']}, Python {line['python']}, "
        f"{versions}; commit {line['commit']}{day}."
    )


def _row(title: str, line: Mapping[str, Any], name: str) -> str:
    values = (line[f"{name}_ms"], line[f"{name}_p95_ms"], line[f"{name}_p99_ms"])
    return f"| {title} | " + " | ".join(f"{value:.2f}" for value in values) + " |"


def _cell(row: Mapping[str, Any], key: str, form: str) -> str:
    return "–" if row.get(key) is None else format(row[key], form)


def main() -> None:
    """Write the page and its figures."""
    PAGE.write_text(page(), "utf-8")
    charts = figures(results.read("growth"))
    if charts:
        FIGURES.mkdir(exist_ok=True)
    for name, chart in charts.items():
        (FIGURES / f"{name}.svg").write_text(chart.svg(), "utf-8")


if __name__ == "__main__":
    main()
