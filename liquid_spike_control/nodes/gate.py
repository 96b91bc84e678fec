# SPDX-License-Identifier: Apache-2.0
"""The gate node: whatever the controller says, what leaves here is finite, in range and recent, or safe."""

from __future__ import annotations

import time

import numpy as np
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool
from std_srvs.srv import Trigger

from ..assembly import FORCE_RATE, MAX_AGE_NS
from ..checkpoint import read_controller
from ..control.gate import GateLimits, Verdict, admit, initial_state, press, release, watchdog
from ..sim.plant import FORCE_LIMIT
from ..types import Quantities
from . import graph
from .convert import COMMAND_NAMES, from_joint_state, to_joint_state
from .diagnostics import ERROR, WARN
from .process import run
from .stage import Stage

#: How far a command's stamp may run ahead of a /clock message that is still under way [ns].
CLOCK_SLACK_NS = 20_000_000
#: Verdicts that tell of a broken controller.
BROKEN = (Verdict.DROPPED_NONFINITE, Verdict.DROPPED_SHAPE, Verdict.DROPPED_FUTURE)


class GateNode(Stage):
    """Gates /controller/command onto /robot_joint_command; latches /e_stop; ~/reset_e_stop releases it.

    In lock-step a command is as old as the observation that it answers, so the gate's time is the command's
    stamp. In real time it is the node's clock (/clock with ``use_sim_time``), and where commands stop
    altogether the age goes on by the steady clock.
    """

    def __init__(self) -> None:
        super().__init__("gate")
        self._file = self.parameter(
            "controller_model", "", "controller file whose limits count too, if tighter"
        )
        self._names = tuple(self.parameter("names", list(COMMAND_NAMES), "names of the commands"))
        self._lower = self.parameter("lower", [-FORCE_LIMIT], "least command, in the unit of each")
        self._upper = self.parameter("upper", [FORCE_LIMIT], "greatest command, in the unit of each")
        self._rate = self.parameter("rate", [FORCE_RATE], "greatest change per second, in the unit of each")
        self._safe = self.parameter("safe", [0.0], "what goes out when no command stands")
        age_s = MAX_AGE_NS * 1e-9
        self._max_age_s = self.parameter("max_age_s", age_s, "an older command is dropped [s]", 0.001, 1.0)
        self._watchdog_s = self.parameter(
            "watchdog_s", 0.01, "time between two looks at the age [s]", 0.001, 0.1
        )
        self._lockstep = self.mode == "lockstep"

    def configure(self) -> None:
        """Check the limits; nothing is ever without one."""
        lower, upper = np.array(self._lower), np.array(self._upper)
        if self._file:
            tighter = np.array(read_controller(self._file).command_limits)
            lower, upper = np.maximum(lower, -tighter), np.minimum(upper, tighter)
        age_ns = round(self._max_age_s * 1e9)
        self._limits = GateLimits(self._names, lower, upper, self._rate, age_ns, self._safe)
        self._warm()
        self._publisher = self.speak(JointState, graph.GATED_COMMAND)
        self.listen(JointState, graph.COMMAND, self._on_command)
        self.listen(Bool, graph.E_STOP, self._on_e_stop, optional=True)
        self.create_service(Trigger, "~/reset_e_stop", self._on_reset_e_stop)
        self.create_timer(self._watchdog_s, self._look, clock=self._steady)

    def _warm(self) -> None:
        self._state = initial_state(self._limits)
        admit(self._limits, self._state, self._limits.safe, 0, 0)

    def activate(self) -> None:
        """Begin with the safe command standing."""
        self._state = initial_state(self._limits)
        self._stamp_ns = 0
        self._heard = time.monotonic_ns()

    def deactivate(self) -> None:
        """The safe command is the last one sent."""
        self._send(self._stamp_ns, self._limits.safe)

    def _now_ns(self, stamp_ns: int) -> int:
        if self._lockstep:
            return stamp_ns
        now = self.get_clock().now().nanoseconds
        return stamp_ns if 0 < stamp_ns - now <= CLOCK_SLACK_NS else now

    def _on_command(self, message: JointState) -> None:
        command = from_joint_state(message, self._names)
        stamp = command.stamp_ns
        self._state, output, verdict = admit(
            self._limits, self._state, command.values, stamp, self._now_ns(stamp)
        )
        self.diagnostics.count(verdict.name.lower())
        if self._state.stamp_ns == stamp:
            self._heard = time.monotonic_ns()
        elif verdict in (Verdict.STALE, Verdict.DROPPED_ORDER):
            return  # as if it had never come; the watchdog looks after the age
        elif verdict in BROKEN:
            self.diagnostics.complain(
                ERROR, f"command {command.values} {verdict.name.lower()}: safe command sent"
            )
        if verdict != Verdict.DROPPED_FUTURE:
            self._stamp_ns = stamp
        self._send(self._stamp_ns, output)
        self.diagnostics.values["answered_ns"] = stamp

    def _look(self) -> None:
        if not self.active or self._lockstep:
            return
        silent = time.monotonic_ns() - self._heard
        if silent <= self._limits.max_age_ns:
            return
        self._state, output, verdict = watchdog(self._limits, self._state, self._stamp_ns + silent)
        self.diagnostics.count("watchdog")
        self.diagnostics.complain(WARN, f"no command for {silent / 1e6:.0f} ms: {verdict.name.lower()}")
        self._send(self._now_ns(self._stamp_ns), output)

    def _on_e_stop(self, message: Bool) -> None:
        if message.data:
            self._state = press(self._limits, self._state, self._stamp_ns)
            self._send(self._stamp_ns, self._limits.safe)
            self.get_logger().warning("e-stop pressed; release it with the service ~/reset_e_stop")

    def _on_reset_e_stop(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success = self.active and self._state.stopped
        response.message = "released" if response.success else "the e-stop is not pressed"
        if response.success:
            self._state = release(self._state)
        return response

    def _send(self, stamp_ns: int, output: np.ndarray) -> None:
        self._publisher.publish(to_joint_state(Quantities(stamp_ns, self._names, output)))

    def diagnose(self) -> None:
        """Tell of the e-stop."""
        stopped = self.active and self._state.stopped
        self.diagnostics.values["e_stop"] = stopped
        if stopped:
            self.diagnostics.complain(ERROR, "e-stop pressed")


def main() -> None:
    """Run the node."""
    run(GateNode)


if __name__ == "__main__":
    main()
