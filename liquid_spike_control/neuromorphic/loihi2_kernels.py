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


@njit(cache=True)
def _wrap(x, bits):
    """The signed number of so many bits that is congruent to x."""
    half = np.int64(1) << (bits - 1)
    return ((x + half) & (2 * half - 1)) - half


@njit(cache=True)
def _int32(x):
    return _wrap(x, 32)


@njit(cache=True)
def _scaled(x, c):
    """``tz(x c / 4096)``."""
    product = x * c
    return product >> 12 if product >= 0 else -(-product >> 12)


@njit(cache=True)
def _magnitude(x):
    return _int32(abs(x))  # of -2^31 it is -2^31


@njit(cache=True)
def _integrate(p, s, i, a):
    """Current and voltage of a leaky neuron: shared by CUBA and ADAPTIVE."""
    u = _int32(_scaled(s[U, i], p[DECAY_U, i]) + _int32(a << 6))
    if u > 2**23:
        u -= 2**24
    elif u <= -(2**23):
        u += 2**24
    s[U, i] = u
    v = _int32(_scaled(s[V, i], p[DECAY_V, i]) + u + p[BIAS, i])
    s[V, i] = min(max(v, 1 - 2**23), 2**23 - 1)


@njit(cache=True)
def _cuba(p, s, i, a):
    _integrate(p, s, i, a)
    if s[COUNTER, i] > 0:
        s[V, i] = 0
    spike = s[V, i] > p[THETA, i]
    if spike:
        s[V, i] = 0
        s[COUNTER, i] = p[REFRACTORY, i]
    s[COUNTER, i] = max(s[COUNTER, i] - 1, 0)
    return np.int64(spike)


@njit(cache=True)
def _adaptive(p, s, i, a):
    _integrate(p, s, i, a)
    theta = p[THETA, i] + _scaled(s[THRESHOLD, i] - p[THETA, i], p[DECAY_THETA, i])
    r = _scaled(s[R, i], p[DECAY_R, i])
    spike = s[V, i] - r >= theta  # so r stays below 2^23 + 2 theta, and theta below 2^25: int32 holds them
    if spike:
        r += 2 * theta
        theta += p[STEP, i]
    s[THRESHOLD, i], s[R, i] = theta, r
    return np.int64(spike)


@njit(cache=True)
def _send_change(p, s, i, activation):
    """Delta encoding of an activation; returns the payload."""
    d = _int32(activation - s[ACTIVATION, i] + s[RESIDUE, i])
    s[ACTIVATION, i] = activation
    if p[S_CUMULATIVE, i]:
        s[ERROR, i] = _int32(s[ERROR, i] + d)
        sent = d if _magnitude(s[ERROR, i]) >= p[S_THETA, i] else 0
        if sent != 0:
            s[ERROR, i] = 0
    else:
        sent = d if _magnitude(d) >= p[S_THETA, i] else 0
    s[RESIDUE, i] = _int32(d - sent)
    return sent >> p[S_STATE, i]


@njit(cache=True)
def _sigma_delta(p, s, i, a):
    s[SIGMA_STATE, i] = _int32(s[SIGMA_STATE, i] + a)
    activation = _int32(s[SIGMA_STATE, i] + p[S_OFFSET, i])
    if p[S_RELU, i]:
        activation = max(activation, 0)
    return _send_change(p, s, i, activation)


@njit(cache=True)
def _resonate(p, s, i, a, b):
    sin, cos, theta = p[R_SIN, i], p[R_COS, i], p[R_THETA, i]
    real, imaginary = s[REAL, i], s[IMAGINARY, i]
    new_real = _scaled(real, cos) - _scaled(imaginary, sin) + _int32(a << p[R_SHIFT, i])
    new_imaginary = _scaled(real, sin) + _scaled(imaginary, cos) + _int32(b << p[R_SHIFT, i])
    new_real = min(max(new_real, 1 - 2**23), 2**23 - 1)
    new_imaginary = min(max(new_imaginary, 1 - 2**23), 2**23 - 1)
    if p[R_IZHIKEVICH, i]:
        spike = new_imaginary >= theta
        if spike:
            new_real, new_imaginary = 0, theta - 1
    else:
        spike = new_real >= theta and new_imaginary >= 0 and imaginary < 0
    s[REAL, i], s[IMAGINARY, i] = new_real, new_imaginary
    return np.int64(spike)


@njit(cache=True)
def _quiescent(model, p, s, i, a, b):
    """Whether nothing can have changed: no state that moves, no input, no bias."""
    if a != 0 or b != 0:
        return False
    if model == CUBA:
        return s[U, i] == 0 and s[V, i] == 0 and s[COUNTER, i] == 0 and p[BIAS, i] == 0
    if model == ADAPTIVE:
        still = s[U, i] == 0 and s[V, i] == 0 and s[R, i] == 0 and p[BIAS, i] == 0
        return still and s[THRESHOLD, i] == p[THETA, i]
    if model == RESONATOR:
        return s[REAL, i] == 0 and s[IMAGINARY, i] == 0
    if model == SIGMA:
        return s[SIGMA_STATE, i] == 0
    activation = s[SIGMA_STATE, i] + p[S_OFFSET, i] if model == SIGMA_DELTA else 0
    if model == SIGMA_DELTA and p[S_RELU, i]:
        activation = max(activation, 0)
    return s[RESIDUE, i] == 0 and s[ACTIVATION, i] == activation


@njit(cache=True)
def _update(p, t, parameters, state, due, sent, counters):
    """Update a population; ``sent`` takes the payloads, 0 where there is no spike."""
    model, n, first, start = p[P_MODEL], p[P_N], p[P_FIRST], p[P_INPUT]
    for k in range(n):
        i = first + k
        a, b = _int32(due[start + k]), np.int64(0)
        due[start + k] = 0
        if model == RESONATOR:
            b = _int32(due[start + n + k])
            due[start + n + k] = 0
        sent[i] = 0
        if t < parameters[SLEEP, i]:
            continue
        counters[N_UPDATES] += not _quiescent(model, parameters, state, i, a, b)
        if model == CUBA:
            payload = _cuba(parameters, state, i, a)
        elif model == ADAPTIVE:
            payload = _adaptive(parameters, state, i, a)
        elif model == RESONATOR:
            payload = _resonate(parameters, state, i, a, b)
        elif model == SIGMA_DELTA:
            payload = _sigma_delta(parameters, state, i, a)
        elif model == DELTA:
            payload = _send_change(parameters, state, i, _int32(a << parameters[S_SHIFT, i]))
        else:
            state[SIGMA_STATE, i] = _int32(state[SIGMA_STATE, i] + a)
            payload = state[SIGMA_STATE, i]
        sent[i] = payload
        counters[N_SPIKES] += payload != 0


@njit(cache=True)
def _spread(c, source, payload, index, targets, weights, which, sums):
    """Add what one spike sends over a connection of single synapses; returns the synaptic operations."""
    rows = c[C_ROWS] + source
    size = c[C_SIZE]
    for k in range(c[C_SYNAPSES] + index[rows], c[C_SYNAPSES] + index[rows + 1]):
        sums[c[C_SUMS] + which[k] * size + targets[k]] += weights[k] * payload
    return index[rows + 1] - index[rows]


@njit(cache=True)
def _spread_conv(c, source, payload, kernels, sums):
    """The same for a convolution."""
    operations = 0
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
            weight = c[C_WEIGHTS] + ((channel * c[C_K] + k) * c[C_L] + m) * c[C_OUT]
            target = c[C_SUMS] + (to_x * c[C_Y_OUT] + to_y) * c[C_OUT]
            for o in range(c[C_OUT]):
                sums[target + o] += kernels[weight + o] * payload
                operations += kernels[weight + o] != 0
    return operations


@njit(cache=True)
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


@njit(cache=True)
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
            operations, arrived = 0, False
            if c[C_SOURCE] < 0:
                first, n = indptr[step], indptr[step + 1] - indptr[step]
            else:
                first, n = populations[c[C_SOURCE], P_FIRST], populations[c[C_SOURCE], P_N]
            for k in range(n):
                source, payload = k, np.int64(0)
                if c[C_SOURCE] < 0:
                    source, payload = ids[first + k], np.int64(payloads[first + k])
                else:
                    payload = sent[first + k]
                if payload == 0:
                    continue
                arrived = True
                if c[C_CONV]:
                    operations += _spread_conv(c, source, payload, kernels, sums)
                else:
                    operations += _spread(c, source, payload, index, targets, weights, which, sums)
            counters[N_SYNOPS] += operations
            if arrived:
                _fold(c, t, index, sums, due)
        counters[N_INPUT_SPIKES] += indptr[step + 1] - indptr[step]
        counters[N_STEPS] += 1
    return written
