# SPDX-License-Identifier: Apache-2.0
"""The compiled step of the general emulator: every neuron model, payloads, plain loops.

One step ``t``: every population takes the input that is due and updates (the rules are in :mod:`.neurons`); the
input spikes and the spikes of step t, each with its payload, are multiplied with the weights of their synapses and
summed, apart for every connection and delay; the sums, shifted by the weight exponent, are due at
``t + 1 + delay``. Sums are kept in int64 and wrapped as Lava's int32 would; those of a convolution wrap
at 24 bits, which is Lava's rule too.

Numba's cache looks at this file alone: after a change of :mod:`.loihi2_models` change this one too, or clear the cache.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from .loihi2_models import N_INPUT_SPIKES, N_STEPS, N_SYNOPS, P_FIRST, P_N, int32, update

# Columns of the table of connections. A convolution has weights (C_in, K, L, C_out), already flipped.
(
    C_CONV, C_SOURCE, C_TARGET, C_SIZE, C_SHIFT, C_BITS, C_SUMS, C_DELAYS, C_N_DELAYS, C_ROWS, C_SYNAPSES,
    C_WEIGHTS, C_FIRST, C_X, C_Y, C_IN, C_K, C_L, C_OUT, C_X_OUT, C_Y_OUT, C_STRIDE_X, C_STRIDE_Y, C_PAD_X,
    C_PAD_Y, C_COLUMNS,
) = range(26)  # fmt: skip


@njit(cache=True, error_model="numpy")
def _wrap(x, bits):
    """The signed number of so many bits that is congruent to x."""
    half = np.int64(1) << (bits - 1)
    return ((x + half) & (2 * half - 1)) - half


@njit(cache=True, error_model="numpy")
def _spread(c, ids, payloads, index, targets, weights, which, sums):
    """Add what spikes send over a connection of single synapses; returns the synaptic operations."""
    operations, size = 0, c[C_SIZE]
    for q in range(len(ids)):
        row, payload = c[C_ROWS] + ids[q], payloads[q]
        if payload == 0:
            continue
        operations += index[row + 1] - index[row]
        for k in range(c[C_SYNAPSES] + index[row], c[C_SYNAPSES] + index[row + 1]):
            sums[c[C_SUMS] + which[k] * size + targets[k]] += weights[k] * payload
    return operations


@njit(cache=True, error_model="numpy")
def _spread_conv(c, ids, payloads, kernels, sums):
    """The same for a convolution."""
    operations, out = 0, c[C_OUT]
    for q in range(len(ids)):
        source, payload = ids[q], payloads[q]
        if payload == 0:
            continue
        if c[C_FIRST]:  # channels first
            channel, pixel = source // (c[C_X] * c[C_Y]), source % (c[C_X] * c[C_Y])
        else:
            channel, pixel = source % c[C_IN], source // c[C_IN]
        x, y = pixel // c[C_Y] + c[C_PAD_X], pixel % c[C_Y] + c[C_PAD_Y]
        for k in range(c[C_K]):
            to_x = (x - k) // c[C_STRIDE_X]
            if (x - k) % c[C_STRIDE_X] != 0 or to_x < 0 or to_x >= c[C_X_OUT]:
                continue
            for m in range(c[C_L]):
                to_y = (y - m) // c[C_STRIDE_Y]
                if (y - m) % c[C_STRIDE_Y] != 0 or to_y < 0 or to_y >= c[C_Y_OUT]:
                    continue
                weight = c[C_WEIGHTS] + ((channel * c[C_K] + k) * c[C_L] + m) * out
                target = c[C_SUMS] + (to_x * c[C_Y_OUT] + to_y) * out
                for o in range(out):
                    sums[target + o] += kernels[weight + o] * payload
                    operations += kernels[weight + o] != 0
    return operations


@njit(cache=True, error_model="numpy")
def _fold(c, t, index, sums, due):
    """Shift the sums of a connection and let them be due."""
    for d in range(c[C_N_DELAYS]):
        slot = due[(t + 1 + index[c[C_DELAYS] + d]) % len(due)]
        for k in range(c[C_SIZE]):
            at = c[C_SUMS] + d * c[C_SIZE] + k
            if sums[at] != 0:
                total = _wrap(sums[at], c[C_BITS])
                total = int32(total << c[C_SHIFT]) if c[C_SHIFT] >= 0 else total >> -c[C_SHIFT]
                slot[c[C_TARGET] + k] += total
                sums[at] = 0


@njit(cache=True, error_model="numpy")
def advance(
    populations, connections, parameters, state, due, sums, sent, index, targets, weights, which, kernels, counters,
    outputs, indptr, ids, payloads, out_indptr, out_ids, out_payloads,
):  # fmt: skip
    """Advance ``len(indptr) - 1`` steps.

    ``outputs`` has a row (population, first id) for each output population; ``ids`` and ``payloads`` are the
    input's, checked by the caller.
    """
    written = 0
    out_indptr[0] = 0
    spiking, carried = np.empty_like(sent), np.empty_like(sent)
    for step in range(len(indptr) - 1):
        t = counters[N_STEPS]
        for q in range(len(populations)):
            update(populations[q], t, parameters, state, due[t % len(due)], sent, counters)
        for q in range(len(outputs)):
            p = populations[outputs[q, 0]]
            for k in range(p[P_N]):
                if sent[p[P_FIRST] + k] != 0:
                    out_ids[written] = outputs[q, 1] + k
                    out_payloads[written] = sent[p[P_FIRST] + k]
                    written += 1
        out_indptr[step + 1] = written
        for q in range(len(connections)):
            c = connections[q]
            if c[C_SOURCE] < 0:
                their_ids = ids[indptr[step] : indptr[step + 1]]
                their_payloads = payloads[indptr[step] : indptr[step + 1]]
            else:
                n = 0
                first = populations[c[C_SOURCE], P_FIRST]
                for k in range(populations[c[C_SOURCE], P_N]):
                    if sent[first + k] != 0:
                        spiking[n], carried[n] = k, sent[first + k]
                        n += 1
                their_ids, their_payloads = spiking[:n], carried[:n]
            if len(their_ids) == 0:
                continue
            if c[C_CONV]:
                counters[N_SYNOPS] += _spread_conv(c, their_ids, their_payloads, kernels, sums)
            else:
                counters[N_SYNOPS] += _spread(c, their_ids, their_payloads, index, targets, weights, which, sums)
            _fold(c, t, index, sums, due)
        counters[N_INPUT_SPIKES] += indptr[step + 1] - indptr[step]
        counters[N_STEPS] += 1
    return written
