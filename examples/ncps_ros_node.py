# SPDX-License-Identifier: Apache-2.0
"""Serve a module of ncps as a controller in a ROS 2 node: JointState in, JointState out.

    python examples/ncps_ros_node.py        # then, e.g., ros2 topic pub /joint_states sensor_msgs/msg/JointState ...

The module is converted once; the node runs compiled kernels, about a hundred times as fast as the module. The network
here is untrained: train yours with ncps and give it to `convert`.
"""

import rclpy
import torch
from ncps.torch import CfC
from ncps.wirings import AutoNCP
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from sensor_msgs.msg import JointState

import liquid_spike_control as lsc
from liquid_spike_control.liquid.ncps_import import from_ncps

JOINT, PERIOD_S = "pole_hinge", 0.02


def convert(module: CfC):
    """The module as a controller of one joint's position [rad] and velocity [rad/s], which gives an effort [N m]."""
    file = from_ncps(
        module, observation_names=("angle", "rate"), observation_units=("rad", "rad/s"),
        command_names=("torque",), command_units=("N m",), command_limits=(1.0,), nominal_period_s=PERIOD_S,
    )  # fmt: skip
    return lsc.controller_of(file)


class ControllerNode(Node):
    """Answers each state of the joint with an effort, stamped as the state."""

    def __init__(self, controller, **options) -> None:
        super().__init__("ncps_controller", **options)
        self.controller, self.last_ns = controller, None
        self.publisher = self.create_publisher(JointState, "joint_command", 10)
        self.create_subscription(JointState, "joint_states", self.answer, 10)

    def answer(self, state: JointState) -> None:
        """Publish the command for a state."""
        joint = state.name.index(JOINT)
        now_ns = state.header.stamp.sec * 10**9 + state.header.stamp.nanosec
        elapsed_s = PERIOD_S if self.last_ns is None else (now_ns - self.last_ns) * 1e-9  # irregular samples are fine
        self.last_ns = now_ns
        (torque,) = self.controller.step([state.position[joint], state.velocity[joint]], elapsed_s)
        self.publisher.publish(JointState(header=state.header, name=[JOINT], effort=[float(torque)]))


if __name__ == "__main__":
    rclpy.init()
    torch.manual_seed(0)
    try:
        rclpy.spin(ControllerNode(convert(CfC(2, AutoNCP(19, 1)))))
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
