# SPDX-License-Identifier: Apache-2.0
"""Compiled forward pass and backpropagation through time of liquid time-constant neurons (LTC).

The equations are at the head of :mod:`.kernels`; here they run over a batch of sequences, and keep what the gradient
needs. With ``s`` the logistic function and each synapse from ``q_i`` to neuron j given by its slope, its threshold
``slope mu``, its conductance ``w`` and its driving ``w e``, one of the solver's steps is ::

    o_ij = s(slope_ij q_i - threshold_ij)
    v_j <- (driven_j + C_j v_j + sum_i we_ij o_ij) / (leak_j + C_j + sum_i w_ij o_ij)

An autograd graph of the same holds every ``o_ij`` of every step; here they are computed again on the way back, which
costs less than reading them. ``test_liquid_bptt.py`` holds this against the graph of :class:`.cells.LTC`.

Float32. The sequences lie side by side, padded to whole vector registers by sequences without a loss, so that every
inner loop runs over the batch. Products and sums may be contracted there, and a synapse's gradient is summed over the
batch in an order that the compiler chooses, once: the same input gives the same bytes.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from .interpreter import LANES
from .kernels import short_tanh32

_ZERO, _HALF, _TWO = np.float32(0), np.float32(0.5), np.float32(2)


def side_by_side(sequences: np.ndarray, fill: float = 0.0) -> np.ndarray:
    """``(B, ..., n)`` as contiguous float32 ``(..., n, width)``, with the batch rounded up to whole registers."""
    n_batch = len(sequences)
    wide = np.full((*sequences.shape[1:], -(-n_batch // LANES) * LANES), fill, np.float32)
    wide[..., :n_batch] = np.moveaxis(sequences, 0, -1)
    return wide


@njit(cache=True, error_model="numpy", fastmath={"contract"})
def _conduct(synapses, sources, j, current, load):
    """Add what all sources conduct into neuron j."""
    for i in range(len(sources)):
        slope, threshold, w, we = synapses[0, i, j], synapses[1, i, j], synapses[2, i, j], synapses[3, i, j]
        for b in range(len(current)):
            o = _HALF + _HALF * short_tanh32(slope * sources[i, b] - threshold)
            current[b] += we * o
            load[b] += w * o


@njit(cache=True, error_model="numpy", fastmath={"contract", "reassoc", "nsz"})
def _learn(synapses, g_synapses, i, source, g_source, g_current, g_load):
    """Add the gradient by source i and its synapses to that by the neurons' currents and conductances."""
    for j in range(len(g_current)):
        slope, threshold, w, we = synapses[0, i, j], synapses[1, i, j], synapses[2, i, j], synapses[3, i, j]
        by_slope, by_threshold, by_w, by_we = _ZERO, _ZERO, _ZERO, _ZERO
        for b in range(len(source)):
            o = _HALF + _HALF * short_tanh32(slope * source[b] - threshold)
            g = (we * g_current[j, b] + w * g_load[j, b]) * (_TWO * (o - o * o))
            by_we += o * g_current[j, b]
            by_w += o * g_load[j, b]
            by_slope += g * source[b]
            by_threshold -= g
            g_source[b] += g * slope
        g_synapses[0, i, j] += by_slope
        g_synapses[1, i, j] += by_threshold
        g_synapses[2, i, j] += by_w
        g_synapses[3, i, j] += by_we


@njit(cache=True, nogil=True, error_model="numpy")
def forward(unfolds, x, capacity, driven, leak, synapses, sensory, potential, load):
    """Run all steps of all sequences.

    Args:
        unfolds: steps of the solver in one step of the sequence.
        x: ``(T, n_inputs, width)``.
        capacity: ``(T, n, width)``: the neurons' capacities over the length of one of the solver's steps.
        driven, leak: ``(n,)``: current and conductance of the leak.
        synapses: ``(4, n, n)``, rows are presynaptic: half of the slopes and of the thresholds, conductances,
            drivings; sensory: ``(4, n_inputs, n)``.
        potential: ``(T unfolds + 1, n, width)``: row ``s + 1`` is the state after step s of the solver, row 0 the
            state carried in.
        load: ``(T unfolds, n, width)``: what the currents are divided by.
    """
    n_steps, n_inputs, width = x.shape
    n = len(driven)
    current = np.empty(width, np.float32)
    from_inputs, loaded = np.empty((n, width), np.float32), np.empty((n, width), np.float32)
    for k in range(n_steps):
        for j in range(n):
            from_inputs[j] = driven[j]
            loaded[j] = capacity[k, j]
            loaded[j] += leak[j]
            _conduct(sensory, x[k], j, from_inputs[j], loaded[j])
        for s in range(k * unfolds, (k + 1) * unfolds):
            for j in range(n):
                c, v, after, total = capacity[k, j], potential[s, j], potential[s + 1, j], load[s, j]
                for b in range(width):
                    current[b] = from_inputs[j, b] + c[b] * v[b]
                for b in range(width):
                    total[b] = loaded[j, b]
                _conduct(synapses, potential[s], j, current, total)
                for b in range(width):
                    after[b] = current[b] / total[b]


@njit(cache=True, nogil=True, error_model="numpy")
def backward(unfolds, x, capacity, synapses, sensory, potential, load, g_out):
    """Gradients of a loss through all steps.

    Args:
        g_out: ``(T, n, width)``, derivatives by the state after each step of the sequence.

    Others as in :func:`forward`.

    Returns:
        Gradients by the state carried in ``(n, width)``, ``x``, ``capacity``, ``driven``, ``leak``, ``synapses`` and
        ``sensory``, in their shapes.
    """
    n_steps, n_inputs, width = x.shape
    n = capacity.shape[1]
    g_x, g_capacity = np.zeros_like(x), np.zeros_like(capacity)
    g_synapses, g_sensory = np.zeros_like(synapses), np.zeros_like(sensory)
    g_driven, g_leak = np.zeros(n, np.float32), np.zeros(n, np.float32)
    g = np.zeros((n, width), np.float32)
    g_current, g_load, currents, loads = np.empty_like(g), np.empty_like(g), np.empty_like(g), np.empty_like(g)
    for k in range(n_steps - 1, -1, -1):
        currents[:] = 0
        loads[:] = 0
        g += g_out[k]
        for s in range((k + 1) * unfolds - 1, k * unfolds - 1, -1):
            for j in range(n):
                v, after, total, c = potential[s, j], potential[s + 1, j], load[s, j], capacity[k, j]
                by, by_current, by_load, by_c = g[j], g_current[j], g_load[j], g_capacity[k, j]
                for b in range(width):  # short loops over few arrays, which a compiler can prove apart and vectorise
                    by_current[b] = by[b] / total[b]
                for b in range(width):
                    by_load[b] = -by_current[b] * after[b]
                for b in range(width):
                    by_c[b] += by_current[b] * v[b] + by_load[b]
                for b in range(width):
                    by[b] = by_current[b] * c[b]
            currents += g_current
            loads += g_load
            for i in range(n):
                _learn(synapses, g_synapses, i, potential[s, i], g[i], g_current, g_load)
        for i in range(n_inputs):
            _learn(sensory, g_sensory, i, x[k, i], g_x[k, i], currents, loads)
        for j in range(n):
            g_driven[j] += currents[j].sum()
            g_leak[j] += loads[j].sum()
    return g, g_x, g_capacity, g_driven, g_leak, g_synapses, g_sensory
