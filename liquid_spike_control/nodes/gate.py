# SPDX-License-Identifier: Apache-2.0
"""The gate node: for any input of the controller, its output is finite, in range and recent, or the safe command."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from rclpy.duration import Duration
from rclpy.parameter import Parameter
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool
from std_srvs.srv import Trigger

from ..checkpoint import check_commands
from ..control.files import read_controller_file
from ..control.gate import GateLimits, Verdict, admit, initial_state, press, release, stages, watchdog
from ..errors import GraphError
from ..joints import by_topic
from . import graph
from .convert import from_joint_state
from .diagnostics import ERROR, WARN
from .graph_node import GraphNode
from .interfaces import JOINT_STATE, Interfaces
from .process import run

#: How far a command's stamp may run ahead of a /clock message that is still under way [ns].
CLOCK_SLACK_NS = 20_000_000
#: How long the last message waits to be acknowledged, where the topic is reliable [ns].
ACKNOWLEDGE_NS = 100_000_000
#: Verdicts that indicate a broken controller.
BROKEN = (Verdict.DROPPED_NONFINITE, Verdict.DROPPED_SHAPE, Verdict.DROPPED_FUTURE)


class GateNode(GraphNode):
    """Gates /controller/command onto the robot's own command topic; latches /e_stop; ~/reset_e_stop releases it.

    Limits have no default: a gate without them refuses to configure. In lock-step a command is as old as the
    observation that it answers, so the gate's time is the command's stamp. In real time it is the node's clock,
    and where commands stop altogether the age goes on by the steady clock; with ``use_sim_time`` it is /clock for
    both, so that a simulation that runs slower than the wall clock does not make commands old.
    """

    def __init__(self) -> None:
        super().__init__("gate")
        texts, numbers = Parameter.Type.STRING_ARRAY, Parameter.Type.DOUBLE_ARRAY
        self._file = self.parameter(
            "controller_model", "", "controller file: its commands must be these, its limits count too, if tighter"
        )
        self._names = self.parameter("command_names", texts, "names of the commands, as the controller file has them")
        self._units = self.parameter("command_units", texts, "unit of each command, as the controller file has it")
        self._lower = self.parameter("lower", numbers, "least command, in the unit of each")
        self._upper = self.parameter("upper", numbers, "greatest command, in the unit of each")
        self._rate = self.parameter("rate", numbers, "greatest change per second, in the unit of each")
        self._safe = self.parameter("safe", numbers, "what goes out when no command stands, in the unit of each")
        self._safe_after_s = self.parameter(
            "safe_after_s", numbers, "times since the safe command set in at which others take its place [s]"
        )
        self._safe_then = self.parameter("safe_then", numbers, "these, stage after stage, in the unit of each command")
        self._max_age_s = self.parameter(
            "max_age_s", Parameter.Type.DOUBLE, "an older command is dropped [s]", 0.001, 1.0
        )
        self._watchdog_s = self.parameter("watchdog_s", 0.01, "time between two looks at the age [s]", 0.001, 0.1)
        gated = graph.relative(graph.GATED_COMMAND)
        self._topic = self.parameter("command_topic", gated, "where the robot takes its commands")
        self._type = self.parameter("command_type", JOINT_STATE, "type of the robot's command messages")
        self._frame = self.parameter("command_frame_id", "", "frame_id of those messages, where they are stamped")
        self._interfaces = self.parameter(
            "command_interfaces", texts, "joint/field of each command, or the path to a number of another message"
        )
        self._constants = self.parameter(
            "command_constants", texts, "numbers of each command's message that are no quantity, such as type_mask=128"
        )
        self._robot_topics = self.parameter(
            "robot_topics", texts, "topic of each, where the robot has several"
        )
        self._robot_types = self.parameter("robot_types", texts, "type of each, where the robot has several topics")
        self._robot_interfaces = self.parameter(
            "robot_interfaces", texts, "as command_interfaces, where the robot has several topics"
        )
        self._lockstep = self.mode == "lockstep"
        self._sim_time = bool(self.get_parameter("use_sim_time").value)
        self._pressed = False  # of the node, not of an activation: no transition releases the e-stop

    def configure(self) -> None:
        """Check the limits; nothing is ever without one."""
        self.demand("command_names", "command_units", "lower", "upper", "rate", "safe", "max_age_s")
        self._names = tuple(self._names)
        constants = self._constants or [""] * len(self._names)
        if len(constants) != len(self._names):
            remedy = f"give one text for each of {', '.join(self._names)}"
            raise GraphError(f"parameter command_constants: {list(constants)}; {remedy}")
        whole_constants = () if self._robot_topics else constants  # the robot's own messages have them
        robot = Interfaces(self._type, self._names, self._interfaces or (), "command", whole_constants)
        lower, upper = np.array(self._lower), np.array(self._upper)
        age_ns = round(self._max_age_s * 1e9)
        then = stages(self._safe_after_s or (), self._safe_then or (), len(self._names))
        limits = GateLimits(self._names, lower, upper, self._rate, age_ns, self._safe, then)
        if self._file:
            file = read_controller_file(self._file)
            check_commands(file, self._names, self._units)
            tighter = np.array(file.command_limits)
            lower, upper = np.maximum(lower, -tighter), np.minimum(upper, tighter)
            limits = GateLimits(self._names, lower, upper, self._rate, age_ns, self._safe, then)
        parts = self._parts(constants)
        self._limits = limits
        self._warm()
        whole = self.add_publisher(robot.message_type, self._topic, to_robot=not parts, subscribers=("simulator",))
        self._outputs: list[tuple[Any, Interfaces, slice | list[int]]] = [(whole, robot, slice(None))]
        for topic, part, mine in parts:
            self._outputs.append((self.add_publisher(part.message_type, topic, to_robot=True), part, mine))
        self.add_subscription(JointState, graph.relative(graph.COMMAND), self._on_command)
        self.add_subscription(Bool, graph.relative(graph.E_STOP), self._on_e_stop, optional=True, always=True)
        self.create_service(Trigger, "~/reset_e_stop", self._on_reset_e_stop)
        self.create_timer(self._watchdog_s, self._look, clock=self._steady)

    def _parts(self, constants: Sequence[str]) -> list[tuple[str, Interfaces, list[int]]]:
        """The robot's topics, if there are several: name, how commands are written, and which."""
        topics, types, interfaces = (
            given or [] for given in (self._robot_topics, self._robot_types, self._robot_interfaces)
        )
        for name, given in (("topics", topics), ("types", types), ("interfaces", interfaces)):
            if len(given) != (len(self._names) if topics else 0):
                raise GraphError(
                    f"parameter robot_{name}: {list(given)}; give one for each of {', '.join(self._names)}"
                )
        parts = []
        for (topic, kind), mine in by_topic(topics, types).items():
            named, places, numbers = ([part[i] for i in mine] for part in (self._names, interfaces, constants))
            parts.append((topic, Interfaces(kind, named, places, "robot", numbers), mine))
        return parts

    def _warm(self) -> None:
        self._state = initial_state(self._limits)
        admit(self._limits, self._state, self._limits.safe, 0, 0)

    def activate(self) -> None:
        """Begin with the safe command standing, and the e-stop as it was."""
        self._stamp_ns = 0
        self._state = initial_state(self._limits)
        if self._pressed:
            self._state = press(self._limits, self._state, self._stamp_ns)
        self._last_command_ns = self._pacing_ns()

    def deactivate(self) -> None:
        """The safe command is the last one sent, and waits for the robot to have it."""
        self._send(self._stamp_ns, press(self._limits, self._state, self._stamp_ns).output)
        for publisher, *_ in self._outputs:
            publisher.wait_for_all_acked(Duration(nanoseconds=ACKNOWLEDGE_NS))

    def _now_ns(self, stamp_ns: int) -> int:
        if self._lockstep:
            return stamp_ns
        now = self.get_clock().now().nanoseconds
        return stamp_ns if 0 < stamp_ns - now <= CLOCK_SLACK_NS else now

    def _pacing_ns(self) -> int:
        """Return the time that commands age by: /clock if there is one, else the steady clock, which is never set."""
        return self.get_clock().now().nanoseconds if self._sim_time else time.monotonic_ns()

    def _on_command(self, message: JointState) -> None:
        command = from_joint_state(message, self._names)
        stamp = command.stamp_ns
        self._state, output, verdict = admit(
            self._limits, self._state, command.values, stamp, self._now_ns(stamp)
        )
        self.diagnostics.count(verdict.name.lower())
        if self._state.stamp_ns == stamp:
            self._last_command_ns = self._pacing_ns()
        elif verdict in (Verdict.STALE, Verdict.DROPPED_ORDER):
            return  # as if it had never come; the watchdog looks after the age
        elif verdict in BROKEN:
            self.diagnostics.complain(
                ERROR, f"command {command.values} {verdict.name.lower()}: safe command sent"
            )
        if verdict != Verdict.DROPPED_FUTURE:
            self._stamp_ns = stamp
        self._send(self._stamp_ns, output)
        self.answered(stamp)

    def _look(self) -> None:
        if not self.active or self._lockstep:
            return
        now = self._pacing_ns()
        if not self._last_command_ns:
            self._last_command_ns = now  # /clock has only begun: no command could come before
        silent = now - self._last_command_ns
        if silent <= self._limits.max_age_ns:
            return
        self._state, output, verdict = watchdog(self._limits, self._state, self._stamp_ns + silent)
        self.diagnostics.count("watchdog")
        self.diagnostics.complain(WARN, f"no command for {silent / 1e6:.0f} ms: {verdict.name.lower()}")
        self._send(self._now_ns(self._stamp_ns), output)

    def _on_e_stop(self, message: Bool) -> None:
        if message.data:
            self._pressed = True
            if self.active:
                self._state = press(self._limits, self._state, self._stamp_ns)
                self._send(self._stamp_ns, self._state.output)
            self.get_logger().warning("e-stop pressed; release it with the service ~/reset_e_stop")

    def _on_reset_e_stop(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success = self.active and self._pressed
        response.message = "released" if response.success else "the e-stop is not pressed, or the gate is not active"
        if response.success:
            self._pressed = False
            self._state = release(self._state)
        return response

    def _send(self, stamp_ns: int, output: np.ndarray) -> None:
        for publisher, interfaces, mine in self._outputs:
            message = interfaces.write(stamp_ns, output[mine])
            if self._frame and hasattr(message, "header"):
                message.header.frame_id = self._frame
            publisher.publish(message)

    def diagnose(self) -> None:
        """Report the e-stop."""
        self.diagnostics.values["e_stop_pressed"] = self._pressed  # "e_stop" counts the commands that it stopped
        if self.active and self._sim_time and not self._lockstep and not self._pacing_ns():
            self.diagnostics.complain(ERROR, "use_sim_time is true, but /clock has no messages; safe command sent")
        if self._pressed:
            self.diagnostics.complain(ERROR, "e-stop pressed")


def main() -> None:
    """Run the node."""
    run(GateNode)


if __name__ == "__main__":
    main()
