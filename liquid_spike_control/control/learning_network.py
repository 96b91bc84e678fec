# SPDX-License-Identifier: Apache-2.0
"""Networks that learn on line: numbers go in as spikes of Gaussian fields; pairs of neurons, one for either sign, give
the commands.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..errors import ModelError
from ..neuromorphic.integers.network import LoihiNetwork


@dataclass(frozen=True, kw_only=True)
class LearningNetwork:
    """Inputs, outputs and speed of a network that learns; a subclass gives its :meth:`network`.

    Attributes:
        centres, scales: of the inputs: their middle and a large deviation, in their units.
        limits: greatest magnitude of what is learnt, for each command, in its unit.
        errors: the error that counts as the chip's largest, for each command, in its unit.
        fields: of each input.
        pairs: of output neurons, for each command.
        steps: of the network, in a control period.
        rate: of the learning rule.
        smoothing_s: time constant of the output [s].
        full_rate: spikes a step that the neurons of one sign have more than those of the other where the output is at
            its limit.
        period_s: control period [s].
        seed: of the neurons, and of the rounding of what they learn.
        source: for messages.

    Raises:
        ModelError: a number is out of range.
        LearningRuleError: the chip has no such rate.
    """

    centres: tuple[float, ...]
    scales: tuple[float, ...]
    limits: tuple[float, ...]
    errors: tuple[float, ...]
    period_s: float
    fields: int = 6
    pairs: int = 4
    steps: int = 5
    rate: float = 1 / 64
    smoothing_s: float = 0.02
    full_rate: float = 0.3
    seed: int = 0
    source: str = "adaptation"

    #: Of the file's entry, for messages.
    entry: ClassVar[str] = "adaptation"
    #: Guarded learning freezes where more than this part of the weights is at a bound; of all, or of any one command's.
    most_saturated: ClassVar[float] = 0.05
    each_command: ClassVar[bool] = False

    def __post_init__(self) -> None:
        self._check(
            ("fields", 2, 100), ("pairs", 1, 1000), ("steps", 1, 1000), ("seed", 0, 2**32),
            ("smoothing_s", 1e-4, 10.0), ("full_rate", 1e-3, 1.0), ("period_s", 1e-4, 1.0),
        )  # fmt: skip
        for field in ("scales", "limits", "errors"):
            for value in getattr(self, field):
                if not 0 < value < np.inf:
                    raise ModelError(f"{self.source}: {self.entry}.{field}: {value}; give finite numbers above 0")
        if not np.isfinite(self.centres).all():
            raise ModelError(f"{self.source}: {self.entry}.centres: {list(self.centres)}; give finite numbers")
        self.network()

    def _check(self, *ranges: tuple[str, float, float]) -> None:
        for field, least, most in ranges:
            if not least <= (value := getattr(self, field)) <= most:
                raise ModelError(f"{self.source}: {self.entry}.{field}: {value}; give {least} to {most}")

    def network(self) -> LoihiNetwork:
        """The network before it has learnt anything: its plastic weights, of one connection, are 0."""
        raise NotImplementedError

    @property
    def signs(self) -> np.ndarray:
        """Of the output neurons for each command, float64 ``(n_commands, n_outputs)``: 1, -1, or 0."""
        one = np.repeat([1.0, -1.0], self.pairs)
        return np.kron(np.eye(len(self.limits)), one)
