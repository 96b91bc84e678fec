# SPDX-License-Identifier: Apache-2.0
"""Episodes for the training of a perception, cut from recordings of an event camera with labels by time stamps beside.

The events are in a file of any format that :mod:`..events.files` reads, such as those of DSEC, the labels in files of
:mod:`.labels`, on the same clock. The events go through the robot's front end, in windows of a control period; see
:mod:`.recorded_runs` for the rest.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import TaskError
from ..events.files import READS, EventFile, open_events
from ..events.filters import FrontEnd
from ..events.windows import Windows
from ..robot import Robot
from ..spiking.layers import LayeredNetwork
from .labels import read_labels
from .recorded_episodes import EpisodeSet, RecordedEpisode, front_end_of
from .recorded_runs import episodes_of, places_of, runs_of

_TARGET = re.compile(r"(?:(?P<estimate>[^=/]+)=)?(?P<file>[^:]+):(?P<column>[^:]+)")
#: Longer without an event, the recording has paused, and a new run begins [ns].
PAUSE_NS = 500_000_000


@dataclass(frozen=True)
class LabelTarget:
    """Where the truth of an estimate is.

    Attributes:
        estimate: its name.
        file: of labels, seen from the folder of the events.
        column: in it.
    """

    estimate: str
    file: str
    column: str


def parse_label_targets(robot: Robot, given: Sequence[str]) -> tuple[LabelTarget, ...]:
    """Parse ``[ESTIMATE=]FILE:COLUMN``, one for each estimate of the robot.

    Returns:
        The targets, in the order of the estimates.

    Raises:
        TaskError: one has another form, names no estimate, or an estimate has none.
    """
    found = places_of(robot, given, _TARGET, "FILE:COLUMN, such as labels.csv:speed")
    return tuple(LabelTarget(name, match["file"], match["column"]) for name, match in found)


def is_events(path: Path) -> bool:
    """Whether this is a recording of an event camera, or a folder with one, and no bag."""
    return path.suffix.lower() in READS if not path.is_dir() else bool(_held(path))


def labelled_episodes(
    robot: Robot, network: LayeredNetwork, recordings: Sequence[Path], targets: Sequence[LabelTarget],
    progress: Callable[[float], None] = lambda part: None,
) -> EpisodeSet:  # fmt: skip
    """Cut recordings of an event camera into episodes, of which every eighth is held out.

    Args:
        robot: with one camera and estimates; its front end is applied to the events.
        network: that is to be trained.
        recordings: files of events, or folders with one that is called ``events``.
        targets: one for each estimate, in order.
        progress: called with the part of the recordings that is read.

    Raises:
        TaskError: the robot has several cameras, or one of another size; a file is missing or damaged; a label is not
            there or not finite; events run back in time, or they and the labels do not overlap.
    """
    if len(robot.cameras) != 1:
        raise TaskError(f"--data: the robot {robot.name} has {len(robot.cameras)} cameras; give bags of all of them")
    runs: list[RecordedEpisode] = []
    for number, path in enumerate(recordings):
        file = _open(path, robot)
        truths = [read_labels(file.path.parent / target.file, target.column) for target in targets]
        front_end, picture = front_end_of(robot)
        windows = _windows(file, front_end, round(robot.period_s * 1e9))
        runs += runs_of(robot, network, picture, file.path, truths, windows)
        progress((number + 1) / len(recordings))
    said = [f"{target.estimate}={target.file}:{target.column}" for target in targets]
    return episodes_of(robot, network, recordings, runs, said)


def _held(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("events.*") if path.suffix.lower() in READS)


def _open(path: Path, robot: Robot) -> EventFile:
    """A recording of the robot's camera."""
    if path.is_dir():
        held = _held(path)
        if len(held) != 1:
            found = "several recordings" if held else "no recording"
            raise TaskError(f"{path}: {found} called events in it; name the file, such as {path}/events.h5")
        (path,) = held
    (camera,) = robot.cameras
    file = open_events(path, (camera.width, camera.height))
    if (file.width, file.height) != (camera.width, camera.height):
        found = f"{file.width}x{file.height} pixels"
        raise TaskError(f"{path}: {found}; camera '{camera.name}' has {camera.width}x{camera.height}")
    return file


def _windows(
    file: EventFile, front_end: FrontEnd | None, period_ns: int
) -> Iterator[tuple[np.ndarray, int, int]]:
    """Events behind the front end, the end [ns] and the number of windows of a control period."""
    windows, until_ns, last_ns = Windows(period_ns), 0, None
    for piece in file.pieces():
        if not len(piece):
            continue
        times = piece["t"]
        if (np.diff(times) < 0).any() or (last_ns is not None and times[0] < last_ns):
            raise TaskError(f"{file.path}: events run back in time; sort them")
        if piece["x"].max() >= file.width or piece["y"].max() >= file.height:
            size = f"{file.width} x {file.height}"
            raise TaskError(f"{file.path}: events lie outside of {size} pixels; correct the camera")
        starts = [0, *(np.flatnonzero(np.diff(times) > PAUSE_NS) + 1).tolist()]
        for begin, end in zip(starts, [*starts[1:], len(piece)], strict=True):
            part = piece[begin:end]
            if last_ns is None or part["t"][0] - last_ns > PAUSE_NS:
                until_ns = int(part["t"][0]) - 1  # a window holds what comes after its beginning
                windows.reset(until_ns)
                if front_end is not None:
                    front_end.reset()
            last_ns = int(part["t"][-1])
            if (complete := windows.add(part, last_ns)) is not None:
                events, end_ns = complete
                n, until_ns = (end_ns - until_ns) // period_ns, end_ns
                yield (events if front_end is None else front_end.apply(events)), end_ns, n
    if last_ns is None:
        raise TaskError(f"{file.path}: no event in it; record one in which something moves")
