# SPDX-License-Identifier: Apache-2.0
"""The page in a real browser, headless and without a GPU: what is drawn is compared with the data."""

import base64
import io
import re
import shutil
import signal
from contextlib import contextmanager

import numpy as np
import pytest
from PIL import Image
from recordings import DESCRIPTION, TOPICS, recorded, without, write
from test_recording import view
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
    page.evaluate("draw()")  # a page rests between drawings


def test_the_page_is_drawn_less_often_while_the_loop_misses_deadlines(opened):
    with viewed("hover", "--in-process", "--seed", "5") as (_, link):
        page = opened(link)
        stand_still(page)
        # updates as if from a loop that misses a deadline between two of them, and from one that misses none
        rests = page.evaluate("""(() => {
            const update = (missed) => { take({ ...page.last, ticks: [], facts: { ...page.last.facts,
                numbers: { "deadline misses": String(missed) } } }); return page.rest; };
            page.rest = 9; page.missed = 0;
            const found = [update(0), update(1), update(2), update(9), update(10), update(11)];
            draw(); found.push(document.querySelector("#numbers").innerText);
            for (let k = 0; k < 200; k++) update(11);
            return [...found, page.rest]; })()""")
        assert rests[:6] == [9, 18, 36, 72, 100, 100] and rests[7] == 9
        assert "drawn less often" in rests[6]


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
                # or another one's line, two pixels wide, lies over it
                abs(pairs[-1][1] - other[2][-1][1]) < (high - low) * 3 / 90 for other in chosen if other[2] is not pairs
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


def pixels(data: str) -> np.ndarray:
    """Of a canvas' data URL, uint8 (height, width, 4)."""
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data.partition(",")[2]))).convert("RGBA"))


@contextmanager
def played(bag):
    """``liquid-spike view BAG``, and the link of its page."""
    process = view(bag)
    try:
        yield re.search(r"http\S+", next(line for line in process.stderr if "http" in line))[0]
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(20)


def test_a_bag_is_drawn_as_it_was_recorded_at_the_time_that_is_looked_up(opened, tmp_path):
    messages, history, verdicts = recorded(400)
    stamps = sorted(history.truth)
    with played(write(tmp_path / "run.mcap", messages, DESCRIPTION)) as link:
        page = opened(link)
        assert not page.is_visible("#stop") and not page.is_visible("#pushing") and not page.is_visible("#notes")
        page.evaluate("order({do: 'pause'})")
        page.wait_for_function("page.last.facts.paused")
        for number in (350, 150):
            # what a person does: the bar is moved, and the page asks for that time
            page.evaluate(f"$('seek').value = {number * 0.005}; $('seek').dispatchEvent(new Event('input'))")
            page.wait_for_function(f"page.last.stamp_ns === {stamps[number]} && !page.seen && !page.last.ticks.length")
            stamp = stamps[number]
            assert page.inner_text("#place") == f"{number * 0.005:.2f} of {399 * 0.005:.2f} s"
            now = page.evaluate("page.ticks.at(-1)")
            assert now[1] == list(history.truth[stamp]) and now[2] == list(history.estimates[stamp])
            assert now[3] == list(history.commands[stamp]) and now[5] == verdicts[number]

            # the pole, from the front, is at the recorded angle
            solids, placed = page.evaluate("[page.description.solids.map(s => s.name), Array.from(page.scene.places)]")
            pole = solids.index("pole")
            scene = canvas(page, "#scene").astype(int)
            column, row = page.evaluate("(p) => page.scene.seen(p)", placed[12 * pole : 12 * pole + 3])
            assert scene[round(row), round(column) - 2 : round(column) + 3].min(axis=1).max() > 120
            bright = np.argwhere((scene.min(axis=2) > 120) & (np.arange(scene.shape[0])[:, None] < row + 20))
            slope = np.polyfit(bright[:, 0], bright[:, 1], 1)[0]
            angle = history.truth[stamp][2]
            assert np.degrees(np.arctan(-slope)) == pytest.approx(np.degrees(angle), abs=1.5)

            # the events' picture is that of the last 50 ms
            every = np.concatenate(history.events)
            every = every[(every["t"] <= stamp) & (every["t"] > stamp - 50_000_000)]
            expected = np.full((64, 64, 3), (24, 28, 36), np.uint8)
            for event in every:
                expected[event["y"], event["x"]] = (96, 176, 255) if event["p"] else (255, 120, 80)
            assert np.array_equal(canvas(page, "#events"), expected) and len(every) > 30

            # each recorded spike is a mark in the raster, and there are no marks where there was none
            ((name, n),) = page.evaluate("Object.entries(page.description.playback.layers)")
            raster = pixels(page.evaluate("page.charts.at(-1).canvas.toDataURL()"))[..., 3]
            fired = [(start * 1e-9 + (s + 1) * 1e-3, i) for start, steps, ids in history.spikes if start < stamp
                     for s, i in zip(steps, ids, strict=True)]  # fmt: skip
            assert len(fired) > 100 and page.evaluate("page.charts.at(-1).heading.textContent").endswith("as recorded")
            shown = fired[:: -(-len(fired) // 1500)]
            width = raster.shape[1]
            marks = [(int((t - stamp * 1e-9 + 5) / 5 * width + 0.75), int(90 - (i + 0.5) / n * 90)) for t, i in shown]
            assert np.mean([raster[y, min(x, width - 1)] > 0 for x, y in marks]) > 0.99
            rows = {int(90 - (i + 0.5) / n * 90) + d for _, i in shown for d in (-1, 0, 1)}
            assert not raster[[y for y in range(90) if y not in rows]].any()

            # red marks where the gate clipped
            chart = pixels(page.evaluate("page.charts[2].canvas.toDataURL()")).astype(int)
            red = (np.abs(chart[-3, :, :3] - (198, 40, 40)).max(axis=1) < 30) & (chart[-3, :, 3] > 128)
            clipped = [s for s, verdict in zip(stamps[: number + 1], verdicts, strict=False) if verdict != "accepted"]
            at = [int((s - stamp + 5e9) / 5e9 * width) for s in clipped]
            assert len(at) > 3 and {x for x in at if 2 < x < width - 2} <= set(
                np.flatnonzero(np.convolve(red, [1, 1, 1], "same")).tolist()
            )  # fmt: skip
            assert red.sum() < 5 * len(at) + 5
            assert f"accepted {verdicts[: number + 1].count('accepted')}" in page.inner_text("#numbers")

        page.select_option("#speed", "5")
        page.click("#pause")
        page.wait_for_function("page.last.facts.speed === 5 && $('state').textContent === 'end of the recording'")
        assert page.inner_text("#pause") == "play"
        assert page.evaluate("page.last.stamp_ns") == stamps[-1]


def test_what_a_bag_lacks_is_said_on_the_page(opened, tmp_path):
    messages = without(recorded(400)[0], TOPICS.pose, TOPICS.truth, TOPICS.estimate, TOPICS.events)
    with played(write(tmp_path / "run.mcap", messages, DESCRIPTION)) as link:
        page = opened(link)
        page.wait_for_function("page.last.ticks.length || page.last.facts.paused")
        notes = page.inner_text("#notes").splitlines()
        assert "no events: the bag has none on /event_camera/events" in notes and page.is_hidden("#seen")
