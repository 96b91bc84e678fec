# SPDX-License-Identifier: Apache-2.0
"""The neurons of a netx layer, out of their registers."""

from __future__ import annotations

from typing import Literal

import numpy as np

from ..integers.neurons import AdaptivePopulation, Neurons, Population, ResonateAndFire, Sigma, SigmaDelta
from .netx_layer import Layer


def read_neurons(layer: Layer, n: int, bias: np.ndarray, start: int, spike_exp: int) -> Neurons:
    """The population that a layer describes.

    Args:
        layer: contents of the file.
        n: number of neurons.
        bias: one integer, or one a neuron.
        start: steps before the neurons wake.
        spike_exp: binary places of the payloads of sigma-delta neurons.

    Raises:
        ModelError: the model is unknown, or a register is missing or out of bounds.
    """
    kind = layer.neuron_kind
    if kind in ("CUBA", "LOIHI", "ALIF"):
        return _integrators(layer, kind, n, bias, start)
    if kind == "SDNN" and "neuron/sigma_output" not in layer:
        return _sigma_delta(layer, n, bias, start, spike_exp)
    if kind not in (None, "SDNN", "RF_PHASE", "RF_IZHIKEVICH"):
        raise layer.error(f"neurons {kind} are unknown; known are CUBA, ALIF, SDNN, RF_PHASE, RF_IZHIKEVICH")
    if bias.any():
        raise layer.error(f"{kind or 'a layer without neurons'} has no bias; export without norm")
    if kind in ("RF_PHASE", "RF_IZHIKEVICH"):
        return _resonators(layer, n, "phase" if kind == "RF_PHASE" else "izhikevich")
    if kind is None:
        layer.note("it has no neurons: it sums its input, and sends the sum as payload in every step")
    return Sigma(n)


def _integrators(layer: Layer, kind: str, n: int, bias: np.ndarray, start: int) -> Neurons:
    if bias.min() < -4096 or bias.max() > 4095:
        raise layer.error(f"biases reach {bias.min()} .. {bias.max()}; Loihi's lie in -4096 .. 4095")
    decay = layer.register("iDecay", 0, 4096)
    if decay == 0:
        layer.note("iDecay 0 becomes 1, the least that Loihi has")
    du, dv = np.maximum(decay, 1) - 1, layer.register("vDecay", 0, 4096)
    vth = layer.register("vThMant", 0, 2**18 - 1)
    if vth > 2**17 - 1:
        layer.note(f"vThMant {vth}, which nothing reaches, becomes 131071; read the voltage")
    vth = np.minimum(vth, 2**17 - 1)
    refractory = layer.register("refDelay", 0, 63, default=1)
    if refractory > 1:
        layer.note(f"refDelay {refractory} is applied; Lava's loader drops it")
    if kind != "ALIF":
        return Population(n, du, dv, vth, bias, 6, refractory, start)
    if refractory > 1:
        raise layer.error("ALIF neurons have no refDelay but 1; their refractory state is refDecay")
    layer.note("ALIF runs by the rules of Lava's ATRLIF, which are slayer's; Lava's loader has none")
    step = layer.register("vThStep", 0, 2**17 - 1)
    dtheta, dr = layer.register("thDecay", 0, 4096), layer.register("refDecay", 0, 4096)
    return AdaptivePopulation(n, du, dv, vth, step, dtheta, dr, bias, 6, start)


def _sigma_delta(layer: Layer, n: int, bias: np.ndarray, start: int, spike_exp: int) -> Neurons:
    activation = layer.text("neuron/activation", "relu")
    if activation != "relu":
        raise layer.error(f"activation {activation} cannot be run; Lava's loader knows relu only")
    if bias.min() < -(2**15) or bias.max() >= 2**15:
        raise layer.error(f"biases reach {bias.min()} .. {bias.max()}; they must fit 16 bits")
    return SigmaDelta(n, layer.register("vThMant", 0, 2**17 - 1), bias, spike_exp, layer.STATE_EXP, start=start)


def _resonators(layer: Layer, n: int, rule: Literal["phase", "izhikevich"]) -> Neurons:
    sin, cos = (layer.register(name, -4096, 4096) for name in ("sinDecay", "cosDecay"))
    # Lava's loader takes period and decay from the registers, and makes registers of them again.
    period = 2 * np.pi / np.arctan2(sin / 4096, cos / 4096)
    alpha = 1 - np.hypot(sin / 4096, cos / 4096)
    vth = layer.register("vThMant", 0, 2**17 - 1)
    neurons = ResonateAndFire.of_period(n, period, alpha, vth, layer.STATE_EXP, rule)
    if neurons.sin != sin or neurons.cos != cos:
        layer.note(f"sinDecay {sin}, cosDecay {cos} act as {neurons.sin}, {neurons.cos}, as in Lava's loader")
    return neurons
