"""The page docs/reference/sagemaker-conformance.md, made from the table of requests."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from aws.differences import DIFFERENCES, HOSTS, REASONS, Difference
from aws.requests import ANSWERED, CALLS, ELSEWHERE, REFUSED, Call

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "sagemaker-conformance.md"

_HEAD = """\
# On AWS's own code

What is packaged for SageMaker is tried on the code that AWS runs, installed from the package index:
`make test-aws` sets up an environment for each of AWS's stacks, starts its servers on this machine,
and sends them the requests below. The answers are the same, byte for byte or with numbers within
1e-12, but for the differences listed here. A difference that is not listed fails the test, and so
does a listed one that is gone.

This page is made from the tables of that test: `KNEIGHBORS_UPDATE_REFERENCE=1 make unit
ARGS=tests/project/test_conformance_page.py` writes it anew.
"""


def render() -> str:
    """Return the page."""
    sections = [_HEAD, _hosts(), _requests(), *_differences()]
    return "\n".join(sections)


def _hosts() -> str:
    rows = [f"| `{name}` | {text} | {len(DIFFERENCES[name])} |" for name, text in HOSTS.items()]
    head = ["| Name | Host | Answers that differ from `own` |", "|---|---|---|"]
    return "\n".join(["## Hosts", "", *head, *rows, ""])


def _requests() -> str:
    lines = [
        f"## The {len(CALLS)} requests",
        "",
        "Of an index of 200 x 16, metric cosine, with text ids and four attributes.",
        "",
        _listed("Answered", ANSWERED),
        _listed("Refused", REFUSED),
        _listed("Other paths and methods", ELSEWHERE),
    ]
    return "\n".join(lines)


def _listed(title: str, calls: Iterable[Call]) -> str:
    names = [call.name for call in calls]
    return f"**{title}** ({len(names)}): {'; '.join(names)}.\n"


def _differences() -> list[str]:
    sections = ["## Differences\n"]
    for reason, text in REASONS.items():
        rows = []
        for host, found in DIFFERENCES.items():
            same = [name for name, one in found.items() if one.reason == reason]
            for answer in sorted({_answer(found[name]) for name in same}):
                names = [name for name in same if _answer(found[name]) == answer]
                rows.append(f"| `{host}` | {_shortened(names)} | {answer} |")
        head = ["| Host | Requests | Answer |", "|---|---|---|"]
        sections.append("\n".join([text, "", *head, *rows, ""]))
    return sections


def _answer(difference: Difference) -> str:
    return f"{difference.status}, {difference.content_type or 'no content type'}"


def _shortened(names: list[str]) -> str:
    refused = [call.name for call in REFUSED]
    if len(names) > 5 and set(names) <= set(refused):
        left = [name for name in refused if name not in names]
        return "all that are refused" + (f", but not: {'; '.join(left)}" if left else "")
    return "; ".join(names)
