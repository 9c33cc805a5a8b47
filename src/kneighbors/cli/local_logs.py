"""The log of a job or an endpoint, as it is and as it grows."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from kneighbors.errors import LocalError
from kneighbors.local.logs import Logs, read_lines
from kneighbors.local.process import plane_status
from kneighbors.local.root import running

_GROUPS = {
    "training-job": ("/aws/sagemaker/TrainingJobs", "{name}/"),
    "transform-job": ("/aws/sagemaker/TransformJobs", "{name}/"),
    "endpoint": ("/aws/sagemaker/Endpoints/{name}", ""),
}
_ENDED = {"Completed", "Failed", "Stopped", "OutOfService"}
_POLL_S = 0.2


def show_logs(root: Path, name: str, *, follow: bool) -> None:
    """Print a log, and with `follow` what is added to it until what writes it has ended.

    Raises
    ------
    LocalError
        With code ``local-no-log`` if nothing of that name has ever written one.
    """
    logs = Logs(root / "logs")
    places = _places(logs, name)
    if not places and not (follow and _is_live(root, name)):
        known = sorted({stream.partition("/")[0] for stream in _known(logs)})
        raise LocalError(
            "local-no-log",
            f"Expected the name of a job or an endpoint that has a log, got {name!r}.",
            where=str(root),
            hint=f"There are: {', '.join(known)}." if known else "There is none yet.",
        )
    offsets: dict[Path, int] = {}
    while True:
        # Asked before the last lines are read, so that none is missed.
        goes_on = follow and _is_live(root, name)
        _print_new(logs, _places(logs, name), offsets)
        if not goes_on:
            return
        time.sleep(_POLL_S)


def _print_new(logs: Logs, places: list[tuple[str, str]], offsets: dict[Path, int]) -> None:
    found = []
    for group, stream in places:
        path = logs.path(group, stream)
        for offset, at_ms, text in read_lines(path, offsets.get(path, 0)):
            offsets[path] = offset
            found.append((at_ms, stream, text))
    for _, stream, text in sorted(found, key=lambda line: line[0]):
        # Which host or instance it was matters where there are several.
        before = f"{stream.rpartition('/')[2]}  " if len(places) > 1 else ""
        sys.stdout.write(before + text + "\n")
    sys.stdout.flush()


def _places(logs: Logs, name: str) -> list[tuple[str, str]]:
    places = []
    for group_form, prefix_form in _GROUPS.values():
        group = group_form.format(name=name)
        try:
            streams = logs.streams(group, prefix_form.format(name=name))
        except ValueError:  # no name that a job could have
            continue
        places += [(group, stream) for stream in streams]
    return places


def _known(logs: Logs) -> list[str]:
    known = []
    for group in logs.groups():
        if group.startswith("/aws/sagemaker/Endpoints/"):
            known.append(group.rpartition("/")[2])
        else:
            known += logs.streams(group)
    return known


def _is_live(root: Path, name: str) -> bool:
    settings = running(root)
    if settings is None:
        return False
    resources = plane_status(settings)["resources"]
    return any(
        one["name"] == name and one["status"] not in _ENDED
        for kind in _GROUPS
        for one in resources.get(kind, [])
    )
