# SPDX-License-Identifier: Apache-2.0
"""Episodes for the training of a perception, cut from bags: a robot's events, and the topics that hold the truth.

The events go through the same streams and front end as in the perception node, in windows of a control period; see
:mod:`.recorded_runs` for the rest.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import TaskError
from ..events.camera_streams import CameraStream, CameraStreams
from ..events.filters import FrontEnd
from ..joints import JOINT_STATE, Readings, to_ns
from ..records.bag import Bag
from ..records.contents import event_packets
from ..records.setup import Topics, read_description, setup_of
from ..robot import Robot
from ..spiking.layers import LayeredNetwork
from .recorded_episodes import EpisodeSet, RecordedEpisode, front_end_of
from .recorded_runs import Truth, episodes_of, places_of, runs_of

_TARGET = re.compile(r"(?:(?P<estimate>[^=/]+)=)?(?P<topic>/[A-Za-z0-9_~{}/]+)\.(?P<field>.+)")


@dataclass(frozen=True)
class Target:
    """Where the truth of an estimate is.

    Attributes:
        estimate: its name.
        topic: absolute name.
        field: number in the message, such as ``twist.twist.linear.x``, or of a JointState ``joint/position``.
    """

    estimate: str
    topic: str
    field: str


def parse_targets(robot: Robot, given: Sequence[str]) -> tuple[Target, ...]:
    """Parse ``[ESTIMATE=]/TOPIC.FIELD``, one for each estimate of the robot.

    Returns:
        The targets, in the order of the estimates.

    Raises:
        TaskError: one has another form, names no estimate, or an estimate has none.
    """
    found = places_of(robot, given, _TARGET, "/TOPIC.FIELD, such as /odom.twist.twist.linear.x")
    return tuple(Target(name, match["topic"], match["field"]) for name, match in found)


def bag_episodes(
    robot: Robot, network: LayeredNetwork, bags: Sequence[Path], targets: Sequence[Target],
    progress: Callable[[float], None] = lambda part: None,
) -> EpisodeSet:  # fmt: skip
    """Cut bags into episodes, of which every eighth is held out.

    Args:
        robot: with cameras and estimates; its front end is applied to the events.
        network: that is to be trained.
        bags: .mcap or .db3 files, or folders of ``ros2 bag``.
        targets: one for each estimate, in order.
        progress: called with the part of the bags that is read.

    Raises:
        TaskError: a bag lacks a topic, a field or a camera, a truth is not finite, or events and truths do not overlap.
    """
    runs: list[RecordedEpisode] = []
    for number, path in enumerate(bags):
        bag = Bag(path)
        truths = [_truth_of(bag, target) for target in targets]
        front_end, picture = front_end_of(robot)
        windows = _windows(bag, robot, front_end, round(robot.period_s * 1e9))
        runs += runs_of(robot, network, picture, path, truths, windows)
        progress((number + 1) / len(bags))
    said = [f"{target.estimate}={target.topic}.{target.field}" for target in targets]
    return episodes_of(robot, network, bags, runs, said)


def _windows(
    bag: Bag, robot: Robot, front_end: FrontEnd | None, period_ns: int
) -> Iterator[tuple[np.ndarray, int, int]]:
    """Events, the end [ns] and the number of windows, as the perception node would take them."""
    description = read_description(bag)
    setup = setup_of(description, Topics(), None, robot)
    streams = setup.streams
    if not description.nodes:  # another program's recording: the packets are those of the robot's cameras
        streams = tuple(CameraStream(camera.width, camera.clock == "sensor") for camera in robot.cameras)
    if len(streams) != len(robot.cameras):
        raise TaskError(f"{bag.path}: {len(streams)} cameras; the robot {robot.name} has {len(robot.cameras)}")
    began: list[int] = []
    cameras = CameraStreams(streams, period_ns, began.append)
    until_ns, empty = 0, True
    for number, packet in event_packets(bag, setup.events):
        camera = robot.cameras[number]
        if (packet.width, packet.height) != (camera.width, camera.height):
            found = f"{packet.width}x{packet.height} pixels on {setup.events[number]}"
            raise TaskError(f"{bag.path}: {found}; camera '{camera.name}' has {camera.width}x{camera.height}")
        sequence, stamp_ns = cameras.sequences[number], to_ns(packet.header.stamp)
        lost = sequence.lost
        sequence.update(packet.seq)
        for events, end_ns in cameras.take(number, packet, stamp_ns, sequence.lost > lost):
            if began:
                until_ns = began[-1]
                began.clear()
                if front_end is not None:
                    front_end.reset()
            n = (end_ns - until_ns) // period_ns
            until_ns, empty = end_ns, False
            yield (events if front_end is None else front_end.apply(events)), end_ns, int(n)
    if empty:
        topics = ", ".join(camera.events_topic for camera in robot.cameras)
        raise TaskError(f"{bag.path}: no events on {topics}; record that topic")


def _truth_of(bag: Bag, target: Target) -> Truth:
    times: list[int] = []
    values: list[float] = []
    for raw in bag.messages():
        if raw.topic != target.topic:
            continue
        message = bag.read(raw)
        value = _number(bag, raw.kind, message, target)
        if value is None:
            continue
        if not np.isfinite(value):
            raise TaskError(f"{bag.path}: {target.topic}.{target.field} at {raw.stamp_ns} ns is {value}; leave it out")
        header = getattr(message, "header", None)
        times.append(raw.stamp_ns if header is None else to_ns(header.stamp) or raw.stamp_ns)
        values.append(value)
    if not times:
        raise TaskError(f"{bag.path}: nothing on {target.topic}; {_topics(bag)}")
    order = np.argsort(times, kind="stable")
    return Truth(np.array(times)[order], np.array(values)[order])


def _number(bag: Bag, kind: str, message: Any, target: Target) -> float | None:
    """The field's value; None where a JointState lacks the joint."""
    try:
        if kind == JOINT_STATE:
            found = Readings(kind, (target.estimate,), (target.field,)).read(message)
            return None if found is None else float(found.values[0])
        part = message
        for name in target.field.split("."):
            part = part[int(name)] if name.isdecimal() else getattr(part, name)
        return float(part)
    except (AttributeError, TypeError, ValueError, IndexError):
        form = "joint/position, velocity or effort" if kind == JOINT_STATE else "a number of the message"
        raise TaskError(f"{bag.path}: {target.topic} is a {kind} without {target.field}; name {form}") from None


def _topics(bag: Bag) -> str:
    found = sorted({raw.topic for raw in bag.messages()})
    return f"the bag has {', '.join(found[:12])}" if found else "the bag is empty"
