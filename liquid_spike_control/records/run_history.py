# SPDX-License-Identifier: Apache-2.0
"""What a bag holds of a run, tick by tick: the source of its video and of the page about it."""

from __future__ import annotations

from bisect import bisect_right
from typing import Any, NamedTuple

import numpy as np

from ..errors import TaskError
from ..events.camera_streams import CameraStreams
from ..history import History
from ..inputs import parse_json
from ..joints import JOINT_STATE, from_joint_state, to_ns
from ..mcap import EVENT_PACKET
from ..robot import Robot, names
from .bag import Bag
from .contents import Contents
from .setup import Description, Setup, Topics


class Episode(NamedTuple):
    """Of a simulated run, what decides what its scene looks like.

    Attributes:
        seed: of the first episode.
        duration_s, settings: of the task; None: the task's own.
    """

    seed: int
    duration_s: float | None
    settings: dict[str, Any]


def episode_of(description: Description, bag: Bag) -> Episode:
    """Read the simulator's parameters.

    Raises:
        TaskError: they are not what the simulator would have taken.
    """
    parameter = description.parameter
    try:
        settings = dict(parse_json(str(parameter("simulator", "settings", "{}"))))
        duration_s = float(parameter("simulator", "duration_s", 0.0))
        return Episode(int(parameter("simulator", "seed", 0)), duration_s or None, settings)
    except (TypeError, ValueError) as error:
        remedy = "record it with liquid-spike run --record"
        raise TaskError(f"{bag.path}: the simulator's parameters cannot be read ({error}); {remedy}") from None


def history_of(bag: Bag, topics: Topics, setup: Setup, contents: Contents, robot: Robot) -> History:
    """Read truth, poses and events of a bag, and join them with the rest of its contents, as recorded.

    Args:
        bag: of the run.
        topics: where the messages are.
        setup, contents: of the bag.
        robot: whose run it is.

    Raises:
        TaskError: a message is damaged.
    """
    history = History(robot)
    known = (*names(robot.seen), *names(robot.estimates))
    streams = CameraStreams(setup.streams, setup.window_ns) if setup.streams else None
    for raw in bag.messages():
        if raw.kind == EVENT_PACKET and raw.topic in setup.events and streams is not None:
            history.events += _events(streams, setup.events.index(raw.topic), bag.read(raw))
        elif raw.kind == JOINT_STATE and raw.topic == topics.pose:
            message = bag.read(raw)
            history.poses[to_ns(message.header.stamp)] = np.array(message.position, float)
        elif raw.kind == JOINT_STATE and raw.topic == topics.truth:
            truth = from_joint_state(bag.read(raw), known)
            history.truth[truth.stamp_ns] = tuple(truth.values.tolist())
    for published in contents.estimates:
        history.estimates[published.quantities.stamp_ns] = tuple(published.quantities.values.tolist())
    for stamp_ns, values in gated(contents):
        history.commands.setdefault(stamp_ns, tuple(values.tolist()))
    for packet in contents.spikes_out:
        pairs = np.frombuffer(packet.data, "<u4").reshape(-1, 2)
        history.spikes.append((packet.start_ns, pairs[:, 0], pairs[:, 1]))
    return history


def _events(streams: CameraStreams, number: int, packet: Any) -> list[np.ndarray]:
    sequence = streams.sequences[number]
    lost = sequence.lost
    sequence.update(packet.seq)
    batches = streams.take(number, packet, to_ns(packet.header.stamp), sequence.lost > lost)
    return [batch.events for batch in batches if len(batch.events)]


def gated(contents: Contents) -> list[tuple[int, np.ndarray]]:
    """The gated commands and their stamps [ns]; one without a stamp has that of the newest command before it."""
    at = [published.at_ns for published in contents.commands]
    found = []
    for published in contents.gated:
        stamp_ns = published.quantities.stamp_ns
        if not stamp_ns:
            number = bisect_right(at, published.at_ns) - 1
            if number < 0:
                continue
            stamp_ns = contents.commands[number].quantities.stamp_ns
        found.append((stamp_ns, published.quantities.values))
    return found
