# SPDX-License-Identifier: Apache-2.0
"""A loop in one process that a person watches, at the pace of the wall clock."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import LiquidSpikeError
from ..events.camera_streams import side_by_side
from ..loop import Decision, Loop
from ..sim.world import Sensing
from .link import OPEN_S, start_view
from .pace import Pace
from .sample import Facts, Order, Sample

#: Between two looks at the orders while the world stands still [s].
_REST_S = 0.02
#: How long the process of a view may take to end [s].
_END_S = 3.0


class AttendedLoop:
    """Shows a loop on a page, and does what is asked for there; a context manager.

    Args:
        loop: the loop; its world's task takes pushes and setpoints.
        seed, duration_s, settings: of the episode.
        perception: another model than the description's.
        port: of the page; any free one if 0.

    Attributes:
        facts: what the page shows of the loop as a whole.
        pace: of the wall clock, which the loop keeps, and the deadlines that it missed.
    """

    def __init__(
        self, loop: Loop, seed: int, duration_s: float | None, settings: Mapping[str, Any],
        perception: Path | None = None, port: int = 0,
    ) -> None:  # fmt: skip
        self._loop, self._robot = loop, loop.world.robot
        self.facts = Facts(seed=seed)
        self._changed, self._steps = True, 0
        self._arguments = ["--robot", str(Path(self._robot.source).resolve()), "--settings", json.dumps(dict(settings)),
                           "--port", str(port)]  # fmt: skip
        self._arguments += [] if duration_s is None else ["--duration", repr(duration_s)]
        self._arguments += [] if perception is None else ["--perception", str(perception)]
        self.pace = Pace(self._robot.period_s)

    def __enter__(self) -> AttendedLoop:
        self._link, self._process = start_view(self._arguments)
        self._link.wait(OPEN_S)  # the page shows the run from its beginning
        return self

    def __exit__(self, *_) -> None:
        self._link.close()
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def show(self, sensing: Sensing, truth: Any, decision: Decision, latency_ns: int) -> None:
        """Send a tick, take orders, and rest until the tick is due; while paused, until it goes on."""
        world = self._loop.world
        sample = Sample(
            sensing.stamp_ns, world.task.pose().tolist(), [*sensing.readings.values.tolist(), *truth.tolist()],
            decision.estimate.values.tolist(), decision.command.tolist(), decision.output.tolist(),
            decision.verdict.name.lower(),
            side_by_side(sensing.events, self._robot.cameras).tobytes() if sensing.events else b"", latency_ns / 1e3,
        )  # fmt: skip
        self._link.send(sample, self.facts if self._changed else None)
        self._changed = False
        self._take_orders()
        while self.facts.paused and not self._steps and not self._link.broken:
            self.pace.begin()
            time.sleep(_REST_S)
            self._take_orders()
        self._steps = max(0, self._steps - 1)
        self.pace.rest(sensing.stamp_ns * 1e-9)
        missed = str(self.pace.missed)
        if self.facts.numbers.get("deadline misses") != missed:
            self.facts.numbers["deadline misses"], self._changed = missed, True

    def end(self, outcome: str) -> None:
        """Send the outcome of the episode, which is over."""
        self.facts.outcome = outcome
        self._link.send(None, self.facts)

    def _take_orders(self) -> None:
        for order in self._link.orders():
            self.facts.numbers.pop("refused", None)
            try:
                self._obey(order)
            except LiquidSpikeError as error:
                self.facts.numbers["refused"] = str(error)
            self._link.send(None, self.facts)

    def _obey(self, order: Order) -> None:
        task = self._loop.world.task
        if order.do in ("pause", "go"):
            self.facts.paused = order.do == "pause"
        elif order.do == "step":
            self._steps += 1
        elif order.do == "push":
            task.push(order.body, order.impulse)
        elif order.do == "setpoint":
            task.give_setpoint(order.name, order.value)
        elif order.do == "stop":
            self._loop.press_e_stop()
            self.facts.stopped = True
        elif order.do == "release":
            self._loop.release_e_stop()
            self.facts.stopped = False
