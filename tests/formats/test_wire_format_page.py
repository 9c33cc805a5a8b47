"""The wire-format page is true: its examples run, its codes and limits are the code's."""

from __future__ import annotations

import re
import shlex
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

import kneighbors
from kneighbors.formats import MEDIA_TYPES, Limits
from kneighbors.formats.parameters import NAMES
from kneighbors.formats.registry import ALIASES
from support.wire_bodies import hostile_bodies
from support.wire_model import make_model

PACKAGE = Path(str(kneighbors.__file__)).parent
PAGE = (PACKAGE.parent.parent / "docs" / "reference" / "wire-format.md").read_text()
MODEL = make_model(
    np.array([[0.0, 0.0], [3.0, 4.0], [6.0, 8.0]]),
    "euclidean",
    ids=["a", "b", "c"],
    items={"name": ["Amarone", "Barolo", "Chianti"]},
)


class Example(NamedTuple):
    """A command of the page and what it prints."""

    command: str
    answer: str


EXAMPLES = [
    Example(*found)
    for found in re.findall(r"```sh\n(.*?)```\n```(?:json|csv)\n(.*?)```", PAGE, re.DOTALL)
]


def run(command: str) -> bytes:
    """Do what a curl command does, without a server."""
    words = shlex.split(command.replace("\\\n", " "))
    body = b""
    if words[0] == "printf":
        body = words[1].replace("\\n", "\n").encode()
        words = words[words.index("|") + 1 :]
    headers: dict[str, str] = {}
    for option, value in pairwise(words):
        if option == "-H":
            name, _, text = value.partition(": ")
            headers[name] = text
        elif option == "-d":
            body = value.encode()
        elif option == "--data-binary":
            assert value == "@-"
    reply = MODEL.invoke(
        body,
        headers["Content-Type"],
        headers.get("Accept", "*/*"),
        headers.get("X-Amzn-SageMaker-Custom-Attributes"),
    )
    return reply.body


@pytest.mark.parametrize("example", EXAMPLES, ids=range(len(EXAMPLES)))
def test_an_example_prints_what_the_page_says(example: Example) -> None:
    assert example.answer.encode().rstrip() == run(example.command).rstrip()


def test_every_command_of_the_page_is_run() -> None:
    assert len(EXAMPLES) == PAGE.count("curl -s ") >= 7


def documented() -> dict[str, int]:
    table = PAGE.split("## Refusals")[1]
    return {
        code: int(status) for code, status in re.findall(r"(?m)^\| `([a-z-]+)` \| (\d+) \|", table)
    }


def test_every_code_of_the_readers_is_documented() -> None:
    sources = [
        *(PACKAGE / "formats").glob("*.py"),
        PACKAGE / "sagemaker" / "writing.py",
        *((PACKAGE / "recommend" / f"{name}.py") for name in ("reading", "wishing", "finding")),
    ]
    pattern = re.compile(
        r'(?:Refused|Oddity|_malformed)\(\s*"([a-z]+-[a-z-]+)"|, "((?:content-type|accept)-[a-z]+)"'
    )
    raised = {one or other for path in sources for one, other in pattern.findall(path.read_text())}
    raised -= {"limit-range"}  # whoever starts the server gets that one
    assert len(raised) > 30
    assert raised <= set(documented())


def test_every_code_that_hostile_bodies_get_is_documented() -> None:
    assert {one.code for one in hostile_bodies()} <= set(documented())


def test_every_name_is_documented() -> None:
    for name in (*MEDIA_TYPES, *ALIASES, *NAMES):
        assert f"`{name}`" in PAGE


def test_the_limits_are_those_of_the_code() -> None:
    limits = Limits()
    table = PAGE.split("## Limits")[1].split("## Refusals")[0]
    for value in (
        limits.max_body_bytes,
        limits.max_rows,
        limits.max_neighbors,
        limits.max_answers,
        limits.max_items,
        limits.max_ids,
        limits.max_id_length,
    ):
        assert f"{value:,}" in table
