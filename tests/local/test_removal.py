"""Directories that containers wrote to, removed."""

from __future__ import annotations

import os
from pathlib import Path

from kneighbors.local.removal import remove_tree


def test_folders_deeper_than_python_recurses_are_removed(tmp_path: Path) -> None:
    top = tmp_path / "model"
    top.mkdir()
    below = os.open(top, os.O_RDONLY)
    for _ in range(2000):
        os.mkdir("below", dir_fd=below)
        deeper = os.open("below", os.O_RDONLY, dir_fd=below)
        os.close(below)
        below = deeper
    os.close(below)
    remove_tree(top)
    assert [] == list(tmp_path.iterdir())


def test_folders_without_rights_are_removed(tmp_path: Path) -> None:
    folder = tmp_path / "data/train"
    folder.mkdir(parents=True)
    (folder / "x.csv").touch()
    for path in (folder / "x.csv", folder, folder.parent):
        path.chmod(0o000)
    remove_tree(tmp_path / "data")
    assert [] == list(tmp_path.iterdir())


def test_what_a_link_leads_to_stays(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept/file").touch()
    (tmp_path / "home").mkdir()
    (tmp_path / "home/link").symlink_to(tmp_path / "kept")
    remove_tree(tmp_path / "home")
    assert ["kept/file"] == [
        str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()
    ]


def test_what_is_not_there_need_not_be_removed(tmp_path: Path) -> None:
    remove_tree(tmp_path / "nothing")
    assert [] == list(tmp_path.iterdir())
