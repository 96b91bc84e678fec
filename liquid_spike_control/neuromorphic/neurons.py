# SPDX-License-Identifier: Apache-2.0
"""Populations of neurons in Loihi's integers, one class a neuron model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import ModelError


def check(ok: bool, message: str) -> None:
    """Raise what a user can mend.

    Raises:
        ModelError: not ok.
    """
    if not ok:
        raise ModelError(message)


@dataclass(frozen=True, eq=False)
class Population:
    """CUBA-LIF neurons (Davies et al. 2018, eq. 1-3; Lava ``LIF`` fixed point).

    ``u <- tz(u (4096 - (du + 1)) / 4096) + (a << 6)``, ``v <- tz(v (4096 - dv) / 4096) + u + bias``,
    spike where ``v > vth << 6``, then ``v = 0``. Each parameter is one integer or one a neuron.

    Attributes:
        n: number of neurons.
        du, dv: decays of current and voltage, 0 .. 4095 (in 1/4096 a step; du acts as du + 1).
        vth: threshold mantissa, 0 .. 131071.
        bias_mant, bias_exp: bias ``bias_mant << bias_exp``, -4096 .. 4095 and 0 .. 7.
        refractory: a spike sets a counter to this, which counts down at the end of every step, that one too;
            v stays 0 while it runs (nengo-loihi's rule): 0 and 1 do nothing, r silences r - 1 steps. 0 .. 63.
        start: what that counter holds at the reset: v stays 0 in the first ``start`` steps. 0 .. 63. A layer
            whose input needs that long to arrive does not begin to integrate its bias before.
    """

    n: int
    du: int | np.ndarray
    dv: int | np.ndarray
    vth: int | np.ndarray
    bias_mant: int | np.ndarray = 0
    bias_exp: int | np.ndarray = 0
    refractory: int | np.ndarray = 0
    start: int | np.ndarray = 0

    _ranges = (
        ("du", 0, 4095),
        ("dv", 0, 4095),
        ("vth", 0, 2**17 - 1),
        ("bias_mant", -4096, 4095),
        ("bias_exp", 0, 7),
        ("refractory", 0, 63),
        ("start", 0, 63),
    )

    def __post_init__(self) -> None:
        check(self.n > 0, f"a population has {self.n} neurons; give it at least one")
        for name, low, high in self._ranges:
            value = np.asarray(getattr(self, name))
            check(
                value.dtype.kind in "iu" and value.shape in ((), (self.n,)),
                f"{name}: give one integer, or {self.n}, not {value.dtype} of shape {value.shape}",
            )
            check(
                bool((value >= low).all() and (value <= high).all()),
                f"{name} must lie in {low} .. {high}, not {value.min()} .. {value.max()}",
            )
            object.__setattr__(self, name, value.astype(np.int64))

    @property
    def bias(self) -> np.ndarray:
        """The bias that is added to v every step, int64."""
        return np.asarray(self.bias_mant << self.bias_exp)
