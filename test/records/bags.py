# SPDX-License-Identifier: Apache-2.0
"""Bags of the pencil's loop in one process, written with rosbags in rosbag2's layouts. No ROS."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

from liquid_spike_control.assembly import new_backend, read_robot_controller, read_robot_perception
from liquid_spike_control.events.codec import encode
from liquid_spike_control.loop import Loop, SpikingEstimator
from liquid_spike_control.mcap import EVENT_PACKET, typestore
from liquid_spike_control.perception import Perception
from liquid_spike_control.records.mcap_file import McapFile, file_hash
from liquid_spike_control.records.setup import Topics
from liquid_spike_control.resources import shipped_model
from liquid_spike_control.robot import RosPlace
from liquid_spike_control.robots.catalogue import robot_named, task_named
from liquid_spike_control.sim.world import World
from liquid_spike_control.types import Quantities

ROBOT = robot_named("pencil")
TOPICS = Topics("/event_camera/events", "/joint_states", gated="/robot_joint_command")
SECOND = 1_000_000_000
TICKS = 120
PERCEPTION, CONTROLLER = shipped_model("pencil/perception.nir"), shipped_model("pencil/controller.safetensors")
#: Ticks whose events never reach the perception.
LOST = (40, 41, 77)


@dataclass(frozen=True)
class Message:
    topic: str
    stamp_ns: int
    content: object


@cache
def store():
    return typestore()


def header(stamp_ns: int):
    types = store().types
    time = types["builtin_interfaces/msg/Time"](sec=stamp_ns // SECOND, nanosec=stamp_ns % SECOND)
    return types["std_msgs/msg/Header"](stamp=time, frame_id="")


def _joint_state(stamp_ns: int, names: list[str], **columns: np.ndarray):
    columns = {field: columns.get(field, np.empty(0)) for field in ("position", "velocity", "effort")}
    return store().types["sensor_msgs/msg/JointState"](header=header(stamp_ns), name=names, **columns)


def quantities_message(quantities: Quantities):
    """Between nodes of the graph: each quantity is the position of a joint of its name."""
    return _joint_state(quantities.stamp_ns, list(quantities.names), position=quantities.values)


def robot_message(quantities: Quantities, places: tuple[RosPlace, ...]):
    """As the robot has them: fields of one joint."""
    joints, fields = zip(*(place.field.split("/") for place in places), strict=True)
    (joint,) = set(joints)
    columns = {field: np.array([value]) for field, value in zip(fields, quantities.values, strict=True)}
    return _joint_state(quantities.stamp_ns, [joint], **columns)


def packet(events, stamp_ns: int, base_ns: int, seq: int, encoding: str = "mono"):
    data = np.frombuffer(encode(events, encoding, base_ns), np.uint8)
    return store().types[EVENT_PACKET](
        header=header(stamp_ns), height=64, width=64, seq=seq, time_base=base_ns, encoding=encoding,
        is_bigendian=False, events=data,
    )  # fmt: skip


@cache
def episode(lost: tuple[int, ...] = ()) -> tuple[Message, ...]:
    """What the topics of a run would carry, from the loop in one process; of lost ticks only what is sensed."""
    model = read_robot_perception(ROBOT, PERCEPTION)
    controller = read_robot_controller(ROBOT, CONTROLLER)
    period_ns = round(ROBOT.period_s * SECOND)
    messages = []
    with World(task_named("pencil", duration_s=5.0)) as world, new_backend(model) as backend:
        estimator = SpikingEstimator(Perception(model), backend)
        loop = Loop(world, estimator, controller, ROBOT.gate_limits(controller.command_limits))
        loop.reset(3, SECOND)
        for tick in range(TICKS):
            sensing = loop.sensing
            stamp = sensing.stamp_ns
            told = [(TOPICS.joints, robot_message(sensing.readings, ROBOT.reading_places())),
                    (TOPICS.events, packet(sensing.events[0], stamp, stamp - period_ns, tick))]  # fmt: skip
            if tick in lost:
                loop.sensing = world.advance(np.zeros(1))
            else:
                decision = loop.decide(sensing)
                told.append((TOPICS.estimate, quantities_message(decision.estimate)))
                command = Quantities(stamp, ("cart_force",), decision.command)
                told.append((TOPICS.command, quantities_message(command)))
                gated = Quantities(stamp, ("cart_force",), decision.output)
                told.append((TOPICS.gated, robot_message(gated, ROBOT.command_places())))
                loop.advance(decision)
            messages += [Message(topic, stamp + i, content) for i, (topic, content) in enumerate(told)]
    return tuple(messages)


def described(mode: str = "lockstep", **models: str) -> dict:
    hashes = {"perception_model": file_hash(PERCEPTION), "controller_model": file_hash(CONTROLLER)}
    return {"nodes": {"/gate": {"mode": mode}, "/controller": {"tolerance_s": 0.0}}, "models": hashes | models}


def write(path: Path, messages, description: dict | None) -> Path:
    """As the recorder writes."""
    file = McapFile(path)
    if description is not None:
        file.write_graph(0, description)
    for number, message in enumerate(messages):
        file.write_message(message.topic, message.stamp_ns, message.content)
        if number % 100 == 99:
            file.flush()
    file.close()
    return path


def write_rosbag2(
    folder: Path, messages, storage: StoragePlugin, compression: CompressionMode = CompressionMode.NONE
) -> Path:
    """As ros2 bag writes: a folder with metadata.yaml."""
    writer = Writer(folder, version=9, storage_plugin=storage)
    writer.set_compression(compression, CompressionFormat.ZSTD)
    with writer:
        connections: dict = {}
        for message in messages:
            kind = message.content.__msgtype__
            if message.topic not in connections:
                connections[message.topic] = writer.add_connection(message.topic, kind, typestore=store())
            data = store().serialize_cdr(message.content, kind)
            writer.write(connections[message.topic], message.stamp_ns, data)
    return folder


def changed(messages, topic: str, number: int, change) -> Iterator[Message]:
    """The messages with the value of one command on a topic, counted from 0, changed."""
    seen = 0
    for message in messages:
        if message.topic == topic:
            if seen == number:
                stamp = message.content.header.stamp
                stamp_ns = stamp.sec * SECOND + stamp.nanosec
                if topic == TOPICS.gated:
                    value = Quantities(stamp_ns, ("cart_force",), change(message.content.effort.copy()))
                    content = robot_message(value, ROBOT.command_places())
                else:
                    value = Quantities(stamp_ns, ("cart_force",), change(message.content.position.copy()))
                    content = quantities_message(value)
                message = Message(message.topic, message.stamp_ns, content)
            seen += 1
        yield message
