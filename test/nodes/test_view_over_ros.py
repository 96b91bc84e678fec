# SPDX-License-Identifier: Apache-2.0
"""``run --view`` and ``view`` on a graph in real processes: the page's data, and orders that reach the nodes."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest
from processes import alive, children_of, wait_for

from liquid_spike_control.nodes import page as nodes_page

#: It goes on whatever is done to it.
EPISODE = ("half-cheetah", "--seed", "5", "--duration", "120")


@contextmanager
def started(log: Path, *arguments: str):
    """A command, and what it has said so far."""
    with log.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "liquid_spike_control", *arguments], stdout=out, stderr=subprocess.STDOUT,
            env=os.environ | {"PYTHONUNBUFFERED": "1"}, start_new_session=True,
        )  # fmt: skip
    try:
        yield process, log.read_text
    finally:
        children = children_of(process.pid) if process.poll() is None else []
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        process.wait(20)
        wait_for(lambda: not any(map(alive, children)), 5, "children")


def link_of(text) -> str:
    return wait_for(lambda: re.search(r"view: (http\S+)", text()), 100, "the link")[1]


class Page:
    def __init__(self, link: str) -> None:
        self._link = link
        self._stream = urllib.request.urlopen(link.replace("/?", "/updates?"), timeout=30)

    def until(self, holds, timeout: float = 30.0):
        end, told = time.monotonic() + timeout, None
        while time.monotonic() < end:
            line = self._stream.readline()
            if line.startswith(b"data: ") and holds(told := json.loads(line[6:])):
                return told
        raise AssertionError(f"it did not come; the last was {str(told)[:2000]}")

    def order(self, **what) -> None:
        request = urllib.request.Request(self._link.replace("/?", "/order?"), json.dumps(what).encode())
        assert urllib.request.urlopen(request, timeout=10).status == 200


@pytest.mark.real_time
@pytest.mark.timeout(240)
def test_a_run_is_shown_pushed_paused_and_stopped(ros_domain, tmp_path):
    with started(tmp_path / "log", "run", *EPISODE, "--view") as (_, text):
        link = link_of(text)
        time.sleep(5)
        page = Page(link)
        assert page.until(lambda t: t["ticks"])["ticks"][0][0] < 1.5, "it began before its page was opened"
        # the first ticks that a page sees may have come before their commands
        told = page.until(lambda t: t["ticks"] and t["ticks"][-1][3] and t.get("places") and t["facts"]["seed"] == 5)
        stamp, truth, _, output, command, _ = told["ticks"][-1]
        assert stamp > 1 and len(truth) == 17 and len(output) == len(command) == 6
        page.order(do="push", body="torso", impulse=[0, 0, 100])
        page.until(lambda t: any(tick[1][9] > 2.5 for tick in t["ticks"]))
        page.order(do="pause")
        page.until(lambda t: t["facts"]["paused"] and not t["ticks"])
        page.order(do="go")
        page.until(lambda t: not t["facts"]["paused"] and t["ticks"])
        page.order(do="stop")
        page.until(lambda t: t["facts"]["stopped"] and t["ticks"] and not any(t["ticks"][-1][3]))
        page.order(do="release")
        page.until(lambda t: not t["facts"]["stopped"])
        assert "accepted" in told["facts"]["numbers"].get("gate's verdicts", "accepted")


@pytest.mark.real_time
@pytest.mark.timeout(240)
@pytest.mark.slow
def test_view_on_a_running_graph_may_be_killed(ros_domain, tmp_path):
    with started(tmp_path / "run", "run", "pencil", "--seed", "5", "--duration", "60") as (run, running):
        wait_for(lambda: running().count("configured in") == 5, 60, "start")
        with started(tmp_path / "view", "view") as (view, text):
            page = Page(link_of(text))
            told = page.until(lambda t: t["ticks"] and t.get("places") and t["n_events"] and any(t["spikes"].values()))
            assert len(told["ticks"][-1][2]) == 2
            os.kill(view.pid, signal.SIGKILL)
            view.wait(5)
        time.sleep(1)
        assert run.poll() is None and "failed" not in running()


@pytest.mark.real_time
@pytest.mark.slow
def test_a_run_that_waits_for_its_page_ends_at_once_with_ctrl_c(ros_domain, tmp_path):
    with started(tmp_path / "log", "run", *EPISODE, "--view") as (run, text):
        link_of(text)
        time.sleep(5)
        run.send_signal(signal.SIGINT)
        assert run.wait(10) == 130 and "after" not in text()


def test_a_page_is_waited_for_until_its_time_is_over_or_it_will_never_come(ros_domain, monkeypatch):
    with nodes_page.Page(["--no-such-option"]) as never:
        wait_for(lambda: never.waited_for, 30, "end of the view's process")
    monkeypatch.setattr(nodes_page, "OPEN_S", 0.3)
    begun = time.monotonic()
    with nodes_page.Page([]) as unopened:
        assert not unopened.waited_for
        wait_for(lambda: unopened.waited_for, 10, "end of the wait")
    assert 0.3 <= time.monotonic() - begun < 10


def test_view_without_a_robot_reports_it(ros_domain):
    done = subprocess.run(
        [sys.executable, "-m", "liquid_spike_control", "view", "--real"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert done.stderr == (
        "liquid-spike: view --real needs the robot: its name, its folder or its yaml file\n"
    )
