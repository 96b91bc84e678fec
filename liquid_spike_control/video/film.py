# SPDX-License-Identifier: Apache-2.0
"""A run as a moving picture: ``liquid-spike run --video``, ``liquid-spike replay --video``."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from ..errors import TaskError
from ..history import History
from ..tasks.of_robot import task_of
from ..terminal import Console
from .encoding import RATES_HZ, encode
from .frames import COLOURS, WIDTH, Frames

#: A bar is shown where it takes longer [s].
QUICK_S = 2.0


def film(
    history: History, path: Path, title: str, seed: int, duration_s: float | None = None,
    settings: Mapping[str, Any] | None = None, console: Console | None = None, length_s: float | None = None,
    width: int | None = None,
) -> None:  # fmt: skip
    """Write the video of a run; the format is the suffix's.

    Args:
        history: of the run, with poses.
        path: ``.gif`` or ``.mp4``.
        title: what stands above.
        seed: of the episode, which decides what the scene looks like.
        duration_s, settings: of the task, likewise.
        console: for a progress bar.
        length_s: how much of the run is shown [s]; all by default.
        width: of the video [pixels]; :data:`.frames.WIDTH` by default.

    Raises:
        LiquidSpikeError: there is nothing to show, no off-screen GL, no encoder, or the file cannot be written.
    """
    if not history.truth:
        raise TaskError(f"{path}: the run has no tick to show; run it longer")
    task = task_of(history.robot, duration_s, **dict(settings or {}))
    task.reset(seed)
    rate_hz = RATES_HZ[path.suffix.lower()]
    frames = Frames(history, task, title, rate_hz, length_s, width or WIDTH)
    encode(path, _shown(frames, console), rate_hz, COLOURS)


def _shown(frames: Frames, console: Console | None) -> Iterator[np.ndarray]:
    """The frames, with a bar where there are many."""
    if console is None or not console.is_terminal:
        yield from frames
        return
    columns = (TextColumn("drawing the video"), BarColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=console, transient=True)
    began, task = time.monotonic(), bar.add_task("video", total=len(frames))
    try:
        for frame in frames:
            yield frame
            bar.advance(task)
            if not bar.live.is_started and time.monotonic() - began > QUICK_S:
                bar.start()
    finally:
        bar.stop()
