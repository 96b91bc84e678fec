# SPDX-License-Identifier: Apache-2.0
"""Gathers the samples of a run into what a page shows next."""

from __future__ import annotations

import base64
import threading
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
import mujoco
import numpy as np

from ..robot import Robot
from ..sim.world import picture_size
from ..tasks.mujoco_task import MujocoTask
from ..types import EPISODE_GAP_NS, EVENT
from .network import NetworkView
from .sample import Facts, Playback, Sample
from .solids import places, solids

#: Most spikes of a layer in one update; of more, every n-th is shown.
MOST_SPIKES = 1500
#: Of a recording, which may be played faster than it was recorded, the picture shows the events of this time [ns].
PICTURE_NS = 50_000_000
#: Latencies that the percentiles are taken from.
LATEST = 400


class Screen:
    """What is shown of a run; threads may ask for it while another adds to it.

    Args:
        robot: the robot.
        task: its scene at the beginning of the episode, or None on a real robot; it is moved.
        network: of the robot's perception, to look into its layers; None without one.
        playback: of a recording; None of a run.
    """

    def __init__(
        self, robot: Robot, task: MujocoTask | None, network: NetworkView | None = None,
        playback: Playback | None = None,
    ) -> None:  # fmt: skip
        self.robot, self._task, self._network, self._playback = robot, task, network, playback
        self._sighted = bool(robot.estimates and robot.cameras) and (playback is None or playback.events)
        self._lock, self._moving = threading.Lock(), threading.Lock()
        self._solids = [] if task is None else solids(task.model)
        self._geoms = [solid["geom"] for solid in self._solids]
        self.facts = Facts()
        self._verdicts: Counter[str] = Counter()
        self._latencies: deque[float] = deque(maxlen=LATEST)
        self._last = Sample(-1)
        self.lost = 0
        self._seed: int | None = None
        self._clear()

    def _clear(self) -> None:
        self._ticks: list[Sample] = []
        self._events: list[np.ndarray] = []
        self._spikes: list[np.ndarray] = []
        if self._network is not None:
            self._network.clear()

    @property
    def last_stamp_ns(self) -> int:
        """Of the last tick [ns]; -1 before the first."""
        return self._last.stamp_ns

    def describe(self) -> dict[str, Any]:
        """What a page must know once: names, units, limits and the things of the scene."""
        robot = self.robot
        playback = self._playback
        width, height = picture_size(robot.cameras) if self._sighted else (0, 0)
        network = self._network
        bodies = [] if self._task is None else _movable(self._task.model)
        return {
            "robot": robot.name, "description": robot.description, "period_s": robot.period_s,
            "readings": _shown(robot.seen), "estimates": _shown(robot.estimates),
            "commands": [_shown([c])[0] | {"least": c.least, "most": c.most} for c in robot.commands],
            "setpoints": [_shown([s])[0] | {"default": s.default} for s in robot.setpoints],
            "camera": {"width": width, "height": height},
            "layers": ({} if network is None else network.sizes) | ({} if playback is None else playback.layers),
            "wiring": None if network is None else network.describe(), "bodies": bodies,
            "simulated": self._task is not None, "playback": playback and msgspec.to_builtins(playback),
            "solids": [s | {k: _text(s[k]) for k in ("triangles", "normals")} for s in self._solids],
            "places": None if self._task is None else _text(self._first_places()),
        }  # fmt: skip

    def add(self, sample: Sample) -> None:
        """Take one tick."""
        with self._lock:
            self._add(sample)

    def jump(self, samples: Iterable[Sample], verdicts: Mapping[str, int]) -> None:
        """Take ticks that do not follow the last one: those before and at another time of a recording.

        Args:
            samples: ascending.
            verdicts: counts of the time before them.
        """
        with self._lock:
            self._clear()
            self._last = Sample(-1)
            self._verdicts = Counter(verdicts)
            self._latencies.clear()
            for sample in samples:
                self._add(sample)

    def _add(self, sample: Sample) -> None:
        jump = sample.stamp_ns - self._last.stamp_ns
        if self._last.stamp_ns < 0 or jump <= 0 or jump >= EPISODE_GAP_NS:
            # the first sensing of an episode has no events; who comes later sees those of a period
            if self._network is not None:
                self._network.restart(sample.stamp_ns - (round(self.robot.period_s * 1e9) if sample.events else 0))
        self._last = sample
        self._ticks.append(sample)
        if sample.verdict:
            self._verdicts[sample.verdict] += 1
        if sample.latency_us:
            self._latencies.append(sample.latency_us)
        events = np.frombuffer(sample.events, EVENT)
        if len(events):
            self._events.append(events)
        if sample.spikes:
            self._spikes.append(np.frombuffer(sample.spikes).reshape(-1, 2))
        if self._network is not None:
            self._network.take(events, sample.stamp_ns)

    def watch(self, layer: str, neuron: float, wanted: bool) -> None:
        """Show the membrane potential of a neuron, or no longer.

        Raises:
            ValueError: there is no such neuron.
        """
        if self._network is None:
            raise ValueError("there is no spiking network to look into; watch a robot with a perception on Loihi")
        with self._lock:
            self._network.watch(layer, neuron, wanted)

    def update(self) -> dict[str, Any]:
        """What has come since the last call, as JSON has it."""
        with self._lock:
            ticks, events, inside = self._ticks, self._events, self._inside()
            self._clear()
            last, facts = self._last, self.facts
            shown: dict[str, Any] = {
                "stamp_ns": last.stamp_ns, "lost": self.lost, "facts": {
                    "seed": facts.seed, "paused": facts.paused, "stopped": facts.stopped, "outcome": facts.outcome,
                    "numbers": dict(facts.numbers), "speed": facts.speed,
                },
                "verdicts": dict(self._verdicts), "verdict": last.verdict,
                "latency_us": [float(p) for p in np.percentile(self._latencies, (50, 99))] if self._latencies else [],
                "ticks": [
                    [t.stamp_ns * 1e-9, t.truth, t.estimate, t.output, t.command, t.verdict] for t in _thinned(ticks)
                ],
            }  # fmt: skip
        if last.pose and self._task is not None:
            shown["places"] = _text(self._places(last, facts.seed))
        if self._sighted:
            shown["events"] = _text(self._picture(events, last.stamp_ns))
            shown["n_events"] = sum(map(len, events))
        return shown | inside

    def _inside(self) -> dict[str, Any]:
        """What the network did since the last call."""
        network = self._network
        recorded = self._recorded()
        if network is None:
            return {"spikes": recorded} if recorded else {}
        watched = [
            [layer, neuron, _rounded(network.potentials.get((layer, neuron), []))] for layer, neuron in network.watched
        ]  # fmt: skip
        spikes = {name: _pairs(parts) for name, parts in network.spikes.items()} | recorded
        return {"spikes": spikes, "potentials": watched, "work": network.work()}

    def _recorded(self) -> dict[str, list[list[float]]]:
        """The recorded spikes of the layers that have them, whose neurons are numbered one layer after the other."""
        layers = self._playback.layers if self._playback is not None else {}
        spikes, first, found = np.concatenate([np.empty((0, 2)), *self._spikes]), 0, {}
        for name, n in layers.items():
            own = spikes[(spikes[:, 1] >= first) & (spikes[:, 1] < first + n)]
            found[name] = _pairs([own - (0, first)])
            first += n
        return found

    def _places(self, sample: Sample, seed: int) -> np.ndarray:
        """Where the things of the scene are, of the episode of a seed."""
        assert self._task is not None
        with self._moving:
            self._begin(seed)
            self._task.take_pose(np.array(sample.pose))
            return places(self._task.data, self._geoms)

    def _first_places(self) -> np.ndarray:
        """Where the things of the scene are for a page that is opened now."""
        assert self._task is not None
        with self._moving:
            if self._seed is None:
                self._begin(self.facts.seed)
            return places(self._task.data, self._geoms)

    def _begin(self, seed: int) -> None:
        assert self._task is not None
        if seed != self._seed:
            self._task.reset(seed)
            self._seed = seed

    def _picture(self, events: list[np.ndarray], stamp_ns: int) -> np.ndarray:
        """int8 ``(height, width)``: 1 brighter, -1 darker, 0 nothing; the last of a pixel counts."""
        width, height = picture_size(self.robot.cameras)
        picture = np.zeros((height, width), np.int8)
        for some in events:
            if self._playback is not None:
                some = some[some["t"] > stamp_ns - PICTURE_NS]
            some = some[(some["x"] < width) & (some["y"] < height)]
            picture[some["y"], some["x"]] = np.where(some["p"] > 0, 1, -1)
        return picture


def _shown(entries: Any) -> list[dict[str, Any]]:
    return [{"name": e.name, "unit": e.unit} for e in entries]


def _thinned(ticks: list[Sample]) -> list[Sample]:
    """At most some hundred, the last among them."""
    return ticks[:: -max(1, len(ticks) // 200)][::-1]


def _pairs(parts: list[np.ndarray]) -> list[list[float]]:
    pairs = np.concatenate(parts)
    pairs = pairs[:: max(1, -(-len(pairs) // MOST_SPIKES))]
    return [[round(float(t), 4), int(n)] for t, n in pairs]


def _rounded(parts: list[np.ndarray]) -> list[list[float]]:
    return [[round(float(t), 4), round(float(v), 4)] for part in parts for t, v in part]


def _text(array: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


def _movable(model: mujoco.MjModel) -> list[str]:
    """Names of the bodies that a push can move, the last of each chain first."""
    found = [model.body(b).name for b in range(1, model.nbody) if model.body_weldid[b] and model.body_dofnum[b]]
    return [name for name in reversed(found) if name]
