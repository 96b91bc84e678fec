# SPDX-License-Identifier: Apache-2.0
"""A node of the running graph is lost or poisoned: how long until the robot is safe."""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import JointState

from .. import graph
from ..convert import to_ns
from ..diagnostics import read_status
from ..graph import GraphOptions, NodeSpec, describe
from .commands import poisoned_numbers
from .measurement import Measurement
from .rig import Received, Rig, wait_for
from .saboteur import HANG, POISON

#: How long the safe command is watched for staying.
AFTER_S = 1.0
#: How often each fault is injected, and how often if thorough; each in a graph of its own.
TRIALS, THOROUGH = 1, 10
GENTLE = GraphOptions(mode="realtime", settings={"push": 0.0}, duration_s=600.0)


@dataclass(frozen=True)
class Sabotaged(NodeSpec):
    """A node whose program is the saboteur."""

    @property
    def module(self) -> str:
        """Module for ``python -m``."""
        return f"{__package__}.saboteur"


def sabotaged(options: GraphOptions) -> tuple[NodeSpec, ...]:
    """The graph with the saboteur as its controller."""
    specs = describe(options)
    return tuple(Sabotaged(spec.name, spec.parameters) if spec.name == "controller" else spec for spec in specs)


class Robot:
    """The graph at work: what the gate sends, and what the nodes report.

    Times are the robot's: a simulation that a busy machine slows down gives the robot less time to fall, too.
    """

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.commands = rig.observer.subscribe(JointState, graph.GATED_COMMAND)
        self.clock = rig.observer.subscribe(Clock, graph.CLOCK)
        self.diagnostics = rig.observer.subscribe(DiagnosticArray, graph.DIAGNOSTICS)
        wait_for(lambda: len(self.commands) > 40 and force(self.commands[-1]) != 0, 20, "commands of the gate")

    def safe_after_ms(self, injected_ns: int) -> float:
        """From the fault to the safe command that stays [ms]; NaN if none came."""
        time.sleep(AFTER_S)
        moving = [received.arrived_ns for received in self.commands if force(received) != 0]
        safe = [h.arrived_ns for h in self.commands if force(h) == 0 and h.arrived_ns > max(moving[-1], injected_ns)]
        return self.elapsed_ms(injected_ns, safe[0]) if safe else np.nan

    def elapsed_ms(self, began_ns: float, ended_ns: float) -> float:
        """Return the time on the robot's clock between two times, interpolated between its messages [ms]."""
        ticks = list(self.clock)
        arrived, stamps = [tick.arrived_ns for tick in ticks], [to_ns(tick.message.clock) for tick in ticks]
        first = ticks[0].arrived_ns  # float64 does not hold nanoseconds since 1970
        began, ended = np.interp([began_ns - first, ended_ns - first], np.subtract(arrived, first), stamps)
        return float(ended - began) / 1e6

    def complaint_after_ms(self, injected_ns: int, node: str, level: int, text: str, timeout_s: float = 3.0) -> float:
        """From the fault to a node's complaint [ms]; NaN if none came."""

        def complaint() -> Received | None:
            for report in list(self.diagnostics):
                status = read_status(report.message).get(node, {})
                if report.arrived_ns > injected_ns and status.get("level") == str(level) and text in status["message"]:
                    return report
            return None

        deadline = time.monotonic() + timeout_s
        while (found := complaint()) is None and time.monotonic() < deadline:
            time.sleep(0.005)
        return np.nan if found is None else self.elapsed_ms(injected_ns, found.arrived_ns)


def force(received: Received) -> float:
    """The cart force of a command [N]."""
    return float(received.message.effort[0])


def controller_killed(thorough: bool = False) -> list[Measurement]:
    """SIGKILL the controller: the gate sends the safe command."""
    times = []
    for _ in range(THOROUGH if thorough else TRIALS):
        with Rig(describe(GENTLE)) as rig:
            robot = Robot(rig)
            times.append(robot.safe_after_ms(rig.send("controller", signal.SIGKILL)))
    return [Measurement("SIGKILL", "safe command", worst(times), 50, f"ms, of {len(times)}")]


def controller_hung(thorough: bool = False) -> list[Measurement]:
    """The controller's callback spins, its process and its liveliness go on; and SIGSTOP."""
    spinning, stopped = [], []
    for _ in range(THOROUGH if thorough else TRIALS):
        with Rig(sabotaged(GENTLE)) as rig:
            robot = Robot(rig)
            spinning.append(robot.safe_after_ms(rig.send("controller", HANG)))
            assert rig.ended("controller") is None
        with Rig(describe(GENTLE)) as rig:
            robot = Robot(rig)
            stopped.append(robot.safe_after_ms(rig.send("controller", signal.SIGSTOP)))
    return [
        Measurement("callback spins", "safe command", worst(spinning), 50, f"ms, of {len(spinning)}"),
        Measurement("SIGSTOP", "safe command", worst(stopped), 50, f"ms, of {len(stopped)}"),
    ]


def gate_killed(thorough: bool = False) -> list[Measurement]:
    """SIGKILL the gate: the plant stops by its own timeout."""
    times = []
    for _ in range(THOROUGH if thorough else TRIALS):
        with Rig(describe(GENTLE)) as rig:
            robot = Robot(rig)
            killed = rig.send("gate", signal.SIGKILL)
            times.append(robot.complaint_after_ms(killed, "simulator", 2, "the robot gets its safe one"))
    return [Measurement("SIGKILL", "the plant stops by itself", worst(times), 100, f"ms, of {len(times)}")]


def worst(times: list[float]) -> float:
    """The longest; NaN where one is."""
    return float(np.max(times))


def poisoned_state(thorough: bool = False) -> list[Measurement]:
    """NaN in each number of the hidden state, and in that of the running node: state reset, the gate's safe command,
    and a diagnostic ERROR.
    """
    safe, reported, again = [], [], []
    for _ in range(THOROUGH if thorough else TRIALS):
        with Rig(sabotaged(GENTLE)) as rig:
            robot = Robot(rig)
            poisoned = rig.send("controller", POISON)
            reported.append(robot.complaint_after_ms(poisoned, "controller", 2, "not finite"))
            time.sleep(AFTER_S)
            after = [h for h in robot.commands if h.arrived_ns > poisoned]
            first = next((h.arrived_ns for h in after if force(h) == 0), np.inf)
            back = [h.arrived_ns for h in after if h.arrived_ns > first and force(h) != 0]
            safe.append(robot.elapsed_ms(poisoned, first) if first < np.inf else np.nan)
            again.append(robot.elapsed_ms(first, back[0]) if back else np.nan)
    return [
        *poisoned_numbers(),
        Measurement("NaN in the running node", "safe command", worst(safe), 10, f"ms, of {len(safe)}"),
        Measurement("NaN in the running node", "diagnostic ERROR", worst(reported), 10, f"ms, of {len(reported)}"),
        Measurement("NaN in the running node", "commands again", worst(again), 10, f"ms, of {len(again)}"),
    ]
