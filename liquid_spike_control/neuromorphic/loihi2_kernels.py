# SPDX-License-Identifier: Apache-2.0
"""The compiled step of the general emulator: every neuron model, payloads, plain loops.

One step ``t``: every population takes the input that is due and updates (the rules are in :mod:`.neurons`); the
input spikes and the spikes of step t, each with its payload, are multiplied with the weights of their synapses and
summed, apart for every connection and delay; the sums, shifted by the weight exponent, are due at
``t + 1 + delay``. States and sums are kept in int64 and wrapped as Lava's int32 would; sums of a convolution wrap
at 24 bits, which is Lava's rule too.
"""

from __future__ import annotations

import numpy as np
from numba import njit

# Neuron models.
CUBA, ADAPTIVE, SIGMA_DELTA, DELTA, SIGMA, RESONATOR = range(6)
# Rows of the parameters, by model. The first four of CUBA and ADAPTIVE are the same.
DECAY_U, DECAY_V, THETA, BIAS, REFRACTORY = range(5)
STEP, DECAY_THETA, DECAY_R = range(4, 7)
S_THETA, S_OFFSET, S_STATE, S_SHIFT, S_RELU, S_CUMULATIVE = range(6)
R_SIN, R_COS, R_THETA, R_SHIFT, R_IZHIKEVICH = range(5)
SLEEP = 7  # steps before a neuron of any model wakes
N_PARAMETERS = 8
# Rows of the state, by model.
U, V, COUNTER = range(3)
THRESHOLD, R = 2, 3
SIGMA_STATE, ACTIVATION, RESIDUE, ERROR = range(4)
REAL, IMAGINARY = range(2)
N_STATE = 4

# Columns of the table of populations: model, neurons, first neuron, first input, whether spikes carry payloads.
P_MODEL, P_N, P_FIRST, P_INPUT, P_GRADED, P_COLUMNS = range(6)
# Columns of the table of connections. A convolution has weights (C_in, K, L, C_out), already flipped.
(
    C_CONV, C_SOURCE, C_TARGET, C_SIZE, C_SHIFT, C_BITS, C_SUMS, C_DELAYS, C_N_DELAYS, C_ROWS, C_SYNAPSES,
    C_WEIGHTS, C_FIRST, C_X, C_Y, C_IN, C_K, C_L, C_OUT, C_X_OUT, C_Y_OUT, C_STRIDE_X, C_STRIDE_Y, C_PAD_X,
    C_PAD_Y, C_COLUMNS,
) = range(26)  # fmt: skip
N_STEPS, N_INPUT_SPIKES, N_SPIKES, N_SYNOPS, N_UPDATES, N_COUNTERS = range(6)


@njit(cache=True, error_model="numpy")
def _wrap(x, bits):
    """The signed number of so many bits that is congruent to x."""
    half = np.int64(1) << (bits - 1)
    return ((x + half) & (2 * half - 1)) - half


@njit(cache=True, error_model="numpy")
def _int32(x):
    return np.int64(np.int32(x))


@njit(cache=True, error_model="numpy")
def _scaled(x, c):
    """``tz(x c / 4096)``."""
    product = x * c
    return (product + ((product >> 63) & 4095)) >> 12


@njit(cache=True, error_model="numpy")
def _magnitude(x):
    return _int32(abs(x))  # of -2^31 it is -2^31


# The models as functions of numbers alone: an array that is passed on costs numba more than the arithmetic.
@njit(cache=True, error_model="numpy")
def _integrate(u, v, a, decay_u, decay_v, bias):
    """Current and voltage of a leaky neuron."""
    u = _int32(_scaled(u, decay_u) + _int32(a << 6))
    if u > 2**23:
        u -= 2**24
    elif u <= -(2**23):
        u += 2**24
    v = _int32(_scaled(v, decay_v) + u + bias)
    return u, min(max(v, 1 - 2**23), 2**23 - 1)


@njit(cache=True, error_model="numpy")
def _adapt(v, threshold, r, rest, step, decay_threshold, decay_r):
    """Threshold and refractory state, and whether there is a spike."""
    threshold = rest + _scaled(threshold - rest, decay_threshold)
    r = _scaled(r, decay_r)
    if v - r >= threshold:  # so r stays below 2^23 + 2 theta, and theta below 2^25: int32 holds them
        return threshold + step, r + 2 * threshold, 1
    return threshold, r, 0


@njit(cache=True, error_model="numpy")
def _change(activation, before, residue, error, theta, cumulative):
    """Delta encoding of an activation: what is sent, the residue, the error."""
    d = _int32(activation - before + residue)
    if cumulative:
        error = _int32(error + d)
        sent = d if _magnitude(error) >= theta else 0
        if sent != 0:
            error = 0
    else:
        sent = d if _magnitude(d) >= theta else 0
    return sent, _int32(d - sent), error


@njit(cache=True, error_model="numpy")
def _rotate(real, imaginary, a, b, sin, cos):
    """One step of a resonator."""
    new_real = _scaled(real, cos) - _scaled(imaginary, sin) + a
    new_imaginary = _scaled(real, sin) + _scaled(imaginary, cos) + b
    return min(max(new_real, 1 - 2**23), 2**23 - 1), min(max(new_imaginary, 1 - 2**23), 2**23 - 1)


# One population: parameters, state and payloads hold its neurons, due its inputs. Each returns how many neurons were
# not quiescent: those that had a state that moves, an input or a bias.
@njit(cache=True, error_model="numpy")
def _update_cuba(p, s, due, sent):
    updates = 0
    for i in range(len(sent)):
        u, v, counter, a, bias = s[U, i], s[V, i], s[COUNTER, i], _int32(due[i]), p[BIAS, i]
        sent[i] = due[i] = 0
        if u == 0 and v == 0 and counter == 0 and a == 0 and bias == 0:
            continue
        updates += 1
        u, v = _integrate(u, v, a, p[DECAY_U, i], p[DECAY_V, i], bias)
        if counter > 0:
            v = 0
        if v > p[THETA, i]:
            v, counter, sent[i] = 0, p[REFRACTORY, i], 1
        s[U, i], s[V, i], s[COUNTER, i] = u, v, max(counter - 1, 0)
    return updates


@njit(cache=True, error_model="numpy")
def _update_adaptive(p, s, due, sent, t):
    updates = 0
    for i in range(len(sent)):
        a = _int32(due[i])
        sent[i] = due[i] = 0
        if t < p[SLEEP, i]:
            continue
        u, v, threshold, r, rest = s[U, i], s[V, i], s[THRESHOLD, i], s[R, i], p[THETA, i]
        updates += (u | v | r | a | p[BIAS, i] | (threshold - rest)) != 0
        u, v = _integrate(u, v, a, p[DECAY_U, i], p[DECAY_V, i], p[BIAS, i])
        s[U, i], s[V, i] = u, v
        s[THRESHOLD, i], s[R, i], sent[i] = _adapt(v, threshold, r, rest, p[STEP, i], p[DECAY_THETA, i], p[DECAY_R, i])
    return updates


@njit(cache=True, error_model="numpy")
def _update_sigma_delta(p, s, due, sent, t):
    updates = 0
    for i in range(len(sent)):
        a = _int32(due[i])
        sent[i] = due[i] = 0
        if t < p[SLEEP, i]:
            continue
        sigma = _int32(s[SIGMA_STATE, i] + a)
        activation = _int32(sigma + p[S_OFFSET, i])
        if p[S_RELU, i]:
            activation = max(activation, 0)
        before, residue = s[ACTIVATION, i], s[RESIDUE, i]
        updates += (a | residue | (activation - before)) != 0
        d, s[RESIDUE, i], s[ERROR, i] = _change(
            activation, before, residue, s[ERROR, i], p[S_THETA, i], p[S_CUMULATIVE, i]
        )
        s[SIGMA_STATE, i], s[ACTIVATION, i], sent[i] = sigma, activation, d >> p[S_STATE, i]
    return updates


@njit(cache=True, error_model="numpy")
def _update_delta(p, s, due, sent):
    updates = 0
    for i in range(len(sent)):
        activation, before, residue = _int32(_int32(due[i]) << p[S_SHIFT, i]), s[ACTIVATION, i], s[RESIDUE, i]
        due[i] = 0
        updates += (activation | before | residue) != 0
        d, s[RESIDUE, i], s[ERROR, i] = _change(
            activation, before, residue, s[ERROR, i], p[S_THETA, i], p[S_CUMULATIVE, i]
        )
        s[ACTIVATION, i], sent[i] = activation, d >> p[S_STATE, i]
    return updates


@njit(cache=True, error_model="numpy")
def _update_sigma(s, due, sent):
    updates = 0
    for i in range(len(sent)):
        updates += (s[SIGMA_STATE, i] | due[i]) != 0
        s[SIGMA_STATE, i] = sent[i] = _int32(s[SIGMA_STATE, i] + due[i])
        due[i] = 0
    return updates


@njit(cache=True, error_model="numpy")
def _update_resonators(p, s, due, sent):
    updates, n = 0, len(sent)
    for i in range(n):
        shift, theta = p[R_SHIFT, i], p[R_THETA, i]
        a, b = _int32(_int32(due[i]) << shift), _int32(_int32(due[n + i]) << shift)
        due[i] = due[n + i] = 0
        old_real, old_imaginary = s[REAL, i], s[IMAGINARY, i]
        updates += (a | b | old_real | old_imaginary) != 0
        real, imaginary = _rotate(old_real, old_imaginary, a, b, p[R_SIN, i], p[R_COS, i])
        if p[R_IZHIKEVICH, i]:
            spike = imaginary >= theta
            if spike:
                real, imaginary = 0, theta - 1
        else:
            spike = real >= theta and imaginary >= 0 and old_imaginary < 0
        s[REAL, i], s[IMAGINARY, i], sent[i] = real, imaginary, spike
    return updates


@njit(cache=True, error_model="numpy")
def _update(row, t, parameters, state, due, sent, counters):
    """Update a population; ``sent`` takes the payloads, 0 where there is no spike."""
    model, n, first, start = row[P_MODEL], row[P_N], row[P_FIRST], row[P_INPUT]
    p, s, mine = parameters[:, first : first + n], state[:, first : first + n], sent[first : first + n]
    inputs = due[start:]
    if model == CUBA:
        updates = _update_cuba(p, s, inputs, mine)
    elif model == ADAPTIVE:
        updates = _update_adaptive(p, s, inputs, mine, t)
    elif model == SIGMA_DELTA:
        updates = _update_sigma_delta(p, s, inputs, mine, t)
    elif model == DELTA:
        updates = _update_delta(p, s, inputs, mine)
    elif model == SIGMA:
        updates = _update_sigma(s, inputs, mine)
    else:
        updates = _update_resonators(p, s, inputs, mine)
    counters[N_UPDATES] += updates
    for i in range(n):
        counters[N_SPIKES] += mine[i] != 0


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
                total = _int32(total << c[C_SHIFT]) if c[C_SHIFT] >= 0 else total >> -c[C_SHIFT]
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
            _update(populations[q], t, parameters, state, due[t % len(due)], sent, counters)
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
