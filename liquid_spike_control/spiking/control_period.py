# SPDX-License-Identifier: Apache-2.0
"""One control period of a CUBA-LIF population with a leaky readout, compiled: forward, and the gradient.

For each of ``B`` independent rows and each of ``K`` steps, ``s`` being the spikes::

    u <- (1 - du) u + W_in[axons that spiked in the step before].sum() + W_rec[neurons that did].sum()
    v <- (1 - dv) v + u + bias
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


@njit(cache=True, nogil=True)
def forward(indptr, ids, w_in, w_rec, w_out, du, dv, dr, bias, u, v, s, r):
    """Run one period of every row, keeping what the gradient needs.

    Args:
        indptr: int64 ``(B, K)``; the axons that spike in step t are ``ids[b, indptr[b, t]:indptr[b, t + 1]]``.
        ids: int32 ``(B, capacity)``.
        w_in: ``(n_axons, N)``; w_rec ``(N, N)``; w_out ``(N, M)``: rows are presynaptic.
        du, dv, bias: ``(N,)``; dr ``(M,)``.
        u, v, s: ``(B, K + 1, N)``: row ``t + 1`` is the state after step t, row 0 the state carried in; ``v`` is that
            before the reset.
        r: ``(B, K + 1, M)``, the readout traces.
    """
    n = len(du)
    arriving = np.empty(n, u.dtype)
    one = u.dtype.type(1)  # a plain 1 would make float64 of float32
    for b in range(len(u)):
        for t in range(u.shape[1] - 1):
            arriving[:] = 0
            if t > 0:
                for k in range(indptr[b, t - 1], indptr[b, t]):
                    row = w_in[ids[b, k]]
                    for j in range(n):
                        arriving[j] += row[j]
            s_old, s_new = s[b, t], s[b, t + 1]
            for i in range(n):
                if s_old[i] > 0:
                    row = w_rec[i]
                    for j in range(n):
                        arriving[j] += row[j]
            u_old, u_new, v_old, v_new = u[b, t], u[b, t + 1], v[b, t], v[b, t + 1]
            for j in range(n):  # short loops over few arrays, which a compiler can prove apart and vectorise
                u_new[j] = (one - du[j]) * u_old[j] + arriving[j]
            for j in range(n):
                v_new[j] = (one - dv[j]) * (v_old[j] * (one - s_old[j]))
            for j in range(n):
                v_new[j] = v_new[j] + u_new[j] + bias[j]
            for j in range(n):
                s_new[j] = one if v_new[j] > one else u.dtype.type(0)
            r_new = r[b, t + 1]
            for m in range(len(dr)):
                r_new[m] = (one - dr[m]) * r[b, t, m]
            for i in range(n):
                if s_new[i] > 0:
                    row = w_out[i]
                    for m in range(len(dr)):
                        r_new[m] += row[m]


@njit(cache=True, fastmath=True, nogil=True)
def backward(indptr, ids, w_rec, w_out, du, dv, dr, u, v, s, r, g_u, g_v, g_s, g_r, n_axons):
    """Gradients of a loss through one period.

    The derivative of a spike is the fast sigmoid of Zenke and Ganguli (2018), ``gain / (1 + slope |v - 1|)^2``; the
    reset is not differentiated.

    Args:
        g_u, g_v, g_s: ``(B, N)``; g_r ``(B, M)``: derivatives by the state after the last step; they become, in
            place, those by the state carried in.
        n_axons: number of rows of ``w_in``.

    Others as in :func:`forward`.

    Returns:
        Gradients by ``w_in, w_rec, w_out, du, dv, dr, bias``.
    """
    n, n_out = len(du), len(dr)
    gw_in, gw_rec, gw_out = np.zeros((n_axons, n), u.dtype), np.zeros_like(w_rec), np.zeros_like(w_out)
    g_du, g_dv, g_dr, g_bias = np.zeros_like(du), np.zeros_like(dv), np.zeros_like(dr), np.zeros_like(du)
    one, gain, slope = u.dtype.type(1), u.dtype.type(SURROGATE_GAIN), u.dtype.type(SURROGATE_SLOPE)
    backwards, readout = np.ascontiguousarray(w_rec.T), np.ascontiguousarray(w_out.T)
    g_a = np.empty_like(g_u)
    for t in range(u.shape[1] - 2, -1, -1):
        for b in range(len(u)):
            u_old, v_old, s_old, v_new, s_new = u[b, t], v[b, t], s[b, t], v[b, t + 1], s[b, t + 1]
            ga, gu, gv, gs, gr = g_a[b], g_u[b], g_v[b], g_s[b], g_r[b]
            for m in range(n_out):
                row = readout[m]
                for i in range(n):
                    gs[i] += row[i] * gr[m]
            for i in range(n):
                if s_new[i] > 0:
                    g_row = gw_out[i]
                    for m in range(n_out):
                        g_row[m] += gr[m]
            for m in range(n_out):
                g_dr[m] -= gr[m] * r[b, t, m]
                gr[m] *= one - dr[m]
            for j in range(n):
                x = one + slope * abs(v_new[j] - one)
                gv[j] += gs[j] * gain / (x * x)
            for j in range(n):
                ga[j] = gv[j] + gu[j]
            for j in range(n):
                g_bias[j] += gv[j]
            for j in range(n):
                gv[j] *= one - s_old[j]
            for j in range(n):
                g_dv[j] -= gv[j] * v_old[j]
            for j in range(n):
                gv[j] *= one - dv[j]
            for j in range(n):
                g_du[j] -= ga[j] * u_old[j]
            for j in range(n):
                gu[j] = ga[j] * (one - du[j])
            for i in range(n):
                if s_old[i] > 0:
                    g_row = gw_rec[i]
                    for j in range(n):
                        g_row[j] += ga[j]
            if t > 0:
                for k in range(indptr[b, t - 1], indptr[b, t]):
                    g_row = gw_in[ids[b, k]]
                    for j in range(n):
                        g_row[j] += ga[j]
        np.dot(g_a, backwards, g_s)  # all that is dense: to what the spikes of the step before drive
    return gw_in, gw_rec, gw_out, g_du, g_dv, g_dr, g_bias
