"""The page's files: there, small, of this host alone, and of no domain."""

from __future__ import annotations

import re

import pytest

from kneighbors.server.explorer.assets import POLICY, assets
from support.cli_server import Served

MOST_BYTES = 500_000


def test_the_page_and_all_it_names_are_there() -> None:
    page = assets()["index.html"].body.decode()
    named = set(re.findall(r'(?:src|href)="explorer/([^"]+)"', page))
    style = assets()["style.css"].body.decode()
    named |= set(re.findall(r"url\(([^)]+)\)", style))
    assert {"page.js", "style.css", "icon.svg"} < named
    assert {name.strip("\"'").removeprefix("./") for name in named} <= set(assets())


def test_the_files_are_small() -> None:
    assert sum(len(one.body) for one in assets().values()) < MOST_BYTES


@pytest.mark.parametrize("name", ["index.html", "page.js", "style.css"])
def test_no_file_names_another_host_or_a_domain(name: str) -> None:
    text = assets()[name].body.decode()
    hosts = set(re.findall(r"https?://([\w.-]+)", text))
    assert hosts <= {"www.w3.org"}  # names of namespaces
    assert "wine" not in text.lower()


def test_no_script_and_no_style_is_within_the_page() -> None:
    page = assets()["index.html"].body.decode()
    assert re.findall(r"<script(?![^>]*src=)|<style|style=|\son\w+=", page) == []
    assert "unsafe" not in POLICY


def test_a_file_is_sent_with_the_policy_and_not_twice(library: Served) -> None:
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", library.port, timeout=10)
    connection.request("GET", "/explorer")
    response = connection.getresponse()
    response.read()
    assert response.headers["content-security-policy"] == POLICY
    assert response.headers["x-content-type-options"] == "nosniff"
    connection.request("GET", "/explorer", headers={"If-None-Match": response.headers["etag"]})
    again = connection.getresponse()
    assert (again.status, again.read()) == (304, b"")
    connection.close()
