# SPDX-License-Identifier: Apache-2.0
"""The Walker2d of Gymnasium, and gaits for it: rhythms of the joints, with torques that follow them.

The observation and the time step are those of ``Walker2d-v5`` (Gymnasium's own model file), but only MuJoCo is needed.

Each joint of a leg follows a sine around an angle, the other leg half a cycle behind; the hips also answer to the
pitch of the trunk. Twelve numbers make a gait. The cross-entropy method finds them, in the order in which gaits
learn to walk: earlier ones fall sooner.

Sources: Gymnasium's ``Walker2d-v5``; Rubinstein and Kroese, "The Cross-Entropy Method", Springer 2004.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import mujoco
import numpy as np

from ...errors import TaskError

#: Time between observations [s]: four steps of the physics.
PERIOD_S, SUBSTEPS = 0.008, 4
N_OBSERVED, N_TORQUES = 17, 6
#: Heights of the trunk [m] and pitches [rad] at which it has not fallen.
HEIGHTS, MOST_PITCH = (0.8, 2.0), 1.0
#: Velocities are shown within this [m/s, rad/s], and states begin so far from standing [m, rad].
MOST_VELOCITY, SPREAD = 10.0, 0.005
#: Torque in units of the motors' limits for 1 rad off the rhythm, and for 1 rad/s.
STIFFNESS, DAMPING = 1.5, 0.08

N_PARAMETERS = 12
#: Where the search begins, and how far it looks: angle, amplitude, phase of hip, knee, ankle; rate; pitch feedback.
_START = np.array([-0.3, 0.35, 0.0, -0.5, 0.4, 1.6, 0.1, 0.2, 0.0, 1.5, 0.5, 0.1])
_SPREAD = np.array([0.2, 0.25, 1.0, 0.3, 0.3, 1.0, 0.2, 0.2, 1.0, 0.5, 0.5, 0.15])


class Walker:
    """The walker's physics."""

    def __init__(self) -> None:
        # Loading the model file alone spares Gymnasium's renderer, which wants a display.
        spec = find_spec("gymnasium")
        assert spec is not None and spec.origin is not None
        path = Path(spec.origin).parent / "envs" / "mujoco" / "assets" / "walker2d_v5.xml"
        if not path.exists():
            raise TaskError(f"{path.name} is missing from Gymnasium; pip install --force-reinstall gymnasium")
        self._model = mujoco.MjModel.from_xml_path(str(path))
        self._model.opt.jacobian = mujoco.mjtJacobian.mjJAC_DENSE
        self._data = mujoco.MjData(self._model)

    def reset(self, rng: np.random.Generator) -> None:
        """Stand, almost."""
        mujoco.mj_resetData(self._model, self._data)
        self._data.qpos += rng.uniform(-SPREAD, SPREAD, self._model.nq)
        self._data.qvel += rng.uniform(-SPREAD, SPREAD, self._model.nv)

    @property
    def angles(self) -> np.ndarray:
        """Of hip, knee and ankle, right then left [rad]."""
        return self._data.qpos[3:]

    @property
    def rates(self) -> np.ndarray:
        """Of the same joints [rad/s]."""
        return self._data.qvel[3:]

    @property
    def pitch(self) -> tuple[float, float]:
        """Of the trunk: angle [rad] and rate [rad/s]."""
        return float(self._data.qpos[2]), float(self._data.qvel[2])

    @property
    def distance(self) -> float:
        """Walked so far [m]."""
        return float(self._data.qpos[0])

    @property
    def fallen(self) -> bool:
        """Whether the trunk is too low, too high or too far from upright."""
        height, pitch = self._data.qpos[1:3]
        return not (HEIGHTS[0] < height < HEIGHTS[1] and abs(pitch) < MOST_PITCH)

    def observe(self) -> np.ndarray:
        """Positions but the distance, then velocities within +-10: float64 ``(17,)``."""
        return np.concatenate([self._data.qpos[1:], np.clip(self._data.qvel, -MOST_VELOCITY, MOST_VELOCITY)])

    def advance(self, torques: np.ndarray) -> None:
        """One period with these torques, ``(6,)`` in units of the motors' limits."""
        self._data.ctrl[:] = np.clip(torques, -1.0, 1.0)
        mujoco.mj_step(self._model, self._data, SUBSTEPS)


@dataclass(frozen=True, slots=True)
class Gait:
    """A rhythm.

    Attributes:
        parameters: float64 ``(12,)``: angle [rad], amplitude [rad] and phase [rad] of hip, knee and ankle; cycles a
            second; how far the hips answer to the pitch [rad/rad] and to its rate [rad s/rad].
    """

    parameters: np.ndarray

    def torques(self, walker: Walker, time_s: float) -> np.ndarray:
        """For the walker as it is, so long after the start: ``(6,)`` in units of the motors' limits."""
        offset, amplitude, phase = self.parameters[:9].reshape(3, 3).T
        cycles, by_pitch, by_rate = self.parameters[9:]
        turn = 2 * np.pi * cycles * time_s
        goal = np.concatenate([offset + amplitude * np.sin(turn + phase + side) for side in (0.0, np.pi)])
        pitch, rate = walker.pitch
        goal[[0, 3]] += by_pitch * pitch + by_rate * rate
        return STIFFNESS * (goal - walker.angles) - DAMPING * walker.rates


def walked(walker: Walker, gait: Gait, rng: np.random.Generator, n_steps: int, noise: float) -> float:
    """Return the score of the gait: metres, and half a metre for each second without a fall."""
    walker.reset(rng)
    for k in range(n_steps):
        walker.advance(gait.torques(walker, k * PERIOD_S) + noise * rng.normal(size=N_TORQUES))
        if walker.fallen:
            break
    return walker.distance + 0.5 * (k + 1) * PERIOD_S


def learned_gaits(
    seed: int, generations: int = 24, population: int = 40, n_steps: int = 500, noise: float = 0.1
) -> list[Gait]:
    """The mean gait of each generation.

    Args:
        seed: of the search.
        generations: of it.
        population: gaits tried in each; the best fifth make the next.
        n_steps: periods of a trial.
        noise: standard deviation of the torques, in units of the motors' limits.
    """
    rng, walker = np.random.default_rng(seed), Walker()
    mean, spread = _START.copy(), _SPREAD.copy()
    gaits = []
    for _ in range(generations):
        tried = mean + spread * rng.normal(size=(population, N_PARAMETERS))
        worth = [walked(walker, Gait(parameters), rng, n_steps, noise) for parameters in tried]
        best = tried[np.argsort(worth)[-population // 5 :]]
        mean, spread = best.mean(axis=0), 0.5 * spread + 0.5 * best.std(axis=0)
        gaits.append(Gait(mean))
    return gaits
