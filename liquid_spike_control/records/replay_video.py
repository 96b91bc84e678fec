# SPDX-License-Identifier: Apache-2.0
"""A moving picture of a recorded run of the simulator: its scene, and the replayed estimates beside the truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..errors import TaskError
from ..events.codec import Decoder
from ..history import History
from ..inputs import parse_json
from ..joints import JOINT_STATE, from_joint_state, to_ns
from ..robot import names
from ..terminal import Console
from ..video.film import film
from .bag import Bag
from .contents import event_packets
from .replay import Replay
from .setup import Topics


def write_video(outcome: Replay, topics: Topics, path: Path) -> None:
    """Write the video; the format is the suffix's.

    Args:
        outcome: of the replay.
        topics: where the messages are.
        path: ``.gif`` or ``.mp4``.

    Raises:
        TaskError: the bag has no poses or truth of a simulation.
        LiquidSpikeError: there is no off-screen GL, no encoder, or the file cannot be written.
    """
    parameter = outcome.description.parameter
    history = history_of(outcome, topics)
    title = f"{outcome.robot.name}, {outcome.path.name}: {'identical' if outcome.identical else 'differs'}"
    try:
        settings = dict(parse_json(str(parameter("simulator", "settings", "{}"))))
        seed, duration_s = int(parameter("simulator", "seed", 0)), float(parameter("simulator", "duration_s", 0.0))
    except (TypeError, ValueError) as error:
        remedy = "record it with liquid-spike run --record"
        raise TaskError(f"{outcome.path}: the simulator's parameters cannot be read ({error}); {remedy}") from None
    film(history, path, title, seed, duration_s or None, settings, Console(stderr=True))


def history_of(outcome: Replay, topics: Topics) -> History:
    """Return the history of a simulated run from a bag, with the replayed estimates.

    Args:
        outcome: of the replay.
        topics: where the messages are.

    Raises:
        TaskError: the bag has no poses or truth of a simulation, or a message is damaged.
    """
    history, bag = History(outcome.robot), Bag(outcome.path)
    known = (*names(outcome.robot.seen), *names(outcome.robot.estimates))
    for raw in bag.messages():
        if raw.kind != JOINT_STATE or raw.topic not in (topics.truth, topics.pose):
            continue
        message = bag.read(raw)
        if raw.topic == topics.pose:
            history.poses[to_ns(message.header.stamp)] = np.array(message.position, float)
        else:
            truth = from_joint_state(message, known)
            history.truth[truth.stamp_ns] = tuple(truth.values.tolist())
    for topic, found in ((topics.truth, history.truth), (topics.pose, history.poses)):
        if not found:
            raise TaskError(f"{outcome.path}: nothing on {topic}; --video needs a bag of liquid-spike run --record")
    if outcome.robot.estimates:
        history.estimates = {t: tuple(e.values.tolist()) for t, e in outcome.estimates.items()}
    for gated in outcome.contents.gated:
        history.commands.setdefault(gated.quantities.stamp_ns, tuple(gated.quantities.values.tolist()))
    for packet in outcome.contents.spikes_out:
        pairs = np.frombuffer(packet.data, "<u4").reshape(-1, 2)
        history.spikes.append((packet.start_ns, pairs[:, 0], pairs[:, 1]))
    setup = outcome.setup
    decoders = [Decoder() for _ in setup.sizes]
    for camera, packet in event_packets(bag, setup.events):
        events = decoders[camera].decode(
            packet.events, packet.encoding, packet.time_base, packet.width, packet.height
        )
        events["x"] += sum(width for width, _ in setup.sizes[:camera])
        history.events.append(events)
    if len(decoders) > 1 and history.events:
        events = np.concatenate(history.events)
        history.events = [events[np.argsort(events["t"], kind="stable")]]
    return history
