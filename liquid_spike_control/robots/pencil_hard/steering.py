# SPDX-License-Identifier: Apache-2.0
"""What the command of pencil-hard steers against, for networks that adapt while they control."""

from __future__ import annotations

import numpy as np

#: Error of a deviation of 1 m, 1 m/s, 1 rad and 1 rad/s: 0.3 of the force that LQR for the nominal pole
#: (:class:`~.expert.LatePencilLqr`) answers it with, in parts of the greatest. A correction learnt at 1/s is then
#: slower than the cart. Angles alone would not do: in the wind a pole that stands still leans.
GAINS = (0.286, 0.336, 2.5, 0.409)


def pencil_hard_steering(observation: np.ndarray, dt: float) -> np.ndarray:
    """The cart has to get under the pole, and the pole back over the rail's middle.

    Args:
        observation: cart position and displacement [m], event rate, pole angle [rad] and rate [rad/s], ``(5,)``.
        dt: since the one before [s].

    Returns:
        The error ``(1,)``, within +-1; see :mod:`...control.output_adaptation`.
    """
    position, displacement, _, angle, rate = observation.tolist()
    error = sum(g * x for g, x in zip(GAINS, (position, displacement / dt, angle, rate), strict=True))
    return np.array([min(max(error, -1.0), 1.0)])
