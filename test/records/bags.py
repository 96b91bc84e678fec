# SPDX-License-Identifier: Apache-2.0
"""Bags of the pencil's loop in one process, written with rosbags in rosbag2's layouts. No ROS."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

from liquid_spike_control.assembly import new_backend, pencil_limits, read_pencil_controller, read_pencil_perception
from liquid_spike_control.events.codec import encode
from liquid_spike_control.joints import JOINT_FIELDS
from liquid_spike_control.loop import Loop, SpikingEstimator
from liquid_spike_control.perception import Perception
from liquid_spike_control.records.mcap_file import EVENT_PACKET, McapFile, file_hash, typestore
from liquid_spike_control.records.setup import Topics
from liquid_spike_control.resources import zoo
from liquid_spike_control.robots.pencil.episodes import task_by_name
from liquid_spike_control.sim.world import PencilSimulation
from liquid_spike_control.types import Quantities

TOPICS = Topics("/event_camera/events", "/joint_states", gated="/robot_joint_command")
SECOND = 1_000_000_000
TICKS = 120
PERCEPTION, CONTROLLER = zoo("pencil_perception.nir"), zoo("pencil_controller.safetensors")
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


def _header(stamp_ns: int):
    types = store().types
    time = types["builtin_interfaces/msg/Time"](sec=stamp_ns // SECOND, nanosec=stamp_ns % SECOND)
    return types["std_msgs/msg/Header"](stamp=time, frame_id="")


def joint_state(quantities: Quantities):
    """A JointState of one joint."""
    values = dict(zip(quantities.names, quantities.values, strict=True))
    columns = {JOINT_FIELDS[name][1]: np.array([value]) for name, value in values.items()}
    empty = np.empty(0)
    return store().types["sensor_msgs/msg/JointState"](
        header=_header(quantities.stamp_ns), name=[JOINT_FIELDS[quantities.names[0]][0]],
        **{field: columns.get(field, empty) for field in ("position", "velocity", "effort")},
    )  # fmt: skip


def packet(events, stamp_ns: int, base_ns: int, seq: int, encoding: str = "mono"):
    data = np.frombuffer(encode(events, encoding, base_ns), np.uint8)
    return store().types[EVENT_PACKET](
        header=_header(stamp_ns), height=64, width=64, seq=seq, time_base=base_ns, encoding=encoding,
        is_bigendian=False, events=data,
    )  # fmt: skip


@cache
def episode(lost: tuple[int, ...] = ()) -> tuple[Message, ...]:
    """What the topics of a run would carry, from the loop in one process; of lost ticks only what is sensed."""
    task = task_by_name("pencil", duration_s=5.0)
    model = read_pencil_perception(PERCEPTION)
    controller = read_pencil_controller(CONTROLLER, task)
    messages = []
    with PencilSimulation(task) as simulation, new_backend(model) as backend:
        estimator = SpikingEstimator(Perception(model), backend)
        loop = Loop(simulation, estimator, controller, pencil_limits(controller.command_limits))
        loop.reset(3, SECOND)
        for tick in range(TICKS):
            sensing = loop.sensing
            stamp = sensing.joints.stamp_ns
            told = [(TOPICS.joints, joint_state(sensing.joints)),
                    (TOPICS.events, packet(sensing.events, stamp, stamp - task.period_ns, tick))]  # fmt: skip
            if tick in lost:
                loop.sensing = simulation.advance(0.0)
            else:
                decision = loop.decide(sensing)
                told.append((TOPICS.estimate, joint_state(decision.estimate)))
                for topic, values in ((TOPICS.command, decision.command), (TOPICS.gated, decision.force)):
                    told.append((topic, joint_state(Quantities(stamp, ("cart_force",), values))))
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
                value = change(message.content.effort.copy())
                quantities = Quantities(stamp.sec * SECOND + stamp.nanosec, ("cart_force",), value)
                message = Message(message.topic, message.stamp_ns, joint_state(quantities))
            seen += 1
        yield message

