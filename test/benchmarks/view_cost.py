# SPDX-License-Identifier: Apache-2.0
"""What a page costs the loop: deadlines missed, and sensing to command, without a page and with one.

``liquid-spike run pencil`` in real time over ROS 2, in turn

- without ``--view``;
- with a page whose updates are read and not drawn;
- with the page open in a real headless Chromium, which draws it on the processor where there is no GPU;
- with that browser killed (SIGKILL) in the middle of the run.

The runs of one round follow one another, and each round begins with another of them, so that other work on the machine
meets all alike. Run: ``python test/benchmarks/view_cost.py [seconds [rounds [robot]]]``; needs Chromium and playwright.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np

WITHOUT, READ, OPEN, KILLED = "without a page", "updates read", "page open", "browser killed"
WAYS = (WITHOUT, READ, OPEN, KILLED)
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
#: WebGL on the processor.
ARGUMENTS = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
SENSING_TO_COMMAND = "simulator: sensing to command"
#: Stamp of an episode's beginning [s].
START_S = 1.0
#: A run is stopped when it takes so much longer than its episode [s].
PATIENCE_S = 150.0


class Reader:
    """Takes the updates of a page as a browser does, and draws nothing."""

    def __init__(self, link: str) -> None:
        self.updates = 0
        self._stream = urllib.request.urlopen(link.replace("/?", "/updates?"), timeout=30)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        with suppress(OSError, ValueError):  # the run has ended
            while line := self._stream.readline():
                self.updates += line.startswith(b"data: ")


class Browser:
    """A page open in a real Chromium, which a process of its own drives: killing it kills nothing else."""

    PROGRAM = """
import sys, time
from playwright.sync_api import sync_playwright
with sync_playwright() as driver:
    browser = driver.chromium.launch(executable_path=sys.argv[1], args=sys.argv[3:])
    page = browser.new_page(viewport={"width": 1300, "height": 900}, bypass_csp=True)
    page.goto(sys.argv[2])
    while True:
        told = page.evaluate("window.page ? [page.updates, page.ticks.length ? page.ticks.at(-1)[0] : 0] : [0, 0]")
        print(*told, flush=True)
        time.sleep(0.5)
"""

    def __init__(self, link: str) -> None:
        self.updates, self.shown_s = 0, 0.0
        command = [sys.executable, "-c", self.PROGRAM, str(CHROMIUM), link, *ARGUMENTS]
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True
        )
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            updates, shown_s = line.split()
            self.updates, self.shown_s = int(updates), float(shown_s)

    def kill(self) -> None:
        """Kill the browser and what drives it; Chromium has a session of its own."""
        every = [self._process.pid, *_below(self._process.pid)]
        for pid in every:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait(10)


def _below(pid: int) -> list[int]:
    """The processes that a process started, and those that these started."""
    found = []
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += [int(child), *_below(int(child))]
    return found


@contextmanager
def running(robot: str, seconds: float, out: Path, view: bool):
    """A run, and its lines on standard error."""
    command = [sys.executable, "-m", "liquid_spike_control", "run", robot, "--seed", "5", "--duration", str(seconds),
               "--json", str(out), *(["--view"] if view else [])]  # fmt: skip
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def run(way: str, robot: str, seconds: float) -> dict:
    """One run.

    Returns:
        ``missed`` and ``ticks``; ``p50`` and ``p99`` of sensing to command [ms]; ``speed``, simulated over wall time;
        ``updates`` that a page took.
    """
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run.json"
        page: Reader | Browser | None = None
        with running(robot, seconds, out, way != WITHOUT) as process:
            assert process.stderr is not None
            lines: list[str] = []
            if way != WITHOUT:
                link = ""
                for line in process.stderr:
                    lines.append(line)
                    if found := re.search(r"view: (http\S+)", line):
                        link = found[1]
                        break
                if not link:
                    raise SystemExit(f"{way}: the run printed no link:\n{''.join(lines)}")
                page = Reader(link) if way == READ else Browser(link)
            threading.Thread(target=lines.extend, args=(process.stderr,), daemon=True).start()
            try:
                if way == KILLED:
                    assert isinstance(page, Browser)
                    end = time.monotonic() + PATIENCE_S
                    half_s = START_S + seconds / 2
                    while page.shown_s < half_s and process.poll() is None and time.monotonic() < end:
                        time.sleep(0.1)
                    page.kill()
                process.wait(seconds + PATIENCE_S)
            finally:
                if isinstance(page, Browser):
                    page.kill()
        if not out.is_file():
            raise SystemExit(f"{way}: no figures:\n{''.join(lines)}")
        report = json.loads(out.read_text())
    p50, p99 = report["latencies_us"][SENSING_TO_COMMAND]
    return {
        "missed": report["deadline_misses"], "ticks": report["ticks"], "p50": p50 / 1e3, "p99": p99 / 1e3,
        "speed": report["real_time_factor"], "updates": page.updates if page else 0,
    }  # fmt: skip


def main() -> None:
    """Print each run, and then all runs of each way side by side."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 10.0
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    robot = sys.argv[3] if len(sys.argv) > 3 else "pencil"
    if CHROMIUM is None:
        raise SystemExit("there is no Chromium here; apt install chromium")
    print(f"{robot}, {seconds:g} s in real time, {len(os.sched_getaffinity(0))} cores; load {os.getloadavg()[0]:.1f}")
    found: dict[str, list[dict]] = {way: [] for way in WAYS}
    for number in range(rounds):
        for way in WAYS[number % len(WAYS) :] + WAYS[: number % len(WAYS)]:
            one = run(way, robot, seconds)
            found[way].append(one)
            print(
                f"  {way:15} {one['missed']:5} of {one['ticks']} missed, p50 {one['p50']:6.2f} ms,"
                f" p99 {one['p99']:6.2f} ms, {one['speed']:.2f} x real time,"
                f" {one['updates']} updates, load {os.getloadavg()[0]:.1f}",
                flush=True,
            )
    print("medians of the runs, least to greatest; runs whose page was not read in time are left out")
    for way, every in found.items():
        runs = [one for one in every if way == WITHOUT or one["updates"]]
        if not runs:
            print(f"  {way:15} no page was read in time; give more seconds")
            continue
        share = [100 * one["missed"] / one["ticks"] for one in runs]
        columns = {"missed [%]": share, "p50 [ms]": [r["p50"] for r in runs], "p99 [ms]": [r["p99"] for r in runs]}
        text = ", ".join(f"{k} {np.median(v):.2f} ({min(v):.2f} to {max(v):.2f})" for k, v in columns.items())
        print(f"  {way:15} {text}")


if __name__ == "__main__":
    main()
