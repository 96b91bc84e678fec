# SPDX-License-Identifier: Apache-2.0
"""One tick of the whole chain, in one process. The ROS graph in lock-step computes the same, byte for byte.

    sensing --events--> perception --estimate--+
       |                                       v
       +----readings------------------> controller --command--> gate --command--> world --> next sensing
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from .control.gate import GateLimits, Verdict, admit, initial_state, press, release
from .errors import ModelError
from .estimate_lag import EstimateLag
from .events.camera_streams import side_by_side
from .robot import names, scales
from .sim.world import Sensing, World
from .types import Quantities

if TYPE_CHECKING:
    from .perception import Perception

#: Of a :class:`DisturbedEstimator`: lag [s] of estimates whose description gives none; correlation time of the error
#: [s], its parts of scale and truth, gains.
LAG_S, ERROR_S, ERROR_FLOOR, ERROR_FRACTION, GAINS = 0.04, 0.12, 0.2, 0.15, (0.75, 1.05)


class Decider(Protocol):
    """Interface of a controller in the loop, learned or not.

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
    """Interface of perceptions: estimates a robot's quantities from its sensing."""

    def reset(self, stamp_ns: int) -> None:
        """Begin an episode; the next sensing is later than ``stamp_ns`` [ns]."""

    def estimate(self, sensing: Sensing) -> Quantities:
        """The robot's estimates at the sensing's stamp."""
        ...


class SpikingEstimator:
    """The spiking perception with its backend in this process.

    Args:
        perception: of the robot.
        backend: that runs its network.
        cameras: of the robot, where it has several.
    """

    def __init__(self, perception: Perception, backend, cameras=()) -> None:
        self.perception, self.backend, self._cameras = perception, backend, cameras

    def reset(self, stamp_ns: int) -> None:
        """Forget all; the next events are later than ``stamp_ns``."""
        self.perception.reset(stamp_ns)
        self.backend.reset()

    def estimate(self, sensing: Sensing) -> Quantities:
        """The estimates at the sensing's stamp."""
        events = side_by_side(sensing.events, self._cameras)
        return self.perception.step(events, sensing.stamp_ns, self.backend)


class TruthEstimator:
    """The true values in the estimates' place: what a perfect perception would give.

    Args:
        world: whose truth.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._names = names(world.robot.estimates)
        self._lag = EstimateLag(world.robot)

    def reset(self, stamp_ns: int) -> None:
        """Begin an episode."""
        self._lag.reset()

    def estimate(self, sensing: Sensing) -> Quantities:
        """What the estimates should be at the sensing's stamp."""
        return Quantities(sensing.stamp_ns, self._names, self._lag.step(self._world.truth))


class DisturbedEstimator(TruthEstimator):
    """The true values with a lag, a gain that is off and errors that wander: about what a spiking perception gives, for
    the training of a controller that is to bear it, at a hundredth of its time.

    The error is a first-order Gauss-Markov process whose standard deviation is :data:`ERROR_FLOOR` of the estimate's
    scale and :data:`ERROR_FRACTION` of the truth; an episode's first truths decide its errors.

    Args:
        world: whose truth.
    """

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._scales = scales(world.robot.estimates)
        period_s = world.robot.period_s
        lags_s = np.array([estimate.lag_s or LAG_S for estimate in world.robot.estimates])
        self._follow = -np.expm1(-period_s / lags_s)
        self._kept = float(np.exp(-period_s / ERROR_S))

    def reset(self, stamp_ns: int) -> None:
        """Draw the errors of an episode."""
        self._lagged = self._world.truth
        seed = np.frombuffer(np.concatenate([self._lagged, self._world.task.truth()]).tobytes(), np.uint32)
        self._rng = np.random.default_rng(seed)
        self._gain = self._rng.uniform(*GAINS, len(self._scales))
        self._error = self._rng.standard_normal(len(self._scales))

    def estimate(self, sensing: Sensing) -> Quantities:
        """The truth at the sensing's stamp, disturbed."""
        self._lagged = self._lagged + self._follow * (self._world.truth - self._lagged)
        fresh = self._rng.standard_normal(len(self._scales))
        self._error = self._kept * self._error + np.sqrt(1 - self._kept**2) * fresh
        spread = ERROR_FLOOR * self._scales + ERROR_FRACTION * np.abs(self._lagged)
        return Quantities(sensing.stamp_ns, self._names, self._gain * self._lagged + spread * self._error)


class NoEstimator:
    """For a robot without event cameras: nothing is estimated."""

    def reset(self, stamp_ns: int) -> None:
        """Nothing to forget."""

    def estimate(self, sensing: Sensing) -> Quantities:
        """No quantities."""
        return Quantities(sensing.stamp_ns, (), np.empty(0))


def observation_for(names: tuple[str, ...], *sources: Quantities) -> np.ndarray:
    """Collect the observations of a controller, by name, from several sources.

    Raises:
        ModelError: none of the sources has one of the names.
    """
    known = {name: value for source in sources for name, value in zip(source.names, source.values, strict=True)}
    try:
        return np.array([known[name] for name in names])
    except KeyError as missing:
        raise ModelError(
            f"the controller needs {missing}, the robot has {', '.join(sorted(known))}; choose a controller"
            " trained for this robot"
        ) from None


@dataclass(frozen=True, slots=True)
class Decision:
    """Outputs of the chain for one sensing.

    Attributes:
        estimate: of the perception.
        command: of the controller, before the gate, float64 ``(m,)``.
        output: after the gate, float64 ``(m,)``.
        verdict: decision of the gate.
    """

    estimate: Quantities
    command: np.ndarray
    output: np.ndarray
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class TickRecord:
    """One tick of the loop.

    Attributes:
        sensing: readings and events at the tick's stamp.
        truth: true values of the estimates at that stamp, float64 ``(n,)``.
        decision: outputs for that sensing.
    """

    sensing: Sensing
    truth: np.ndarray
    decision: Decision


class Loop:
    """World, estimator, controller and gate in one process.

    Args:
        world: the simulated robot.
        estimator: computes the robot's estimates from its events.
        controller: computes commands from the named observations.
        limits: of the gate.
        judge: gives a controller that goes on learning by reward that of the present stamp, before it decides.

    Attributes:
        sensing: the latest sensing; :meth:`tick` decides on it.
        judge: as given.
    """

    def __init__(
        self, world: World, estimator: Estimator, controller: Decider, limits: GateLimits,
        judge: Callable[[], None] | None = None,
    ) -> None:  # fmt: skip
        self.world, self.estimator, self.controller, self.limits = world, estimator, controller, limits
        self.judge = judge
        self._nominal_s = world.robot.period_s

    def reset(self, seed: int, start_ns: int = 0) -> None:
        """Begin the episode of ``seed``, with its first stamp at ``start_ns`` [ns]."""
        self.sensing = self.world.reset(seed, start_ns)
        self.estimator.reset(start_ns)
        self.controller.reset()
        self._gate = initial_state(self.limits)
        self._last_stamp_ns: int | None = None

    def decide(self, sensing: Sensing) -> Decision:
        """Compute estimate, command and gated command of a sensing, without moving the robot.

        Raises:
            ModelError: the controller needs an observation that the robot does not have.
        """
        estimate = self.estimator.estimate(sensing)
        stamp = sensing.stamp_ns
        last, self._last_stamp_ns = self._last_stamp_ns, stamp
        elapsed = self._nominal_s if last is None else (stamp - last) * 1e-9
        observation = observation_for(self.controller.observation_names, sensing.readings, estimate)
        if self.judge is not None:
            self.judge()
        command = self.controller.step(observation, elapsed)
        self._gate, output, verdict = admit(self.limits, self._gate, command, stamp, stamp)
        return Decision(estimate, command, output, verdict)

    def press_e_stop(self) -> None:
        """Press the e-stop: the gate sends the safe command until :meth:`release_e_stop`."""
        self._gate = press(self.limits, self._gate, self.sensing.stamp_ns)

    def release_e_stop(self) -> None:
        """Release the e-stop: commands pass the gate again."""
        self._gate = release(self._gate)

    def tick(self) -> TickRecord:
        """Decide on the last sensing, then advance the robot by one control period.

        Returns:
            The sensing, the true values of the estimates, and the decision.
        """
        sensing, truth = self.sensing, self.world.truth
        decision = self.decide(sensing)
        self.advance(decision)
        return TickRecord(sensing, truth, decision)

    def advance(self, decision: Decision) -> None:
        """Advance the robot by one control period under the gated command."""
        self.sensing = self.world.advance(decision.output)
