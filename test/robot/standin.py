# SPDX-License-Identifier: Apache-2.0
"""A robot that stands in for a real one: what ros2_control and a camera driver show of a cart with a pole, and nothing
else. It knows none of the nodes under test; its world is MuJoCo's, its time the wall clock's.

- ``/joint_states`` at 200 Hz with jitter, reliable, as joint_state_broadcaster publishes; with other joints in it.
- ``/effort_controller/commands``, Float64MultiArray, as forward_command_controller takes them: no stamps, the last
  value holds. Or ``/robot_joint_command``, JointState, as joint_state_topic_hardware_interface takes them.
- Its own command timeout and its own safety stop (rail), which latches.
- ``/event_camera/events``, best effort, on the sensor's own clock, stamped with the time of the first event.

``/robot/state`` reports ten times a second, as JSON, what became of it: for the test, as a person who watches.
"""

import argparse
import array
import json
import signal
import time

import numpy as np
import rclpy
from builtin_interfaces.msg import Time
from event_camera_msgs.msg import EventPacket
from libcaer_packets import libcaer, libcaer_cmp
from rclpy.node import Node
from rclpy.qos import QoSProfile, QoSReliabilityPolicy
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray, String

from liquid_spike_control.events.camera import EventCamera
from liquid_spike_control.events.codec import encode
from liquid_spike_control.robots.catalogue import task_named
from liquid_spike_control.sim.renderer import Renderer

MILLISECOND_NS = 1_000_000
JOINT_PERIOD_NS, JITTER_NS = 5_000_000, 1_000_000
#: The driver sends what it has when the oldest event is this old [ns].
PACKET_NS = 2_000_000
COMMAND_TIMEOUT_NS = 100_000_000
STATE_NS = 100_000_000
#: Beyond this the drive trips [m]; the rail ends at 0.97.
TRIP = 0.9
#: What the camera's clock showed when the robot was switched on [ns].
SENSOR_START_NS = 123_456_000


class Standin(Node):
    def __init__(self, options: argparse.Namespace) -> None:
        super().__init__("robot")
        self.plant = task_named("pencil", push=options.push, duration_s=3600.0)
        (camera,) = self.plant.robot.cameras
        self._renderer = Renderer(self.plant.model, camera.name, camera.width, camera.height, tuple(camera.supersample))
        self._camera = EventCamera(camera.event_camera())
        self.plant.begin_episode(self.plant.episodes.draw(options.seed), start_ns=SENSOR_START_NS)
        self._camera.reset(self._picture(), SENSOR_START_NS, options.seed)
        self._chance = np.random.default_rng(options.seed)
        self._encoding = options.encoding
        reliable = QoSProfile(depth=10)
        best_effort = QoSProfile(depth=10, reliability=QoSReliabilityPolicy.BEST_EFFORT)
        self._joints = self.create_publisher(JointState, "/joint_states", reliable)
        self._events = self.create_publisher(EventPacket, "/event_camera/events", best_effort)
        self._state = self.create_publisher(String, "/robot/state", reliable)
        kinds = {"array": (Float64MultiArray, "/effort_controller/commands", self._on_array)}
        kinds["joint_state"] = (JointState, "/robot_joint_command", self._on_joint_command)
        self._kind, topic, self._on_command = kinds[options.command]
        self._commands = self.create_subscription(self._kind, topic, self._on_command, reliable)
        self._pending: list[np.ndarray] = []
        self._effort, self._commanded_ns = 0.0, 0
        self._seq = 0
        self._next_joint_ns = 0
        self.state = {
            "commands": 0, "refused": 0, "timeouts": 0, "tripped": False, "fallen": False, "last_command": None,
            "greatest_angle": 0.0, "greatest_effort": 0.0, "driven_s": 0.0,
        }  # fmt: skip

    def _picture(self) -> np.ndarray:
        return self._renderer.render(self.plant.data)

    # what it takes

    def _on_array(self, message: Float64MultiArray) -> None:
        self._take(list(message.data))

    def _on_joint_command(self, message: JointState) -> None:
        self._take([message.effort[i] for i, name in enumerate(message.name) if name == "cart_slide"])

    def _take(self, values: list[float]) -> None:
        if len(values) != 1 or not np.isfinite(values[0]):
            self.state["refused"] += 1
            return
        self.state["commands"] += 1
        self.state["last_command"] = values[0]
        self.state["greatest_effort"] = max(self.state["greatest_effort"], abs(values[0]))
        self._effort, self._commanded_ns = values[0], time.monotonic_ns()

    # what it does in a millisecond

    def step(self) -> None:
        with self._commands.handle:  # looked at once a cycle, as a real-time loop does; nobody spins
            while (taken := self._commands.handle.take_message(self._kind, False)) is not None:
                self._on_command(taken[0])
        now = time.monotonic_ns()
        driven = self._commanded_ns and now - self._commanded_ns <= COMMAND_TIMEOUT_NS
        if self._effort and not driven:
            self._effort = 0.0
            self.state["timeouts"] += 1
        if abs(self.plant.data.qpos[0]) > TRIP:
            self.state["tripped"] = True
        if not self._effort and not self.state["driven_s"]:
            self._hold()  # a hand holds the pole until somebody drives
        else:
            self.state["driven_s"] += 1e-3
        self.plant.step(0.0 if self.state["tripped"] else self._effort)
        self._pending.append(self._camera.step(self._picture(), self.plant.now_ns))
        angle = abs(float(self.plant.true_state()[0]))
        self.state["greatest_angle"] = max(self.state["greatest_angle"], angle)
        if self.plant.fallen and not self.state["fallen"]:
            self.state |= {"fallen": True, "stood_s": self.state["driven_s"]}
        if (self.plant.now_ns - SENSOR_START_NS) % PACKET_NS == 0:
            self._send_events()
        if (self.plant.now_ns - SENSOR_START_NS) % STATE_NS == 0:
            state = self.state | {"effort": self._effort, "silent_s": (now - self._commanded_ns) * 1e-9}
            self._state.publish(String(data=json.dumps(state)))
        if now >= self._next_joint_ns:
            self._send_joints()
            jitter = int(self._chance.uniform(-JITTER_NS, JITTER_NS))
            self._next_joint_ns = now - now % JOINT_PERIOD_NS + JOINT_PERIOD_NS + jitter

    def _hold(self) -> None:
        self.plant.data.qpos[1] = 0.02 * np.sin(2 * np.pi * self.plant.elapsed_s)
        self.plant.data.qvel[:] = 0.0
        self.plant.data.qpos[0] = 0.0

    def _send_joints(self) -> None:
        message = JointState(name=["gripper", "cart_slide"])
        message.header.stamp = _time(time.time_ns())
        message.position = [0.1, float(self.plant.data.qpos[0])]
        message.velocity = [0.0, float(self.plant.data.qvel[0])]
        message.effort = [0.0, self._effort]
        self._joints.publish(message)

    def _send_events(self) -> None:
        events = np.concatenate(self._pending)
        self._pending.clear()
        if not len(events):
            return
        first = int(events["t"][0])
        message = EventPacket(encoding=self._encoding, width=64, height=64, seq=self._seq)
        message.header.stamp = _time(time.time_ns() - (self.plant.now_ns - first))
        # of evt3 the drivers leave it undefined
        message.time_base = 7 if self._encoding == "evt3" else first
        if self._encoding == "libcaer_cmp":
            data = libcaer_cmp(events, first)
        elif self._encoding == "libcaer":
            message.time_base = SENSOR_START_NS
            data = libcaer(events, SENSOR_START_NS)
        else:
            data = encode(events, self._encoding, first)
        message.events = array.array("B", data)
        self._events.publish(message)
        self._seq += 1


def _time(stamp_ns: int) -> Time:
    return Time(sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--push", type=float, default=0.0)
    parser.add_argument("--encoding", default="evt3")
    parser.add_argument("--command", choices=("array", "joint_state"), default="array")
    options = parser.parse_args()
    stopping = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.append(True))
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    robot = Standin(options)
    due = time.monotonic_ns()
    while not stopping:
        robot.step()
        due += MILLISECOND_NS
        if (late := time.monotonic_ns() - due) > 10 * MILLISECOND_NS:
            due += late  # the world stood still meanwhile
        time.sleep(max(0, due - time.monotonic_ns()) * 1e-9)
    robot.destroy_node()
    rclpy.shutdown()


if __name__ == "__main__":
    main()
