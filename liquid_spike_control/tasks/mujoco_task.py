# SPDX-License-Identifier: Apache-2.0
"""What tasks on a MuJoCo model have in common: the names of what is seen, the varied plant and its time."""

from __future__ import annotations

from collections.abc import Sequence

import mujoco
import numpy as np

from .variation import Variation, VariedModel

#: Name, unit and scale of an observation.
Seen = tuple[str, str, float]


class MujocoTask:
    """A plant of MuJoCo, varied, in an episode; a task adds its aim, see :class:`~.task.ControlTask`.

    Args:
        name: in the catalogue.
        seen: the observations, in order.
        model, data: of MuJoCo.
        bodies: that vary, see :class:`~.variation.VariedModel`.

    Attributes:
        model: of MuJoCo, varied.
        data: its state.
        failed: the plant has got where it must not be, and the episode is over.
    """

    variable: tuple[str, ...] = ("mass", "friction", "actuator")
    duration_s: float

    def __init__(
        self, name: str, seen: Sequence[Seen], model: mujoco.MjModel, data: mujoco.MjData, bodies: Sequence[str] = ()
    ) -> None:
        self.name = name
        self.observation_names = tuple(observation for observation, _, _ in seen)
        self.observation_units = tuple(unit for _, unit, _ in seen)
        self.observation_scales = np.array([scale for _, _, scale in seen])
        self.model, self.data = model, data
        self._varied = VariedModel(model, bodies)

    def _begin(self, variation: Variation) -> None:
        """A varied plant at rest, at the beginning of an episode.

        Raises:
            TaskError: the variation does not apply to this plant.
        """
        variation.check_applies(self.name, self.variable)
        self.variation = variation
        self._varied.apply(variation, self.data)
        mujoco.mj_resetData(self.model, self.data)
        self._steps = 0
        self.failed = False
        self.reward = 0.0

    def _whole_steps(self, duration_s: float) -> int:
        """Physics steps in a time [s], at least one."""
        return max(1, round(duration_s / self.model.opt.timestep))

    @property
    def elapsed_s(self) -> float:
        """Time since the reset [s]."""
        return self._steps * self.model.opt.timestep

    @property
    def over(self) -> bool:
        """Whether the episode has ended."""
        return self.failed or self.elapsed_s > self.duration_s - 1e-9
