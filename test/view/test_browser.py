# SPDX-License-Identifier: Apache-2.0
"""The page in a real browser, headless and without a GPU: what is drawn is compared with the data."""

import base64
import io
import shutil

import numpy as np
import pytest
from PIL import Image
from test_view import viewed

playwright = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
#: WebGL on the processor.
ARGUMENTS = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("no Chromium here (apt install chromium)")
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield started
        started.close()


@pytest.fixture
def opened(browser):
    """Opens a link, and fails where the page complains."""
    complaints = []
    # Playwright waits by eval, which the page's policy forbids
    page = browser.new_page(viewport={"width": 1300, "height": 900}, bypass_csp=True)
    page.set_default_timeout(60_000)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    # a run that has ended serves no more updates, which the browser reports
    refused = "ERR_CONNECTION_REFUSED"
    page.on(
        "console",
        lambda said: complaints.append(said.text) if said.type == "error" and refused not in said.text else None,
    )

    def go(link):
        page.goto(link)
        page.wait_for_function("page.updates > 20 && page.ticks.length > 20")
        return page

    yield go
    page.close()
    assert complaints == []


def canvas(page, name) -> np.ndarray:
    """Its pixels, uint8 (height, width, 3)."""
    data = page.evaluate(f"document.querySelector({name!r}).toDataURL()")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data.partition(",")[2]))).convert("RGB"))


def stand_still(page) -> None:
    page.click("#pause")
    page.wait_for_function("page.last.facts.paused && !page.last.ticks.length")


def test_what_is_drawn_is_what_was_told(opened):
    with viewed("pencil", "--in-process", "--seed", "5") as (_, link):
        page = opened(link)
        assert page.inner_text("#robot") == "pencil"
        # the events of one update, pixel by pixel, drawn and read at one go: the next must not come between
        page.wait_for_function("""(() => { const signs = Array.from(numbers(page.last.events, Int8Array));
            if (new Set(signs).size < 3) return false;
            draw(); window.kept = [signs, document.querySelector("#events").toDataURL()]; return true; })()""")
        signs, data = page.evaluate("window.kept")
        drawn = np.asarray(Image.open(io.BytesIO(base64.b64decode(data.partition(",")[2]))).convert("RGB"))
        colours = {-1: (255, 120, 80), 0: (24, 28, 36), 1: (96, 176, 255)}
        expected = np.array([colours[s] for s in signs], np.uint8).reshape(64, 64, 3)
        assert np.array_equal(drawn, expected) and len(set(signs)) == 3
        stand_still(page)

        # the pole is where the true angle says, seen from the front
        told = page.evaluate("""({tick: page.ticks.at(-1), solids: page.description.solids.map(s => s.name),
            places: Array.from(page.scene.places)})""")
        scene = canvas(page, "#scene").astype(int)
        pole = told["solids"].index("pole")
        middle = told["places"][12 * pole : 12 * pole + 3]
        column, row = page.evaluate("(p) => page.scene.seen(p)", middle)
        near = scene[round(row), round(column) - 2 : round(column) + 3]
        assert near.min(axis=1).max() > 120, "no pole where it should be"
        bright = np.argwhere((scene.min(axis=2) > 120) & (np.arange(scene.shape[0])[:, None] < row + 20))
        slope = np.polyfit(bright[:, 0], bright[:, 1], 1)[0]
        assert np.degrees(np.arctan(-slope)) == pytest.approx(np.degrees(told["tick"][1][2]), abs=1.5)

        # the chart of the angle ends at the true value
        value, low, high = page.evaluate("""(() => {
            const v = page.ticks.flatMap(t => [t[1][2], t[2][0]]).map(x => x * 180 / Math.PI);
            let low = Math.min(...v), high = Math.max(...v);
            const room = Math.max((high - low) * 0.1, 1e-3 * Math.max(1, Math.abs(high)));
            return [page.ticks.at(-1)[1][2] * 180 / Math.PI, low - room, high + room]; })()""")
        data = page.evaluate("page.charts[0].canvas.toDataURL()")
        chart = np.asarray(Image.open(io.BytesIO(base64.b64decode(data.partition(",")[2]))))
        rows = np.nonzero(chart[:, -3, 3])[0]
        at = 80 - (value - low) / (high - low) * 80
        assert np.abs(rows - at).min() < 3

        # every spike of the last seconds is a mark in the raster
        name, n = page.evaluate("Object.entries(page.description.layers)[0]")
        marks = page.evaluate("""(name) => { const chart = page.charts.at(-1).canvas, now = page.last.stamp_ns * 1e-9;
            return page.spikes[name].map(([t, id]) => [(t - now + 5) / 5 * chart.width, id, chart.height]); }""", name)
        data = page.evaluate("page.charts.at(-1).canvas.toDataURL()")
        raster = np.asarray(Image.open(io.BytesIO(base64.b64decode(data.partition(",")[2]))))[..., 3]
        last = raster.shape[1] - 1
        seen = [raster[int(h - (i + 0.5) / n * h), min(int(x + 0.75), last)] > 0 for x, i, h in marks if x > 0]
        assert len(seen) > 100 and np.mean(seen) > 0.99
        assert (raster > 0).mean() < 0.6, "all is black"
        assert "accepted" in page.inner_text("#numbers")

        # each layer's colour is its rate, and the potentials of the chosen neurons end where they were told
        told = page.evaluate("({rates: page.last.work.rates, sizes: page.description.wiring.sizes, at: page.places})")
        wiring = canvas(page, "#wiring").astype(int)
        for name, (x, y) in told["at"].items():
            level = min(1, np.log10(1 + told["rates"][name] / told["sizes"][name]) / 2)
            expected = [c + (h - c) * level for c, h in ((60, 255), (70, 140), (90, 40))]
            assert np.abs(wiring[round(y), round(x)] - expected).max() <= 1, name
        assert len({tuple(wiring[round(y), round(x)]) for x, y in told["at"].values()}) == 2
        assert "uW + static 104 mW (estimate by davies2018)" in page.inner_text("#numbers")
        page.fill("#neuron", "77")
        page.click("#watch")
        page.click("#pause")
        page.wait_for_function("page.potentials.length === 4 && page.potentials[3][2].length > 20")
        stand_still(page)
        page.evaluate("draw()")
        chosen, (low, high), data = page.evaluate("""[page.potentials, page.range,
            page.charts.at(-2).canvas.toDataURL()]""")
        drawn = np.asarray(Image.open(io.BytesIO(base64.b64decode(data.partition(",")[2]))).convert("RGBA")).astype(int)
        assert chosen[3][1] == 77
        colours = [(31, 119, 180), (255, 127, 14), (44, 160, 44), (214, 39, 40)]
        for (_, _, pairs), colour in zip(chosen, colours, strict=True):
            row = 90 - (pairs[-1][1] - low) / (high - low) * 90
            near = drawn[max(0, int(row) - 3) : int(row) + 4, -3:]
            assert (np.abs(near[..., :3] - colour).max(axis=2) < 60).any() or any(
                abs(pairs[-1][1] - other[2][-1][1]) < 0.05 for other in chosen if other[2] is not pairs
            )  # fmt: skip


def test_buttons_do_what_they_say(opened):
    # a robot whose episode goes on whatever is done to it
    with viewed("half-cheetah", "--in-process", "--seed", "5") as (_, link):
        page = opened(link)
        stand_still(page)
        before = page.evaluate("page.last.stamp_ns")
        page.click("#step")
        page.wait_for_function(f"page.last.stamp_ns === {before + 50_000_000}")
        page.click("#pause")
        page.wait_for_function("!page.last.facts.paused")
        page.select_option("#body", "torso")
        page.fill("#impulse", "60")
        page.click("[data-push='0,0,1']")
        page.wait_for_function("page.ticks.some(t => t[1][9] > 2.5)")
        page.click("#stop")
        page.wait_for_function("page.last.facts.stopped && page.last.verdict === 'e_stop'")
        assert page.inner_text("#stop") == "release" and page.inner_text("#state") == "e-stop pressed"
        page.click("#stop")
        page.wait_for_function("!page.last.facts.stopped")
        page.wait_for_function("document.querySelector('#state').textContent !== 'e-stop pressed'")


def test_dragging_turns_the_scene(opened):
    with viewed("half-cheetah", "--in-process", "--seed", "5") as (_, link):
        page = opened(link)
        stand_still(page)
        before = canvas(page, "#scene")
        page.mouse.move(300, 250)
        page.mouse.down()
        page.mouse.move(420, 200, steps=3)
        page.mouse.up()
        after = canvas(page, "#scene")
        assert (before != after).any(axis=2).mean() > 0.05
        assert page.evaluate("page.scene.turn") != pytest.approx(-np.pi / 2, abs=0.5)
