# SPDX-License-Identifier: Apache-2.0
"""The compiled neuron models of the general emulator, in plain loops; the rules are in :mod:`.neurons`.

States are kept in int64 and wrapped as Lava's int32 would.
"""

from __future__ import annotations

import numpy as np
from numba import njit

# Neuron models.
CUBA, ADAPTIVE, SIGMA_DELTA, DELTA, SIGMA, RESONATOR, PROGRAMMED, ALIF, IZHIKEVICH, ADEX = range(10)
# Rows of the parameters, by model. The first four of CUBA, PROGRAMMED, ALIF and ADAPTIVE are the same.
DECAY_U, DECAY_V, THETA, BIAS, REFRACTORY = range(5)
STEP, DECAY_THETA, DECAY_R = range(4, 7)
DROP, LOWEST, MOST = range(5, 8)
RISE, DECAY_H = range(8, 10)  # of ALIF, which has those of PROGRAMMED too
S_THETA, S_OFFSET, S_STATE, S_SHIFT, S_RELU, S_CUMULATIVE = range(6)
R_SIN, R_COS, R_THETA, R_SHIFT, R_IZHIKEVICH = range(5)
SLEEP = 7  # steps before a neuron of any model wakes
# Of IZHIKEVICH and ADEX; the current's decay is row 0.
N_BIAS, N_SUBSTEPS, N_PEAK, N_RESET, N_JUMP = range(1, 6)
I_A, I_B = 6, 7
A_LEAK, A_REST, A_THRESHOLD, A_SLOPE, A_STEEPNESS, A_COUPLING, A_RATE = range(6, 13)
N_PARAMETERS = 13
# Rows of the state, by model.
U, V, COUNTER = range(3)
THRESHOLD, R = 2, 3
H = 3  # of ALIF
SIGMA_STATE, ACTIVATION, RESIDUE, ERROR = range(4)
REAL, IMAGINARY = range(2)
RECOVERY = 2  # u of IZHIKEVICH, w of ADEX
N_STATE = 4

# Columns of the table of populations: model, neurons, first neuron, first input.
P_MODEL, P_N, P_FIRST, P_INPUT, P_COLUMNS = range(5)
# Counters.
N_STEPS, N_INPUT_SPIKES, N_SPIKES, N_SYNOPS, N_UPDATES, N_COUNTERS = range(6)


@njit(cache=True, error_model="numpy")
def int32(x):
    """As an int32 would hold x."""
    return np.int64(np.int32(x))


@njit(cache=True, error_model="numpy")
def _scaled(x, c):
    """``tz(x c / 4096)``."""
    product = x * c
    return (product + ((product >> 63) & 4095)) >> 12


@njit(cache=True, error_model="numpy")
def _magnitude(x):
    return int32(abs(x))  # of -2^31 it is -2^31


# The models as functions of numbers alone: an array that is passed on costs numba more than the arithmetic.
@njit(cache=True, error_model="numpy")
def _integrate(u, v, a, decay_u, decay_v, bias):
    """Current and voltage of a leaky neuron."""
    u = int32(_scaled(u, decay_u) + int32(a << 6))
    if u > 2**23:
        u -= 2**24
    elif u <= -(2**23):
        u += 2**24
    v = int32(_scaled(v, decay_v) + u + bias)
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
    d = int32(activation - before + residue)
    if cumulative:
        error = int32(error + d)
        sent = d if _magnitude(error) >= theta else 0
        if sent != 0:
            error = 0
    else:
        sent = d if _magnitude(d) >= theta else 0
    return sent, int32(d - sent), error


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
        u, v, counter, a, bias = s[U, i], s[V, i], s[COUNTER, i], int32(due[i]), p[BIAS, i]
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
def _update_programmed(p, s, due, sent, adapts):
    updates = 0
    for i in range(len(sent)):
        u, v, counter, a, bias = s[U, i], s[V, i], s[COUNTER, i], int32(due[i]), p[BIAS, i]
        sent[i] = due[i] = 0
        if u == 0 and v == 0 and counter == 0 and a == 0 and bias == 0 and not (adapts and s[H, i] != 0):
            continue
        updates += 1
        theta = p[THETA, i]
        if adapts:
            s[H, i] = _scaled(s[H, i], p[DECAY_H, i])
            theta += s[H, i]
        u, v = _integrate(u, v, a, p[DECAY_U, i], p[DECAY_V, i], bias)
        v = max(v, p[LOWEST, i])
        if counter > 0:
            v = 0
        if v > theta:
            if adapts:
                s[H, i] = min(s[H, i] + p[RISE, i], 2**23 - 1)
            if p[DROP, i] > 0:
                sent[i] = min(p[MOST, i], 1 + (v - theta - 1) // p[DROP, i])
                v -= sent[i] * p[DROP, i]
            else:  # -1 encodes a reset to zero
                sent[i] = 1
                v = v if p[DROP, i] == 0 else 0
            counter = p[REFRACTORY, i]
        s[U, i], s[V, i], s[COUNTER, i] = u, v, max(counter - 1, 0)
    return updates


@njit(cache=True, error_model="numpy")
def _update_adaptive(p, s, due, sent, t):
    updates = 0
    for i in range(len(sent)):
        a = int32(due[i])
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
        a = int32(due[i])
        sent[i] = due[i] = 0
        if t < p[SLEEP, i]:
            continue
        sigma = int32(s[SIGMA_STATE, i] + a)
        activation = int32(sigma + p[S_OFFSET, i])
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
        activation, before, residue = int32(int32(due[i]) << p[S_SHIFT, i]), s[ACTIVATION, i], s[RESIDUE, i]
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
        s[SIGMA_STATE, i] = sent[i] = int32(s[SIGMA_STATE, i] + due[i])
        due[i] = 0
    return updates


@njit(cache=True, error_model="numpy")
def _update_resonators(p, s, due, sent):
    updates, n = 0, len(sent)
    for i in range(n):
        shift, theta = p[R_SHIFT, i], p[R_THETA, i]
        a, b = int32(int32(due[i]) << shift), int32(int32(due[n + i]) << shift)
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
def _nearest(x, places):
    """``x / 2^places``, rounded to the nearest."""
    return (x + ((np.int64(1) << places) >> 1)) >> places


@njit(cache=True, error_model="numpy")
def _state(x):
    """As a state of 24 bits holds x."""
    return min(max(x, 1 - 2**23), 2**23 - 1)


@njit(cache=True, error_model="numpy")
def _current(s, a, decay):
    """The synaptic current after a step."""
    return _state(_scaled(s, decay) + int32(a << 6))


@njit(cache=True, error_model="numpy")
def _update_izhikevich(p, s, due, sent):
    for i in range(len(sent)):
        current = _current(s[U, i], int32(due[i]), p[DECAY_U, i])
        due[i] = 0
        v, u, peak = s[V, i], s[RECOVERY, i], p[N_PEAK, i]
        drive, bits = current + p[N_BIAS, i] + (140 << 12) - u, p[N_SUBSTEPS, i]
        for _ in range(1 << bits):
            change = _nearest(41943 * _nearest(v * v, 12), 20) + 5 * v + drive
            v = _state(v + _nearest(change, bits))
            if v >= peak:
                break
        u = _state(u + _nearest(p[I_A, i] * (_nearest(p[I_B, i] * min(v, peak), 16) - u), 16))
        sent[i] = v >= peak
        if sent[i]:
            v, u = p[N_RESET, i], _state(u + p[N_JUMP, i])
        s[U, i], s[V, i], s[RECOVERY, i] = current, v, u
    return len(sent)


#: 2^(k / 256) in 2^-14, for k of 0 .. 256.
POWERS = np.rint(2.0 ** (np.arange(257) / 256) * 2**14).astype(np.int64)


@njit(cache=True, error_model="numpy")
def _power_of_two(x):
    """``2^(x / 4096)`` in 2^-12, at most 2^14."""
    x = min(x, 14 << 12)
    whole, k, rest = x >> 12, (x & 4095) >> 4, x & 15
    fraction = POWERS[k] + _nearest((POWERS[k + 1] - POWERS[k]) * rest, 4)
    if whole >= 2:
        return fraction << (whole - 2)
    return _nearest(fraction, min(2 - whole, 62))


@njit(cache=True, error_model="numpy")
def _update_adex(p, s, due, sent):
    for i in range(len(sent)):
        current = _current(s[U, i], int32(due[i]), p[DECAY_U, i])
        due[i] = sent[i] = 0
        v, w, rest, bits = s[V, i], s[RECOVERY, i], p[A_REST, i], p[N_SUBSTEPS, i]
        drive = current + p[N_BIAS, i]
        for _ in range(1 << bits):
            upstroke = (p[A_SLOPE, i] * _power_of_two((p[A_STEEPNESS, i] * (v - p[A_THRESHOLD, i])) >> 12)) >> 12
            change = _nearest(p[A_LEAK, i] * (rest - v + upstroke), 16) - _nearest(w, 8) + drive
            wanted = _nearest(p[A_COUPLING, i] * (v - rest), 8) - w
            w = min(max(w + _nearest(p[A_RATE, i] * wanted, 20 + bits), -(2**31)), 2**31 - 1)
            v = _state(v + _nearest(change, bits))
            if v >= p[N_PEAK, i]:
                v, w, sent[i] = p[N_RESET, i], w + (p[N_JUMP, i] << 8), 1
        s[U, i], s[V, i], s[RECOVERY, i] = current, v, w
    return len(sent)


@njit(cache=True, error_model="numpy")
def update(row, t, parameters, state, due, sent, counters):
    """Update a population; ``sent`` takes the payloads, 0 where there is no spike."""
    model, n, first, start = row[P_MODEL], row[P_N], row[P_FIRST], row[P_INPUT]
    p, s, mine = parameters[:, first : first + n], state[:, first : first + n], sent[first : first + n]
    inputs = due[start:]
    if model == CUBA:
        updates = _update_cuba(p, s, inputs, mine)
    elif model == PROGRAMMED:
        updates = _update_programmed(p, s, inputs, mine, False)
    elif model == ALIF:
        updates = _update_programmed(p, s, inputs, mine, True)
    elif model == ADAPTIVE:
        updates = _update_adaptive(p, s, inputs, mine, t)
    elif model == SIGMA_DELTA:
        updates = _update_sigma_delta(p, s, inputs, mine, t)
    elif model == DELTA:
        updates = _update_delta(p, s, inputs, mine)
    elif model == IZHIKEVICH:
        updates = _update_izhikevich(p, s, inputs, mine)
    elif model == ADEX:
        updates = _update_adex(p, s, inputs, mine)
    elif model == SIGMA:
        updates = _update_sigma(s, inputs, mine)
    else:
        updates = _update_resonators(p, s, inputs, mine)
    counters[N_UPDATES] += updates
    for i in range(n):
        counters[N_SPIKES] += mine[i] != 0
