# SPDX-License-Identifier: Apache-2.0
"""What a page costs the loop: deadlines missed, and sensing to command, without a page and with one.

Runs of ``liquid-spike run ROBOT`` at the pace of the wall clock, over ROS 2 or in one process, in turn

- without ``--view``;
- with the page open in a real headless Chromium, started before the run, which draws it on the processor where there is
  no GPU;
- with that browser killed (SIGKILL) in the middle of the run.

The runs of one round follow one another, and each round begins with another of them, so that other work on the machine
meets all alike; differences are those of one round. A deadline is missed when a command comes more than a period after
its sensing was due.

    python test/benchmarks/view_cost.py --robots hover,hopper --seconds 10 --rounds 3 [--priority 20] [--in-process]
        [--all-by-gl]

It needs Chromium and playwright.
"""

from __future__ import annotations

import argparse
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
from collections.abc import Sequence
from contextlib import closing, contextmanager, nullcontext, suppress
from pathlib import Path

import numpy as np

WITHOUT, OPEN, KILLED = WAYS = ("without a page", "page open", "browser killed")
FIGURES = {"missed": "missed [%]", "p50": "p50 [ms]", "p99": "p99 [ms]"}
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
#: As a browser draws where there is no GPU: WebGL by SwiftShader, the page by its own software.
ARGUMENTS = ["--no-sandbox", "--enable-unsafe-swiftshader"]
#: The page by SwiftShader too, which takes several times as much computing.
ALL_BY_GL = ["--use-gl=angle", "--use-angle=swiftshader"]
#: Stamp of an episode's beginning [s].
START_S = 1.0
#: What a browser has to do when it starts takes so long [s]; people have one that runs.
SETTLED_S = 5.0
#: A run is stopped when it takes so much longer than its episode [s].
TIMEOUT_S = 150.0


#: A run in one process without a page, which the command would not hold to the wall clock.
PACED = """
import sys
from pathlib import Path
from liquid_spike_control.nodes.graph import GraphOptions
from liquid_spike_control.nodes.in_process import run
from liquid_spike_control.nodes.progress import Progress
from liquid_spike_control.terminal import Console
options = GraphOptions(robot=sys.argv[1], seed=5, duration_s=float(sys.argv[2]), priority=int(sys.argv[4]))
run(options, Progress(Console(stderr=True)), keep=False, paced=True)[1].write_json(Path(sys.argv[3]))
"""


class Browser:
    """A page open in a real Chromium, which a process of its own drives: killing it kills nothing else."""

    PROGRAM = """
import sys, time
from playwright.sync_api import sync_playwright
with sync_playwright() as driver:
    browser = driver.chromium.launch(executable_path=sys.argv[1], args=sys.argv[2:])
    page = browser.new_page(viewport={"width": 1300, "height": 900}, bypass_csp=True)
    print("started", flush=True)
    page.goto(sys.stdin.readline().strip())
    while True:
        seen = page.evaluate("window.page ? [page.updates, page.ticks.length ? page.ticks.at(-1)[0] : 0] : [0, 0]")
        print(*seen, flush=True)
        time.sleep(0.5)
"""

    def __init__(self, arguments: Sequence[str]) -> None:
        self.updates, self.shown_s = 0, 0.0
        command = [sys.executable, "-c", self.PROGRAM, str(CHROMIUM), *ARGUMENTS, *arguments]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            start_new_session=True,
        )  # fmt: skip
        assert self._process.stdout is not None
        if self._process.stdout.readline() != "started\n":
            raise SystemExit("Chromium did not start; install it, and playwright")
        time.sleep(SETTLED_S)

    def open(self, link: str) -> None:
        """Open the page."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{link}\n")
        self._process.stdin.flush()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            updates, shown_s = line.split()
            self.updates, self.shown_s = int(updates), float(shown_s)

    def close(self) -> None:
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
def running(robot: str, seconds: float, in_process: bool, priority: int | None, out: Path, view: bool):
    """A run, and its lines on standard error."""
    command = [sys.executable, "-m", "liquid_spike_control", "run", robot, "--seed", "5", "--duration", str(seconds),
               "--json", str(out)]  # fmt: skip
    command += ["--priority", str(priority)] if priority is not None else []
    command += [*(["--in-process"] if in_process else []), *(["--view"] if view else [])]
    if in_process and not view:
        command = [sys.executable, "-c", PACED, robot, str(seconds), str(out), str(priority or 0)]
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


def run(
    way: str, robot: str, seconds: float, in_process: bool, priority: int | None, arguments: Sequence[str] = ()
) -> dict[str, float]:
    """One run.

    Returns:
        ``missed`` deadlines [%]; ``p50`` and ``p99`` of sensing to command [ms]; ``speed``, simulated over wall time;
        ``updates`` that a page took.
    """
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run.json"
        page = None if way == WITHOUT else Browser(arguments)
        with (
            closing(page) if page is not None else nullcontext(),
            running(robot, seconds, in_process, priority, out, way != WITHOUT) as process,
        ):
            assert process.stderr is not None
            lines: list[str] = []
            if page is not None:
                link = ""
                for line in process.stderr:
                    lines.append(line)
                    if found := re.search(r"view: (http\S+)", line):
                        link = found[1]
                        break
                if not link:
                    raise SystemExit(f"{way}: the run printed no link:\n{''.join(lines)}")
                page.open(link)
            threading.Thread(target=lines.extend, args=(process.stderr,), daemon=True).start()
            if way == KILLED and page is not None:
                end = time.monotonic() + TIMEOUT_S
                half_s = START_S + seconds / 2
                while page.shown_s < half_s and process.poll() is None and time.monotonic() < end:
                    time.sleep(0.1)
                page.close()
            process.wait(seconds + TIMEOUT_S)
        if not out.is_file():
            raise SystemExit(f"{way}: no figures:\n{''.join(lines)}")
        report = json.loads(out.read_text())
    (latencies,) = (value for name, value in report["latencies_us"].items() if name.endswith("sensing to command"))
    missed, (p50, p99) = 100 * report["deadline_misses"] / report["ticks"], latencies
    speed, updates = report["real_time_factor"], page.updates if page else 0
    return {"missed": missed, "p50": p50 / 1e3, "p99": p99 / 1e3, "speed": speed, "updates": updates}


def measure(
    robot: str, seconds: float, rounds: int, in_process: bool, priority: int | None, arguments: Sequence[str]
) -> dict[str, list[dict[str, float]]]:
    """All runs of a robot, a list for each way, and the differences from the run without a page of the same round."""
    found: dict[str, list[dict]] = {way: [] for way in WAYS}
    for number in range(rounds):
        for way in WAYS[number % len(WAYS) :] + WAYS[: number % len(WAYS)]:
            one = run(way, robot, seconds, in_process, priority, arguments)
            found[way].append(one)
            print(
                f"  {way:15} {one['missed']:6.2f} % missed, p50 {one['p50']:6.2f} ms, p99 {one['p99']:6.2f} ms,"
                f" {one['speed']:.2f} x real time, {one['updates']:.0f} updates, load {os.getloadavg()[0]:.1f}",
                flush=True,
            )
    for way in (OPEN, KILLED):
        pairs = zip(found[way], found[WITHOUT], strict=True)
        found[f"{way}, difference"] = [{name: a[name] - b[name] for name in FIGURES} for a, b in pairs if a["updates"]]
    return found


def main() -> None:
    """Print each run, and then median, least and greatest of each way and of the differences."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--robots", default="swing-up,hover,hopper,lane_car")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--in-process", action="store_true")
    parser.add_argument("--priority", type=int, help="real-time priority of the run; default: its own")
    parser.add_argument("--all-by-gl", action="store_true", help="the browser draws all of the page by SwiftShader")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if CHROMIUM is None:
        raise SystemExit("there is no Chromium here; apt install chromium")
    report = {}
    for robot in options.robots.split(","):
        priority = "its own priority" if options.priority is None else f"priority {options.priority}"
        where = f"{'in one process' if options.in_process else 'over ROS 2'} at {priority}"
        cores, load = len(os.sched_getaffinity(0)), os.getloadavg()[0]
        print(f"{robot} {where}, {options.seconds:g} s, {cores} cores; load {load:.1f}")
        arguments = ALL_BY_GL if options.all_by_gl else []
        report[robot] = measure(
            robot, options.seconds, options.rounds, options.in_process, options.priority, arguments
        )
        for way, every in report[robot].items():
            if not every:
                print(f"  {way:26} no page was read in time; give more seconds")
                continue
            columns = {title: [one[name] for one in every] for name, title in FIGURES.items()}
            text = ", ".join(f"{k} {np.median(v):.2f} ({min(v):.2f} to {max(v):.2f})" for k, v in columns.items())
            print(f"  {way:26} {text}", flush=True)
        if options.json is not None:
            options.json.write_text(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
