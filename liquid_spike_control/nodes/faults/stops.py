# SPDX-License-Identifier: Apache-2.0
"""The gate is stopped, by a shutdown or by the e-stop, while commands keep coming."""

from __future__ import annotations

import signal
import threading
import time
from contextlib import ExitStack
from typing import Self

import numpy as np
from lifecycle_msgs.msg import Transition
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool
from std_srvs.srv import Trigger

from ...resources import shipped_model
from ...types import Quantities
from .. import graph
from ..convert import to_joint_state
from ..graph import NodeSpec
from .lost_nodes import force, worst
from .measurement import Measurement
from .rig import Rig, wait_for

PERIOD_S = 0.005
#: The command that the driven gate is given [N].
FORCE = 4.0
HOWS = ("deactivate", signal.SIGINT, signal.SIGTERM)


class DrivenGate:
    """A gate's process on the system's clock, and a thread that sends it a command each period; a context manager."""

    def __enter__(self) -> Self:
        self._closing = ExitStack()
        parameters = {"mode": "realtime", "use_sim_time": False,
                      "controller_model": str(shipped_model("pencil/controller.safetensors"))}  # fmt: skip
        try:
            self.rig = self._closing.enter_context(Rig((NodeSpec("gate", parameters),), up=False))
            node = self.rig.observer.node
            self._commands = node.create_publisher(JointState, graph.COMMAND, 10)
            self.e_stop = node.create_publisher(Bool, graph.E_STOP, 10)
            self.received = self.rig.observer.subscribe(JointState, graph.GATED_COMMAND)
            self.rig.bring_up()
            self._driving = True
            self._thread = threading.Thread(target=self._drive, daemon=True)
            self._thread.start()
            self._closing.callback(self._stop)
            self.wait_moving()
        except BaseException:
            self._closing.close()
            raise
        return self

    def _drive(self) -> None:
        due = time.monotonic()
        while self._driving:
            message = to_joint_state(Quantities(time.time_ns(), ("cart_force",), np.array([FORCE])))
            self._commands.publish(message)
            due = max(due + PERIOD_S, time.monotonic())
            time.sleep(max(0.0, due - time.monotonic()))

    def _stop(self) -> None:
        self._driving = False
        self._thread.join(5)

    def __exit__(self, *_) -> None:
        self._closing.close()

    def wait_moving(self) -> None:
        """Until the command passes the gate."""
        n = len(self.received)
        wait_for(lambda: [h for h in self.received[n:] if force(h) == FORCE], 20, "commands of the gate")

    def moved(self, since_ns: int) -> bool:
        """Whether a command that is not the safe one was sent since."""
        return any(h.arrived_ns > since_ns and force(h) != 0 for h in list(self.received))


def shutdown_safe(thorough: bool = False) -> list[Measurement]:
    """SIGINT, SIGTERM and deactivate in turn, 50 if thorough or 6: the last message sent is the safe command."""
    n = 50 if thorough else 6
    times, unsafe = [], 0
    with DrivenGate() as gate:
        for k in range(n):
            how = HOWS[k % len(HOWS)]
            began = time.time_ns()
            if isinstance(how, signal.Signals):
                gate.rig.send("gate", how)
                wait_for(lambda: gate.rig.ended("gate") is not None, 10, "end of the gate")
            else:
                gate.rig.observer.change("gate", Transition.TRANSITION_DEACTIVATE)
            time.sleep(0.25)
            last = gate.received[-1]
            unsafe += force(last) != 0 or last.arrived_ns < began
            times.append((last.arrived_ns - began) / 1e6)
            if k == n - 1:
                break
            if isinstance(how, signal.Signals):
                gate.rig.restart("gate")
            else:
                gate.rig.observer.change("gate", Transition.TRANSITION_ACTIVATE)
            gate.wait_moving()
    injected = "SIGINT, SIGTERM, deactivate in turn"
    return [
        Measurement(injected, "the last message is the safe command", unsafe, 0, f"of {n} not"),
        Measurement(injected, "sent within", worst(times), 200, f"ms, of {n}"),
    ]


def estop(thorough: bool = False) -> list[Measurement]:
    """Press, then try to restart by commands, by the topic and by every transition: only the reset releases it."""
    n = 20 if thorough else 5
    times, escaped, deaf = [], 0, 0
    with DrivenGate() as gate:
        change = gate.rig.observer.change
        for k in range(n):
            pressed = time.time_ns()
            gate.e_stop.publish(Bool(data=True))
            time.sleep(0.1)
            moving = [h.arrived_ns for h in gate.received if force(h) != 0]
            safe = [h.arrived_ns for h in gate.received if force(h) == 0 and h.arrived_ns > max(pressed, moving[-1])]
            times.append((safe[0] - pressed) / 1e6 if safe else np.nan)
            since = time.time_ns()
            gate.e_stop.publish(Bool(data=False))
            if k == 0:
                for transition in (Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_CLEANUP,
                                   Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE):  # fmt: skip
                    change("gate", transition)
            time.sleep(0.1)
            escaped += gate.moved(since)
            deaf += not gate.rig.observer.call(Trigger, "/gate/reset_e_stop", Trigger.Request()).success
            gate.wait_moving()
        change("gate", Transition.TRANSITION_DEACTIVATE)
        gate.e_stop.publish(Bool(data=True))
        time.sleep(0.2)
        since = time.time_ns()
        change("gate", Transition.TRANSITION_ACTIVATE)
        time.sleep(0.2)
        escaped += gate.moved(since)
    return [
        Measurement("/e_stop", "safe command", worst(times), 20, f"ms, of {n}"),
        Measurement("/e_stop, then restarts", "stays safe", escaped, 0, f"of {n + 1} not"),
        Measurement("~/reset_e_stop", "released", deaf, 0, f"of {n} not"),
    ]
