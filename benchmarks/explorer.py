"""The explorer in a browser without a screen: from a key to results, and frames while panning.

    python benchmarks/explorer.py                      # 180,000 generated wines
    python benchmarks/explorer.py --rows 20000 --dry-run

Needs playwright, and a Chromium (`scripts/browser`, or the variable `KNEIGHBORS_BROWSER`). Points
are drawn by software, on the cores that the server and the browser share. One JSON line is appended
to `benchmarks/results/explorer.jsonl`.
"""

from __future__ import annotations

import argparse
import itertools
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from comparison import quantiles
from processes import free_port, served
from results import append

_FLAGS = ("--no-sandbox", "--disable-gpu", "--enable-unsafe-swiftshader", "--no-first-run")
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_LETTERS = "mscrvpbg"
_PAN_S = 5.0

#: Resolves to the milliseconds from a key's event until what it found has been painted.
_UNTIL_PAINTED = """() => new Promise(done => {
    addEventListener("keydown", event => {
        const watch = new MutationObserver(() => {
            if (!document.querySelector("#found [role=option]")) return;
            watch.disconnect();
            const painted = () => done(performance.now() - event.timeStamp);
            requestAnimationFrame(() => setTimeout(painted));
        });
        watch.observe(document.body, {childList: true, subtree: true});
    }, {capture: true, once: true});
})"""

#: Drags the map in circles, a step for each frame; resolves to when frames came, and how many
#: points each drawing had.
_PAN = """seconds => new Promise(done => {
    const frames = [], points = [];
    for (const context of [WebGLRenderingContext, WebGL2RenderingContext]) {
        const draw = context.prototype.drawArrays;
        context.prototype.drawArrays = function (mode, first, count) {
            points.push(count);
            return draw.call(this, mode, first, count);
        };
    }
    const plot = document.querySelector(".plot");
    const place = plot.getBoundingClientRect();
    const x = place.x + place.width / 2, y = place.y + place.height / 2;
    const say = (target, type, dx, dy) => target.dispatchEvent(new MouseEvent(type, {
        bubbles: true, cancelable: true, view: window, clientX: x + dx, clientY: y + dy,
    }));
    say(document.elementFromPoint(x, y), "mousedown", 0, 0);
    const begun = performance.now();
    const step = now => {
        const gone = (now - begun) / 1000;
        frames.push(now);
        if (gone > seconds) {
            say(window, "mouseup", 0, 0);
            done([frames, points]);
            return;
        }
        say(window, "mousemove", 80 * Math.sin(3 * gone), 80 * Math.cos(3 * gone) - 80);
        requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
})"""


def keys(page: Any) -> list[float]:
    """Return the seconds from first letters to their results, on a page that knows none of them."""
    times = []
    box = page.get_by_role("combobox", name="Search by name or id")
    for letter in _LETTERS:
        box.fill("")
        page.wait_for_selector("#found [role=option]", state="detached")
        waiting = page.evaluate_handle(f"() => ({{promise: ({_UNTIL_PAINTED})()}})")
        box.press(letter)
        times.append(page.evaluate("waiting => waiting.promise", waiting) / 1e3)
    box.fill("")
    return times


def pan(page: Any) -> dict[str, Any]:
    """Drag the map; return drawings a second, how far apart frames were, and how many points."""
    place = page.locator(".plot").bounding_box()
    page.mouse.move(place["x"] + place["width"] / 2, place["y"] + place["height"] / 2)
    page.mouse.wheel(0, -200)
    page.wait_for_timeout(1000)
    frames, points = page.evaluate(_PAN, _PAN_S)
    gaps = sorted(b - a for a, b in itertools.pairwise(frames))
    return {
        "pan_frames_per_s": round(len(points) / _PAN_S, 1),
        "pan_gap_p50_ms": round(gaps[len(gaps) // 2], 1),
        "pan_gap_p95_ms": round(gaps[int(0.95 * len(gaps))], 1),
        "pan_points_p50": sorted(points)[len(points) // 2],
    }


def measured(url: str) -> dict[str, Any]:
    """Drive the page."""
    from playwright.sync_api import sync_playwright

    wanted = os.environ.get("KNEIGHBORS_BROWSER")
    browser = wanted or next(filter(None, map(shutil.which, _BROWSERS)), None)
    if browser is None:
        sys.exit("No Chromium: scripts/browser installs Debian's.")
    with sync_playwright() as driver:
        launched = driver.chromium.launch(executable_path=browser, args=list(_FLAGS))
        page = launched.new_page(viewport={"width": 1440, "height": 900})
        page.set_default_timeout(120_000)
        page.goto(url)
        page.wait_for_selector(".plot[data-state=ready]")
        first, times = keys(page), keys(page)
        found = {
            "first_key_ms": round(first[0] * 1e3, 1),
            **quantiles("key", times, 1),
            "key_most_ms": round(max(first + times) * 1e3, 1),
            **pan(page),
        }
        launched.close()
        return found


def main() -> None:
    """Measure, print, append."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=180_000)
    parser.add_argument("--dry-run", action="store_true", help="append nothing")
    options = parser.parse_args()
    from kneighbors import artifact
    from kneighbors.datasets import make_wines
    from kneighbors.items import Catalog
    from kneighbors.search.index import ExactIndex
    from kneighbors.search.rows import ArrayRows

    wines = make_wines(options.rows)
    with tempfile.TemporaryDirectory(prefix="kneighbors-") as folder:
        model = Path(folder) / "model"
        catalog = Catalog(options.rows, wines.ids, wines.items)
        artifact.save(model, ExactIndex.build(ArrayRows(wines.X), "cosine"), catalog)
        port = free_port()
        command = [sys.executable, "-m", "kneighbors", "serve", str(model), "--explorer"]
        with served([*command, "--port", str(port), "--workers", "1"], port):
            found = measured(f"http://127.0.0.1:{port}/explorer")
    for name, value in found.items():
        print(f"{name:24}{value}")
    if not options.dry_run:
        append("explorer", {"rows": options.rows, **found})


if __name__ == "__main__":
    main()
