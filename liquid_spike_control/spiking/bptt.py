# SPDX-License-Identifier: Apache-2.0
"""Compiled forward pass and backpropagation through time of a recurrent CUBA-LIF population with a leaky readout.

One step, for one of ``B`` independent streams (float32; Loihi's order of operations without its rounding)::

    a = W_in[axons that spiked at t-1].sum() + W_rec[neurons that spiked at t-1].sum()
    u <- (1 - du) u + a
    v <- (1 - dv) v + u + bias
    s  = v > 1,  then v <- 0 where s
    r <- (1 - dr) r + W_out[neurons that spike at t].sum()

The derivative of a spike is the fast sigmoid of Zenke & Ganguli (2018), ``gain / (1 + slope |v - 1|)^2``; the reset
is not differentiated. An event-driven forward pass and a backward pass that visits only the synapses of neurons
that spiked cost a tenth of the same in an autograd graph; ``test_bptt.py`` holds the two against each other.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

SURROGATE_SLOPE = np.float32(5.0)
SURROGATE_GAIN = np.float32(0.5)


@njit(cache=True, fastmath=True, nogil=True, parallel=True)
def forward(t0, t1, indptr, ids, w_in, w_rec, w_out, du, dv, dr, bias, u, v, s, r):
    """Run steps ``t0 <= t < t1`` of every stream, keeping what the backward pass needs.

    Args:
        t0, t1: the steps to run.
        indptr: int64 ``(B, T + 1)``; axons that act in step t are ``ids[b, indptr[b, t]:indptr[b, t + 1]]``.
        ids: int32 ``(B, capacity)``.
        w_in: float32 ``(n_axons, N)``; w_rec ``(N, N)``; w_out ``(N, M)``: rows are presynaptic.
        du, dv, bias: float32 ``(N,)``; dr ``(M,)``.
        u, v, s: float32 ``(B, T + 1, N)``: row ``t + 1`` is the state after step t, row 0 the state carried in;
            ``v`` is stored before the reset.
        r: float32 ``(B, T + 1, M)``, the readout traces.
    """
    n = du.shape[0]
    for b in prange(u.shape[0]):
        for t in range(t0, t1):
            u_old, v_old, s_old = u[b, t], v[b, t], s[b, t]
            u_new, v_new, s_new = u[b, t + 1], v[b, t + 1], s[b, t + 1]
            for j in range(n):
                u_new[j] = (np.float32(1) - du[j]) * u_old[j]
            for k in range(indptr[b, t], indptr[b, t + 1]):
                row = w_in[ids[b, k]]
                for j in range(n):
                    u_new[j] += row[j]
            for i in range(n):
                if s_old[i] > 0:
                    row = w_rec[i]
                    for j in range(n):
                        u_new[j] += row[j]
            r_new = r[b, t + 1]
            for m in range(dr.shape[0]):
                r_new[m] = (np.float32(1) - dr[m]) * r[b, t, m]
            for j in range(n):
                v_new[j] = (np.float32(1) - dv[j]) * v_old[j] * (np.float32(1) - s_old[j]) + u_new[j] + bias[j]
                s_new[j] = np.float32(1) if v_new[j] > np.float32(1) else np.float32(0)
            for i in range(n):
                if s_new[i] > 0:
                    row = w_out[i]
                    for m in range(dr.shape[0]):
                        r_new[m] += row[m]


@njit(cache=True, fastmath=True, nogil=True, parallel=True)
def backward(indptr, ids, w_rec, w_out, du, dv, dr, u, v, s, r, g_r, n_axons, n_threads):
    """Gradients of a loss over one chunk, truncated at its start.

    Args:
        g_r: float32 ``(B, T, M)``, derivative of the loss by the readout traces of each step.
        n_threads: streams are shared out over so many accumulators.

    Others as in :func:`forward`.

    Returns:
        Gradients by ``w_in, w_rec, w_out, du, dv, dr, bias``, each with a leading axis of ``n_threads`` to be
        summed by the caller.
    """
    n_streams, n_steps, n_out = g_r.shape
    n = du.shape[0]
    gw_in = np.zeros((n_threads, n_axons, n), np.float32)
    gw_rec = np.zeros((n_threads, n, n), np.float32)
    gw_out = np.zeros((n_threads, n, n_out), np.float32)
    g_du = np.zeros((n_threads, n), np.float32)
    g_dv = np.zeros((n_threads, n), np.float32)
    g_dr = np.zeros((n_threads, n_out), np.float32)
    g_bias = np.zeros((n_threads, n), np.float32)
    for k in prange(n_threads):
        g_s = np.zeros(n, np.float32)
        for b in range(k, n_streams, n_threads):
            g_a = np.zeros(n, np.float32)
            g_u = np.zeros(n, np.float32)
            g_v = np.zeros(n, np.float32)
            g_trace = np.zeros(n_out, np.float32)
            for t in range(n_steps - 1, -1, -1):
                s_new, v_new = s[b, t + 1], v[b, t + 1]
                s_old, v_old, u_old = s[b, t], v[b, t], u[b, t]
                for m in range(n_out):
                    g_trace[m] += g_r[b, t, m]
                # g_a still belongs to step t + 1, which the spikes of step t drive
                for i in range(n):
                    total = np.float32(0)
                    row = w_rec[i]
                    for j in range(n):
                        total += row[j] * g_a[j]
                    for m in range(n_out):
                        total += w_out[i, m] * g_trace[m]
                    g_s[i] = total
                    if s_new[i] > 0:
                        g_row = gw_out[k, i]
                        for m in range(n_out):
                            g_row[m] += g_trace[m]
                        g_row_rec = gw_rec[k, i]
                        for j in range(n):
                            g_row_rec[j] += g_a[j]
                for m in range(n_out):
                    g_dr[k, m] -= g_trace[m] * r[b, t, m]
                    g_trace[m] *= np.float32(1) - dr[m]
                for j in range(n):
                    x = np.float32(1) + SURROGATE_SLOPE * abs(v_new[j] - np.float32(1))
                    carried = g_v[j] * (np.float32(1) - s_new[j])
                    g_v_new = carried + g_s[j] * SURROGATE_GAIN / (x * x)
                    g_bias[k, j] += g_v_new
                    g_dv[k, j] -= g_v_new * v_old[j] * (np.float32(1) - s_old[j])
                    g_v[j] = g_v_new * (np.float32(1) - dv[j])
                    g_a[j] = g_v_new + g_u[j]
                    g_du[k, j] -= g_a[j] * u_old[j]
                    g_u[j] = g_a[j] * (np.float32(1) - du[j])
                for e in range(indptr[b, t], indptr[b, t + 1]):
                    g_row = gw_in[k, ids[b, e]]
                    for j in range(n):
                        g_row[j] += g_a[j]
            for i in range(n):  # the spikes carried in drive the first step
                if s[b, 0, i] > 0:
                    g_row = gw_rec[k, i]
                    for j in range(n):
                        g_row[j] += g_a[j]
    return gw_in, gw_rec, gw_out, g_du, g_dv, g_dr, g_bias
