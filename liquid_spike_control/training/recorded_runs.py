# SPDX-License-Identifier: Apache-2.0
"""Episodes cut from a recording: a camera's events in windows of a control period, beside truths at times of their own.

A truth is interpolated linearly to the end of each window, so that it may come slower or faster than the control loop.
An episode ends where a truth or the events pause, and after the training's ``seconds``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import TaskError
from ..events.binning import SpikeBinner
from ..robot import Robot, names
from ..spiking.layers import LayeredNetwork
from ..types import SpikeTrain
from .recorded_episodes import HELD_OUT_PART, EpisodeSet, RecordedEpisode, check_step

#: Samples of a truth that lie further apart are not interpolated [ns].
LONGEST_PAUSE_NS = 500_000_000
#: Fewer control periods are no episode.
SHORTEST = 10
#: Recordings are cut into at least so many episodes, so that the held-out ones lie everywhere in them.
FEWEST = 2 * HELD_OUT_PART


@dataclass(frozen=True, eq=False)
class Truth:
    """Samples of an estimate's truth.

    Attributes:
        times_ns: int64 ``(n,)``, ascending; at least one.
        values: float64 ``(n,)``, finite.
    """

    times_ns: np.ndarray
    values: np.ndarray

    def known(self, at_ns: int) -> bool:
        """Whether it can be interpolated to a time."""
        times = self.times_ns
        after = int(np.searchsorted(times, at_ns))
        if after == len(times) or after == 0:
            return after < len(times) and int(times[after]) == at_ns
        return int(times[after] - times[after - 1]) <= LONGEST_PAUSE_NS

    def at(self, times_ns: np.ndarray) -> np.ndarray:
        """Interpolated values, float64 of the shape of ``times_ns``."""
        return np.interp(times_ns, self.times_ns, self.values)


def places_of(
    robot: Robot, given: Sequence[str], form: re.Pattern[str], remedy: str
) -> list[tuple[str, re.Match[str]]]:
    """Where the truth of each estimate is, in the order of the estimates.

    Args:
        robot: whose estimates.
        given: texts, one for each estimate.
        form: of a text; its group ``estimate`` may be left out where there is one estimate only.
        remedy: the form and an example, for messages.

    Raises:
        TaskError: a text has another form, names no estimate, or an estimate has none.
    """
    known = names(robot.estimates)
    found: dict[str, re.Match[str]] = {}
    for text in given:
        match = form.fullmatch(text)
        if match is None:
            raise TaskError(f"--target {text}; give [ESTIMATE=]{remedy}")
        name = match["estimate"] or (known[0] if len(known) == 1 else "")
        if name not in known:
            raise TaskError(f"--target {text}: name one of the estimates: {', '.join(known)}")
        found[name] = match
    missing = [name for name in known if name not in found]
    if missing:
        raise TaskError(f"--target: none of {', '.join(missing)}; give {missing[0]}={remedy}")
    return [(name, found[name]) for name in known]


def runs_of(
    robot: Robot, network: LayeredNetwork, picture: tuple[int, int], path: Path, truths: Sequence[Truth],
    windows: Iterable[tuple[np.ndarray, int, int]],
) -> Iterator[RecordedEpisode]:  # fmt: skip
    """The stretches of a recording in which there are events and truths, each without a pause.

    Args:
        robot: whose control period it is.
        network: that is to be trained.
        picture: columns and rows that the network takes.
        path: of the recording, for messages.
        truths: of the estimates, in order.
        windows: events behind the front end, the end of their last window [ns], and how many windows these are. One
            that does not begin where the one before ends begins a run.

    Raises:
        TaskError: nothing overlaps with the truths, or a step of the network is no part of the control period.
    """
    per_tick, period_ns = check_step(robot, network.step_s), round(robot.period_s * 1e9)
    binner = SpikeBinner(*picture, network.row_group, round(network.step_s * 1e9))
    counts: list[Any] = []
    ids: list[Any] = []
    ends: list[Any] = []

    def run() -> Iterator[RecordedEpisode]:
        if len(ends) >= SHORTEST:
            indptr, at = np.concatenate([[0], np.cumsum(np.concatenate(counts))]), np.array(ends)
            truth = np.stack([truth.at(at) for truth in truths], 1)
            yield RecordedEpisode(SpikeTrain(indptr, np.concatenate(ids)), truth, per_tick)
        for held in (counts, ids, ends):
            held.clear()

    n_windows = n_known = 0
    first_ns = last_ns = 0
    for events, end_ns, n in windows:
        begin_ns = end_ns - n * period_ns
        if not n_windows:
            first_ns = begin_ns
        last_ns = end_ns
        n_windows += n
        spikes = binner.bin(events, begin_ns, n * per_tick)
        if ends and begin_ns != ends[-1]:
            yield from run()
        for k in range(n):
            at = end_ns - (n - 1 - k) * period_ns
            if not all(truth.known(at) for truth in truths):
                yield from run()
                continue
            n_known += 1
            first, last = spikes.indptr[k * per_tick], spikes.indptr[(k + 1) * per_tick]
            counts.append(np.diff(spikes.indptr[k * per_tick : (k + 1) * per_tick + 1]))
            ids.append(spikes.ids[first:last])
            ends.append(at)
    yield from run()
    if n_windows and not n_known:
        begin = max(int(truth.times_ns[0]) for truth in truths)
        end = min(int(truth.times_ns[-1]) for truth in truths)
        spans = [f"{a * 1e-9:.2f} to {b * 1e-9:.2f} s" for a, b in ((first_ns, last_ns), (begin, end))]
        found = f"events from {spans[0]} and truths from {spans[1]} do not overlap"
        raise TaskError(f"{path}: {found}; do their clocks agree?")


def episodes_of(
    robot: Robot, network: LayeredNetwork, paths: Sequence[Path], runs: Sequence[RecordedEpisode], targets: list[str]
) -> EpisodeSet:
    """Cut runs into episodes, of which every :data:`~.recorded_episodes.HELD_OUT_PART`-th is held out.

    Args:
        robot: whose control period it is.
        network: whose training says how long they are.
        paths: of the recordings.
        runs: see :func:`runs_of`.
        targets: where the truths are, for the metadata.

    Raises:
        TaskError: they are too short.
    """
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
        raise TaskError(f"{paths[0]}: {found}; record at least {least:g} s in which both are there")
    source = {"training_data": [path.name for path in paths], "training_targets": targets}
    return EpisodeSet(training, held_out, ", ".join(map(str, paths)), source)


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
