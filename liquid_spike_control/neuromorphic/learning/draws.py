# SPDX-License-Identifier: Apache-2.0
"""The numbers by which Lava rounds, repeated, so that learning can be compared with it bit by bit.

Lava (0.10.0) has a generator for the decay and one for the impulses of each side, each of which gives one number that
all traces of that side share; it is drawn at the start and twice a step, and a step's learning sees the later one. A
fifth generator, seeded with 2 whatever the rule's seed is, gives all synapses one number an epoch.
"""

from __future__ import annotations

import numpy as np

#: Columns of the table: decay and impulse of x, decay and impulse of y, impulse of y where a neuron has spiked twice in
#: an epoch, and the rounding of synapses, in 1/128.
X_DECAY, X_IMPULSE, Y_DECAY, Y_IMPULSE, Y_AGAIN, SYNAPSE, N_DRAWS = range(7)
_SYNAPSE_SEED = 2
_CHUNK = 1024


class LavaDraws:
    """A table of Lava's draws, by step from the reset on.

    Args:
        seed: of the rule.
        epoch: steps of an epoch.

    Attributes:
        table: float64 ``(n_steps, N_DRAWS)``.
    """

    def __init__(self, seed: int, epoch: int) -> None:
        self._epoch = epoch
        self._generators = [np.random.default_rng(seed + k) for k in range(4)]
        self._synapses = np.random.default_rng(_SYNAPSE_SEED)
        for k, generator in enumerate(self._generators):
            self._draw(k, generator, 1)
        self._synapses.random(1)
        self.table = np.zeros((0, N_DRAWS))

    @staticmethod
    def _draw(k: int, generator: np.random.Generator, n: int) -> np.ndarray:
        return generator.integers(0, 128, size=n, dtype=int) if k % 2 else generator.random(n)

    def extend(self, n_steps: int) -> None:
        """Let the table reach over ``n_steps`` steps."""
        while len(self.table) < n_steps:
            more = np.zeros((_CHUNK * self._epoch, N_DRAWS))
            for k, generator in enumerate(self._generators):
                pairs = self._draw(k, generator, 2 * len(more)).reshape(-1, 2)
                more[:, k] = pairs[:, 1]
                if k == Y_IMPULSE:
                    more[:, Y_AGAIN] = pairs[:, 0]
            more[self._epoch - 1 :: self._epoch, SYNAPSE] = np.floor(128 * self._synapses.random(_CHUNK))
            self.table = np.concatenate([self.table, more])
