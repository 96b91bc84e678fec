# SPDX-License-Identifier: Apache-2.0
"""The cells' arithmetic, compiled.

With the input ``x``, the hidden state ``h``, the memory cell ``c``, the time span ``tau``, ``s`` the logistic function
and ``.`` the product by element:

Memory: an LSTM, or what a mixed memory has before its cell (Lechner and Hasani, arXiv:2006.04418)::

    (a, i, f, g) = W (x, h) + b
    c <- c . s(f + 1) + tanh(a) . s(i)
    h <- tanh(c) . s(g)

CfC: closed-form continuous time (Hasani et al., Nature MI 2022, equation 10)::

    z = backbone(x, h),  each layer activation(W z + b); without a backbone z = (x, h)
    k = s(A z . tau + B z)
    h <- (1 - k) . tanh(F1 z) + k . tanh(F2 z)               default
    h <- tanh(F1 z) + k . tanh(F2 z)                         no_gate
    h <- m - m . exp(-tau (|w| + |F z|)) . F z               pure, with the asymptote m

LTC: liquid time constants (Hasani et al., AAAI 2021), the fused solver in n steps of tau / n; ``q`` are the inputs and
the neurons' own potentials, each synapse with its conductance ``w``, slope, threshold ``mu`` and reversal ``e``::

    g_ij = w_ij s(slope_ij (q_i - mu_ij))
    h_j <- (C_j n / tau h_j + G_j E_j + sum_i g_ij e_ij) / (C_j n / tau + G_j + sum_i g_ij)

GRU (Cho et al., arXiv:1406.1078), in torch's form, with gates of the input and of the state::

    r, z = s(x_r + h_r), s(x_z + h_z);  n = tanh(x_n + r . h_n);  h <- (1 - z) . n + z . h

S5: diagonal state space (Smith, Warrington and Linderman, arXiv:2208.04933; with the eigenvalues of S4D-Lin, Gu et al.,
arXiv:2206.11893). The complex states ``c`` are solved exactly for inputs that are held over the time span, so that a
period of any length is one step::

    l = -e^rate + i frequency;  d = tau e^step
    c <- e^(l d) . c + (e^(l d) - 1) / l . B x
    y = gelu(C (Re c, Im c) + D . x)
    output = x + y . s(G y + b)

Everything is float32, as the networks were trained, and differs from ncps and torch by rounding only. The same input
gives the same bytes: sums run in a fixed order and ``tanh`` is a rational function, independent of mathematical
libraries; only gelu, for the error function, and an s5, for its eigenvalues, call one.

All of it lies in one float32 memory, and the functions take places in it: handing over slices would take longer than
a small layer does. An affine layer lies there as its bias (outputs) followed by its weights (inputs, outputs), as
:func:`tiled` lays them. The inner loop therefore runs over outputs, which vectorises without reordering a sum.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

_ONE, _HALF, _ZERO = np.float32(1.0), np.float32(0.5), np.float32(0.0)
_LECUN_GAIN, _LECUN_SLOPE = np.float32(1.7159), np.float32(0.666)
_INVERSE_ROOT_2 = np.float32(math.sqrt(0.5))

# tanh(x) = x P(x^2) / Q(x^2) on [-9, 9], within 4e-7 (the single precision form used by Eigen).
_EDGE = np.float32(9.0)
_P0, _P1, _P2, _P3, _P4, _P5, _P6 = np.array(
    [4.89352455891786e-03, 6.37261928875436e-04, 1.48572235717979e-05, 5.12229709037114e-08,
     -8.60467152213735e-11, 2.00018790482477e-13, -2.76076847742355e-16], np.float32)  # fmt: skip
_Q0, _Q1, _Q2, _Q3 = np.array(
    [4.89352518554385e-03, 2.26843463243900e-03, 1.18534705686654e-04, 1.19825839466702e-06], np.float32
)

# The same in fewer terms on [-8, 8], within 5e-7, for the many synapses of an LTC: fitted here by least squares,
# reweighted until the greatest error stopped falling.
_SHORT_EDGE = np.float32(8.0)
_S0, _S1, _S2, _S3, _S4 = np.array(
    [9.999990651e-01, 1.269978895e-01, 2.684502179e-03, 7.083496208e-06, -6.020064745e-09], np.float32
)
_R1, _R2, _R3 = np.array([4.603278172e-01, 2.279742109e-02, 1.952999259e-04], np.float32)

#: Outputs of an affine layer that are summed at once, over eight inputs: a step is bound by reading the weights, and
#: reading them from first to last in pieces whose length a compiler knows saves it a fifth.
TILE = 128


def tiled(weights: np.ndarray) -> np.ndarray:
    """Weights ``(inputs, outputs)`` in the order in which :func:`affine` reads them, flat.

    Inputs go by eights, within these outputs by tiles, and within a tile each input has its row; the up to seven
    inputs that are left have whole rows.
    """
    n_in, n_out = weights.shape
    by_eights = n_in // 8 * 8
    tiles = [weights[i : i + 8, j : j + TILE].ravel() for i in range(0, by_eights, 8) for j in range(0, n_out, TILE)]
    return np.concatenate([*tiles, weights[by_eights:].ravel()])


@njit(cache=True, error_model="numpy", inline="always")
def tanh32(x):
    """Hyperbolic tangent of a float32, by arithmetic alone; NaN stays NaN."""
    x = _EDGE if x > _EDGE else x
    x = -_EDGE if x < -_EDGE else x
    y = x * x
    p = ((((((_P6 * y + _P5) * y + _P4) * y + _P3) * y + _P2) * y + _P1) * y + _P0) * x
    return p / (((_Q3 * y + _Q2) * y + _Q1) * y + _Q0)


@njit(cache=True, error_model="numpy", inline="always")
def short_tanh32(x):
    """As :func:`tanh32`, absolutely within 5e-7."""
    x = _SHORT_EDGE if x > _SHORT_EDGE else x
    x = -_SHORT_EDGE if x < -_SHORT_EDGE else x
    y = x * x
    p = ((((_S4 * y + _S3) * y + _S2) * y + _S1) * y + _S0) * x
    return p / (((_R3 * y + _R2) * y + _R1) * y + _ONE)


@njit(cache=True, error_model="numpy", inline="always")
def sigmoid32(x):
    """Logistic function of a float32: ``(1 + tanh(x / 2)) / 2``."""
    return _HALF + _HALF * tanh32(_HALF * x)


@njit(cache=True, error_model="numpy", inline="always")
def decay32(x):
    """``exp(-x)`` of a float32 of at least 0, absolutely within 1e-6: ``(1 - tanh(x / 2)) / (1 + tanh(x / 2))``."""
    t = tanh32(_HALF * x)
    return (_ONE - t) / (_ONE + t)


@njit(cache=True, error_model="numpy")
def affine(memory, at, source_at, n_in, target_at, n_out):
    """``target = W source + b``; the three lie in memory."""
    weights = memory[at : at + (n_in + 1) * n_out]
    source, target = memory[source_at : source_at + n_in], memory[target_at : target_at + n_out]
    for j in range(n_out):  # assigning a slice would take longer than a small layer
        target[j] = weights[j]
    offset, in_tiles = n_out, n_out // TILE * TILE
    n, rest = n_out - in_tiles, target[in_tiles:]
    i = 0
    while i + 8 <= n_in:  # eight rows a pass, for less traffic on target; summed by fours, as the rest is
        s0, s1, s2, s3 = source[i], source[i + 1], source[i + 2], source[i + 3]
        s4, s5, s6, s7 = source[i + 4], source[i + 5], source[i + 6], source[i + 7]
        for first in range(0, in_tiles, TILE):
            r, out = weights[offset : offset + 8 * TILE], target[first : first + TILE]
            for j in range(TILE):
                t = out[j] + (s0 * r[j] + s1 * r[TILE + j] + s2 * r[2 * TILE + j] + s3 * r[3 * TILE + j])
                fours = s4 * r[4 * TILE + j] + s5 * r[5 * TILE + j] + s6 * r[6 * TILE + j] + s7 * r[7 * TILE + j]
                out[j] = t + fours
            offset += 8 * TILE
        if n > 0:
            r0, r1 = weights[offset : offset + n], weights[offset + n : offset + 2 * n]
            r2, r3 = weights[offset + 2 * n : offset + 3 * n], weights[offset + 3 * n : offset + 4 * n]
            r4, r5 = weights[offset + 4 * n : offset + 5 * n], weights[offset + 5 * n : offset + 6 * n]
            r6, r7 = weights[offset + 6 * n : offset + 7 * n], weights[offset + 7 * n : offset + 8 * n]
            for j in range(n):
                t = rest[j] + (s0 * r0[j] + s1 * r1[j] + s2 * r2[j] + s3 * r3[j])
                rest[j] = t + (s4 * r4[j] + s5 * r5[j] + s6 * r6[j] + s7 * r7[j])
            offset += 8 * n
        i += 8
    while i + 4 <= n_in:
        s0, s1, s2, s3 = source[i], source[i + 1], source[i + 2], source[i + 3]
        r0, r1 = weights[offset : offset + n_out], weights[offset + n_out : offset + 2 * n_out]
        r2, r3 = weights[offset + 2 * n_out : offset + 3 * n_out], weights[offset + 3 * n_out : offset + 4 * n_out]
        for j in range(n_out):
            target[j] += s0 * r0[j] + s1 * r1[j] + s2 * r2[j] + s3 * r3[j]
        offset += 4 * n_out
        i += 4
    while i < n_in:
        s0 = source[i]
        r0 = weights[offset : offset + n_out]
        for j in range(n_out):
            target[j] += s0 * r0[j]
        offset += n_out
        i += 1


@njit(cache=True, error_model="numpy")
def activate(kind, memory, at, n):
    """An activation in place; kinds count as in :data:`.architecture.ACTIVATIONS`."""
    z = memory[at : at + n]
    if kind == 0:
        for j in range(len(z)):
            z[j] = _LECUN_GAIN * tanh32(_LECUN_SLOPE * z[j])
    elif kind == 1:
        for j in range(len(z)):
            z[j] = tanh32(z[j])
    elif kind == 2:
        for j in range(len(z)):
            z[j] = _ZERO if z[j] < _ZERO else z[j]
    elif kind == 3:
        for j in range(len(z)):
            z[j] = z[j] * sigmoid32(z[j])
    else:
        for j in range(len(z)):
            z[j] = _HALF * z[j] * (_ONE + np.float32(math.erf(_INVERSE_ROOT_2 * z[j])))


@njit(cache=True, error_model="numpy")
def remember(memory, gates_at, h_at, c_at, n):
    """The memory's new ``h`` and ``c``, of its four gates side by side."""
    gates, h, c = memory[gates_at : gates_at + 4 * n], memory[h_at : h_at + n], memory[c_at : c_at + n]
    a, i, f, g = gates[:n], gates[n : 2 * n], gates[2 * n : 3 * n], gates[3 * n :]
    for j in range(n):
        cell = c[j] * sigmoid32(f[j] + _ONE) + tanh32(a[j]) * sigmoid32(i[j])
        c[j] = cell
        h[j] = tanh32(cell) * sigmoid32(g[j])


@njit(cache=True, error_model="numpy")
def mix(memory, heads_at, h_at, n, tau, gated):
    """The CfC's new ``h``, of its four heads side by side; ``gated`` is true for the mode default."""
    heads, h = memory[heads_at : heads_at + 4 * n], memory[h_at : h_at + n]
    f1, f2, a, b = heads[:n], heads[n : 2 * n], heads[2 * n : 3 * n], heads[3 * n :]
    if gated:
        for j in range(n):
            k = sigmoid32(a[j] * tau + b[j])
            h[j] = tanh32(f1[j]) * (_ONE - k) + k * tanh32(f2[j])
    else:
        for j in range(n):
            h[j] = tanh32(f1[j]) + sigmoid32(a[j] * tau + b[j]) * tanh32(f2[j])


@njit(cache=True, error_model="numpy")
def solve(memory, head_at, h_at, n, tau, rates_at, asymptotes_at):
    """The CfC's new ``h`` in the mode pure; the rates are ``|w|``."""
    head, h = memory[head_at : head_at + n], memory[h_at : h_at + n]
    rates, asymptotes = memory[rates_at : rates_at + n], memory[asymptotes_at : asymptotes_at + n]
    for j in range(n):
        h[j] = asymptotes[j] - asymptotes[j] * decay32(tau * (rates[j] + abs(head[j]))) * head[j]


@njit(cache=True, error_model="numpy")
def gate(memory, x_at, recurrent_at, h_at, n):
    """The GRU's new ``h``, of the three gates of the input and those of the state."""
    x, y, h = memory[x_at : x_at + 3 * n], memory[recurrent_at : recurrent_at + 3 * n], memory[h_at : h_at + n]
    xr, xz, xn, hr, hz, hn = x[:n], x[n : 2 * n], x[2 * n :], y[:n], y[n : 2 * n], y[2 * n :]
    for j in range(n):
        new = tanh32(xn[j] + sigmoid32(xr[j] + hr[j]) * hn[j])
        h[j] = new + sigmoid32(xz[j] + hz[j]) * (h[j] - new)


@njit(cache=True, error_model="numpy")
def evolve(memory, driven_at, real_at, imaginary_at, n, tau, modes_at):
    """An S5's new states, of ``B x``, which they replace; the modes are their decay, frequency and step."""
    driven = memory[driven_at : driven_at + 2 * n]
    real, imaginary = memory[real_at : real_at + n], memory[imaginary_at : imaginary_at + n]
    modes = memory[modes_at : modes_at + 3 * n]
    for j in range(n):
        rate, frequency, step = modes[j], modes[n + j], modes[2 * n + j] * tau
        kept, angle = np.float32(math.exp(-rate * step)), frequency * step
        a, b = kept * np.float32(math.cos(angle)), kept * np.float32(math.sin(angle))
        square = rate * rate + frequency * frequency
        p, q = (b * frequency - (a - _ONE) * rate) / square, -((a - _ONE) * frequency + b * rate) / square
        u, v = driven[j], driven[n + j]
        x, y = real[j], imaginary[j]
        real[j] = driven[j] = a * x - b * y + p * u - q * v
        imaginary[j] = driven[n + j] = a * y + b * x + p * v + q * u


@njit(cache=True, error_model="numpy")
def skip(memory, at, x_at, weights_at, n):
    """``y += D . x`` in place, before the activation."""
    y, x, weights = memory[at : at + n], memory[x_at : x_at + n], memory[weights_at : weights_at + n]
    for j in range(n):
        y[j] += weights[j] * x[j]


@njit(cache=True, error_model="numpy")
def add_gated(memory, gates_at, x_at, y_at, n):
    """``x + y . s(gates)``, in the place of the gates."""
    gates, x, y = memory[gates_at : gates_at + n], memory[x_at : x_at + n], memory[y_at : y_at + n]
    for j in range(n):
        gates[j] = x[j] + y[j] * sigmoid32(gates[j])


# An LTC's conductances are w s(z) = w/2 + w/2 tanh(z/2). The first terms are constant and summed beforehand; what
# lies in memory for each synapse is slope/2, -slope mu/2, w/2 and w e/2, in four rows for the synapses that are
# computed side by side.


@njit(cache=True, error_model="numpy")
def conduct(synapses, sources, numerator, denominator):
    """Add the synapses from each source to all neurons: their currents and their conductances."""
    n, offset = len(numerator), 0
    for i in range(len(sources)):
        q = sources[i]
        slope, threshold = synapses[offset : offset + n], synapses[offset + n : offset + 2 * n]
        w, we = synapses[offset + 2 * n : offset + 3 * n], synapses[offset + 3 * n : offset + 4 * n]
        offset += 4 * n
        for j in range(n):
            t = short_tanh32(slope[j] * q + threshold[j])
            numerator[j] += we[j] * t
            denominator[j] += w[j] * t


@njit(cache=True, error_model="numpy")
def conduct_sparse(synapses, sources_of, lengths, sources, gathered, numerator, denominator):
    """Add a few synapses to each neuron, in jagged diagonal storage.

    Neurons are in the order of falling numbers of synapses. Diagonal k has the k-th synapse of the first
    ``lengths[k]`` neurons, and ``sources_of`` has the source of each.
    """
    for j in range(len(sources_of)):  # apart, so that the rest vectorises
        gathered[j] = sources[sources_of[j]]
    first = 0
    for k in range(len(lengths)):
        n = lengths[k]
        rows, q = synapses[4 * first : 4 * (first + n)], gathered[first : first + n]
        slope, threshold, w, we = rows[:n], rows[n : 2 * n], rows[2 * n : 3 * n], rows[3 * n :]
        first += n
        for j in range(n):
            t = short_tanh32(slope[j] * q[j] + threshold[j])
            numerator[j] += we[j] * t
            denominator[j] += w[j] * t


@njit(cache=True, error_model="numpy")
def relax(potential, capacity, numerator, denominator):
    """One step of the LTC's solver."""
    for j in range(len(potential)):
        potential[j] = (numerator[j] + capacity[j] * potential[j]) / (denominator[j] + capacity[j])
