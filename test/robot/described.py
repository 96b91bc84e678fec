# SPDX-License-Identifier: Apache-2.0
"""A stand-in for the real robot of any description: MuJoCo in real time behind the topics that the description names.

It shares the description and the world with the package, and none of its nodes: each reading goes to its topic in a
message of its type, each camera's events go out as a driver's packets on the sensor's own clock, and commands are taken
where the description says. Without a command for 0.1 s the robot takes the safe one. ``/robot/state`` reports ten times
a second, as JSON, what it was sent.

    python described.py FOLDER --seed 3
"""

import argparse
import array
import importlib
import json
import signal
import time
from collections.abc import Callable
from functools import reduce
from operator import attrgetter
from typing import Any

import numpy as np
import rclpy
from builtin_interfaces.msg import Time
from event_camera_msgs.msg import EventPacket
from rclpy.node import Node
from rclpy.qos import QoSProfile, QoSReliabilityPolicy
from rclpy.signals import SignalHandlerOptions
from std_msgs.msg import String

from liquid_spike_control.events.codec import encode
from liquid_spike_control.joints import JOINT_STATE, MULTI_ARRAY
from liquid_spike_control.robot_file import read_robot
from liquid_spike_control.sim.world import World
from liquid_spike_control.tasks.of_robot import task_of

TIMEOUT_S = 0.1
#: What the cameras' clocks show when the robot is switched on [ns].
SENSOR_START_NS = 77_000_000


def get_message(kind: str) -> type:
    """The class of ``package/msg/Name``."""
    package, _, name = kind.split("/")
    return getattr(importlib.import_module(f"{package}.msg"), name)


class Described(Node):
    def __init__(self, folder: str, seed: int) -> None:
        super().__init__("robot")
        self.robot = read_robot(folder)
        self.world = World(task_of(self.robot, duration_s=3600.0))
        self._sensing = self.world.reset(seed, SENSOR_START_NS)
        self._safe = np.array([c.safe for c in self.robot.commands])
        self._command, self._commanded_s = self._safe, -1.0
        places = self.robot.reading_places()[: len(self.robot.readings)]
        self._topics = {topic: self._publisher(kind, topic) for topic, kind in {(p.topic, p.type) for p in places}}
        self._places = places
        best_effort = QoSProfile(depth=100, reliability=QoSReliabilityPolicy.BEST_EFFORT)
        self._cameras = [self.create_publisher(EventPacket, c.events_topic, best_effort) for c in self.robot.cameras]
        self._state = self.create_publisher(String, "/robot/state", 10)
        places = self.robot.command_places()
        self._commands = []
        for topic, kind in dict.fromkeys((place.topic, place.type) for place in places):
            mine = [i for i, place in enumerate(places) if place.topic == topic]
            subscription = self.create_subscription(get_message(kind), topic, lambda m: None, 10)
            self._commands.append((subscription, get_message(kind), mine))
        self.state = {"commands": 0, "timeouts": 0, "periods": 0, "least": None, "most": None}

    def _publisher(self, kind: str, topic: str) -> tuple:
        return get_message(kind), self.create_publisher(get_message(kind), topic, 10)

    def period(self) -> None:
        """Publish what was sensed, take commands, hold the last one for a period."""
        self._publish()
        for subscription, kind, mine in self._commands:
            with subscription.handle:
                while (taken := subscription.handle.take_message(kind, False)) is not None:
                    self._take(taken[0], mine)
        if self._commanded_s >= 0 and time.monotonic() - self._commanded_s > TIMEOUT_S:
            self._command, self._commanded_s = self._safe, -1.0
            self.state["timeouts"] += 1
        self._sensing = self.world.advance(self._command)
        self.state["periods"] += 1
        if self.state["periods"] % max(1, round(0.1 / self.robot.period_s)) == 0:
            self._state.publish(String(data=json.dumps(self.state)))

    def _take(self, message, mine: list[int]) -> None:
        places, values = [self.robot.command_places()[i] for i in mine], self._command.copy()
        if places[0].type == JOINT_STATE:
            known = {f"{n}/{field}": value for field in ("position", "velocity", "effort")
                     for n, value in zip(message.name, getattr(message, field), strict=False)}  # fmt: skip
            values[mine] = [known[place.field] for place in places]
        elif places[0].type == MULTI_ARRAY:
            values[mine] = message.data
        else:
            values[mine] = [attrgetter(place.field)(message) for place in places]
        self._command, self._commanded_s = values, time.monotonic()
        low, high = self.state["least"] or values.tolist(), self.state["most"] or values.tolist()
        self.state["commands"] += 1
        self.state["least"] = np.minimum(low, values).tolist()
        self.state["most"] = np.maximum(high, values).tolist()

    def _publish(self) -> None:
        now = time.time_ns()
        stamp = Time(sec=now // 10**9, nanosec=now % 10**9)
        messages = {topic: kind() for topic, (kind, _) in self._topics.items()}
        values = dict(zip(self._sensing.readings.names, self._sensing.readings.values.tolist(), strict=True))
        for reading, place in zip(self.robot.readings, self._places, strict=True):
            _set(messages[place.topic], place, values[reading.name])
        for topic, message in messages.items():
            message.header.stamp = stamp
            self._topics[topic][1].publish(message)
        sensed = zip(self.robot.cameras, self._cameras, self._sensing.events, strict=True)
        for number, (camera, publisher, events) in enumerate(sensed):
            events, ahead = events.copy(), number * 1_000_000_000  # each camera has a clock of its own
            events["t"] += ahead
            first = self._sensing.stamp_ns - round(self.robot.period_s * 1e9) + ahead
            packet = EventPacket(encoding=camera.encoding, width=camera.width, height=camera.height, time_base=first)
            begin = now - round(self.robot.period_s * 1e9)
            packet.seq = self.state["periods"]
            packet.header.stamp = Time(sec=begin // 10**9, nanosec=begin % 10**9)
            packet.events = array.array("B", encode(events, camera.encoding, first))
            publisher.publish(packet)


def _set(message, place, value: float) -> None:
    """Write a number where the description says."""
    if place.type == JOINT_STATE:
        joint, _, field = place.field.rpartition("/")
        if joint not in message.name:
            message.name.append(joint)
            for each in ("position", "velocity", "effort"):
                getattr(message, each).append(0.0)
        getattr(message, field)[message.name.index(joint)] = value
        return
    *path, last = place.field.split(".")
    setattr(reduce(getattr, path, message), last, value)


def stand_in(new: Callable[[], Any]) -> None:
    """Run a stand-in, which ``new`` makes once ROS is joined, at the wall clock's pace until SIGINT or SIGTERM."""
    stopping = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.append(True))
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    robot = new()
    due = time.monotonic()
    while not stopping:
        robot.period()
        due = max(due + robot.robot.period_s, time.monotonic() - 0.01)  # late by more: the world stood still meanwhile
        time.sleep(max(0.0, due - time.monotonic()))
    robot.world.close()
    robot.destroy_node()
    rclpy.shutdown()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    stand_in(lambda: Described(options.folder, options.seed))


if __name__ == "__main__":
    main()
