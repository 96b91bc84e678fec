# SPDX-License-Identifier: Apache-2.0
"""Variation of a plant from its nominal model: factors on quantities of its MuJoCo model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

import mujoco
import numpy as np

from ..errors import TaskError


@dataclass(frozen=True, slots=True)
class Variation:
    """Factors on the nominal plant; 1 is nominal.

    Attributes:
        mass: of the bodies that the task names (the pole, the quadrotor, all of a walker); inertias follow.
        length: of the same bodies.
        friction: of damping and dry friction in the joints, of drag in air, of sliding between surfaces.
        actuator: of what the motors give for a command.

    Raises:
        TaskError: a factor is not a finite number above 0.
    """

    mass: float = 1.0
    length: float = 1.0
    friction: float = 1.0
    actuator: float = 1.0

    def __post_init__(self) -> None:
        for field in fields(self):
            factor = getattr(self, field.name)
            if not (math.isfinite(factor) and factor > 0):
                raise TaskError(f"variation: {field.name} = {factor}; give a factor above 0, 1 for the nominal plant")

    @property
    def varied(self) -> tuple[str, ...]:
        """Names of the factors that are not 1."""
        return tuple(f.name for f in fields(self) if getattr(self, f.name) != 1)

    def check_applies(self, task_name: str, variable: Sequence[str]) -> None:
        """Refuse a factor on something that a task does not have.

        Args:
            task_name: of the task, for the message.
            variable: the factors that apply to it.

        Raises:
            TaskError: a factor other than 1 is not among them.
        """
        for name in self.varied:
            if name not in variable:
                raise TaskError(f"task '{task_name}': its {name} cannot be varied; vary {' or '.join(variable)}")


NOMINAL = Variation()


class VariedModel:
    """A MuJoCo model and its nominal numbers, to which variations are applied in place.

    Args:
        model: the nominal model; changed by :meth:`apply`.
        bodies: names of the bodies whose mass and length vary, all but the world by default. Their frames do not
            move, so a length suits a body that carries no other.
    """

    def __init__(self, model: mujoco.MjModel, bodies: Sequence[str] = ()) -> None:
        self.model = model
        self._scratch: mujoco.MjData | None = None
        self._bodies = [model.body(name).id for name in bodies] or list(range(1, model.nbody))
        self._geoms = np.flatnonzero(np.isin(model.geom_bodyid, self._bodies))
        self._nominal = {
            name: getattr(model, name).copy()
            for name in (
                "body_mass", "body_inertia", "body_ipos", "geom_pos", "geom_size", "geom_friction",
                "dof_damping", "dof_frictionloss", "actuator_gainprm", "actuator_biasprm",
            )
        }  # fmt: skip

    def apply(self, variation: Variation, data: mujoco.MjData) -> None:
        """Set the model to the nominal one times the factors.

        Args:
            variation: what to apply.
            data: of the model; left in an arbitrary state, reset it afterwards.
        """
        model, nominal, bodies, geoms = self.model, self._nominal, self._bodies, self._geoms
        model.body_mass[bodies] = nominal["body_mass"][bodies] * variation.mass
        model.body_inertia[bodies] = nominal["body_inertia"][bodies] * variation.mass * variation.length**2
        model.body_ipos[bodies] = nominal["body_ipos"][bodies] * variation.length
        # What is drawn follows what moves: a capsule's half length is its second size
        model.geom_pos[geoms] = nominal["geom_pos"][geoms] * variation.length
        model.geom_size[geoms, 1] = nominal["geom_size"][geoms, 1] * variation.length
        model.geom_friction[:, 0] = nominal["geom_friction"][:, 0] * variation.friction
        model.dof_damping[:] = nominal["dof_damping"] * variation.friction
        model.dof_frictionloss[:] = nominal["dof_frictionloss"] * variation.friction
        model.actuator_gainprm[:, 0] = nominal["actuator_gainprm"][:, 0] * variation.actuator
        model.actuator_biasprm[:] = nominal["actuator_biasprm"] * variation.actuator
        mujoco.mj_setConst(model, data)

    def change(self, before: Variation, after: Variation) -> None:
        """Bring a model from one variation to another while it runs; what an episode drew beside stays in it.

        Args:
            before: that it has.
            after: that it is to have.
        """
        mass, length, friction, actuator = (
            getattr(after, f.name) / getattr(before, f.name) for f in fields(Variation)
        )  # fmt: skip
        model, bodies, geoms = self.model, self._bodies, self._geoms
        model.body_mass[bodies] *= mass
        model.body_inertia[bodies] *= mass * length**2
        model.body_ipos[bodies] *= length
        model.geom_pos[geoms] *= length
        model.geom_size[geoms, 1] *= length
        model.geom_friction[:, 0] *= friction
        model.dof_damping[:] *= friction
        model.dof_frictionloss[:] *= friction
        model.actuator_gainprm[:, 0] *= actuator
        model.actuator_biasprm[:] *= actuator
        if self._scratch is None:
            self._scratch = mujoco.MjData(model)
        mujoco.mj_setConst(model, self._scratch)  # the state of the episode is left alone
