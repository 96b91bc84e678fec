# SPDX-License-Identifier: Apache-2.0
"""What may go wrong between a plant and its controller, by name: from the beginning of an episode, or within it.

:class:`~.perturbed.PerturbedTask` applies a perturbation to a task, in evaluation and in training alike.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from ..errors import TaskError
from .task import ControlTask
from .variation import Variation

#: A ramp goes up in so many steps: an expert that redesigns its law for each plant has as many to design.
RAMP_STEPS = 20
#: Fields of a longer or changing episode. Left at their defaults they are not described, so that results that were
#: kept before there were any are still those of the same perturbation.
_LATER = ("gain", "threshold", "period", "onset_s", "ramp_s", "duration_s")


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
        gain: factor on each observation, of a sensor whose scale has drifted.
        threshold: factor on the contrast thresholds of event cameras.
        period: factor on the control period.
        onset_s: all of the above begins so late in the episode [s]; latency cannot.
        ramp_s: and then grows from nothing to what is given in so much time [s], in :data:`RAMP_STEPS` steps; 0: at
            once.
        duration_s: of the episode [s]; 0: the task's own. With another one, success is that the aim was never lost;
            see :attr:`~.task.ControlTask.kept`.

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
    gain: float = 1.0
    threshold: float = 1.0
    period: float = 1.0
    onset_s: float = 0.0
    ramp_s: float = 0.0
    duration_s: float = 0.0

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
        for field in ("gain", "threshold", "period"):
            if not 0 < getattr(self, field) < math.inf:
                raise TaskError(f"perturbation '{self.name}': {field} = {getattr(self, field)}; give a factor above 0")
        for field in ("onset_s", "ramp_s", "duration_s"):
            if not 0 <= getattr(self, field) < math.inf:
                raise TaskError(f"perturbation '{self.name}': {field} = {getattr(self, field)}; give at least 0")
        if self.changes and self.latency_steps:
            raise TaskError(f"perturbation '{self.name}': latency_steps = {self.latency_steps} with an onset or a "
                            "ramp; a latency cannot begin within an episode")  # fmt: skip
        try:
            _ = self.variation
        except TaskError as error:
            raise TaskError(f"perturbation '{self.name}': {error}") from None

    @property
    def changes(self) -> bool:
        """Whether it begins or grows within the episode."""
        return self.onset_s > 0 or self.ramp_s > 0

    @property
    def only_of_cameras(self) -> bool:
        """Whether nothing but the contrast thresholds, and the time of an episode, is other than nominal."""
        others = replace(self, threshold=1.0, onset_s=0.0, ramp_s=0.0, duration_s=0.0)
        return others == Perturbation(self.name)

    def strength(self, elapsed_s: float) -> float:
        """Part of it that is there at a time after the beginning of the episode [s], from 0 to 1."""
        since_s = elapsed_s - self.onset_s
        if since_s < -1e-9:
            return 0.0
        return min(1.0, math.ceil(RAMP_STEPS * since_s / self.ramp_s - 1e-9) / RAMP_STEPS) if self.ramp_s else 1.0

    def in_part(self, strength: float) -> Perturbation:
        """The same with its faults at a part of their size, from the beginning on."""
        faults = {name: strength * getattr(self, name) for name in ("noise", "drop", "jitter")}
        factors = {name: 1 + strength * (getattr(self, name) - 1) for name in _FACTORS}
        return replace(self, **faults, **factors, onset_s=0.0, ramp_s=0.0)

    def described(self) -> dict[str, Any]:
        """Its numbers, for records."""
        nominal = {f.name: f.default for f in fields(self) if f.name in _LATER}
        return {k: v for k, v in asdict(self).items() if k not in nominal or v != nominal[k]}

    @property
    def variation(self) -> Variation:
        """What it changes in the plant."""
        return Variation(self.mass, self.length, self.friction, self.actuator)

    def check_applies(self, task: ControlTask) -> None:
        """Refuse a change of something that the task's plant does not have.

        Raises:
            TaskError: it cannot apply.
        """
        if self.threshold != 1 and not hasattr(task, "scale_thresholds"):
            raise TaskError(f"perturbation '{self.name}' cannot apply: task '{task.name}': has no event cameras")
        try:
            self.variation.check_applies(task.name, task.variable)
        except TaskError as error:
            raise TaskError(f"perturbation '{self.name}' cannot apply: {error}") from None


_FACTORS = ("mass", "length", "friction", "actuator", "gain", "threshold", "period")

#: From the beginning of an episode on: those of the published benchmark.
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

#: Within an episode: its aim is reached before any of them begins, and has to be kept.
DRIFTS: dict[str, Perturbation] = {
    p.name: p
    for p in (
        Perturbation("steady", duration_s=20.0),
        Perturbation("mass_drift", mass=1.4, onset_s=8.0, ramp_s=6.0, duration_s=20.0),
        Perturbation("friction_drift", friction=4.0, onset_s=8.0, ramp_s=6.0, duration_s=20.0),
        Perturbation("actuator_drift", actuator=0.65, onset_s=8.0, ramp_s=6.0, duration_s=20.0),
        Perturbation("actuator_failure", actuator=0.65, onset_s=8.0, duration_s=20.0),
        Perturbation("period_drift", period=2.5, onset_s=8.0, ramp_s=6.0, duration_s=20.0),
        Perturbation("gain_drift", gain=1.6, onset_s=8.0, ramp_s=6.0, duration_s=20.0),
        Perturbation("threshold_drift", threshold=1.85, onset_s=8.0, ramp_s=6.0, duration_s=20.0),
        Perturbation("noise_growth", noise=0.08, onset_s=8.0, ramp_s=6.0, duration_s=20.0),
        Perturbation("ten_minutes", duration_s=600.0),
    )
}


def perturbation_named(name: str) -> Perturbation:
    """The perturbation of a name.

    Raises:
        TaskError: there is none.
    """
    known = PERTURBATIONS | DRIFTS
    if name not in known:
        raise TaskError(f"unknown perturbation '{name}'; known perturbations: {', '.join(known)}")
    return known[name]
