"""Directories that containers wrote to, removed."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path


def remove_tree(folder: Path) -> None:
    """Remove a directory with all that is in it, as far as the system lets us.

    What a container wrote may be nested deeper than Python recurses, or forbidden to its own owner,
    as a channel is that can only be read.
    """
    with suppress(RecursionError):
        shutil.rmtree(folder, ignore_errors=True)
    if os.path.lexists(folder):
        for command in (["chmod", "-R", "u+rwx"], ["rm", "-rf"]):
            subprocess.run([*command, folder], stderr=subprocess.DEVNULL, check=False)  # noqa: S603
