# SPDX-License-Identifier: Apache-2.0
"""What the command of the cart-pole steers against, for networks that adapt while they control."""

from __future__ import annotations

import math

import numpy as np

#: The pole counts as upright above this cosine; a rate counts as much as an angle over so much time [s].
UPRIGHT, LEAD_S = 0.95, 0.15


class SwingUpSteering:
    """The cart has to get under the pole: angle [rad] and rate of what is upright; nothing while it hangs."""

    def __init__(self) -> None:
        self._last = math.nan

    def __call__(self, observation: np.ndarray, dt: float) -> np.ndarray:
        """Error ``(1,)`` for position, sine and cosine; see :mod:`...control.output_adaptation`."""
        sine, cosine = float(observation[1]), float(observation[2])
        rate = 0.0 if math.isnan(self._last) else (sine - self._last) / dt
        self._last = sine
        error = sine + LEAD_S * rate if cosine > UPRIGHT else 0.0
        return np.array([min(max(error, -1.0), 1.0)])
