# SPDX-License-Identifier: Apache-2.0
"""Compiled forward and backward passes of a layer of neurons whose threshold adapts (ALIF), over a chunk of steps.

As :mod:`.layer_bptt`, with the threshold ``1 + h`` and, for every step (:mod:`.graph`; Bellec et al. 2018,
arXiv:1803.09574)::

    h <- (1 - dh) (h + rise s)     s: whether it spiked in the step before

The surrogate derivative of a spike is that of :mod:`.bptt`, at ``v - 1 - h``; by the threshold it has the other sign. A
gradient goes through h, whose memory outlasts the voltage's; the reset is not differentiated.
"""

from __future__ import annotations

import numpy as np
import torch
from numba import njit

from .bptt import SURROGATE_GAIN, SURROGATE_SLOPE


@njit(cache=True, fastmath=True, nogil=True)
def forward(a, du, dv, bias, rise, dh, u, v, s, h):
    """Run all steps.

    Args:
        a: float32 ``(B, T, N)``, weighted spikes that are due in each step.
        du, dv, bias, rise, dh: float32 ``(N,)``.
        u, v, s, h: float32 ``(B, T + 1, N)``: row 0 is the state carried in; ``v`` is stored before the reset, ``h`` as
            it is compared with.
    """
    one = np.float32(1)
    for b in range(a.shape[0]):
        for t in range(a.shape[1]):
            u_old, v_old, s_old, h_old = u[b, t], v[b, t], s[b, t], h[b, t]
            u_new, v_new, s_new, h_new, now = u[b, t + 1], v[b, t + 1], s[b, t + 1], h[b, t + 1], a[b, t]
            for j in range(du.shape[0]):
                u_new[j] = (one - du[j]) * u_old[j] + now[j]
                v_new[j] = (one - dv[j]) * v_old[j] * (one - s_old[j]) + u_new[j] + bias[j]
                h_new[j] = (one - dh[j]) * (h_old[j] + rise[j] * s_old[j])
                s_new[j] = one if v_new[j] > one + h_new[j] else np.float32(0)


@njit(cache=True, fastmath=True, nogil=True)
def backward(g_s, du, dv, rise, dh, u, v, s, h, g_a, g_du, g_dv, g_bias, g_rise, g_dh):
    """Gradients of a loss over one chunk, truncated at its start.

    Args:
        g_s: float32 ``(B, T, N)``, derivative of the loss by the spikes.
        du, dv, rise, dh, u, v, s, h: as in :func:`forward`.
        g_a: float32 ``(B, T, N)``, overwritten.
        g_du, g_dv, g_bias, g_rise, g_dh: float32 ``(N,)``, added to.
    """
    one, n = np.float32(1), du.shape[0]
    g_u, g_v, g_h = np.zeros(n, np.float32), np.zeros(n, np.float32), np.zeros(n, np.float32)
    for b in range(g_s.shape[0]):
        g_u[:] = 0
        g_v[:] = 0
        g_h[:] = 0  # by h before a step, as the steps behind it see it
        for t in range(g_s.shape[1] - 1, -1, -1):
            v_new, s_new, h_new = v[b, t + 1], s[b, t + 1], h[b, t + 1]
            u_old, v_old, s_old, h_old = u[b, t], v[b, t], s[b, t], h[b, t]
            g, out = g_s[b, t], g_a[b, t]
            for j in range(n):
                x = one + SURROGATE_SLOPE * abs(v_new[j] - one - h_new[j])
                by_spike = (g[j] + g_h[j] * rise[j]) * SURROGATE_GAIN / (x * x)
                g_v_new = g_v[j] * (one - s_new[j]) + by_spike
                g_bias[j] += g_v_new
                g_dv[j] -= g_v_new * v_old[j] * (one - s_old[j])
                g_v[j] = g_v_new * (one - dv[j])
                total = g_v_new + g_u[j]
                out[j] = total
                g_du[j] -= total * u_old[j]
                g_u[j] = total * (one - du[j])
                g_h_new = g_h[j] - by_spike
                g_dh[j] -= g_h_new * (h_old[j] + rise[j] * s_old[j])
                g_h[j] = g_h_new * (one - dh[j])
                g_rise[j] += g_h[j] * s_old[j]


class AdaptiveSpikes(torch.autograd.Function):
    """Spikes of a layer as a function of its currents, decays, biases and adaptation; see :func:`forward`."""

    @staticmethod
    def forward(ctx, a, du, dv, bias, rise, dh, carried):  # noqa: D102
        batch, steps, n = a.shape
        states = [np.empty((batch, steps + 1, n), np.float32) for _ in range(4)]
        for whole, part in zip(states, carried, strict=True):
            whole[:, 0] = part.numpy()
        numbers = [np.ascontiguousarray(x.detach().numpy()) for x in (du, dv, bias, rise, dh)]
        forward(np.ascontiguousarray(a.detach().numpy()), *numbers, *states)
        for whole, part in zip(states, carried, strict=True):
            part.numpy()[:] = whole[:, -1]
        ctx.kept = numbers, states
        return torch.from_numpy(states[2][:, 1:])

    @staticmethod
    def backward(ctx, g_s):  # noqa: D102
        (du, dv, _, rise, dh), states = ctx.kept
        g_a = np.empty(g_s.shape, np.float32)
        gradients = [np.zeros(len(du), np.float32) for _ in range(5)]
        backward(np.ascontiguousarray(g_s.numpy()), du, dv, rise, dh, *states, g_a, *gradients)
        return tuple(torch.from_numpy(g) for g in (g_a, *gradients)) + (None,)
