# SPDX-License-Identifier: Apache-2.0
"""Plays a recorded run on a screen: at any speed, from any time of it, tick by tick."""

from __future__ import annotations

import queue
import time
from collections import Counter
from typing import Protocol

import msgspec
import numpy as np

from .sample import Facts, Order, Sample
from .screen import Screen

#: Orders of a page about a recording.
ORDERS = ("pause", "go", "step", "seek", "speed", "watch", "unwatch")
#: So much of the run before the place that is looked up is shown with it, as long as the page's charts [s].
LEAD_S = 5.0
#: Least and greatest speed.
SPEEDS = (0.01, 100.0)
#: Where playing is slower than it should be, the run is shown later: no look adds more of the wall clock than this [s].
_CATCH_UP_S = 0.1


class Run(Protocol):
    """What a player needs to know of a run."""

    stamps: np.ndarray
    screen: Screen

    def sample(self, number: int) -> Sample:
        """The tick of a number."""

    def facts(self, stamp_ns: int) -> Facts:
        """What was known of the whole at a stamp."""

    def verdicts(self, number: int) -> Counter[str]:
        """How often the gate did what, before the tick of a number."""


class Player:
    """Adds the ticks of a run to its screen as time passes; starts at the beginning, when the first page is opened.

    Args:
        run: what is played.

    Attributes:
        playing: whether time passes.
        speed: seconds of the run in one of the wall clock.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._orders: queue.SimpleQueue[Order] = queue.SimpleQueue()
        self._at_ns = float(run.stamps[0])
        self._next = 0
        self.playing, self.speed = True, 1.0
        self._pages = 0
        self._update_facts()

    def give(self, order: Order) -> None:
        """Keep an order for the thread that plays; for other threads.

        Raises:
            ValueError: a speed is out of :data:`SPEEDS`.
        """
        if order.do == "speed" and not SPEEDS[0] <= order.value <= SPEEDS[1]:
            raise ValueError(f"speed: {order.value:g}; give {SPEEDS[0]:g} to {SPEEDS[1]:g}")
        self._orders.put(order)

    def play(self, passed_s: float, pages: int = 0) -> None:
        """Do what was asked for, and let time pass.

        Args:
            passed_s: of the wall clock, since the last call.
            pages: how many were opened so far; a new one is shown what is there while the run stands still.
        """
        wanted = None
        while not self._orders.empty():
            order = self._orders.get()
            if order.do == "seek":
                wanted = order.value
            else:
                self._obey(order)
        if wanted is not None:
            self._seek(self._run.stamps[0] + round(wanted * 1e9))
        elif pages > self._pages and not self.playing:
            self._seek(self._at_ns)
        self._pages = pages
        if self.playing and pages:
            self._at_ns += min(passed_s, _CATCH_UP_S) * self.speed * 1e9
            self._show()
        self._update_facts()

    def _obey(self, order: Order) -> None:
        if order.do == "speed":
            self.speed = order.value
        elif order.do == "step":
            self.playing = False
            if self._next < len(self._run.stamps):
                self._at_ns = float(self._run.stamps[self._next])
                self._show()
        else:
            self.playing = order.do == "go"
            if self.playing and self._next == len(self._run.stamps):
                self._seek(self._run.stamps[0])

    def _seek(self, stamp_ns: float) -> None:
        """Show the run as it was at a stamp, with the time that led to it."""
        stamps = self._run.stamps
        self._at_ns = float(np.clip(stamp_ns, stamps[0], stamps[-1]))
        first = int(np.searchsorted(stamps, self._at_ns - LEAD_S * 1e9))
        self._next = int(np.searchsorted(stamps, self._at_ns, "right"))
        samples = [self._run.sample(number) for number in range(first, self._next)]
        self._run.screen.jump(samples, self._run.verdicts(first))

    def _show(self) -> None:
        """Add the ticks up to the time that is shown."""
        stamps = self._run.stamps
        last = int(np.searchsorted(stamps, self._at_ns, "right"))
        for number in range(self._next, last):
            self._run.screen.add(self._run.sample(number))
        self._next = last
        if last == len(stamps):
            self._at_ns = float(stamps[-1])
            self.playing = False

    def _update_facts(self) -> None:
        stamps = self._run.stamps
        facts = self._run.facts(int(stamps[max(self._next - 1, 0)]))
        ended = self._next == len(stamps)
        self._run.screen.facts = msgspec.structs.replace(
            facts, paused=not self.playing, speed=self.speed,
            outcome=f"end of the recording{f': {facts.outcome}' if facts.outcome else ''}" if ended else "",
        )  # fmt: skip


def play(player: Player, period_s: float, pages: object) -> None:
    """Play until Ctrl-C.

    Args:
        player: of the run.
        period_s: between two looks at the clock [s].
        pages: has ``opened_pages``, how many were opened.
    """
    before = time.monotonic()
    while True:
        time.sleep(period_s)
        now = time.monotonic()
        player.play(now - before, pages.opened_pages)  # type: ignore[attr-defined]
        before = now
