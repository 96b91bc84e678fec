# SPDX-License-Identifier: Apache-2.0
"""One step of a NIR neuron: from time constants, resistances and leaks to a :class:`~.graph.CubaPopulation`.

With d = dt / tau or 1 - exp(-dt / tau), ``tau v' = v_leak - v + r I`` becomes ``v <- (1 - d) v + g r I + d v_leak``,
where the gain g is d unless the preset sets it. Voltages are counted from ``v_reset``, which makes the reset
one to 0; the neurons then start at ``v_reset``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import ModelError
from .graph import CubaPopulation
from .nir_file import Node
from .nir_reader import RISE, TAU
from .presets import Gain, Preset
from .shapes import Shape, expand

#: Kinds of node whose voltage is read and which never spike.
INTEGRATORS = ("LI", "CubaLI", "I")
#: Kinds of node with a synaptic current of their own.
CURRENTS = ("CubaLIF", "CubaLI")

_RESETS = {"zero": "zero", "hard": "zero", "subtract": "subtract", "soft": "subtract", "none": "none"}


@dataclass(frozen=True, eq=False, slots=True)
class Neurons:
    """A node's neurons in one step; all arrays have the shape of its signal.

    Attributes:
        du, dv: fraction of current and voltage lost in a step.
        gain: by what weighted spikes are multiplied on their way into the current.
        bias: added to the voltage every step.
        vth: threshold above the reset.
    """

    du: np.ndarray
    dv: np.ndarray
    gain: np.ndarray
    bias: np.ndarray
    vth: np.ndarray
    spiking: bool


@dataclass(frozen=True, slots=True)
class Discretisation:
    """A preset and its step."""

    preset: Preset
    dt: float

    def neurons(self, name: str, node: Node, shape: Shape) -> Neurons:
        """The neurons of a node that sends ``shape``.

        Raises:
            ModelError: a parameter does not fit; the message names the node.
        """

        def value(key: str) -> np.ndarray:
            return expand(name, key, node.values[key], shape)

        one, zero = np.ones(shape), np.zeros(shape)
        if node.kind == "Threshold":
            vth = self._above(name, "threshold", value("threshold"))
            return Neurons(one, one, one, zero, vth, True)
        du, current = one, one
        if node.kind in CURRENTS:
            du = self.decay(name, value("tau_syn"))
            current = _driven(du, self.preset.synapse, value("w_in"))
        r = value("r") if self.preset.resistance else one
        leaky = node.kind not in ("IF", "I")
        if leaky:
            dv = self.decay(name, value("tau_mem" if node.kind in CURRENTS else "tau"))
            membrane = _driven(dv, self.preset.integrator if node.kind == "LI" else self.preset.membrane, r)
        else:
            dv, membrane = zero, r * (self.dt if self.preset.accumulator == "decay" else 1.0)
        start = value("v_reset") if "v_reset" in node.values else zero
        bias = dv * (value("v_leak") - start) if leaky else zero
        if self._reset(name, node)[0] == "subtract" and np.any(start):
            raise ModelError(f"node {name}: v_reset is not 0 but the reset subtracts; choose another preset")
        total = _near_one(current * membrane)
        if not np.isfinite(total).all():
            raise ModelError(f"node {name}: r or w_in is not finite; train it again")
        if node.kind in INTEGRATORS:
            return Neurons(du, dv, total, bias, one, False)
        return Neurons(du, dv, total, bias, self._above(name, "v_threshold", value("v_threshold") - start), True)

    def population(self, name: str, node: Node, neurons: Neurons, feeds_itself: bool) -> CubaPopulation:
        """The population of one node, its elements as NIR flattens them.

        Raises:
            ModelError: a parameter does not fit; the message names the node.
        """
        reset, late = self._reset(name, node)
        drop, refractory = None, 0
        if reset == "subtract" and late and neurons.spiking:
            # Subtracted one step later, after the decay: as much as vth / (1 - dv) at once.
            if ((neurons.dv == 1) & np.isfinite(neurons.vth)).any():
                raise ModelError(f"node {name}: its voltage lasts no step, so nothing can be subtracted from it later")
            with np.errstate(divide="ignore"):
                drop = (neurons.vth / (1 - neurons.dv)).ravel()
        if reset == "none":
            drop = np.zeros(neurons.vth.size)
        if reset == "zero" and late and (node.kind in CURRENTS or feeds_itself):
            refractory = 2
        rise = dh = None
        if neurons.spiking and RISE in node.metadata and TAU in node.metadata:
            values = (np.asarray(node.metadata[key], float) for key in (RISE, TAU))
            rise, tau = (expand(name, "adaptation", x, neurons.vth.shape) for x in values)
            rise, dh = rise.ravel(), self.decay(name, tau).ravel()
        du, dv, vth, bias = (np.ravel(x) for x in (neurons.du, neurons.dv, neurons.vth, neurons.bias))
        try:
            return CubaPopulation(
                du,
                dv,
                vth,
                bias,
                inclusive=self.preset.inclusive,
                reset="zero" if reset == "zero" else "subtract",
                refractory=refractory,
                spiking=neurons.spiking,
                drop=drop,
                most_spikes=self.preset.most_spikes if neurons.spiking else 1,
                lowest=self.preset.lowest if neurons.spiking else -np.inf,
                rise=rise,
                dh=dh,
            )
        except ModelError as error:
            raise ModelError(f"node {name}: {error}") from None

    def decay(self, name: str, tau: np.ndarray) -> np.ndarray:
        """The fraction that a state loses in a step.

        Raises:
            ModelError: a time constant is not positive, or shorter than a step.
        """
        if not (tau > 0).all():
            raise ModelError(f"node {name}: a time constant is not positive; train it again")
        if self.preset.rule == "exponential":
            return -np.expm1(-self.dt / tau)
        lost = _near_one(self.dt / tau)
        if lost.max() > 1:
            raise ModelError(
                f"node {name}: a time constant of {tau.min():g} is shorter than the step {self.dt:g}; give a smaller dt"
            )
        return lost

    def steps(self, name: str, delay: np.ndarray) -> np.ndarray:
        """Delays as whole steps, int64.

        Raises:
            ModelError: they are not whole steps, or out of range.
        """
        steps = np.rint(delay / self.dt)
        if steps.min() < 0 or steps.max() > 2**20 or np.abs(delay / self.dt - steps).max() > 1e-3:
            raise ModelError(f"node {name}: its delays are not whole steps of {self.dt:g}; give another dt")
        return steps.astype(np.int64)

    def _reset(self, name: str, node: Node) -> tuple[str, bool]:
        """``"zero"``, ``"subtract"`` or ``"none"``, and whether one step later."""
        stated = node.metadata.get("reset", node.metadata.get("reset_mechanism"))
        if stated is None:
            kind, _, late = self.preset.reset.partition("_")
            return kind, bool(late)
        if str(stated) not in _RESETS:
            raise ModelError(f"node {name}: reset {stated} is unknown; use zero, subtract or none")
        return _RESETS[str(stated)], self.preset.reset.endswith("_next")

    @staticmethod
    def _above(name: str, key: str, values: np.ndarray) -> np.ndarray:
        if not (values > 0).all():
            raise ModelError(f"node {name}: {key} must lie above the reset; it would spike in every step")
        return values


def _driven(lost: np.ndarray, kind: Gain, factor: np.ndarray) -> np.ndarray:
    """Return the gain of an input to a state that loses the fraction ``lost`` in a step, times ``r`` or ``w_in``."""
    # A state that never decays: the exporter divided dt by 0 for tau and for tau / dt, whose quotient was meant.
    endless = (lost == 0) & np.isinf(factor)
    gain = {"decay": lost, "jump": np.ones_like(lost), "kept": 1 - lost}[kind]
    return np.where(endless, 1.0, gain * np.where(endless, 0, factor))


def _near_one(x: np.ndarray) -> np.ndarray:
    """``x`` with what float32 made of 1 put right."""
    return np.where(np.abs(x - 1) < 2.0**-20, 1.0, x)
