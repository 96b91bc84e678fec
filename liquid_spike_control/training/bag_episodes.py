# SPDX-License-Identifier: Apache-2.0
"""Episodes for the training of a perception, cut from bags: a robot's events, and the topics that hold the truth.

The events go through the same streams and front end as in the perception node, in windows of a control period. A truth
is interpolated linearly to the end of each window, so that its topic may be slower or faster than the control loop. An
episode ends where the truth or the events pause, and after the training's ``seconds``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import TaskError
from ..events.binning import SpikeBinner
from ..events.camera_streams import CameraStream, CameraStreams
from ..events.filters import FrontEnd
from ..joints import JOINT_STATE, Readings, to_ns
from ..records.bag import Bag
from ..records.contents import event_packets
from ..records.setup import Topics, read_description, setup_of
from ..robot import Robot, names
from ..spiking.layers import LayeredNetwork
from ..types import SpikeTrain
from .recorded_episodes import HELD_OUT_PART, EpisodeSet, RecordedEpisode, check_step, front_end_of

#: Samples of a truth that lie further apart are not interpolated [ns].
LONGEST_PAUSE_NS = 500_000_000
#: Fewer control periods are no episode.
SHORTEST = 10
#: Bags are cut into at least so many episodes, so that the held-out ones lie everywhere in them.
FEWEST = 2 * HELD_OUT_PART
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
    known = names(robot.estimates)
    found: dict[str, Target] = {}
    for text in given:
        match = _TARGET.fullmatch(text)
        if match is None:
            raise TaskError(f"--target {text}; give [ESTIMATE=]/TOPIC.FIELD, such as /odom.twist.twist.linear.x")
        name = match["estimate"] or (known[0] if len(known) == 1 else "")
        if name not in known:
            raise TaskError(f"--target {text}: name one of the estimates: {', '.join(known)}")
        found[name] = Target(name, match["topic"], match["field"])
    missing = [name for name in known if name not in found]
    if missing:
        raise TaskError(f"--target: none of {', '.join(missing)}; give {missing[0]}=/TOPIC.FIELD")
    return tuple(found[name] for name in known)


def bag_episodes(
    robot: Robot, network: LayeredNetwork, bags: Sequence[Path], targets: Sequence[Target],
    progress: Callable[[float], None] = lambda part: None,
) -> EpisodeSet:  # fmt: skip
    """Cut bags into episodes, of which every :data:`HELD_OUT_PART`-th is held out.

    Args:
        robot: with cameras and estimates; its front end is applied to the events.
        network: that is to be trained.
        bags: .mcap or .db3 files, or folders of ``ros2 bag``.
        targets: one for each estimate, in order.
        progress: called with the part of the bags that is read.

    Raises:
        TaskError: a bag lacks a topic, a field or a camera, a truth is not finite, or events and truths do not overlap.
    """
    per_tick = check_step(robot, network.step_s)
    runs: list[RecordedEpisode] = []
    for number, path in enumerate(bags):
        runs += _runs_of(robot, network, path, targets, per_tick)
        progress((number + 1) / len(bags))
    total = sum(len(run.truth) for run in runs)
    length = max(SHORTEST, min(round(network.training.seconds / robot.period_s), total // FEWEST))
    episodes = [piece for run in runs for piece in _pieces(run, length)]
    held_out, training = episodes[HELD_OUT_PART // 2 :: HELD_OUT_PART], []
    for number, episode in enumerate(episodes):
        if number % HELD_OUT_PART != HELD_OUT_PART // 2:
            training.append(episode)
    if not held_out:
        least = FEWEST * SHORTEST * robot.period_s
        found = f"{total * robot.period_s:.2g} s of events with truths"
        raise TaskError(f"{bags[0]}: {found}; record at least {least:g} s in which both are published")
    source = {
        "training_data": [path.name for path in bags],
        "training_targets": [f"{target.estimate}={target.topic}.{target.field}" for target in targets],
    }
    return EpisodeSet(training, held_out, ", ".join(map(str, bags)), source)


def _runs_of(
    robot: Robot, network: LayeredNetwork, path: Path, targets: Sequence[Target], per_tick: int
) -> Iterator[RecordedEpisode]:
    """The stretches of a bag in which there are events and truths, each without a pause."""
    bag = Bag(path)
    times, values = zip(*(_truth_of(bag, target) for target in targets), strict=True)
    front_end, (width, height) = front_end_of(robot)
    binner = SpikeBinner(width, height, network.row_group, round(network.step_s * 1e9))
    period_ns = round(robot.period_s * 1e9)
    counts: list[Any] = []
    ids: list[Any] = []
    ends: list[Any] = []

    def run() -> Iterator[RecordedEpisode]:
        if len(ends) >= SHORTEST:
            indptr = np.concatenate([[0], np.cumsum(np.concatenate(counts))])
            yield RecordedEpisode(SpikeTrain(indptr, np.concatenate(ids)), truths(np.array(ends)), per_tick)
        for held in (counts, ids, ends):
            held.clear()

    def truths(at: np.ndarray) -> np.ndarray:
        return np.stack([np.interp(at, t, v) for t, v in zip(times, values, strict=True)], 1)

    n_windows = n_known = 0
    first_ns = last_ns = 0
    for events, end_ns, n in _windows(bag, robot, front_end, period_ns):
        first_ns, last_ns = first_ns or end_ns - n * period_ns, end_ns
        n_windows += n
        spikes = binner.bin(events, end_ns - n * period_ns, n * per_tick)
        if ends and end_ns - n * period_ns != ends[-1]:
            yield from run()
        for k in range(n):
            at = end_ns - (n - 1 - k) * period_ns
            if not all(_known(t, at) for t in times):
                yield from run()
                continue
            n_known += 1
            first, last = spikes.indptr[k * per_tick], spikes.indptr[(k + 1) * per_tick]
            counts.append(np.diff(spikes.indptr[k * per_tick : (k + 1) * per_tick + 1]))
            ids.append(spikes.ids[first:last])
            ends.append(at)
    yield from run()
    if not n_windows:
        raise TaskError(f"{path}: no events on {', '.join(c.events_topic for c in robot.cameras)}; record that topic")
    if not n_known:
        begin, end = max(int(t[0]) for t in times), min(int(t[-1]) for t in times)
        spans = [f"{a * 1e-9:.2f} to {b * 1e-9:.2f} s" for a, b in ((first_ns, last_ns), (begin, end))]
        found = f"events from {spans[0]} and truths from {spans[1]} do not overlap"
        raise TaskError(f"{path}: {found}; do their clocks agree?")


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
    until_ns = 0
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
            until_ns = end_ns
            yield (events if front_end is None else front_end.apply(events)), end_ns, int(n)


def _known(times: np.ndarray, at_ns: int) -> bool:
    """Whether a truth can be interpolated to a time."""
    after = int(np.searchsorted(times, at_ns))
    if after == len(times) or after == 0:
        return after < len(times) and int(times[after]) == at_ns
    return int(times[after] - times[after - 1]) <= LONGEST_PAUSE_NS


def _truth_of(bag: Bag, target: Target) -> tuple[np.ndarray, np.ndarray]:
    """Times [ns], ascending, and values of a truth."""
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
    return np.array(times)[order], np.array(values)[order]


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


def _pieces(run: RecordedEpisode, length: int) -> Iterator[RecordedEpisode]:
    """A run cut into episodes of a number of control periods; a short rest stays with the last."""
    n, per_tick, indptr = len(run.truth), run.steps_per_tick, run.spikes.indptr
    edges = [*range(0, max(1, n - length // 2), length), n]
    for begin, end in zip(edges[:-1], edges[1:], strict=True):
        if end - begin < SHORTEST:
            continue
        part = indptr[begin * per_tick : end * per_tick + 1]
        spikes = SpikeTrain(part - part[0], run.spikes.ids[part[0] : part[-1]])
        yield RecordedEpisode(spikes, run.truth[begin:end], per_tick)
