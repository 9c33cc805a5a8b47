"""A server with the explorer over a small corpus, and a browser where there is one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.cli_server import Served, served
from support.explorer_books import save_books

if TYPE_CHECKING:
    from playwright.sync_api import Browser

_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
#: Points are drawn by software, and nothing is looked for beyond this machine.
_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--enable-unsafe-swiftshader",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="session")
def books(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_books(tmp_path_factory.mktemp("explorer") / "books")


@pytest.fixture(scope="session")
def library(books: Path) -> Iterator[Served]:
    with served(books, "--port", "0", "--workers", "1", "--explorer") as running:
        yield running


# Not for the whole run: while the driver is there, its event loop is the thread's.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    wanted = os.environ.get("KNEIGHBORS_BROWSER")
    found = wanted or next(filter(None, map(shutil.which, _BROWSERS)), None)
    if found is None:
        pytest.skip("no Chromium: scripts/browser installs Debian's, KNEIGHBORS_BROWSER names one")
    with playwright.sync_playwright() as driver:
        launched: Browser = driver.chromium.launch(executable_path=found, args=list(_FLAGS))
        yield launched
        launched.close()
