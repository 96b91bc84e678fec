# SPDX-License-Identifier: Apache-2.0
"""Description of a controller, common to all kinds of controller files; every field is checked."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NoReturn

from .errors import ModelError

RETRAIN = "train it again (liquid-spike train)"


@dataclass(frozen=True, eq=False, kw_only=True)
class ControllerDescription:
    """Inputs and outputs of a controller, and the task that it was trained for.

    Attributes:
        observation_names, observation_units: of each input, in order, e.g. ``"cart_position"``, ``"m"``.
        observation_scales: what one unit of network input is, in each observation's unit; positive.
        command_names, command_units: of each output, in order, e.g. ``"cart_slide"``, ``"N"``.
        command_limits: greatest magnitude of each command, in its unit; positive.
        nominal_period_s: the control period [s] that counts as an elapsed time of 1.
        task: what it was trained on, e.g. ``"pencil"``.
        training_command: the command line that made it.
        training_seeds: first and last seed of the episodes it was trained on.
        source: where it came from; the subject of error messages.

    Raises:
        ModelError: the first field that is wrong.
    """

    observation_names: tuple[str, ...]
    observation_units: tuple[str, ...]
    observation_scales: tuple[float, ...]
    command_names: tuple[str, ...]
    command_units: tuple[str, ...]
    command_limits: tuple[float, ...]
    nominal_period_s: float
    task: str
    training_command: str
    training_seeds: tuple[int, int]
    source: str = "the controller"

    def __post_init__(self) -> None:
        for quantity, numbers in (("observation", "scales"), ("command", "limits")):
            names = self._strings(f"{quantity}_names")
            if not names or len(set(names)) < len(names):
                self._refuse(f"{quantity}_names", "at least one name, none twice", list(names))
            for other in ("units", numbers):
                values = getattr(self, f"{quantity}_{other}")
                if not isinstance(values, tuple) or len(values) != len(names):
                    self._refuse(f"{quantity}_{other}", f"one for each of {len(names)} names", values)
            self._strings(f"{quantity}_units")
            values = getattr(self, f"{quantity}_{numbers}")
            if not all(map(is_positive, values)):
                self._refuse(f"{quantity}_{numbers}", "finite numbers above 0", list(values))
        if not is_positive(self.nominal_period_s):
            self._refuse("nominal_period_s", "a finite number above 0", self.nominal_period_s)
        for field in ("task", "training_command"):
            if not isinstance(getattr(self, field), str):
                self._refuse(field, "a string", getattr(self, field))
        seeds = self.training_seeds
        two = isinstance(seeds, tuple) and len(seeds) == 2 and all(map(is_integer, seeds))
        if not two or seeds[0] > seeds[1]:
            self._refuse("training_seeds", "first and last seed", seeds)

    def _strings(self, field: str) -> tuple[str, ...]:
        value = getattr(self, field)
        if not isinstance(value, tuple) or not all(isinstance(v, str) and v for v in value):
            self._refuse(field, "a list of strings", value)
        return value

    def _refuse(self, field: str, expected: Any, found: Any) -> NoReturn:
        refuse(self.source, field, expected, found)


def is_positive(value: Any) -> bool:
    """Whether it is a finite number above 0."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and value > 0 and math.isfinite(value)


def is_integer(value: Any) -> bool:
    """Whether it is an integer and no boolean."""
    return isinstance(value, int) and not isinstance(value, bool)


def refuse(source: str, field: str, expected: Any, found: Any, remedy: str = RETRAIN) -> NoReturn:
    """Refuse a file for one of its fields, in one line.

    Raises:
        ModelError: always.
    """
    found = " ".join(str(found).split())[:300]
    raise ModelError(f"{source}: {field}: expected {expected}, found {found}; {remedy}")
