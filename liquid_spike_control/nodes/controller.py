# SPDX-License-Identifier: Apache-2.0
"""The controller node: joint state and estimate of one stamp in, the network's command out."""

from __future__ import annotations

from collections import deque
from typing import Any

from rclpy.parameter import Parameter
from sensor_msgs.msg import JointState

from ..checkpoint import check_fits
from ..control.files import controller_of, read_controller_file
from ..loop import observation_for
from ..types import Quantities
from . import graph
from .convert import from_joint_state, to_joint_state
from .diagnostics import ERROR
from .interfaces import JOINT_STATE, Interfaces
from .process import run
from .stage import EPISODE_GAP_NS, Stage


class ControllerNode(Stage):
    """Answers each estimate with a command of the same stamp, as soon as the joint state of that stamp is
    there.
    """

    def __init__(self) -> None:
        super().__init__("controller")
        self._file = self.parameter("controller_model", "", "path of the controller file (.safetensors, or .nir)")
        self._backend = self.parameter(
            "spiking_backend", "loihi", "what runs the network of a spiking controller (.nir): loihi or float",
            choices=("loihi", "float"),
        )  # fmt: skip
        tolerance = self.parameter(
            "tolerance_s", 0.0, "how far a joint state's stamp may be from the estimate's [s]", 0.0, 1.0
        )
        self._period_s = self.parameter("period_s", 0.005, "control period of the robot [s]", 0.0001, 1.0)
        self._tolerance_ns = round(tolerance * 1e9)
        texts = Parameter.Type.STRING_ARRAY
        self._topic = self.parameter("joint_topic", graph.JOINT_STATES, "where the robot tells its own state")
        self._type = self.parameter("joint_type", JOINT_STATE, "type of those messages; any that carries a stamp")
        self._joint_names = self.parameter("joint_names", texts, "quantities read there, as the controller calls them")
        self._joint_units = self.parameter("joint_units", texts, "unit of each")
        self._joint_interfaces = self.parameter(
            "joint_interfaces", texts, "joint/field of each, or the path to a number of another message"
        )
        self._estimate_names = self.parameter("estimate_names", texts, "what the perception tells")
        self._estimate_units = self.parameter("estimate_units", texts, "unit of each")
        self._command_names = self.parameter("command_names", texts, "what the robot takes")
        self._command_units = self.parameter("command_units", texts, "unit of each")

    def configure(self) -> None:
        """Read the file, check that the robot gives what it asks for, warm the kernels."""
        self.demand("joint_names", "joint_units", "joint_interfaces", "estimate_names", "estimate_units")
        self.demand("command_names", "command_units")
        self._joint = Interfaces(self._type, self._joint_names, self._joint_interfaces, "joint")
        file = read_controller_file(self._file)
        check_fits(
            file,
            observation_names=(*self._joint_names, *self._estimate_names),
            observation_units=(*self._joint_units, *self._estimate_units),
            command_names=self._command_names,
            command_units=self._command_units,
            period_s=self._period_s,
        )
        self._controller = controller_of(file, self._backend)
        self._controller.warm()
        self._publisher = self.speak(JointState, graph.COMMAND)
        self.listen(self._joint.message_type, self._topic, self._on_joints, from_robot=True)
        self.listen(JointState, graph.ESTIMATE, self._on_estimate)

    def activate(self) -> None:
        """Begin an episode."""
        self._joints: deque[Quantities] = deque(maxlen=16)
        self._waiting: Quantities | None = None
        self._last_stamp_ns: int | None = None

    def _on_joints(self, message: Any) -> None:
        joints = self._joint.read(message)
        if joints is None:
            self.diagnostics.count("of_other_joints")
            return
        self._joints.append(joints)
        if self._waiting is not None:
            self._decide(self._waiting)

    def _on_estimate(self, message: JointState) -> None:
        if self._waiting is not None:
            self.diagnostics.count("unanswered")
        self._decide(from_joint_state(message, tuple(self._estimate_names)))

    def _decide(self, estimate: Quantities) -> None:
        stamp = estimate.stamp_ns
        joints = min(self._joints, key=lambda joints: abs(joints.stamp_ns - stamp), default=None)
        if joints is None or abs(joints.stamp_ns - stamp) > self._tolerance_ns:
            self._waiting = estimate
            self.diagnostics.count("waited")
            return
        self._waiting = None
        observation = observation_for(self._controller.observation_names, joints, estimate)
        poisoned = self._controller.poisoned
        command = self._controller.step(observation, self._elapsed_s(stamp))
        if self._controller.poisoned > poisoned:
            self.diagnostics.complain(ERROR, "a number was not finite: state reset, command withheld")
        names = self._controller.command_names
        self._publisher.publish(to_joint_state(Quantities(stamp, names, command)))
        self.diagnostics.count("commands")
        self.answered(stamp)

    def _elapsed_s(self, stamp: int) -> float:
        last, self._last_stamp_ns = self._last_stamp_ns, stamp
        if last is None or not 0 <= stamp - last <= EPISODE_GAP_NS:
            self._controller.reset()
            self.diagnostics.count("episodes")
            return self._controller.nominal_period_s
        return (stamp - last) * 1e-9

    def diagnose(self) -> None:
        """Tell of steps that were not as they should be."""
        if not self.active:
            return
        self.diagnostics.values |= {"poisoned": self._controller.poisoned, "clamped": self._controller.clamped}


def main() -> None:
    """Run the node."""
    run(ControllerNode)


if __name__ == "__main__":
    main()
