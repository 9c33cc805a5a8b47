"""A Dockerfile taken apart, as far as ours goes: no engine is needed to read it."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Instruction:
    """One instruction.

    Parameters
    ----------
    name : str
        In capitals.
    text : str
        What follows it, continued lines joined and arguments of the build filled in.
    stage : int
        Number of the FROM that it belongs to; -1 before the first.
    """

    name: str
    text: str
    stage: int

    @property
    def words(self) -> list[str]:
        """The words, without quotes."""
        return shlex.split(self.text)

    @property
    def exec_form(self) -> list[str]:
        """The words of a JSON array; ValueError if it is none."""
        value = json.loads(self.text)
        assert isinstance(value, list), value
        return [str(one) for one in value]


def instructions(path: Path) -> list[Instruction]:
    """Return the instructions of a file."""
    lines = [line for line in path.read_text().splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    found: list[Instruction] = []
    arguments: dict[str, str] = {}
    stage = -1
    for line in filter(None, map(str.strip, joined.splitlines())):
        name, _, text = line.partition(" ")
        name = name.upper()
        for argument, value in arguments.items():
            text = text.replace(f"${{{argument}}}", value)
        if name == "ARG":
            argument, _, value = text.partition("=")
            arguments[argument] = value
        stage += name == "FROM"
        found.append(Instruction(name, text.strip(), stage))
    return found
