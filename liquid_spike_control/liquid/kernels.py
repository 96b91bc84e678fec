# SPDX-License-Identifier: Apache-2.0
"""One step of a liquid controller, compiled.

With the scaled observation ``o``, the elapsed time ``tau`` in nominal periods, the input ``x = (o, tau)``,
the hidden state ``h``, the memory cell ``c``, ``s`` the logistic function and ``.`` the product by element:

    (a, i, f, g) = W_x x + W_h h + b                       LSTM before the cell: the mixed memory
    c <- c . s(f + 1) + tanh(a) . s(i)                     (Lechner and Hasani, arXiv:2006.04418)
    h <- tanh(c) . s(g)

    z = backbone(x, h),  each layer 1.7159 tanh(0.666 (W z + b))
    k = s(A z . tau + B z)                                 CfC: closed-form continuous time
    h <- (1 - k) . tanh(F1 z) + k . tanh(F2 z)             (Hasani et al., Nature MI 2022, equation 10)

    command = limit . tanh(P h + p)

Everything is float32, as the network was trained, and differs from ncps by rounding only. The same input
gives the same bytes: sums run in a fixed order and ``tanh`` is a rational function, so no mathematical
library has a say.

All weights lie in one flat array in the order of use, each layer as its bias (outputs) followed by its
weights (inputs, outputs). The inner loop therefore runs over outputs, which vectorises without reordering a
sum.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numba import njit

_ONE = np.float32(1.0)
_HALF = np.float32(0.5)
_LECUN_GAIN = np.float32(1.7159)
_LECUN_SLOPE = np.float32(0.666)

# tanh(x) = x P(x^2) / Q(x^2) on [-9, 9], within 4e-7 (the single precision form used by Eigen).
_EDGE = np.float32(9.0)
_P0, _P1, _P2, _P3, _P4, _P5, _P6 = np.array(
    [4.89352455891786e-03, 6.37261928875436e-04, 1.48572235717979e-05, 5.12229709037114e-08,
     -8.60467152213735e-11, 2.00018790482477e-13, -2.76076847742355e-16], np.float32)  # fmt: skip
_Q0, _Q1, _Q2, _Q3 = np.array(
    [4.89352518554385e-03, 2.26843463243900e-03, 1.18534705686654e-04, 1.19825839466702e-06], np.float32
)


@njit(cache=True, error_model="numpy", inline="always")
def tanh32(x):
    """Hyperbolic tangent of a float32, by arithmetic alone; NaN stays NaN."""
    x = _EDGE if x > _EDGE else x
    x = -_EDGE if x < -_EDGE else x
    y = x * x
    p = ((((((_P6 * y + _P5) * y + _P4) * y + _P3) * y + _P2) * y + _P1) * y + _P0) * x
    return p / (((_Q3 * y + _Q2) * y + _Q1) * y + _Q0)


@njit(cache=True, error_model="numpy", inline="always")
def sigmoid32(x):
    """Logistic function of a float32: ``(1 + tanh(x / 2)) / 2``."""
    return _HALF + _HALF * tanh32(_HALF * x)


@njit(cache=True, error_model="numpy")
def _affine(weights, offset, source, target):
    """``target = W source + b``, the layer that begins at ``offset``; returns where the next begins."""
    n_in, n_out = len(source), len(target)
    target[:] = weights[offset : offset + n_out]
    offset += n_out
    i = 0
    while i + 4 <= n_in:  # four rows a pass: a quarter of the traffic on target
        s0, s1, s2, s3 = source[i], source[i + 1], source[i + 2], source[i + 3]
        r0 = weights[offset : offset + n_out]
        r1 = weights[offset + n_out : offset + 2 * n_out]
        r2 = weights[offset + 2 * n_out : offset + 3 * n_out]
        r3 = weights[offset + 3 * n_out : offset + 4 * n_out]
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
    return offset


@njit(cache=True, error_model="numpy")
def lstm_step(weights, offset, n_x, source, cell):
    """Memory: new ``h`` in ``source = (x, h)`` and new ``c`` in ``cell``; returns the next offset."""
    n = len(cell)
    z = np.empty(4 * n, np.float32)
    offset = _affine(weights, offset, source, z)
    a, i, f, g = z[:n], z[n : 2 * n], z[2 * n : 3 * n], z[3 * n :]
    h = source[n_x:]
    for j in range(n):
        c = cell[j] * sigmoid32(f[j] + _ONE) + tanh32(a[j]) * sigmoid32(i[j])
        cell[j] = c
        h[j] = tanh32(c) * sigmoid32(g[j])
    return offset


@njit(cache=True, error_model="numpy")
def cfc_step(weights, offset, n_x, n_layers, backbone_units, source, tau):
    """CfC: new ``h`` in ``source = (x, h)``; ``tau`` in nominal periods; returns the next offset."""
    h = source[n_x:]
    n = len(h)
    z = source
    for _ in range(n_layers):
        below, z = z, np.empty(backbone_units, np.float32)
        offset = _affine(weights, offset, below, z)
        for j in range(backbone_units):
            z[j] = _LECUN_GAIN * tanh32(_LECUN_SLOPE * z[j])
    heads = np.empty(4 * n, np.float32)
    offset = _affine(weights, offset, z, heads)
    f1, f2, a, b = heads[:n], heads[n : 2 * n], heads[2 * n : 3 * n], heads[3 * n :]
    for j in range(n):
        k = sigmoid32(a[j] * tau + b[j])
        h[j] = tanh32(f1[j]) * (_ONE - k) + k * tanh32(f2[j])
    return offset


@njit(cache=True, error_model="numpy")
def controller_step(weights, n_layers, backbone_units, scales, limits, state, observation, tau, command):
    """The whole step: observation to command, state in place.

    Args:
        weights: float32, from :func:`pack`.
        n_layers: of the CfC backbone.
        backbone_units: of each of its layers.
        scales: float64 ``(n_observations,)``, what one unit of network input is in each observation's unit.
        limits: float64 ``(n_commands,)``, symmetric, in each command's unit.
        state: float32 ``(2, units)``, hidden state and memory cell; written.
        observation: float64 ``(n_observations,)``.
        tau: elapsed time in nominal periods.
        command: float64 ``(n_commands,)``; written, within the limits.

    Returns:
        Whether the input, the new state and the command are all finite; if not, none of them is to be used.
    """
    n_observations, n_units = len(observation), state.shape[1]
    n_x = n_observations + 1
    source = np.empty(n_x + n_units, np.float32)
    for i in range(n_observations):
        source[i] = observation[i] / scales[i]
    ratio = np.float32(tau)
    source[n_observations] = ratio
    healthy = True
    for i in range(n_x):
        healthy &= np.isfinite(source[i])
    source[n_x:] = state[0]
    offset = lstm_step(weights, 0, n_x, source, state[1])
    offset = cfc_step(weights, offset, n_x, n_layers, backbone_units, source, ratio)
    state[0] = source[n_x:]
    out = np.empty(len(command), np.float32)
    _affine(weights, offset, source[n_x:], out)
    for i in range(len(command)):
        command[i] = limits[i] * min(max(np.float64(tanh32(out[i])), -1.0), 1.0)
        healthy &= np.isfinite(out[i])
    for j in range(n_units):
        healthy &= np.isfinite(state[0, j]) and np.isfinite(state[1, j])
    return healthy


def pack(tensors: Mapping[str, np.ndarray], n_layers: int) -> np.ndarray:
    """Lay the tensors of a controller file out for the kernels: flat, float32, in the order of use.

    Args:
        tensors: as listed by :func:`liquid_spike_control.checkpoint.tensor_shapes`.
        n_layers: backbone layers.
    """

    def layer(weight: np.ndarray, bias: np.ndarray) -> list[np.ndarray]:
        return [bias, weight.T.ravel()]

    def named(name: str) -> list[np.ndarray]:
        return layer(tensors[f"{name}.weight"], tensors[f"{name}.bias"])

    parts = named("layers.0.memory")
    for k in range(n_layers):
        parts += named(f"layers.0.cell.backbone.{k}")
    parts += named("layers.0.cell.stages.0")
    parts += named("project")
    flat = np.concatenate(parts).astype(np.float32)
    # Begin on a cache line: a step is bound by reading the weights, and split lines cost it a seventh.
    room = np.empty(len(flat) + 15, np.float32)
    begin = -room.ctypes.data // 4 % 16
    room[begin : begin + len(flat)] = flat
    return room[begin : begin + len(flat)]
