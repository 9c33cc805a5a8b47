"""The page as a person uses it, in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support.cli_server import Served, served
from support.explorer_books import HOSTILE, HOSTILE_ROW, N_BOOKS

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

WIDE = {"width": 1440, "height": 900}
NARROW = {"width": 390, "height": 844}


class Watched:
    """What a page said and asked for while it was used."""

    def __init__(self, page: Page, url: str) -> None:
        self.complaints: list[str] = []
        self.abroad: list[str] = []
        self.asked: list[dict[str, Any]] = []
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self._on_request(request, url))

    def _on_console(self, message: Any) -> None:
        # What software that stands in for a graphics card says of itself is no fault of the page.
        if message.type in ("error", "warning") and "GL Driver Message" not in message.text:
            self.complaints.append(message.text)

    def _on_request(self, request: Any, url: str) -> None:
        if not request.url.startswith(url):
            self.abroad.append(request.url)
        if request.url.endswith("/invocations"):
            self.asked.append(request.post_data_json)


@pytest.fixture
def page(browser: Browser, library: Served) -> Iterator[Page]:
    context = browser.new_context(viewport=WIDE)  # type: ignore[arg-type]
    page = context.new_page()
    page.set_default_timeout(20_000)
    watched = Watched(page, library.url)
    page.watched = watched  # type: ignore[attr-defined]
    page.goto(f"{library.url}/explorer")
    page.wait_for_selector(".start")
    yield page
    assert watched.complaints == []
    assert watched.abroad == []
    context.close()


def asked(page: Page) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = page.watched.asked  # type: ignore[attr-defined]
    return found


def go(page: Page, typed: str) -> None:
    page.get_by_role("combobox", name="Search by name or id").fill(typed)
    page.wait_for_selector("#found [role=option]")
    page.keyboard.press("Enter")
    page.wait_for_selector(".row")


def names(page: Page) -> list[str]:
    return page.locator(".row .title").all_inner_texts()


def violations(page: Page) -> list[str]:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    found = axe.Axe().run(page).response["violations"]
    return [f"{one['id']}: {node['html']}" for one in found for node in one["nodes"]]


def test_a_name_is_found_with_the_keyboard_alone_and_its_neighbours_shown(page: Page) -> None:
    box = page.get_by_role("combobox", name="Search by name or id")
    box.press_sequentially("river stone")
    page.wait_for_selector("#found [role=option]")
    found = page.locator("#found .name").all_inner_texts()
    box.press("ArrowDown")
    box.press("ArrowDown")
    assert box.get_attribute("aria-activedescendant") == "found-1"
    box.press("Escape")
    assert box.get_attribute("aria-expanded") == "false"
    box.press("ArrowDown")
    box.press("Enter")
    page.wait_for_selector(".row")
    assert page.locator(".chip .label").all_inner_texts() == found[:1]
    assert len(names(page)) == 12
    assert asked(page)[-1]["parameters"] == {"k": 12, "exclude_self": True, "include_items": True}


def test_a_neighbour_is_clicked_on_to_and_back_leads_back(page: Page) -> None:
    go(page, "b0010")
    before = names(page)
    page.locator(".row .title").first.click()
    page.wait_for_function(
        "name => document.querySelector('.chip .label').textContent === name", arg=before[0]
    )
    assert len(asked(page)[-1]["ids"]) == 1
    page.go_back()
    page.wait_for_function(
        "name => document.querySelector('.row .title').textContent === name", arg=before[0]
    )
    assert names(page) == before


def test_likes_dislikes_and_terms_become_one_request(page: Page) -> None:
    go(page, "b0010")
    page.locator(".row .like").nth(0).click()
    page.wait_for_selector(".chip.like:nth-of-type(2)")
    page.locator(".row .dislike").nth(3).click()
    page.wait_for_selector(".chip.dislike")
    page.get_by_role("combobox", name="Add a term").fill("moon")
    page.wait_for_selector("#terms [role=option]")
    with page.expect_response("**/invocations"):
        page.keyboard.press("Enter")
    page.wait_for_selector(".chip.term")
    request = asked(page)[-1]
    assert request["like"][0] == "b0010"
    assert (len(request["like"]), len(request["dislike"]), request["terms"]) == (
        2,
        1,
        ["moonlight"],
    )
    assert page.locator(".trouble").count() == 0
    shown = set(names(page))
    assert not shown & set(page.locator(".chip .label").all_inner_texts())


def test_filters_from_the_schema_and_the_diversity_change_the_answer_at_once(page: Page) -> None:
    go(page, "b0010")
    with page.expect_response("**/invocations"):
        page.get_by_label("Drama").check()
    page.locator(".filter summary", has_text="price").click()
    with page.expect_response("**/invocations"):
        page.get_by_label("price, at most").fill("20")
    page.locator(".filter summary", has_text="tags").click()
    with page.expect_response("**/invocations"):
        page.get_by_label("merry").check()
    page.locator(".filter summary", has_text="added").click()
    with page.expect_response("**/invocations"):
        page.get_by_label("from").fill("2020-03-01")
    with page.expect_response("**/invocations") as answered:
        page.get_by_label("Diversity").fill("0.5")
    assert answered.value.status == 200, answered.value.text()
    parameters = asked(page)[-1]["parameters"]
    assert parameters["diversity"] == 0.5
    assert parameters["filter"]["genre"] == "Drama"
    assert parameters["filter"]["price"]["le"] == pytest.approx(20, abs=1)
    assert parameters["filter"]["tags"] == {"any": ["merry"]}
    assert parameters["filter"]["added"] == {"ge": "2020-03-01"}
    items = answered.value.json()["predictions"][0]["items"]
    assert items
    assert {item["genre"] for item in items} == {"Drama"}
    assert max(item["price"] for item in items) < 21


def test_a_filter_that_nothing_passes_says_why(page: Page) -> None:
    go(page, "b0010")
    page.locator(".filter summary", has_text="year").click()
    page.get_by_label("Drama").check()
    page.locator(".filter summary", has_text="price").click()
    page.get_by_label("price, at most").fill("0.5")
    page.get_by_label("year, at least").fill("2019")
    page.wait_for_selector(".reason")
    assert "None" in page.locator(".reason").inner_text()


def test_the_request_is_a_click_away_as_curl_python_and_json(page: Page) -> None:
    go(page, "b0010")
    page.get_by_role("button", name="Show the request").click()
    shown = page.locator("#request-text")
    assert "curl http://127.0.0.1" in shown.inner_text()
    page.keyboard.press("Tab")
    page.get_by_role("tab", name="Python").click()
    assert "from kneighbors import Client" in shown.inner_text()
    page.get_by_role("tab", name="JSON").click()
    assert '"ids": ["b0010"]' in shown.inner_text()
    page.keyboard.press("Escape")
    assert page.locator("dialog[open]").count() == 0


def test_markup_in_a_title_is_text(page: Page) -> None:
    go(page, "ünsafe")
    assert page.locator(".chip .label").inner_text() == HOSTILE
    assert page.evaluate("document.body.dataset.broken") is None
    assert page.locator("#page img").count() == 0
    assert f"b{HOSTILE_ROW:04d}" in str(asked(page)[-1])


def test_the_map_shows_what_is_under_the_pointer_zooms_and_selects(page: Page) -> None:
    page.wait_for_selector(".plot[data-state=ready]")
    go(page, "b0010")
    page.wait_for_selector(".key")
    box = page.locator(".plot").bounding_box()
    assert box is not None
    (item,) = page.evaluate("fetch('explorer/api/search?q=b0033').then(r => r.json())")["results"]
    ((x, y),) = page.evaluate("fetch('explorer/api/places?rows=33').then(r => r.json())")["places"]
    page.mouse.move(box["x"] + x * box["width"] + 1, box["y"] + (1 - y) * box["height"])
    page.wait_for_selector(f".tip b >> text={item['attributes']['called']}")
    page.mouse.wheel(0, -300)
    page.wait_for_selector(".tip", state="detached")
    page.get_by_role("button", name="Whole").click()
    page.get_by_role("button", name="Select").click()
    page.mouse.move(box["x"] + 5, box["y"] + 5)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 5, box["y"] + box["height"] - 5, steps=4)
    page.mouse.up()
    page.wait_for_selector(".count >> text=in the selection")
    assert len(names(page)) == 50
    page.get_by_role("button", name="Select").click()
    page.get_by_role("button", name="Whole").click()
    page.get_by_role("application").focus()
    page.keyboard.press("+")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    page.wait_for_selector(".count >> text=neighbours")


def test_points_are_really_drawn_in_the_colours_of_an_attribute(page: Page) -> None:
    page.wait_for_selector(".key")
    page.locator(".tools select").select_option("year")
    page.wait_for_selector(".key.scale")
    page.locator(".tools select").select_option("genre")
    page.wait_for_selector("ul.key")
    picture = page.locator(".plot").screenshot()
    page.get_by_role("button", name="Adventure").click()
    page.wait_for_function("document.querySelector('.key [aria-pressed=true]') !== null")
    page.evaluate(
        "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
    )
    assert page.locator(".plot").screenshot() != picture


def test_axe_finds_no_violation_on_any_part_in_light_and_dark(page: Page) -> None:
    assert violations(page) == []
    go(page, "b0010")
    page.locator(".row .dislike").nth(1).click()
    page.wait_for_selector(".chip.dislike")
    for summary in page.locator(".filter summary").all()[1:]:
        summary.click()
    page.get_by_role("combobox", name="Search by name or id").fill("river")
    page.wait_for_selector("#found [role=option]")
    assert violations(page) == []
    page.emulate_media(color_scheme="dark")
    assert violations(page) == []
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Show the request").click()
    assert violations(page) == []
    page.keyboard.press("Escape")
    page.set_viewport_size(NARROW)  # type: ignore[arg-type]
    for name in ("Filters", "Map", "Neighbours"):
        page.locator(".tabs button", has_text=name).click()
        assert violations(page) == []
        # Nothing is wider than a phone.
        assert page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]


def test_the_colours_are_chosen_and_kept(page: Page) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    button = page.locator(".theme")
    button.click()
    button.click()
    page.wait_for_function(f"light => {ground} !== light", arg=light)
    page.reload()
    page.wait_for_selector(".start")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"


def test_an_address_holds_the_question(page: Page) -> None:
    go(page, "b0010")
    with page.expect_response("**/invocations"):
        page.get_by_label("Drama").check()
    before = names(page)
    page.reload()
    page.wait_for_selector(".row")
    assert names(page) == before
    assert page.get_by_label("Drama").is_checked()


def test_a_page_that_was_left_open_goes_on_after_the_server_restarts(
    browser: Browser, books: Path
) -> None:
    context = browser.new_context(viewport=WIDE)  # type: ignore[arg-type]
    page = context.new_page()
    with served(books, "--port", "0", "--workers", "1", "--explorer") as first:
        port = first.port
        page.goto(f"{first.url}/explorer")
        page.wait_for_selector(".start")
        go(page, "b0010")
        first.stop()
    page.locator(".row .like").first.click()
    page.wait_for_selector(".notice")
    assert "does not answer" in page.locator(".notice").inner_text()
    with served(books, "--port", str(port), "--workers", "1", "--explorer"):
        page.wait_for_selector(".notice", state="detached", timeout=20_000)
        page.wait_for_selector(".count >> text=12 neighbours")
        assert page.locator(".chip.like").count() == 2
    context.close()


def test_the_page_says_how_many_items_there_are(page: Page) -> None:
    assert f"{N_BOOKS:,} items" in page.locator(".start").inner_text()
