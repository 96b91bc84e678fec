# SPDX-License-Identifier: Apache-2.0
"""A network whose output layer goes on learning while it controls, by the error that its commands steer against.

Of a network whose last layer gives the features ``f`` and whose command is ``limit tanh(W f + b)``, a correction of the
output weights is learnt beside the trained ones, which stay as they are::

    p = (f, 1)
    u = limit tanh(W f + b + D p)
    D <- (1 - leak dt) D + rate dt e p^T / |p|^2

The error ``e`` has one entry a command, 1 where it is large: positive where the command should be greater. It is the
delta rule, normalised by the size of its input (Widrow and Hoff 1960; Nagumo and Noda, IEEE Transactions on Automatic
Control 12, 1967), with the leak of adaptive control, which bounds the weights (Ioannou and Kokotovic, Automatica 20,
1984), and with a known sign of the plant's gain in the place of its gradient; PES does the same with spikes
(:mod:`.adaptation`). Nothing of the network's state is touched, so that the rule is the same for every kind of network.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..errors import TaskError
from ..liquid.controller import LiquidController

#: The correction of an output is kept within this, in units of the limits.
MOST = 1.0


@dataclass(frozen=True, slots=True)
class AdaptationRule:
    """How fast a correction is learnt and forgotten.

    Attributes:
        rate: of learning, for an error of 1 [1/s].
        leak: of forgetting [1/s].

    Raises:
        TaskError: a number is negative or not finite.
    """

    rate: float = 1.0
    leak: float = 0.05

    def __post_init__(self) -> None:
        for field in ("rate", "leak"):
            if not 0 <= getattr(self, field) < math.inf:
                raise TaskError(f"adaptation: {field} = {getattr(self, field)}; give a finite number of at least 0")


#: Chosen on episodes 5000 and up, one for all tasks and networks.
RULE = AdaptationRule()


class OutputAdaptation:
    """A controller with an output layer that adapts; its correction begins at zero in each episode.

    Args:
        controller: the network.
        steering: the error of each command ``(m,)`` for an observation ``(n,)``, ``dt`` seconds after the one before;
            made anew for each episode, so that it may remember.
        rule: how fast; by default :data:`RULE`.

    Attributes:
        correction: float64 ``(m, n_features + 1)``, D.
    """

    def __init__(
        self, controller: LiquidController, steering: Callable[[], Callable[[np.ndarray, float], np.ndarray]],
        rule: AdaptationRule | None = None,
    ) -> None:  # fmt: skip
        self._controller, self._new_steering, self._rule = controller, steering, rule or RULE
        self._inputs = np.ones(len(controller.features) + 1)
        self.reset()

    def reset(self) -> None:
        """Begin an episode: nothing has been learnt."""
        self._controller.reset()
        self._steering = self._new_steering()
        self.correction = np.zeros((len(self._controller.command_limits), len(self._inputs)))

    def step(self, observation: np.ndarray, dt: float) -> np.ndarray:
        """Command ``(m,)`` for an observation; that of the network alone where it, or the error, is not finite."""
        command = self._controller.step(observation, dt)
        error = self._steering(observation, dt)
        if not (np.isfinite(command).all() and np.isfinite(error).all()):
            return command
        inputs = self._inputs
        inputs[:-1] = self._controller.features
        kept = max(0.0, 1 - self._rule.leak * dt)
        self.correction *= kept
        self.correction += (self._rule.rate * dt / (inputs @ inputs)) * error[:, None] * inputs
        outputs = self._controller.outputs + np.clip(self.correction @ inputs, -MOST, MOST)
        limited = np.tanh(outputs) if self._controller.saturates else np.clip(outputs, -1, 1)
        return self._controller.command_limits * limited
