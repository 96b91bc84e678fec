# SPDX-License-Identifier: Apache-2.0
"""One tick of the whole chain, in one process. The ROS graph in lock-step computes the same, byte for byte.

    sensing --events--> perception --estimate--+
       |                                       v
       +------joints------------------> controller --command--> gate --force--> simulation --> next sensing
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from .control.gate import GateLimits, Verdict, admit, initial_state
from .errors import ModelError
from .perception import Perception
from .simulation import Sensing
from .types import Quantities


class Simulation(Protocol):
    """The simulated robot of a task.

    Attributes:
        task: with ``period_s`` and ``duration_s``.
        plant: with ``truth``, ``fallen`` and ``elapsed_s``.
    """

    task: Any
    plant: Any

    def reset(self, seed: int, start_ns: int = 0) -> Sensing:
        """Begin an episode."""
        ...

    def advance(self, force: float) -> Sensing:
        """Move on by one control period."""
        ...


class Decider(Protocol):
    """What the loop asks of a controller, learned or not.

    Attributes:
        observation_names: order of the values that it takes.
    """

    observation_names: tuple[str, ...]

    def reset(self) -> None:
        """Begin an episode."""

    def step(self, observation: np.ndarray, dt: float) -> np.ndarray:
        """Command for an observation, ``dt`` seconds after the one before, measured from stamps."""
        ...


class Estimator(Protocol):
    """Anything that tells the pole's angle and rate from what is sensed."""

    def reset(self, stamp_ns: int) -> None:
        """Begin an episode; what is sensed next is later than ``stamp_ns``."""

    def estimate(self, sensing: Sensing) -> Quantities:
        """Angle [rad] and rate [rad/s] at the sensing's stamp."""
        ...


class SpikingEstimator:
    """The spiking perception with its backend in this process."""

    def __init__(self, perception: Perception, backend) -> None:
        self.perception, self.backend = perception, backend

    def reset(self, stamp_ns: int) -> None:
        """Forget all; the next events are later than ``stamp_ns``."""
        self.perception.reset(stamp_ns)
        self.backend.reset()

    def estimate(self, sensing: Sensing) -> Quantities:
        """Angle [rad] and rate [rad/s] at the sensing's stamp."""
        return self.perception.step(sensing.events, sensing.joints.stamp_ns, self.backend)


def observation_for(names: tuple[str, ...], *sources: Quantities) -> np.ndarray:
    """The numbers a controller asks for, by name, from several sources.

    Raises:
        ModelError: none of the sources has one of the names.
    """
    known = {name: value for source in sources for name, value in zip(source.names, source.values, strict=True)}
    try:
        return np.array([known[name] for name in names])
    except KeyError as missing:
        raise ModelError(
            f"the controller asks for {missing}, the robot offers {', '.join(sorted(known))}; choose a controller"
            " trained for this task"
        ) from None


@dataclass(frozen=True, slots=True)
class Decision:
    """What the chain made of one sensing.

    Attributes:
        estimate: of the perception.
        command: of the controller, before the gate [N].
        force: behind the gate [N].
        verdict: what the gate did.
    """

    estimate: Quantities
    command: np.ndarray
    force: np.ndarray
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class TickRecord:
    """One tick: what was sensed at a stamp, the truth there, and what was decided."""

    sensing: Sensing
    truth: np.ndarray
    decision: Decision


class Loop:
    """Simulation, estimator, controller and gate in one process.

    Args:
        simulation: the robot.
        estimator: angle and rate from events.
        controller: command from the named observation.
        limits: of the gate.
    """

    def __init__(
        self, simulation: Simulation, estimator: Estimator, controller: Decider, limits: GateLimits
    ) -> None:
        self.simulation, self.estimator, self.controller, self.limits = simulation, estimator, controller, limits
        self._nominal_s = simulation.task.period_s

    def reset(self, seed: int, start_ns: int = 0) -> None:
        """Begin the episode of ``seed``."""
        self.sensing = self.simulation.reset(seed, start_ns)
        self.estimator.reset(start_ns)
        self.controller.reset()
        self._gate = initial_state(self.limits)
        self._last_stamp_ns: int | None = None

    def decide(self, sensing: Sensing) -> Decision:
        """Sensing to command: the part whose latency counts."""
        estimate = self.estimator.estimate(sensing)
        stamp = sensing.joints.stamp_ns
        last, self._last_stamp_ns = self._last_stamp_ns, stamp
        elapsed = self._nominal_s if last is None else (stamp - last) * 1e-9
        observation = observation_for(self.controller.observation_names, sensing.joints, estimate)
        command = self.controller.step(observation, elapsed)
        self._gate, force, verdict = admit(self.limits, self._gate, command, stamp, stamp)
        return Decision(estimate, command, force, verdict)

    def tick(self) -> TickRecord:
        """Decide on the last sensing, then move the robot on by one period."""
        sensing, truth = self.sensing, self.simulation.plant.truth
        decision = self.decide(sensing)
        self.advance(decision)
        return TickRecord(sensing, truth, decision)

    def advance(self, decision: Decision) -> None:
        """Move the robot on by one period under the decision's force."""
        self.sensing = self.simulation.advance(float(decision.force[0]))
