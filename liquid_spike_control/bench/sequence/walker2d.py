# SPDX-License-Identifier: Apache-2.0
"""Next-state prediction on a walker that is seen irregularly.

Recordings of the Walker2d, walking with torque noise by gaits that were found here, lose a tenth of their frames at
random. A model sees a frame and the time since the one before, in frames, and predicts the frame that followed it,
whether that one was lost or not. As in the CfC paper, sequences are windows of 64 frames, a quarter of a window apart,
in the units of the simulator (m, rad, m/s, rad/s); the paper's recordings are of other policies, so that the ranking
of models can be compared, and not their errors.

Source: the task of Lechner and Hasani, arXiv:2006.04418, as used by Hasani et al., Nature Machine Intelligence 2022.
"""

from __future__ import annotations

import numpy as np

from .gait import N_OBSERVED, N_TORQUES, PERIOD_S, Gait, Walker, learned_gaits
from .sequences import Sequences

#: Frames of a recording before any is lost, and of a window.
N_FRAMES, WINDOW = 300, 64
#: Probability that a frame is lost.
LOST = 0.1
#: Standard deviations of the torques' noise, in units of the motors' limits; a recording has one of them.
NOISES = (0.05, 0.1, 0.2)
#: Of the search for gaits, and of the recordings; the test's lie below those of the training.
GAIT_SEED, TRAINING_SEED, TEST_SEED = 1_700_000_000, 1_700_000_000, 1_000
#: Gaits of the search that are recorded: its last ones.
N_GAITS = 8


def recording(walker: Walker, gaits: list[Gait], seed: int) -> np.ndarray:
    """Frames of a walk without a fall, float64 ``(N_FRAMES, 17)``; a walker that falls starts again."""
    rng = np.random.default_rng(seed)
    while True:
        gait, noise = gaits[rng.integers(len(gaits))], NOISES[rng.integers(len(NOISES))]
        walker.reset(rng)
        frames = np.empty((N_FRAMES, N_OBSERVED))
        for k in range(N_FRAMES):
            frames[k] = walker.observe()
            walker.advance(gait.torques(walker, k * PERIOD_S) + noise * rng.normal(size=N_TORQUES))
            if walker.fallen:
                break
        else:
            return frames


def windows(frames: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Inputs ``(n, 64, 17)``, elapsed frames ``(n, 64)`` and targets ``(n, 64, 17)`` of a recording."""
    kept = np.flatnonzero(rng.random(len(frames) - 1) >= LOST)
    elapsed = np.diff(kept, prepend=-1)
    begins = range(0, len(kept) - WINDOW, WINDOW // 4)
    rows = np.array([kept[begin : begin + WINDOW] for begin in begins])
    return frames[rows], np.array([elapsed[begin : begin + WINDOW] for begin in begins]), frames[rows + 1]


def training_and_test(n_training: int, n_test: int) -> tuple[Sequences, Sequences]:
    """Windows of so many recordings to learn from, and of others to test on."""
    gaits, walker = learned_gaits(GAIT_SEED)[-N_GAITS:], Walker()

    def cut(n: int, first_seed: int) -> Sequences:
        rng = np.random.default_rng(first_seed)
        parts = [windows(recording(walker, gaits, first_seed + k), rng) for k in range(n)]
        inputs, elapsed, targets = (np.concatenate(part).astype(np.float32) for part in zip(*parts, strict=True))
        return Sequences(inputs, elapsed, np.full(len(inputs), WINDOW), targets)

    return cut(n_training, TRAINING_SEED), cut(n_test, TEST_SEED)
