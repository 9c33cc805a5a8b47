"""The directory of a plane: who holds it, and how to reach who does.

::

    ROOT/lock            held by the plane that is up
    ROOT/plane.json      address, process and keys, the same after a restart
    ROOT/state.sqlite    jobs, models, endpoints
    ROOT/objects/        S3
    ROOT/logs/           log streams
    ROOT/containers/     trees of the containers
    ROOT/plane.log       the plane's own log
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from kneighbors.errors import LocalError
from kneighbors.local.plane import ACCOUNT
from kneighbors.storage import Address
from kneighbors.storage.local import writing_whole

ROOT_VARIABLE = "KNEIGHBORS_LOCAL_ROOT"
_ROLE = "KNeighborsLocal"
#: Those who look whether a root is held hold it themselves, for an instant.
_PATIENCE_S = 1.0
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"


@dataclass(frozen=True, slots=True)
class Settings:
    """How a plane is reached: what ``plane.json`` holds."""

    url: str
    pid: int
    access_key: str
    secret_key: str
    token: str

    @property
    def role_arn(self) -> str:
        """The role that programs on this machine have."""
        return f"arn:aws:iam::{ACCOUNT}:role/{_ROLE}"

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.url.rpartition(":")[2])

    @property
    def keys(self) -> dict[str, str]:
        """The credentials, as variables of the environment."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_SESSION_TOKEN": self.token,
        }


def default_root() -> Path:
    """Return ``KNEIGHBORS_LOCAL_ROOT``, or ``~/.kneighbors/local``."""
    given = os.environ.get(ROOT_VARIABLE)
    return Path(given) if given else Path.home() / ".kneighbors" / "local"


def found_root(path: Path | None) -> Path:
    """Return the directory that is meant, by default `default_root`; it need not be there."""
    return (path or default_root()).expanduser().absolute()


def made_root(path: Path | None) -> Path:
    """Return the directory that is meant, made if there was none.

    Raises
    ------
    LocalError
        With code ``local-root-not-writable``.
    """
    root = found_root(path)
    try:
        root.mkdir(parents=True, exist_ok=True)
        (root / "lock").touch()
    except OSError as error:
        raise not_writable(root, error) from error
    return root


def read_settings(root: Path) -> Settings | None:
    """Return what ``plane.json`` holds; None where there is none, or a damaged one."""
    try:
        found = json.loads((root / "plane.json").read_text())
        return Settings(**{field.name: found[field.name] for field in fields(Settings)})
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_settings(root: Path, settings: Settings) -> None:
    """Write ``plane.json``, which only its owner may read: it holds keys."""
    path = root / "plane.json"
    with writing_whole(Address("file", "", os.fspath(path))) as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(json.dumps(asdict(settings), indent=2).encode() + b"\n")


def new_settings(url: str, before: Settings | None) -> Settings:
    """Return the settings of a plane that starts in this process; the keys stay what they were."""
    if before is not None:
        return Settings(url, os.getpid(), before.access_key, before.secret_key, before.token)
    key = "ASIA" + "".join(secrets.choice(_ALPHABET) for _ in range(16))
    return Settings(url, os.getpid(), key, secrets.token_urlsafe(30), secrets.token_urlsafe(60))


def running(root: Path) -> Settings | None:
    """Return how to reach the plane that holds a root; None where none does, or not yet."""
    try:
        descriptor = os.open(root / "lock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        settings = read_settings(root)
        # One that is starting still has the settings of the one before, whose process is gone.
        holder = os.pread(descriptor, 32, 0).decode("ascii", "replace")
        return settings if settings is not None and holder == str(settings.pid) else None
    finally:
        os.close(descriptor)
    return None


def demand_running(root: Path) -> Settings:
    """Return how to reach the plane that holds a root.

    Raises
    ------
    LocalError
        With code ``local-not-up``.
    """
    settings = running(root)
    if settings is None:
        raise LocalError(
            "local-not-up",
            "Expected a control plane that is up, found none.",
            where=str(root),
            hint="Start one with: kneighbors local up",
        )
    return settings


@contextmanager
def holding(root: Path) -> Iterator[None]:
    """Hold a root, so that no second plane works on it.

    Raises
    ------
    LocalError
        With code ``local-already-up``, naming the process and the address of the one that does.
    """
    try:
        descriptor = os.open(root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise not_writable(root, error) from error
    try:
        _lock(descriptor, root)
        try:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        except OSError as error:
            raise not_writable(root, error) from error
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, root: Path) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise _already_up(root) from None
            time.sleep(0.05)


def _already_up(root: Path) -> LocalError:
    settings = running(root)
    who = "" if settings is None else f": process {settings.pid} on {settings.url}"
    return LocalError(
        "local-already-up",
        f"Expected a root that no control plane holds, but one is up{who}.",
        where=str(root),
        hint="Use it, end it with kneighbors local down, or give another --root.",
    )


def not_writable(root: Path, error: Exception) -> LocalError:
    """Return the refusal of a root that the system does not let us write to."""
    why = getattr(error, "strerror", None) or error
    return LocalError(
        "local-root-not-writable",
        f"Expected a directory that can be written to, but: {why}.",
        where=str(root),
        hint="Give another with --root.",
    )
