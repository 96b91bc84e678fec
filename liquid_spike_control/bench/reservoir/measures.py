# SPDX-License-Identifier: Apache-2.0
"""What a reservoir's states are worth, whatever it is made of: memory, kernel quality, generalisation, separation.

``states`` below takes the inputs of a stream ``(n_samples, 1)``, of -1 .. 1, and returns the states after each sample
``(n_samples, n_states)``, from rest.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...training.ridge import chosen_ridge, ridge_regression

States = Callable[[np.ndarray], np.ndarray]
#: Singular values below this part of the largest one of different streams count as 0 in a rank.
RANK = 0.1
#: Samples of the streams whose ranks are taken.
RANK_SAMPLES = 15
#: How far the noisy copies of a stream lie from it: what should be taken for the same.
NOISE = 0.1
#: Samples in which two streams differ and in which they are the same again.
APART, TOGETHER = 10, 30
#: By how much they differ.
DISTANCES = (0.05, 0.2, 0.8)


def memory_curve(states: np.ndarray, inputs: np.ndarray, fit: slice, test: slice, longest: int) -> np.ndarray:
    """How much of the input of k samples ago a linear readout has, k of 1 .. longest, float64 ``(longest,)`` of 0 .. 1.

    The squared correlation of input and readout on samples that it was not fitted to; their sum is the memory capacity
    (Jaeger: "Short term memory in echo state networks", GMD report 152, 2001). Chance adds one over their number to
    each.

    Args:
        states: ``(n, n_states)``.
        inputs: ``(n,)``, independent of each other.
        fit, test: samples to fit and to measure on; the fit begins at ``longest`` or later.
        longest: lag.
    """
    lagged = np.stack([np.roll(inputs, k) for k in range(1, longest + 1)], 1)
    ridge = chosen_ridge(states[fit], lagged[fit])
    weights, offset = ridge_regression(states[fit], lagged[fit], ridge)
    found, wanted = states[test] @ weights.T + offset, lagged[test]
    found, wanted = found - found.mean(0), wanted - wanted.mean(0)
    power = (found**2).sum(0) * (wanted**2).sum(0)
    return np.divide((found * wanted).sum(0) ** 2, power, out=np.zeros(longest), where=power > 0)


def ranks(states: States, n_streams: int, rng: np.random.Generator, progress: Callable[[], None]) -> tuple[int, int]:
    """Kernel quality and generalisation: ranks of the last states of different streams, and of noisy copies of one.

    Of states without their mean over the streams. A high rank of the first and a low one of the second are good
    (Legenstein and Maass: "Edge of chaos and prediction of computational performance for neural circuit models", Neural
    Networks 20(3), 2007).
    """
    streams = rng.uniform(-1, 1, (n_streams, RANK_SAMPLES, 1))
    noise = rng.uniform(-NOISE, NOISE, streams.shape)
    found: list[int] = []
    least = 0.0
    for kind in (streams, np.clip(streams[:1] + noise, -1, 1)):
        last = []
        for stream in kind:
            last.append(states(stream)[-1])
            progress()
        singular = np.linalg.svd(np.array(last) - np.mean(last, 0), compute_uv=False)
        least = least or RANK * float(singular[0])
        found.append(int((singular > least).sum()))
    return found[0], found[1]


def separation(states: States, n_pairs: int, rng: np.random.Generator, progress: Callable[[], None]) -> np.ndarray:
    """Distance of the states of two streams over time, float64 ``(len(DISTANCES), APART + TOGETHER)``.

    The streams lie a distance apart for :data:`APART` samples and are then the same: the first part is the separation
    property, the second the fading memory of Maass et al. 2002 (their figure 2). In units of the distance between
    states of unrelated streams.
    """
    n = APART + TOGETHER
    base = rng.uniform(-1, 1, (n_pairs, n, 1))
    other = rng.uniform(-1, 1, (n_pairs, n, 1))
    sign = rng.choice([-1.0, 1.0], (n_pairs, APART, 1))
    distances, unrelated = np.zeros((len(DISTANCES), n)), np.zeros(n)
    for a, b, s in zip(base, other, sign, strict=True):
        first = states(a)
        unrelated += np.linalg.norm(states(b) - first, axis=1)
        for k, distance in enumerate(DISTANCES):
            c = a.copy()
            c[:APART] += distance * np.where(np.abs(a[:APART] + distance * s) <= 1, s, -s)
            distances[k] += np.linalg.norm(states(c) - first, axis=1)
        progress()
    return distances / max(float(unrelated.mean()), 1e-300)
