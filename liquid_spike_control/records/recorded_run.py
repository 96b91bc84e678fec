# SPDX-License-Identifier: Apache-2.0
"""A run out of a bag, as the samples and facts that a page shows of a running graph."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..assembly import new_backend, new_perception
from ..control.files import read_controller_file
from ..errors import LiquidSpikeError, ModelError, TaskError
from ..joints import MULTI_ARRAY
from ..neuromorphic.emulator.loihi import LoihiEmulator
from ..robot import Robot, names
from ..sim.joint_positions import JointPositions
from ..spiking.nir_io import PerceptionModel, read_perception_model
from ..tasks.mujoco_task import MujocoTask
from ..tasks.of_robot import task_of
from ..types import EVENT
from ..view.facts import facts_of
from ..view.network import NetworkView
from ..view.sample import Facts, Playback, Sample
from ..view.screen import Screen
from .bag import Bag
from .contents import Contents, Published, read_contents
from .gate_replay import GateReplay
from .replay import own_model, recorded_robot
from .run_history import Episode, episode_of, gated, history_of
from .setup import Description, Setup, Topics, read_description, setup_of

#: Name of the raster of recorded spikes where no model names their layer.
OUTPUT = "output"
_POSE = "/simulation/pose"


class RecordedRun:
    """Everything of a bag that a page shows, by tick; for one thread.

    Args:
        path: of the bag.
        robot: whose run it is, if the bag does not name it; the simulated robot of the bag, or the pencil.
        perception_model: of the run; the bag's by default, if it is still there, or else the robot's.

    Attributes:
        playback: the bag's time, layers and gaps, for the page.
        screen: shows the run; nothing has been added to it.
        stamps: of the ticks [ns], ascending.

    Raises:
        TaskError: it is no bag, has no topic of the robot, or a message is damaged.
        LiquidSpikeError: the description of the robot cannot be read.
    """

    def __init__(self, path: Path, robot: Robot | None = None, perception_model: Path | None = None) -> None:
        bag, topics = Bag(path), Topics()
        description = read_description(bag)
        self._robot = robot = robot or recorded_robot(description)
        setup = setup_of(description, topics, None, robot)
        _check_names(path, setup, robot)
        contents = read_contents(bag, topics, setup)
        self._history = history = history_of(bag, topics, setup, contents, robot)
        self._gates = dict(gated(contents))
        self._commands = {c.quantities.stamp_ns: c.quantities.values.tolist() for c in contents.commands}
        self.stamps = self._ticks(contents)
        if not len(self.stamps):
            raise TaskError(_nothing(bag, robot))
        episode = episode_of(description, bag)
        self._notes = [f"the bag is cut ({bag.cut}); shown up to there"] if bag.cut else []
        self._seen = _seen(contents, setup, robot, self.stamps) if not history.truth else None
        pieces = history.events or [np.empty(0, EVENT)]
        events = np.concatenate(pieces)
        self._events = events[np.argsort(events["t"], kind="stable")]
        if robot.estimates and not len(self._events):
            self._notes.append(f"no events: the bag has none on {' or '.join(setup.events)}")
        self._spikes = _spikes(contents)
        self._verdicts = self._judged(contents, setup, description)
        self._latencies = _latencies(contents, self._gates)
        self._facts = _facts(contents, robot, episode)
        task = self._scene(episode)
        network, layers = self._network(contents, description, perception_model)
        self.playback = Playback(
            path.name, int(self.stamps[0]), int(self.stamps[-1]), bool(len(self._events)), layers, tuple(self._notes)
        )
        self.screen = Screen(robot, task, network, self.playback)

    def _ticks(self, contents: Contents) -> np.ndarray:
        """Stamps of the truth, or else of what was made of the readings, or else of these."""
        history = self._history
        every = list(history.truth) or [*history.estimates, *self._commands] or list(history.commands)
        every = every or [m.quantities.stamp_ns for source in contents.joints for m in source] or list(history.poses)
        if not every and history.events:
            first, last = (int(history.events[at]["t"][at]) for at in (0, -1))
            period_ns = round(self._robot.period_s * 1e9)
            every = list(range(first - 1, last + period_ns, period_ns))
        return np.array(sorted(set(every)), np.int64)

    def sample(self, number: int) -> Sample:
        """The tick of a number, with the events and spikes since the one before."""
        stamp = int(self.stamps[number])
        before = int(self.stamps[number - 1]) if number else stamp - round(self._robot.period_s * 1e9)
        history = self._history
        truth = list(history.truth[stamp]) if stamp in history.truth else []
        if self._seen is not None:
            truth = self._seen[number].tolist()
        estimate = list(history.estimates.get(stamp, ()))
        first, last = np.searchsorted(self._events["t"], (before, stamp), "right")
        begin, end = np.searchsorted(self._spikes[:, 0], (before * 1e-9 + 1e-7, stamp * 1e-9 + 1e-7))
        output = self._gates.get(stamp)
        return Sample(
            stamp, self._pose(stamp, truth, estimate), truth, estimate, self._commands.get(stamp, []),
            [] if output is None else output.tolist(), self._verdicts.get(stamp, ""),
            self._events[first:last].tobytes(), self._latencies.get(stamp, 0.0), self._spikes[begin:end].tobytes(),
        )  # fmt: skip

    def facts(self, stamp_ns: int) -> Facts:
        """What the nodes had reported of themselves at a stamp."""
        number = bisect_right(self._facts, stamp_ns, key=lambda item: item[0]) - 1
        return self._facts[max(number, 0)][1]

    def verdicts(self, number: int) -> Counter[str]:
        """How often the gate did what, before the tick of a number."""
        before = (self._verdicts.get(int(stamp), "") for stamp in self.stamps[:number])
        return Counter(verdict for verdict in before if verdict)

    def _scene(self, episode: Episode) -> MujocoTask | None:
        """The robot's scene, and :attr:`_joints` where its poses follow from readings."""
        self._joints: JointPositions | None = None
        self._blank = np.empty(0)
        robot = self._robot
        if not robot.scene and not robot.task:
            self._notes.append(f"the robot is not drawn: its description ({robot.source}) names no scene")
            return None
        try:
            task = task_of(robot, episode.duration_s, **episode.settings)
        except LiquidSpikeError as error:
            self._notes.append(f"the robot is not drawn: {error}")
            return None
        task.reset(episode.seed)
        if self._history.poses:
            return task
        joints = JointPositions(robot, task.model)
        if joints.missing:
            lacking = ", ".join(joints.missing)
            self._notes.append(f"the robot is not drawn: no {_POSE} in the bag, and no reading gives joint {lacking}")
            return None
        of = "readings and truth" if self._history.truth else "readings and estimates"
        self._notes.append(f"no {_POSE} in the bag: the robot is drawn from its {of}")
        self._joints, self._blank = joints, task.pose()
        return task

    def _pose(self, stamp: int, truth: Sequence[float], estimate: Sequence[float]) -> list[float]:
        if self._joints is None:
            return self._history.poses[stamp].tolist() if stamp in self._history.poses else []
        robot = self._robot
        known = (*names(robot.seen), *names(robot.estimates))
        values = dict(zip(names(robot.estimates), estimate, strict=False)) | dict(zip(known, truth, strict=False))
        pose = self._blank.copy()
        pose[0] = max(0, stamp - int(self.stamps[0])) * 1e-9
        return pose.tolist() if self._joints.write(values, pose[1:]) else []

    def _network(
        self, contents: Contents, description: Description, path: Path | None
    ) -> tuple[NetworkView | None, dict[str, int]]:
        """The perception to look into, and the layers whose spikes are recorded with their sizes."""
        model = None
        if self._robot.estimates and len(self._events):
            try:
                model = self._model(contents, description, path)
            except LiquidSpikeError as error:
                self._notes.append(f"layers and membrane potentials are not shown: {error}")
        backend = None if model is None else new_backend(model)
        layers: dict[str, int] = {}
        if contents.spikes_out:
            n = int(self._spikes[:, 1].max()) + 1 if len(self._spikes) else 1
            layers = {OUTPUT: n}
        if model is None or not isinstance(backend, LoihiEmulator):
            return None, layers
        if layers:
            layers = {name: backend.network.size(name) for name in backend.network.outputs}
        return NetworkView(new_perception(self._robot, model), backend), layers

    def _model(self, contents: Contents, description: Description, path: Path | None) -> PerceptionModel:
        model = read_perception_model(path or own_model(description, "perception", self._robot))
        if not model.hash.startswith(contents.network):
            raise ModelError(
                f"{model.source} has network {model.hash[:16]}, the bag {contents.network}; give --perception-model"
            )
        return model

    def _judged(self, contents: Contents, setup: Setup, description: Description) -> dict[int, str]:
        """What the gate did, tick by tick: from the commands before and behind it, as in a replay."""
        if not contents.commands or not contents.gated:
            return {}
        try:
            file = read_controller_file(own_model(description, "controller", self._robot))
        except LiquidSpikeError as error:
            self._notes.append(f"the gate's verdicts are not shown by tick: {error}")
            return {}
        limits = setup.limits_with(np.array(file.command_limits, float))
        gate = GateReplay(limits, setup.lockstep, setup.gated_readings.kind != MULTI_ARRAY)
        commands = {c.quantities.stamp_ns: c.quantities.values for c in contents.commands}
        gate.compare(contents, commands, setup.gated)
        return {stamp: verdict.name.lower() for stamp, verdict in gate.verdicts.items()}


def _check_names(path: Path, setup: Setup, robot: Robot) -> None:
    for what, found, own in (
        ("estimates", setup.estimate_names, names(robot.estimates)),
        ("commands", setup.command_names, names(robot.commands)),
    ):
        if tuple(found) != tuple(own):
            given, has = ", ".join(found) or "none", ", ".join(own) or "none"
            raise TaskError(f"{path}: its {what} are {given}, robot {robot.name} has {has}; give --robot ROBOT")


def _nothing(bag: Bag, robot: Robot) -> str:
    found = sorted({raw.topic for raw in bag.messages()})
    has = f"it has {', '.join(found)[:200]}" if found else "it has no message"
    cut = f", and is cut ({bag.cut})" if bag.cut else ""
    return f"{bag.path}: no topic of robot {robot.name} ({has}{cut}); give --robot ROBOT, or another bag"


def _seen(contents: Contents, setup: Setup, robot: Robot, stamps: np.ndarray) -> np.ndarray:
    """The latest readings and setpoints at each tick, float64 ``(n_ticks, n_seen)``; NaN before the first."""
    seen = names(robot.seen)
    values = np.full((len(stamps), len(seen)), math.nan)
    values[:, len(robot.readings) :] = [setpoint.default for setpoint in robot.setpoints]
    for source in contents.joints:
        latest = _latest(source, stamps)
        for column, name in enumerate(source[0].quantities.names if source else ()):
            if name in seen:
                given = np.array([message.quantities.values[column] for message in source])
                values[latest >= 0, seen.index(name)] = given[latest[latest >= 0]]
    return values


def _latest(source: Sequence[Published], stamps: np.ndarray) -> np.ndarray:
    """Number of the latest message at each stamp; -1 before the first."""
    at = np.maximum.accumulate(np.array([message.quantities.stamp_ns for message in source], np.int64))
    return np.searchsorted(at, stamps, "right") - 1


def _spikes(contents: Contents) -> np.ndarray:
    """Recorded output spikes: times [s], at the ends of their steps, and neurons, float64 ``(n, 2)``."""
    parts = [np.empty((0, 2))]
    for packet in contents.spikes_out:
        if packet.n_steps:
            pairs = np.frombuffer(packet.data, "<u4").reshape(-1, 2)
            step_ns = (packet.stamp_ns - packet.start_ns) / packet.n_steps
            times = (packet.start_ns + (pairs[:, 0] + 1.0) * step_ns) * 1e-9
            parts.append(np.stack([times, pairs[:, 1].astype(float)], axis=1))
    spikes = np.concatenate(parts)
    return spikes[np.argsort(spikes[:, 0], kind="stable")]


def _latencies(contents: Contents, gates: dict[int, np.ndarray]) -> dict[int, float]:
    """From the publication of what was sensed to that of the gated command of the same stamp [us]."""
    sensed: dict[int, int] = {}
    for published in (p for source in contents.joints for p in source):
        sensed.setdefault(published.quantities.stamp_ns, published.at_ns)
    found: dict[int, float] = {}
    for published in contents.gated:
        stamp = published.quantities.stamp_ns
        if stamp in sensed and stamp in gates and published.at_ns >= sensed[stamp]:
            found.setdefault(stamp, (published.at_ns - sensed[stamp]) / 1e3)
    return found


def _facts(contents: Contents, robot: Robot, episode: Episode) -> list[tuple[int, Facts]]:
    """The facts from each report on, by the stamp of the newest command before it [ns]."""
    numbered = contents.commands or contents.estimates
    at = [published.at_ns for published in numbered]
    status: dict[str, dict[str, str]] = {}
    facts = [(-1, facts_of({}, robot, episode.seed))]
    for at_ns, reported in contents.statuses:
        status |= reported
        number = bisect_right(at, at_ns) - 1
        stamp = numbered[number].quantities.stamp_ns if number >= 0 else -1
        found = stamp, facts_of(status, robot, episode.seed)
        if facts[-1][0] == stamp:
            facts[-1] = found
        else:
            facts.append(found)
    return facts
