"""Several training hosts: who fits what, and under which names the shards lie side by side.

SageMaker puts the model directories of all hosts into one archive. So each host of a corpus that is
split between them saves to a directory of its own, ``shard-<host>``; `kneighbors.sagemaker.merging`
makes one artifact of them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kneighbors.errors import ArtifactError, ParameterRefused
from kneighbors.storage import Address, translated
from kneighbors.storage.local import writing_whole

#: How the directories of shards begin.
PREFIX = "shard-"
#: What a host leaves that was given no rows.
EMPTY_NAME = "empty-shard.json"
_EMPTY_FORMAT = "kneighbors-empty-shard"
_MOST_BYTES = 1 << 20
_SPLIT = "ShardedByS3Key"


@dataclass(frozen=True, kw_only=True)
class Shard:
    """A host among several.

    Parameters
    ----------
    host : str
        Its name.
    hosts : tuple of str
        The names of all, in the order of their shards.
    is_split : bool
        Whether each has rows of its own; otherwise all have all rows.

    Examples
    --------
    >>> shard = Shard.of({"SM_HOSTS": '["algo-10", "algo-2"]', "SM_CURRENT_HOST": "algo-2"})
    >>> shard.hosts, shard.is_first, shard.is_split
    (('algo-2', 'algo-10'), True, False)
    """

    host: str
    hosts: tuple[str, ...]
    is_split: bool

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Shard | None:
        """Return this host's place, None where it is alone.

        Raises
        ------
        ParameterRefused
            With code ``job-config`` if the variables are not what the toolkit writes.
        """
        hosts = _json(environ, "SM_HOSTS", [])
        if not isinstance(hosts, list) or not all(isinstance(host, str) for host in hosts):
            raise _malformed("SM_HOSTS", "a list of names")
        if len(hosts) < 2:
            return None
        host = environ.get("SM_CURRENT_HOST", "")
        if host not in hosts:
            raise _malformed("SM_CURRENT_HOST", f"one of {', '.join(hosts)}")
        channels = _json(environ, "SM_INPUT_DATA_CONFIG", {})
        return cls(host=host, hosts=tuple(in_order(hosts)), is_split=_is_split(channels))

    @property
    def is_first(self) -> bool:
        """Whether this host saves what all hosts have."""
        return self.host == self.hosts[0]

    @property
    def folder(self) -> str:
        """Name of the directory that this host saves to."""
        return PREFIX + self.host


@dataclass(frozen=True, kw_only=True)
class EmptyShard:
    """What a host says that was given no rows.

    Parameters
    ----------
    host : str
    hosts : list of str
    metric : str
        Canonical name.
    n_neighbors : int
        As the settings have it.
    """

    host: str
    hosts: list[str]
    metric: str
    n_neighbors: int

    def write(self, folder: Path) -> None:
        """Write it into a directory, whole or not at all; the directory is made."""
        document = {"format": _EMPTY_FORMAT, "version": 1, **asdict(self)}
        with writing_whole(Address.parse(folder / EMPTY_NAME)) as file:
            file.write((json.dumps(document, indent=2) + "\n").encode())

    @classmethod
    def read(cls, path: Path) -> EmptyShard:
        """Read what `write` wrote.

        Raises
        ------
        ArtifactError
            With code ``artifact-invalid`` if it is something else.
        """
        with translated(path), path.open("rb") as file:
            data = file.read(_MOST_BYTES)
        try:
            found = json.loads(data)
            if (found.pop("format"), found.pop("version")) != (_EMPTY_FORMAT, 1):
                raise ValueError("another format or version")
            empty = cls(**found)
            if not isinstance(empty.hosts, list) or empty.host not in empty.hosts:
                raise ValueError("the host is none of the hosts")
            if not all(isinstance(text, str) for text in (*empty.hosts, empty.metric)):
                raise ValueError("a name that is no text")
            if not isinstance(empty.n_neighbors, int):
                raise ValueError("a number of neighbours that is none")
        except (ValueError, RecursionError, AttributeError, TypeError, LookupError) as error:
            raise ArtifactError(
                "artifact-invalid",
                f"Expected an empty shard, got another thing: {error}.",
                where=str(path),
            ) from None
        return empty


def in_order(hosts: Iterable[str]) -> list[str]:
    """Return names of hosts in the order of the numbers in them.

    Examples
    --------
    >>> in_order(["algo-10", "algo-9", "algo-1"])
    ['algo-1', 'algo-9', 'algo-10']
    """
    return sorted(hosts, key=_key)


def _key(host: str) -> list[tuple[int, str]]:
    parts = re.split(r"([0-9]+)", host)
    return [(int(part), part) if n % 2 else (0, part) for n, part in enumerate(parts)]


def has_no_files(folder: Path) -> bool:
    """Tell whether a channel has no file, hidden ones aside: a host may be given no object."""
    with translated(folder):
        return not folder.exists() or not any(
            path.is_file() and not path.name.startswith((".", "_")) for path in folder.rglob("*")
        )


def _is_split(channels: Any) -> bool:
    for name in ("train", "training"):
        channel = channels.get(name) if isinstance(channels, dict) else None
        if isinstance(channel, dict):
            return channel.get("S3DistributionType") == _SPLIT
    return False


def _json(environ: Mapping[str, str], variable: str, default: Any) -> Any:
    try:
        return json.loads(environ[variable]) if environ.get(variable) else default
    except (ValueError, RecursionError):
        raise _malformed(variable, "JSON") from None


def _malformed(variable: str, expected: str) -> ParameterRefused:
    return ParameterRefused("job-config", f"Expected {expected}, got none.", where=variable)
