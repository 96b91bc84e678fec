# SPDX-License-Identifier: Apache-2.0
"""A moving picture of a recorded run of the simulator: its scene, and the replayed estimates beside the truth."""

from __future__ import annotations

from pathlib import Path

from ..errors import TaskError
from ..terminal import Console
from ..video.film import film
from .bag import Bag
from .replay import Replay
from .run_history import episode_of, history_of
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
    bag = Bag(outcome.path)
    history = history_of(bag, topics, outcome.setup, outcome.contents, outcome.robot)
    for topic, found in ((topics.truth, history.truth), (topics.pose, history.poses)):
        if not found:
            raise TaskError(f"{outcome.path}: nothing on {topic}; --video needs a bag of liquid-spike run --record")
    if outcome.robot.estimates:
        history.estimates = {t: tuple(e.values.tolist()) for t, e in outcome.estimates.items()}
    title = f"{outcome.robot.name}, {outcome.path.name}: {'identical' if outcome.identical else 'differs'}"
    seed, duration_s, settings = episode_of(outcome.description, bag)
    film(history, path, title, seed, duration_s, settings, Console(stderr=True))
