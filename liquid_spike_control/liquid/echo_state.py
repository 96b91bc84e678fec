# SPDX-License-Identifier: Apache-2.0
"""An echo-state network, the reservoir of real numbers: ``x <- tanh(W x + W_in u + b)``.

Jaeger: "The echo state approach to analysing and training recurrent neural networks", GMD report 148, 2001.
"""

from __future__ import annotations

import numpy as np

#: Of a controller that is one.
NAME = "esn"


class EchoStateNetwork:
    """Units that reach ``degree`` others each on average, with weights of both signs.

    Args:
        n: units.
        n_inputs: signals in -1 .. 1.
        radius: spectral radius of W.
        input_scale: largest weight of an input.
        bias: largest bias.
        degree: of W.
        seed: decides the weights.

    Attributes:
        weights, input_weights, bias: W ``(n, n)``, W_in ``(n, n_inputs)`` and b ``(n,)``, float64.
    """

    def __init__(
        self,
        n: int,
        n_inputs: int,
        radius: float = 0.95,
        input_scale: float = 0.05,
        bias: float = 0.5,
        degree: int = 20,
        seed: int = 1,
    ) -> None:
        rng = np.random.default_rng(seed)
        weights = rng.uniform(-1, 1, (n, n)) * (rng.random((n, n)) < min(1.0, degree / n))
        self.weights = weights * (radius / np.abs(np.linalg.eigvals(weights)).max())
        self.input_weights = rng.uniform(-input_scale, input_scale, (n, n_inputs))
        self.bias = rng.uniform(-bias, bias, n)

    def states(self, inputs: np.ndarray) -> np.ndarray:
        """States after each sample of ``(n_samples, n_inputs)``, from rest, float64 ``(n_samples, n)``."""
        x = np.zeros(len(self.weights))
        found = np.empty((len(inputs), len(x)))
        for t, u in enumerate(inputs):
            x = np.tanh(self.weights @ x + self.input_weights @ u + self.bias)
            found[t] = x
        return found
