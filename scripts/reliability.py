"""Write docs/explanation/reliability.md from what a run of tests has counted.

    make reliability    run the tests of faults, count what they try, write the page
    make mutate         mutation-test the gate, write the page
    make coverage       measure coverage, write the page

Each replaces its own part of `benchmarks/results/reliability.json`, of which the page is made.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "reliability.json"
PAGE = ROOT / "docs" / "explanation" / "reliability.md"
_SUMS = ("tried", "wrong", "status_5xx", "tracebacks", "hangs")


def update(**parts: Any) -> None:
    """Replace parts of the results, and write the page."""
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    results |= parts
    RESULTS.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n")
    PAGE.write_text(page(results), encoding="utf-8")


def lines_of(folder: Path) -> list[dict[str, Any]]:
    """Return what all processes of a run have written down."""
    return [
        json.loads(line)
        for path in sorted(folder.glob("*.jsonl"))
        for line in path.read_text().splitlines()
    ]


def collected(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the counts of bad inputs, one entry for each kind and door."""
    found: dict[tuple[str, str], dict[str, Any]] = defaultdict(
        lambda: {**dict.fromkeys(_SUMS, 0), "most_memory_multiple": None}
    )
    for one in lines:
        if "kind" not in one:
            continue
        total = found[one["kind"], one["door"]]
        for name in _SUMS:
            total[name] += one.get(name) or 0
        memory = one.get("most_memory_multiple")
        if memory is not None:
            total["most_memory_multiple"] = max(total["most_memory_multiple"] or 0, memory)
    return [{"kind": kind, "door": door, **found[kind, door]} for kind, door in sorted(found)]


def failed_calls(lines: list[dict[str, Any]]) -> dict[str, dict[str, int]]:
    """Return how many calls, or requests, of each operation met each fault."""
    found: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for one in lines:
        if "calls" in one:
            found[one["operation"]][one["fault"]] += one["calls"]
        elif "requests" in one:
            found["everything on S3, by request"][one["fault"]] += one["requests"]
    return found


def killed(lines: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Return what the kills of publishers came to; None where there were none."""
    loops = [one for one in lines if one.get("test") == "publish"]
    if not loops:
        return None
    sums = ("killed", "acknowledged", "answers", "reloads")
    return {
        **{name: sum(one[name] for one in loops) for name in sums},
        "wrong": sum(len(one["wrong"]) for one in loops),
        "slowest_ms": max(one["recovery_ms"]["most"] for one in loops),
    }


def page(results: dict[str, Any]) -> str:
    """Return the page for these results."""
    sections = [_OPENING]
    if "counts" in results:
        sections.append(_counts(results["counts"], results["machine"]))
    if results.get("calls"):
        sections.append(_calls(results["calls"]))
    if results.get("kills"):
        sections.append(_KILLS.format(**results["kills"]))
    if "mutation" in results:
        sections.append(_mutation(results["mutation"]))
    if "coverage" in results:
        sections.append(_coverage(results["coverage"]))
    sections.append(_CLOSING)
    return "\n".join(sections)


def _counts(counts: list[dict[str, Any]], machine: str) -> str:
    rows = [
        f"| {one['kind']} | {one['door']} | {one['tried']:,} | {one['wrong']} | "
        f"{one['status_5xx']} | {one['tracebacks']} | {one['hangs']} | {_multiple(one)} |"
        for one in counts
    ]
    total = {name: sum(one[name] for one in counts) for name in _SUMS}
    rows.append(
        f"| **all** | | **{total['tried']:,}** | {total['wrong']} | {total['status_5xx']} | "
        f"{total['tracebacks']} | {total['hangs']} | |"
    )
    return _COUNTS.format(rows="\n".join(rows), machine=machine)


def _multiple(one: dict[str, Any]) -> str:
    memory = one["most_memory_multiple"]
    return "" if memory is None else f"{memory:.1f}"


def _calls(calls: dict[str, dict[str, int]]) -> str:
    rows = [
        f"| {operation} | {fault} | {number:,} |"
        for operation, by_fault in sorted(calls.items())
        for fault, number in sorted(by_fault.items())
    ]
    total = sum(sum(by_fault.values()) for by_fault in calls.values())
    return _CALLS.format(rows="\n".join(rows), total=total)


def _mutation(found: dict[str, Any]) -> str:
    score = 100 * found["killed"] / found["total"]
    return _MUTATION.format(**found, score=score)


def _coverage(found: dict[str, dict[str, float]]) -> str:
    rows = [
        f"| `{name}` | {one['lines']:.1f} % | {one['branches']:.1f} % |"
        for name, one in sorted(found.items())
    ]
    return _COVERAGE.format(rows="\n".join(rows))


_OPENING = """# Reliability

What is tried on every check to make the package answer wrongly, fall over, or take more than its
share; and what came of it. The tables are written by `scripts/reliability.py` from a run of the
tests.

An input is *wrong* where it was answered and a second reader, written apart from the package, or
brute force says otherwise.
"""

_COUNTS = """## Bad inputs

`make reliability`: every kind through every door. Memory is the most that one input took, as a
multiple of its size; [limits](../reference/limits.md#memory) has what is promised.

| Kind | Door | Tried | Wrong | 5xx | Tracebacks | Hangs | Memory |
|---|---|---:|---:|---:|---:|---:|---:|
{rows}

On {machine}. `KNEIGHBORS_PROFILE=soak` tries ten times as many bodies, a million.
"""

_CALLS = """## Calls that fail

Each call of the system that an operation makes about its files meets the fault once, in a run of
its own; each request to S3 likewise. Afterwards there is the old state or the new one, and what was
acknowledged is there. At a *power loss*, which comes before every call in turn, all that was not
synced is lost. A disk with a *lying fsync* only says that it synced; then what is not whole is
refused.

| Operation | Fault | Calls |
|---|---|---:|
{rows}
| **all** | | **{total:,}** |
"""

_KILLS = """## Kills

{killed:,} publishers were killed at random instants, with readers running: {acknowledged:,}
publications were acknowledged, and none of them was lost; of {answers:,} answers, {wrong} were
wrong or made of two generations, over {reloads:,} reloads. The place was open again, and had
answered, at most {slowest_ms:.0f} ms after a kill.
"""

_MUTATION = """## Mutation testing

`make mutate`: mutmut {version} changes the gate, `search/gate.py`, in {total} ways, one at a time,
and runs the gate's own tests on each. They notice {killed}: {score:.1f} %.
"""

_COVERAGE = """## Coverage

`make coverage`: by the tests of each package alone, without those of the layers above.

| Package | Lines | Branches |
|---|---:|---:|
{rows}
"""

_CLOSING = """## How bodies are damaged

Good bodies in every format and some three hundred hostile ones, a file each under
`tests/fuzz/bodies`, are changed in one to four places: bits flipped, bytes replaced, stretches
deleted, doubled or cut off, two bodies spliced, lengths overwritten in binary and in digits,
brackets put around to a depth of a thousand, pieces repeated. All by a seed, so that what fails
fails again.

Whatever is accepted is read once more by `tests/fuzz/second_readers.py`, and has to be the same
numbers to the last bit; what is answered has to be the neighbours that brute force finds.
"""


def run_faults(arguments: list[str]) -> int:
    """Run the tests of faults, and write the page from what they counted."""
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"KNEIGHBORS_COUNTS_DIR": folder}
        command = ["-m", "pytest", "-n", "2", "-m", "faults and not slow", "tests/faults"]
        done = subprocess.run(
            [sys.executable, *command, *arguments], cwd=ROOT, env=environment, check=False
        )
        lines = lines_of(Path(folder))
    update(
        counts=collected(lines),
        calls=failed_calls(lines),
        kills=killed(lines),
        machine=machine(),
    )
    return done.returncode


def machine() -> str:
    """Return what the tests ran on, in a few words."""
    return (
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}"
    )


def measure_coverage(arguments: list[str]) -> int:
    """Measure coverage of three packages by their own tests, and write the page."""
    folders = [f"tests/{name}" for name in ("search", "artifact", "formats")]
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "coverage.json"
        environment = os.environ | {"COVERAGE_FILE": str(Path(folder) / "data")}
        options = ["--cov", "--cov-report", "term", "--cov-report", f"json:{report}"]
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-m", "not slow", *options, *folders, *arguments],
            cwd=ROOT,
            env=environment,
            check=False,
        )
        files = json.loads(report.read_text())["files"]
    update(coverage=_by_package(files))
    return done.returncode


def _by_package(files: dict[str, Any]) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for name in ("search", "artifact", "formats"):
        ours = [one["summary"] for path, one in files.items() if f"kneighbors/{name}/" in path]

        found[name] = {
            "lines": _share(ours, "covered_lines", "num_statements"),
            "branches": _share(ours, "covered_branches", "num_branches"),
        }
    return found


def _share(files: list[dict[str, int]], part: str, whole: str) -> float:
    return round(100 * sum(one[part] for one in files) / sum(one[whole] for one in files), 2)


def note_mutation(arguments: list[str]) -> int:
    """Write what `scripts/mutate.py` has found into the page."""
    killed, total, version = arguments
    update(mutation={"killed": int(killed), "total": int(total), "version": version})
    return 0


if __name__ == "__main__":
    what, *rest = sys.argv[1:]
    calls = {"faults": run_faults, "coverage": measure_coverage, "mutation": note_mutation}
    sys.exit(calls[what](rest))
