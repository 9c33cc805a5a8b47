"""Two names that change places in one step, where the system can do that."""

from __future__ import annotations

import ctypes
import errno
from collections.abc import Callable
from pathlib import Path

import pytest

from kneighbors.artifact import exchange as module
from kneighbors.artifact import open_artifact, save
from kneighbors.artifact.exchange import exchange
from kneighbors.errors import StorageError
from support import artifact_making as making


def failing(number: int) -> Callable[..., int]:
    def call(*arguments: object) -> int:
        ctypes.set_errno(number)
        return -1

    return call


@pytest.mark.parametrize("number", [None, errno.ENOSYS, errno.EINVAL])
def test_a_system_that_cannot_is_done_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int | None
) -> None:
    call = None if number is None else failing(number)
    monkeypatch.setattr(module, "_renameat2", lambda: call)
    assert not exchange(str(tmp_path / "a"), str(tmp_path / "b"))
    for metric in ("cosine", "euclidean"):
        save(tmp_path / "model", making.index(metric), overwrite=True)
    with open_artifact(tmp_path / "model") as artifact:
        assert artifact.manifest.metric == "euclidean"
    assert ["model"] == [path.name for path in tmp_path.iterdir()]


def test_a_refusal_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_renameat2", lambda: failing(errno.EACCES))
    with pytest.raises(PermissionError):
        exchange(str(tmp_path / "a"), str(tmp_path / "b"))
    save(tmp_path / "model", making.index())
    with pytest.raises(StorageError) as refused:
        save(tmp_path / "model", making.index(), overwrite=True)
    assert refused.value.code == "storage-forbidden"
    assert ["model"] == [path.name for path in tmp_path.iterdir()]


def test_a_library_without_the_call_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    module._renameat2.cache_clear()
    monkeypatch.setattr(ctypes, "CDLL", lambda *arguments, **options: object())
    assert module._renameat2() is None
    module._renameat2.cache_clear()
