# SPDX-License-Identifier: Apache-2.0
"""Episodes for the training of a perception: input spikes and the truths of the estimates, as the task's expert drives.

Episodes are recorded by worker processes, each with its own world, and kept in a cache under the hash of all that
decides them: the robot's folder, this recorder, the encoding of the input, the seed. Beside noise on the expert's
commands, half of the episodes have setpoints of their own, so that more is seen than what the expert does by itself.
"""

from __future__ import annotations

import hashlib
import io
import math
import multiprocessing
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from ..bench.variants import chosen_variants, controller_file, loop_of_variant
from ..errors import LiquidSpikeError, TaskError
from ..events.binning import SpikeBinner
from ..events.camera_streams import side_by_side
from ..events.filters import FrontEnd
from ..inputs import open_npz
from ..loop import Loop
from ..outputs import write_file
from ..robot import Robot, Variant, names
from ..robots.catalogue import robot_named
from ..sim.world import Sensing, World, picture_size
from ..spiking.layers import LayeredNetwork, Training
from ..tasks.of_robot import task_of
from ..types import SpikeTrain
from .seeds import PERCEPTION_SEEDS

#: Raise it when what is recorded for a seed changes.
VERSION = 2
#: First held-out seed, and the part of the training's episodes that are held out.
HELD_OUT_SEED, HELD_OUT_PART = 1000, 8
#: Files of a robot's folder that decide an episode, beside its description.
_SUFFIXES = (".xml", ".py", ".png", ".obj", ".stl")
#: Names the cache's folder.
CACHE_VARIABLE = "LIQUID_SPIKE_CACHE"


@dataclass(frozen=True)
class Recording:
    """How episodes are recorded.

    Attributes:
        step_s: length of a step of the network [s]; a whole part of the control period.
        row_group: rows that share an axon.
        seconds: how long an episode is at most [s].
        exploration: standard deviation of the noise on the expert's commands, as a part of their range.
        setpoints: standard deviation of setpoints about what the task asks for at first, in every other episode, in
            their scales.
        settings: of the task, by name.
    """

    step_s: float
    row_group: int
    seconds: float
    exploration: float = 0.2
    setpoints: float = 1.0
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Driver:
    """Who drives instead of the expert: a controller on a network's own estimates.

    Attributes:
        model: .nir file of the perception.
        hash: of the perception.
        variant: of the robot, whose controller it is; empty for the description's.
    """

    model: Path
    hash: str
    variant: str

    def loop(self, robot: Robot, settings: Mapping[str, Any]) -> Loop:
        """The loop that drives, of a task with these settings.

        Raises:
            LiquidSpikeError: there is no such variant, or its controller or the perception is not there.
        """
        variant = chosen_variants(robot, (self.variant,))[self.variant] if self.variant else Variant()
        variant = msgspec.structs.replace(variant, estimates="perception", backend="loihi")
        return loop_of_variant(robot, variant, perception=self.model, **settings)


@dataclass(frozen=True, eq=False, slots=True)
class RecordedEpisode:
    """One episode.

    Attributes:
        spikes: of the input, from the beginning.
        truth: float64 ``(n_ticks, n_estimates)``, at the end of each control period.
        steps_per_tick: steps of the network in a control period.
    """

    spikes: SpikeTrain
    truth: np.ndarray
    steps_per_tick: int


@dataclass(frozen=True, eq=False)
class EpisodeSet:
    """Episodes of a training.

    Attributes:
        training: to learn from.
        held_out: to measure on.
        name: where they are from, for messages.
        source: the same for a model's metadata, in JSON's types.
    """

    training: Sequence[RecordedEpisode]
    held_out: Sequence[RecordedEpisode]
    name: str
    source: dict[str, Any]


def cache_folder() -> Path:
    """Where recorded episodes are kept: ``$LIQUID_SPIKE_CACHE``, or a folder of the user's cache."""
    given = os.environ.get(CACHE_VARIABLE)
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(given) if given else base / "liquid_spike_control" / "episodes"


def front_end_of(robot: Robot) -> tuple[FrontEnd | None, tuple[int, int]]:
    """What is between a robot's cameras and its network, and columns and rows of the picture that the network takes.

    Raises:
        RobotError: a file of the front end is missing, damaged or does not fit.
    """
    sensors = robot.sensors()
    if not sensors:
        return None, picture_size(robot.cameras)
    front_end = FrontEnd(sensors)
    return front_end, (front_end.width, front_end.height)


def check_step(robot: Robot, step_s: float) -> int:
    """How many steps of a network a control period has.

    Raises:
        TaskError: not a whole number of them.
    """
    steps = robot.period_s / step_s
    if not 0.5 < steps or abs(steps - round(steps)) > 1e-6:
        raise TaskError(f"step_s: {step_s}; give a whole part of the control period, {robot.period_s} s")
    return round(steps)


def expert_episodes(
    robot: Robot, network: LayeredNetwork, seed: int, folder: Path, n_workers: int,
    progress: Callable[[float], None] = lambda part: None,
) -> EpisodeSet:  # fmt: skip
    """The episodes of a training in simulation, driven by the task's expert.

    Args:
        robot: with cameras and estimates, and a task with an expert.
        network: that is to be trained, with how it is.
        seed: of the training, which decides those of the episodes.
        folder, n_workers, progress: see :func:`recorded`.

    Raises:
        TaskError, RobotError, LiquidSpikeError: see :func:`recorded`.
    """
    training = network.training
    n_held_out = max(2, training.episodes // HELD_OUT_PART)
    seeds, own = _seeds(training, seed)
    held_out = range(HELD_OUT_SEED, HELD_OUT_SEED + n_held_out)
    episodes = recorded(robot, _recording(network), [*held_out, *seeds], folder, n_workers, progress)
    source = {"training_seeds": [seeds[0], [*seeds, *own][-1]]}
    return EpisodeSet(episodes[n_held_out:], episodes[:n_held_out], str(robot.source), source)


def own_episodes(
    robot: Robot, network: LayeredNetwork, seed: int, folder: Path, n_workers: int, driven_by: str,
    progress: Callable[[float], None] = lambda part: None,
) -> list[RecordedEpisode]:  # fmt: skip
    """The episodes of a training that the network itself drives, as it was after half of the updates.

    Args:
        robot, network, seed, folder, n_workers, progress: see :func:`expert_episodes`.
        driven_by: hash of that network, whose file lies in the folder under it.

    Raises:
        LiquidSpikeError: see :func:`recorded`; the file is not there any more, or no controller drives.
    """
    path = folder / f"{driven_by}.nir"
    if not path.is_file():
        raise LiquidSpikeError(f"{path}: not there any more; remove the checkpoint to begin anew")
    driver = Driver(path, driven_by, network.training.driver)
    return recorded(robot, _recording(network), _seeds(network.training, seed)[1], folder, n_workers, progress, driver)


def _recording(network: LayeredNetwork) -> Recording:
    training = network.training
    return Recording(
        network.step_s, network.row_group, training.seconds, training.exploration, training.setpoints, training.settings
    )


def _seeds(training: Training, seed: int) -> tuple[range, range]:
    """Seeds of the episodes that the expert drives, and of those that the network drives."""
    first = PERCEPTION_SEEDS[0] + (seed - 1) % 400 * 1_000_000
    n_own = min(round(training.on_policy * training.episodes), training.episodes - 1)
    end = first + training.episodes
    return range(first, end - n_own), range(end - n_own, end)


def episode_key(robot: Robot, recording: Recording, seed: int, driver: Driver | None = None) -> str:
    """Hex SHA-256 of all that decides an episode."""
    sha = hashlib.sha256(f"episode {VERSION} {sorted(asdict(recording).items())} {seed}".encode())
    if driver is not None:
        sha.update(f"{driver.hash} {driver.variant}".encode())
        path = controller_file(robot, chosen_variants(robot, (driver.variant,))[driver.variant] if driver.variant
                               else Variant())  # fmt: skip
        sha.update(b"" if path is None else path.read_bytes())
    bare = msgspec.structs.replace(robot, perception=None, controller=None, description="", folder="", source="")
    sha.update(msgspec.json.encode(bare) + repr(robot.sensors()).encode())
    for path in sorted(Path(robot.folder).glob("*")):
        if path.suffix in _SUFFIXES and path.is_file():
            sha.update(path.name.encode() + path.read_bytes())
    return sha.hexdigest()


def recorded(
    robot: Robot, recording: Recording, seeds: Sequence[int], folder: Path, n_workers: int,
    progress: Callable[[float], None] = lambda part: None, driver: Driver | None = None,
) -> list[RecordedEpisode]:  # fmt: skip
    """Episodes out of the cache, those that are missing recorded first.

    Args:
        robot: with cameras and estimates, and a task with an expert.
        recording: see :class:`Recording`.
        seeds: one an episode.
        folder: of the cache.
        n_workers: processes; with 1, this one records.
        progress: called with the part that is done.
        driver: who drives; the task's expert by default.

    Raises:
        TaskError: a truth is not finite, a camera sees nothing, or the step does not fit the control period.
        RobotError: the task has no expert.
        LiquidSpikeError: the cache cannot be written.
    """
    check_step(robot, recording.step_s)
    paths = {seed: folder / f"{episode_key(robot, recording, seed, driver)}.npz" for seed in seeds}
    missing = [seed for seed, path in paths.items() if not path.is_file()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LiquidSpikeError(f"{folder}: {error.strerror}; name a folder in {CACHE_VARIABLE}") from None
    for number, (seed, content) in enumerate(_record_all(robot, recording, missing, n_workers, driver)):
        write_file(paths[seed], content)
        progress((number + 1) / len(missing))
    return [_read(path) for path in paths.values()]


def _record_all(
    robot: Robot, recording: Recording, seeds: Sequence[int], n_workers: int, driver: Driver | None
) -> Iterator[tuple[int, bytes]]:
    if n_workers < 2 or len(seeds) < 2:
        loop = driver.loop(robot, recording.settings) if driver else None
        with loop.world if loop else World(task_of(robot, **recording.settings), rendered=False) as world:
            for seed in seeds:
                yield seed, record_episode(world, recording, seed, loop)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(n_workers, context, _open_world, (str(robot.source), recording, driver)) as pool:
        waiting = {pool.submit(_record_in_worker, seed): seed for seed in seeds}
        for done in as_completed(waiting):
            yield waiting[done], done.result()


_WORKER: list[tuple[World, Recording, Loop | None]] = []


def _open_world(source: str, recording: Recording, driver: Driver | None) -> None:
    robot = robot_named(source)
    loop = driver.loop(robot, recording.settings) if driver else None
    world = loop.world if loop else World(task_of(robot, **recording.settings), rendered=False)
    _WORKER.append((world, recording, loop))


def _record_in_worker(seed: int) -> bytes:
    world, recording, loop = _WORKER[0]
    return record_episode(world, recording, seed, loop)


def record_episode(world: World, recording: Recording, seed: int, loop: Loop | None = None) -> bytes:
    """Drive one episode; returns the file for the cache.

    Args:
        world: of the robot.
        recording: how.
        seed: of the episode.
        loop: in this world, whose controller drives on its own estimates; the task's expert by default.

    Raises:
        TaskError: a truth is not finite.
    """
    robot, task = world.robot, world.task
    act, sensing = _begun(world, seed, loop)
    front_end, (width, height) = front_end_of(robot)
    binner = SpikeBinner(width, height, recording.row_group, round(recording.step_s * 1e9))
    per_tick = round(robot.period_s / recording.step_s)
    rng = np.random.default_rng([seed, 5])
    spread = recording.exploration * (task.most - task.least) / 2
    wander, stamp_ns = np.zeros(len(spread)), 0
    if rng.random() < 0.5:
        asked = task.observe()[len(robot.seen) - len(robot.setpoints) :].tolist()  # hovering, 0 is asked for, say
        for setpoint, value in zip(robot.setpoints, asked, strict=True):
            task.give_setpoint(setpoint.name, value + recording.setpoints * setpoint.scale * rng.normal())
    counts, ids, truths = [np.zeros(1, np.int64)], [np.zeros(0, np.int32)], []
    for _ in range(math.ceil(min(recording.seconds, task.duration_s) / robot.period_s)):
        wander += 0.1 * (spread * rng.standard_normal(len(spread)) - wander)
        sensing = world.advance(act(sensing) + 3 * wander)
        if world.over:  # the last period may have seen a collision
            break
        events = side_by_side(sensing.events, robot.cameras)
        spikes = binner.bin(events if front_end is None else front_end.apply(events), stamp_ns, per_tick)
        stamp_ns += per_tick * binner.step_ns
        truth = world.truth
        if not np.isfinite(truth).all():
            bad = names(robot.estimates)[int(np.flatnonzero(~np.isfinite(truth))[0])]
            remedy = "give its mujoco place, or the task a method estimates()"
            raise TaskError(f"{robot.source}: estimates ({bad}): its truth is not finite; {remedy}")
        counts.append(np.diff(spikes.indptr))
        ids.append(spikes.ids)
        truths.append(truth)
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer, counts=np.concatenate(counts)[1:].astype(np.uint16), ids=np.concatenate(ids).astype(np.int32),
        truth=np.array(truths).reshape(-1, len(robot.estimates)), per_tick=per_tick,
    )  # fmt: skip
    return buffer.getvalue()


def _begun(world: World, seed: int, loop: Loop | None) -> tuple[Callable[[Sensing], np.ndarray], Sensing]:
    """Begin an episode; who drives, as a function of what is sensed, and the first sensing."""
    if loop is not None:
        loop.reset(seed)
        return lambda sensing: loop.decide(sensing).output, loop.sensing
    task, expert = world.task, world.task.expert()
    first = world.reset(seed)
    expert.reset()
    return lambda sensing: expert.act(task), first


def _read(path: Path) -> RecordedEpisode:
    try:
        with open_npz(path) as file:
            indptr = np.concatenate([[0], np.cumsum(file["counts"].astype(np.int64))])
            ids = file["ids"]
            if indptr[-1] != len(ids) or ids.dtype != np.int32 or ids.ndim != 1:
                raise ValueError("counts and spikes do not meet")
            return RecordedEpisode(SpikeTrain(indptr, ids), file["truth"], int(file["per_tick"]))
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:100]
        raise LiquidSpikeError(f"{path}: not a whole recorded episode ({reason}); remove it") from None
