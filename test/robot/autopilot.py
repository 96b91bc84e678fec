# SPDX-License-Identifier: Apache-2.0
"""A stand-in for a quadrotor with a flight controller: the shipped quadrotor's world in real time, behind the messages
of MAVROS, or of PX4 on ROS 2 without it.

It shares the world with the package, and none of its nodes; what it makes of messages is written anew here. Angles are
MuJoCo's, PX4's axes point forward, right and down. ``/robot/state`` reports ten times a second, as JSON.

    python autopilot.py mavros --seed 3
"""

import argparse
import array
import json
import time

import mujoco
import numpy as np
from builtin_interfaces.msg import Time
from described import stand_in
from event_camera_msgs.msg import EventPacket
from rclpy.node import Node
from rclpy.qos import QoSProfile, QoSReliabilityPolicy
from sensor_msgs.msg import Imu
from std_msgs.msg import String

from liquid_spike_control.events.codec import encode
from liquid_spike_control.robots.catalogue import robot_named
from liquid_spike_control.sim.world import World
from liquid_spike_control.tasks.of_robot import task_of

#: Thrust that hovers, and of a newton.
HOVERING, NEWTON = 0.25, 0.0425
#: Thrust above the weight at which the rotors stand still, about [N]: what a gate says before there are commands.
STOPPED = -5.0
TIMEOUT_S = 0.5
SENSOR_START_NS = 77_000_000
BEST_EFFORT = QoSProfile(depth=100, reliability=QoSReliabilityPolicy.BEST_EFFORT)


class Mavros:
    """Imu out, AttitudeTarget in; axes forward, left, up."""

    commands_topic, commands_qos = "/mavros/setpoint_raw/attitude", 10

    def __init__(self) -> None:
        from mavros_msgs.msg import AttitudeTarget

        self.kind = AttitudeTarget

    def messages(self, now_ns: int, angles: np.ndarray, rates: np.ndarray) -> dict:
        """What is published of a time, angles [rad] and rates [rad/s], by topic."""
        message = Imu()
        message.header.stamp = Time(sec=now_ns // 10**9, nanosec=now_ns % 10**9)
        q = message.orientation
        q.w, q.x, q.y, q.z = quaternion(*angles).tolist()
        w = message.angular_velocity
        w.x, w.y, w.z = rates.tolist()
        return {"/mavros/imu/data": message}

    def command(self, message) -> list[float] | None:
        """Thrust above the weight [N], roll and pitch [rad]; None where the message asks for something else."""
        if message.type_mask & self.kind.IGNORE_ATTITUDE or message.type_mask & self.kind.IGNORE_THRUST:
            return None
        q = message.orientation
        roll, pitch = lean(np.array([q.w, q.x, q.y, q.z]))
        return [(message.thrust - HOVERING) / NEWTON, roll, pitch]


class Px4:
    """VehicleAttitude and SensorCombined out, VehicleAttitudeSetpoint in; axes forward, right, down."""

    commands_topic, commands_qos = "/fmu/in/vehicle_attitude_setpoint", BEST_EFFORT

    def __init__(self) -> None:
        from px4_msgs.msg import SensorCombined, VehicleAttitude, VehicleAttitudeSetpoint

        self.kind, self._attitude, self._sensor = VehicleAttitudeSetpoint, VehicleAttitude, SensorCombined

    def messages(self, now_ns: int, angles: np.ndarray, rates: np.ndarray) -> dict:
        """As of :class:`Mavros`."""
        roll, pitch, yaw = angles
        now_us, q = now_ns // 1000, quaternion(roll, -pitch, -yaw).astype(np.float32)
        gyro = np.array([rates[0], -rates[1], -rates[2]], np.float32)
        return {
            "/fmu/out/vehicle_attitude": self._attitude(timestamp=now_us, timestamp_sample=now_us, q=q),
            "/fmu/out/sensor_combined": self._sensor(timestamp=now_us, gyro_rad=gyro),
        }

    def command(self, message) -> list[float] | None:
        roll, pitch = lean(np.array(message.q_d, float))
        if message.thrust_body[0] or message.thrust_body[1] or not -1 <= message.thrust_body[2] <= 1e-3:
            return None
        return [(-float(message.thrust_body[2]) - HOVERING) / NEWTON, roll, -pitch]


VEHICLES = {"mavros": Mavros, "px4": Px4}


def quaternion(roll: float, pitch: float, yaw: float) -> np.ndarray:
    found = np.empty(4)
    mujoco.mju_euler2Quat(found, np.array([yaw, pitch, roll]), "zyx")
    return found


def lean(turn: np.ndarray) -> tuple[float, float]:
    """Roll and pitch of a quaternion, by where it takes the vertical axis."""
    matrix = np.empty(9)
    mujoco.mju_quat2Mat(matrix, turn / np.linalg.norm(turn))
    x, y, z = matrix[6:]
    return float(np.arctan2(y, z)), float(-np.arcsin(x))


class Autopilot(Node):
    def __init__(self, kind: str, seed: int) -> None:
        super().__init__("robot")
        self.robot = robot_named("quadrotor")
        self.world = World(task_of(self.robot, duration_s=3600.0, aim="hover"))
        self._sensing = self.world.reset(seed, SENSOR_START_NS)
        self._vehicle = vehicle = VEHICLES[kind]()
        self._commands = self.create_subscription(
            vehicle.kind, vehicle.commands_topic, lambda m: None, vehicle.commands_qos
        )
        said = vehicle.messages(0, np.zeros(3), np.zeros(3))
        self._outlets = {topic: self.create_publisher(type(m), topic, BEST_EFFORT) for topic, m in said.items()}
        self._events = self.create_publisher(EventPacket, "/event_camera/events", BEST_EFFORT)
        self._state = self.create_publisher(String, "/robot/state", 10)
        self._held, self._commanded_s, self._flying = np.zeros(3), -1.0, False
        self.state = {"commands": 0, "refused": 0, "timeouts": 0, "periods": 0, "most_lean": 0.0, "last": None,
                      "driven_s": 0.0, "greatest": [0.0, 0.0, 0.0], "height": 0.0, "speed": 0.0}  # fmt: skip

    def period(self) -> None:
        """Publish what was sensed, take commands, hold the last one; a hand holds the vehicle until the rotors run."""
        self._publish()
        with self._commands.handle:
            while (taken := self._commands.handle.take_message(self._vehicle.kind, False)) is not None:
                self._take(self._vehicle.command(taken[0]))
        if self._commanded_s >= 0 and time.monotonic() - self._commanded_s > TIMEOUT_S:
            self._commanded_s, self._held = -1.0, np.zeros(3)
            self.state["timeouts"] += 1
        data, task = self.world.task.data, self.world.task
        if not self._flying:
            data.qvel[:] = 0
            data.qpos[2] = 3.0
        else:
            self.state["driven_s"] += self.robot.period_s
            self.state["most_lean"] = max(self.state["most_lean"], task.motion()[2])
        self._sensing = self.world.advance(self._held)
        self.state["height"], self.state["speed"] = task.height(), task.motion()[1]
        self.state["periods"] += 1
        if self.state["periods"] % 5 == 0:
            self._state.publish(String(data=json.dumps(self.state)))

    def _take(self, command: list[float] | None) -> None:
        if command is None or not np.isfinite(command).all():
            self.state["refused"] += 1
            return
        self._held, self._commanded_s = np.array(command), time.monotonic()
        self.state["commands"] += 1
        self.state["last"] = command
        if not (self._flying or command[0] > STOPPED):
            return
        self._flying = True
        self.state["greatest"] = np.maximum(self.state["greatest"], np.abs(command)).tolist()

    def _publish(self) -> None:
        now_ns, period_ns = time.time_ns(), round(self.robot.period_s * 1e9)
        values = self._sensing.readings.values
        said = self._vehicle.messages(now_ns, np.array([*values[:2], 0.0]), np.array(values[2:5]))
        for topic, message in said.items():
            self._outlets[topic].publish(message)
        first = self._sensing.stamp_ns - period_ns
        packet = EventPacket(encoding="mono", width=64, height=64, time_base=first, seq=self.state["periods"])
        begin_ns = now_ns - period_ns
        packet.header.stamp = Time(sec=begin_ns // 10**9, nanosec=begin_ns % 10**9)
        packet.events = array.array("B", encode(self._sensing.events[0], "mono", first))
        self._events.publish(packet)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=("mavros", "px4"))
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    stand_in(lambda: Autopilot(options.kind, options.seed))


if __name__ == "__main__":
    main()
