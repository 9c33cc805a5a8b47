"""The power fails at any instant: what is on the disk is the old state or the new one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from kneighbors.errors import KNeighborsError
from support.faults_loop import write_down
from support.faults_operations import OPERATIONS, WRITING
from support.faults_power import Tree, power_losses, put
from support.faults_seccomp import why_not

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(why_not() is not None, reason=str(why_not())),
]


class Looking:
    """Tells the state of what each loss of power would leave."""

    def __init__(self, name: str, folder: Path) -> None:
        self.operation = OPERATIONS[name]
        self.folder = folder
        self.states: list[str] = []
        self.noticed: set[str] = set()
        self.wrong: list[str] = []
        self.at_end: set[str] = set()

    def __call__(self, tree: Tree, loss: str, when: str) -> None:
        """Put back what a loss leaves, and find out what it is."""
        put(tree, self.folder)
        try:
            state = self.operation.state(self.folder)
        except KNeighborsError as error:
            state = f"refused: {error.code}"
            self.noticed.add(error.code)
        except json.JSONDecodeError as error:  # of a report; whoever reads one notices
            state = f"refused: {error}"
        except AssertionError as error:
            state = f"wrong: {error}"
        finally:
            shutil.rmtree(self.folder)
        self.states.append(state)
        if state not in ("old", "new"):
            self.wrong.append(f"{loss} lost before {when}: {state}")
        if when == "end":
            self.at_end.add(state)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", WRITING)
def test_a_loss_of_power_leaves_the_old_or_the_new(
    tmp_path: Path, pristine: Path, name: str
) -> None:
    shutil.copytree(pristine, tmp_path / "work")
    looking = Looking(name, tmp_path / "left")
    syncs = power_losses(looking.operation.act, tmp_path / "work", looking)
    write_down({"operation": name, "fault": "power loss", "calls": len(looking.states)})
    assert not looking.wrong, "\n".join(looking.wrong)
    assert {"old", "new"} == set(looking.states)
    # What was acknowledged is there.
    assert {"new"} == looking.at_end
    assert syncs > 1


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", WRITING)
def test_a_disk_that_lies_about_a_sync_makes_no_answer_wrong(
    tmp_path: Path, pristine: Path, name: str
) -> None:
    looking = Looking(name, tmp_path / "left")

    def at_end(tree: Tree, loss: str, when: str) -> None:
        if when == "end":
            looking(tree, loss, when)

    def count(lying: int) -> int:
        shutil.copytree(pristine, tmp_path / "work")
        try:
            return power_losses(
                looking.operation.act,
                tmp_path / "work",
                looking if lying < 0 else at_end,
                lambda number: number == lying or lying < 0,
            )
        finally:
            shutil.rmtree(tmp_path / "work")

    syncs = count(-1)  # all of them
    for lying in range(1, syncs + 1):
        count(lying)
    write_down({"operation": name, "fault": "lying fsync", "calls": syncs + 1})
    assert not [one for one in looking.wrong if "wrong" in one]
    # Lies are noticed, or this would prove nothing.
    assert looking.noticed
