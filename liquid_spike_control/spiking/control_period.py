# SPDX-License-Identifier: Apache-2.0
"""One control period of a CUBA-LIF population with a leaky readout, compiled: forward, and the gradient.

For each of ``B`` independent rows and each of ``K`` steps, ``s`` being the spikes::

    u <- (1 - du) u + W_in[axons that spiked in the step before].sum() + W_rec[neurons that did].sum()
    v <- max((1 - dv) v + u + bias, lowest)
    s  = v > 1,  then v <- 0 where s
    r <- (1 - dr) r + W_out[neurons that spike now].sum()

Unlike in :mod:`.bptt`, which runs long chunks of streams for the perception and cuts the gradient at their ends, the
gradient here flows on through the state that is carried in and out, so that periods chain in an autograd graph; and
arithmetic is that of the given type. In float64 the spikes are those of
:class:`~liquid_spike_control.neuromorphic.reference.FloatReference`, to the bit: sums run in its order.

The axons do not spike in the last step of a period, since they would act in the first of the next one: all that an
observation brings has acted when the command is read.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from .bptt import SURROGATE_GAIN, SURROGATE_SLOPE


@njit(inline="always")
def _which(spikes, ids):
    """Write who spikes to ``ids``, which has one place more than there are neurons; returns how many do."""
    n = 0
    for i in range(len(spikes)):
        ids[n] = i  # without a branch, which would often be guessed wrong
        n += spikes[i] > 0
    return n


@njit(inline="always")
def _add_rows(rows, chosen, n_chosen, total):
    """Add rows of a matrix to a total one after the other, but write the total once for every four."""
    n, whole = len(total), n_chosen - n_chosen % 4
    for k in range(0, whole, 4):
        a, b, c, d = rows[chosen[k]], rows[chosen[k + 1]], rows[chosen[k + 2]], rows[chosen[k + 3]]
        for j in range(n):
            total[j] = (((total[j] + a[j]) + b[j]) + c[j]) + d[j]
    for k in range(whole, n_chosen):
        row = rows[chosen[k]]
        for j in range(n):
            total[j] += row[j]


@njit(cache=True, nogil=True)
def forward(indptr, ids, w_in, w_rec, w_out, du, dv, dr, bias, lowest, u, v, s, r):
    """Run one period of every row, keeping what the gradient needs.

    Args:
        indptr: int64 ``(B, K)``; the axons that spike in step t are ``ids[b, indptr[b, t]:indptr[b, t + 1]]``.
        ids: int32 ``(B, capacity)``.
        w_in: ``(n_axons, N)``; w_rec ``(N, N)``; w_out ``(N, M)``: rows are presynaptic.
        du, dv, bias, lowest: ``(N,)``; dr ``(M,)``.
        u, v, s: ``(B, K + 1, N)``: row ``t + 1`` is the state after step t, row 0 the state carried in; ``v`` is that
            before the reset.
        r: ``(B, K + 1, M)``, the readout traces.
    """
    n = len(du)
    arriving, spiking = np.empty(n, u.dtype), np.empty(n + 1, np.int32)
    one = u.dtype.type(1)  # a plain 1 would make float64 of float32
    keep_u, keep_v, keep_r = one - du, one - dv, one - dr
    for b in range(len(u)):
        n_spiking = _which(s[b, 0], spiking)
        for t in range(u.shape[1] - 1):
            arriving[:] = 0
            if t > 0:
                _add_rows(w_in, ids[b, indptr[b, t - 1] :], indptr[b, t] - indptr[b, t - 1], arriving)
            _add_rows(w_rec, spiking, n_spiking, arriving)
            s_old, s_new = s[b, t], s[b, t + 1]
            u_old, u_new, v_old, v_new = u[b, t], u[b, t + 1], v[b, t], v[b, t + 1]
            for j in range(n):  # short loops over few arrays, which a compiler can prove apart and vectorise
                u_new[j] = keep_u[j] * u_old[j] + arriving[j]
            for j in range(n):
                v_new[j] = keep_v[j] * (v_old[j] * (one - s_old[j]))
            for j in range(n):
                x = v_new[j] + u_new[j] + bias[j]
                v_new[j] = lowest[j] if x < lowest[j] else x  # what is not a number stays visible
            for j in range(n):
                s_new[j] = one if v_new[j] > one else u.dtype.type(0)
            n_spiking = _which(s_new, spiking)
            r_new = r[b, t + 1]
            for m in range(len(dr)):
                r_new[m] = keep_r[m] * r[b, t, m]
            for k in range(n_spiking):
                row = w_out[spiking[k]]
                for m in range(len(dr)):
                    r_new[m] += row[m]


@njit(fastmath=True, inline="always")
def _multiply(x, weights, y):
    """``y = x @ weights`` for an even number of rows, two at a time; BLAS would start threads for as little."""
    n, whole = len(weights), len(weights) - len(weights) % 4
    for b in range(0, len(x), 2):
        x0, x1, y0, y1 = x[b], x[b + 1], y[b], y[b + 1]
        y0[:] = 0
        y1[:] = 0
        for k in range(0, whole, 4):
            row, row1, row2, row3 = weights[k], weights[k + 1], weights[k + 2], weights[k + 3]
            a, a1, a2, a3 = x0[k], x0[k + 1], x0[k + 2], x0[k + 3]
            c, c1, c2, c3 = x1[k], x1[k + 1], x1[k + 2], x1[k + 3]
            for j in range(len(y0)):
                y0[j] += a * row[j] + a1 * row1[j] + a2 * row2[j] + a3 * row3[j]
                y1[j] += c * row[j] + c1 * row1[j] + c2 * row2[j] + c3 * row3[j]
        for k in range(whole, n):
            row, a, c = weights[k], x0[k], x1[k]
            for j in range(len(y0)):
                y0[j] += a * row[j]
                y1[j] += c * row[j]


@njit(cache=True, fastmath=True, nogil=True)
def backward(indptr, ids, w_rec, w_out, du, dv, dr, lowest, u, v, s, r, g_u, g_v, g_s, g_r,
             gw_in, gw_rec, gw_out, g_du, g_dv, g_dr, g_bias):  # fmt: skip
    """Gradients of a loss through one period.

    The derivative of a spike is the fast sigmoid of Zenke and Ganguli (2018), ``gain / (1 + slope |v - 1|)^2``; the
    reset is not differentiated, and no gradient flows through a potential that is held at its lowest.

    Args:
        g_u, g_v, g_s: ``(B, N)``; g_r ``(B, M)``: derivatives by the state after the last step; they become, in
            place, those by the state carried in.
        gw_in, gw_rec, gw_out, g_du, g_dv, g_dr, g_bias: derivatives by the weights, to which this period's are added.

    Others as in :func:`forward`.
    """
    n_rows, n, n_out = len(u), len(du), len(dr)
    one, zero = u.dtype.type(1), u.dtype.type(0)
    gain, slope = u.dtype.type(SURROGATE_GAIN), u.dtype.type(SURROGATE_SLOPE)
    backwards, readout = np.ascontiguousarray(w_rec.T), np.ascontiguousarray(w_out.T)
    keep_u, keep_v, keep_r = one - du, one - dv, one - dr
    spiking = np.empty(n + 1, np.int32)
    g_a = np.zeros((n_rows + n_rows % 2, n), u.dtype)
    by_spikes = np.zeros_like(g_a)
    by_spikes[:n_rows] = g_s
    for t in range(u.shape[1] - 2, -1, -1):
        for b in range(n_rows):
            u_old, v_old, s_old, v_new, s_new = u[b, t], v[b, t], s[b, t], v[b, t + 1], s[b, t + 1]
            ga, gu, gv, gs, gr = g_a[b], g_u[b], g_v[b], by_spikes[b], g_r[b]
            for m in range(n_out):
                row, g = readout[m], gr[m]
                for i in range(n):
                    gs[i] += row[i] * g
            for k in range(_which(s_new, spiking)):
                g_row = gw_out[spiking[k]]
                for m in range(n_out):
                    g_row[m] += gr[m]
            for m in range(n_out):
                g_dr[m] -= gr[m] * r[b, t, m]
                gr[m] *= keep_r[m]
            for j in range(n):
                x = one + slope * abs(v_new[j] - one)
                g = gv[j] + gs[j] * gain / (x * x)
                gv[j] = g if v_new[j] > lowest[j] else zero
            for j in range(n):
                ga[j] = gv[j] + gu[j]
                g_bias[j] += gv[j]
            for j in range(n):
                gv[j] *= one - s_old[j]
                g_dv[j] -= gv[j] * v_old[j]
                gv[j] *= keep_v[j]
            for j in range(n):
                g_du[j] -= ga[j] * u_old[j]
            for j in range(n):
                gu[j] = ga[j] * keep_u[j]
            for k in range(_which(s_old, spiking)):
                g_row = gw_rec[spiking[k]]
                for j in range(n):
                    g_row[j] += ga[j]
            if t > 0:
                for k in range(indptr[b, t - 1], indptr[b, t]):
                    g_row = gw_in[ids[b, k]]
                    for j in range(n):
                        g_row[j] += ga[j]
        _multiply(g_a, backwards, by_spikes)  # all that is dense: to what the spikes of the step before drive
    g_s[:] = by_spikes[:n_rows]
