# SPDX-License-Identifier: Apache-2.0
"""Where the pencil network's synapses are and what they start with: bands along poles of preferred angles."""

from __future__ import annotations

import numpy as np

#: Of ``sim/pencil.xml`` [m].
POLE_RADIUS_M = 0.008


def preferred_angles(n_neurons: int, largest: float) -> np.ndarray:
    """Angles [rad] that neurons prefer: dense around upright, where the pole spends its time."""
    z = np.linspace(-1, 1, n_neurons)
    return largest * np.sinh(2.5 * z) / np.sinh(2.5)


def oriented_bands(
    view: tuple[float, float], n_neurons: int, width: int, height: int, row_group: int, half_width_px: float,
    amplitude: float, largest_angle: float, seed: int,
) -> np.ndarray:  # fmt: skip
    """Initial input weights: each neuron sees a band along the pole at its preferred angle.

    Neurons take turns in preferring motion to the right and to the left: a bright pole that moves to the right
    gives ON events at its right edge and OFF events at its left edge.

    Args:
        view: of the plant: height of the picture and of its centre above the hinge [m].
        half_width_px: half the width of a band [pixels]; outside it there is no synapse.
        amplitude: largest initial weight, as a fraction of the threshold.

    Returns:
        float32, shape ``(2 * (height // row_group) * width, n_neurons)``; axons ordered as
        :class:`~liquid_spike_control.events.binning.SpikeBinner` orders them.
    """
    rng = np.random.default_rng(seed)
    pixel = view[0] / height
    groups = height // row_group
    row = (np.arange(groups) + 0.5) * row_group
    above_hinge = view[1] + (height / 2 - row) * pixel
    angles = preferred_angles(n_neurons, largest_angle)
    centre = width / 2 + above_hinge[:, None] * np.tan(angles) / pixel  # (groups, n)
    distance = np.arange(width)[None, :, None] + 0.5 - centre[:, None, :]  # (groups, width, n)
    direction = np.where(np.arange(n_neurons) % 2 == 0, 1.0, -1.0)
    edge = POLE_RADIUS_M / pixel
    bump_right = np.exp(-(((distance - edge) / 2.0) ** 2))
    bump_left = np.exp(-(((distance + edge) / 2.0) ** 2))
    on = direction * (bump_right - bump_left)
    weights = amplitude * np.stack([-on, on]) + amplitude * 0.2 * rng.normal(size=(2, groups, width, n_neurons))
    weights *= np.abs(distance) <= half_width_px
    return weights.reshape(-1, n_neurons).astype(np.float32)
