# SPDX-License-Identifier: Apache-2.0
"""What may go wrong between a plant and its controller, by name.

:class:`~.perturbed.PerturbedTask` applies a perturbation to a task, in evaluation and in training alike.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..errors import TaskError
from .task import ControlTask
from .variation import Variation


@dataclass(frozen=True, slots=True)
class Perturbation:
    """Faults of sensing, timing and plant; the defaults are none.

    Attributes:
        name: for tables and messages.
        noise: standard deviation of white noise on each observation, in units of the observation's scale.
        drop: probability that a sample is lost: the controller is not called, the command is held, and the next
            elapsed time is longer.
        jitter: each control period is uniform in (1 +- jitter) nominal periods.
        latency_steps: a command acts so many samples later.
        mass, length, friction, actuator: factors on the plant; see :class:`~.variation.Variation`.

    Raises:
        TaskError: a number is out of range.
    """

    name: str
    noise: float = 0.0
    drop: float = 0.0
    jitter: float = 0.0
    latency_steps: int = 0
    mass: float = 1.0
    length: float = 1.0
    friction: float = 1.0
    actuator: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.noise < math.inf:
            raise TaskError(f"perturbation '{self.name}': noise = {self.noise}; give at least 0")
        for field in ("drop", "jitter"):
            if not 0 <= getattr(self, field) < 1:
                raise TaskError(f"perturbation '{self.name}': {field} = {getattr(self, field)}; give at least 0 and "
                                "less than 1")  # fmt: skip
        if not isinstance(self.latency_steps, int) or self.latency_steps < 0:
            raise TaskError(f"perturbation '{self.name}': latency_steps = {self.latency_steps}; give a whole number "
                            "of steps, at least 0")  # fmt: skip
        try:
            _ = self.variation
        except TaskError as error:
            raise TaskError(f"perturbation '{self.name}': {error}") from None

    @property
    def variation(self) -> Variation:
        """What it changes in the plant."""
        return Variation(self.mass, self.length, self.friction, self.actuator)

    def check_applies(self, task: ControlTask) -> None:
        """Refuse a change of something that the task's plant does not have.

        Raises:
            TaskError: it cannot apply.
        """
        try:
            self.variation.check_applies(task.name, task.variable)
        except TaskError as error:
            raise TaskError(f"perturbation '{self.name}' cannot apply: {error}") from None


PERTURBATIONS: dict[str, Perturbation] = {
    p.name: p
    for p in (
        Perturbation("clean"),
        Perturbation("noise", noise=0.02),
        Perturbation("drop30", drop=0.3),
        Perturbation("jitter40", jitter=0.4),
        Perturbation("latency1", latency_steps=1),
        Perturbation("latency2", latency_steps=2),
        Perturbation("mass", mass=1.2),
        Perturbation("length", length=1.1),
        Perturbation("friction", friction=1.5),
        Perturbation("actuator", actuator=0.85),
        Perturbation("noise_latency1", noise=0.02, latency_steps=1),
    )
}


def perturbation_named(name: str) -> Perturbation:
    """The perturbation of a name.

    Raises:
        TaskError: there is none.
    """
    if name not in PERTURBATIONS:
        raise TaskError(f"unknown perturbation '{name}'; known perturbations: {', '.join(PERTURBATIONS)}")
    return PERTURBATIONS[name]
