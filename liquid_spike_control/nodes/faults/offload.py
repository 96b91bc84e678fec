# SPDX-License-Identifier: Apache-2.0
"""The offload node is killed, freezes, or answers late: the declared fallback, and the worker's return."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from event_camera_msgs.msg import EventPacket
from rclpy.executors import Executor
from std_srvs.srv import Trigger

from .. import graph
from ..graph import describe
from ..neuromorphic import NeuromorphicNode
from ..process import run
from .camera import StandIn, nodes
from .lost_nodes import GENTLE, Robot, Sabotaged, force, worst
from .measurement import Measurement
from .rig import Observer, Rig, wait_for

#: Delay of the answers of :class:`Late` once it is switched on [s].
LATE_S = 0.05


class Late(NeuromorphicNode):
    """The offload node, whose answers are 50 ms late from SIGUSR1 on."""

    def __init__(self) -> None:
        super().__init__()
        self._late_s = 0.0
        self._held: deque[tuple[float, EventPacket]] = deque()
        signal.signal(signal.SIGUSR1, self._on_signal)

    def _on_signal(self, _number: int, _frame) -> None:
        self._late_s = LATE_S

    def _on_spikes(self, message: EventPacket) -> None:
        if self._late_s:
            self._held.append((time.monotonic() + self._late_s, message))
        else:
            super()._on_spikes(message)

    def work(self, executor: Executor) -> None:
        """One turn, and what is due."""
        executor.spin_once(timeout_sec=0.002 if self._held else 0.1)
        while self._held and self._held[0][0] <= time.monotonic():
            super()._on_spikes(self._held.popleft()[1])


def offload_lost(thorough: bool = False) -> list[Measurement]:
    """SIGKILL, SIGSTOP and 50 ms of delay: the perception reports it, the gate sends the safe command, and the
    supervisor brings the worker back.
    """
    n = 5 if thorough else 1
    found = []
    for injected, number in (("SIGKILL", signal.SIGKILL), ("SIGSTOP", signal.SIGSTOP)):
        safe, reported = [], []
        for _ in range(n):
            with Rig(describe(GENTLE)) as rig:
                robot = Robot(rig)
                began = rig.send("neuromorphic", number)
                safe.append(robot.safe_after_ms(began))
                reported.append(robot.complaint_after_ms(began, "perception", 2, "offload node does not answer"))
        found += _fallback(injected, safe, reported)
    late = [_late_ms() for _ in range(n)]
    found += _fallback("answers 50 ms late", [safe for safe, _ in late], [reported for _, reported in late])
    for injected, number in (("SIGKILL", signal.SIGKILL), ("SIGSTOP", signal.SIGSTOP)):
        back = [_back_after_s(number) for _ in range(n)]
        found.append(Measurement(injected, "the worker answers again", worst(back), 5, f"s, of {n}"))
    return found


def _fallback(injected: str, safe: list[float], reported: list[float]) -> list[Measurement]:
    return [
        Measurement(injected, "declared fallback: safe command", worst(safe), 100, f"ms, of {len(safe)}"),
        Measurement(injected, "diagnostic ERROR", worst(reported), 100, f"ms, of {len(reported)}"),
    ]


def _late_ms() -> tuple[float, float]:
    """From the begin of the delay to the last command that was not safe, and to the ERROR [ms]. On the system's clock:
    simulated time stands still with a simulator that is late itself, and commands do not age in it.
    """
    specs = nodes("perception", "neuromorphic", "controller", "gate")
    late = tuple(LateSpec(s.name, s.parameters) if s.name == "neuromorphic" else s for s in specs)
    with StandIn(late) as robot:
        robot.run()
        wait_for(lambda: robot.commands and force(robot.commands[-1]) != 0, 20, "commands of the gate")
        time.sleep(0.2)
        began = robot.rig.send("neuromorphic", signal.SIGUSR1)
        time.sleep(0.5)
        robot.halt()
        moving = [h.arrived_ns for h in robot.commands if force(h) != 0]
        safe = [h.arrived_ns for h in robot.commands if h.arrived_ns > max(began, moving[-1])]
        reported = [h.arrived_ns for h, level, text in robot.complaints(began) if "does not answer" in text]
        return (safe[0] - began) / 1e6 if safe else np.nan, (reported[0] - began) / 1e6 if reported else np.nan


class LateSpec(Sabotaged):
    """The offload node whose program is this module."""

    @property
    def module(self) -> str:
        """Module for ``python -m``."""
        return __spec__.name


def _back_after_s(number: signal.Signals) -> float:
    """From the loss of the worker to its next answer, under the supervisor [s]; NaN if none came in 20 s."""
    with _attended() as supervisor, Observer() as observer:
        answers = observer.subscribe(EventPacket, graph.SPIKES_OUT)
        wait_for(lambda: len(answers) > 40, 60, "the graph")
        (worker,) = (pid for pid in _children(supervisor) if b"nodes.neuromorphic" in _command_line(pid))
        began = time.time_ns()
        os.kill(worker, number)
        time.sleep(0.1)
        n = len(answers)
        deadline = time.monotonic() + 20
        while len(answers) == n and time.monotonic() < deadline:
            observer.call(Trigger, "/simulator/reset_world", Trigger.Request())  # the pole falls meanwhile
            for _ in range(50 * (len(answers) == n)):
                time.sleep(0.005)
        return (answers[n].arrived_ns - began) / 1e9 if len(answers) > n else np.nan


@contextmanager
def _attended() -> Iterator[int]:
    """The graph under its supervisor; its pid."""
    module = f"{__package__}.attended"
    with subprocess.Popen([sys.executable, "-m", module], stderr=subprocess.DEVNULL) as process:
        try:
            yield process.pid
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _command_line(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


if __name__ == "__main__":
    run(Late)
