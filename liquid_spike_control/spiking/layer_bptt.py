# SPDX-License-Identifier: Apache-2.0
"""Compiled forward and backward passes over a chunk of steps: a layer of CUBA-LIF neurons without recurrence, and a
convolution of events with delays.

The currents of all steps are known before the layer runs, because it feeds nothing back: a convolution or a matrix
product of the whole chunk gives them at once, and only this recurrence in time is left. The equations, the surrogate
derivative and what is not differentiated are those of :mod:`.bptt`.
"""

from __future__ import annotations

import numpy as np
import torch
from numba import njit

from .bptt import SURROGATE_GAIN, SURROGATE_SLOPE


@njit(cache=True, fastmath=True, nogil=True)
def forward(a, du, dv, bias, u, v, s):
    """Run all steps.

    Args:
        a: float32 ``(B, T, N)``, weighted spikes that are due in each step.
        du, dv, bias: float32 ``(N,)``.
        u, v, s: float32 ``(B, T + 1, N)``: row 0 is the state carried in; ``v`` is stored before the reset.
    """
    one = np.float32(1)
    for b in range(a.shape[0]):
        for t in range(a.shape[1]):
            u_old, v_old, s_old = u[b, t], v[b, t], s[b, t]
            u_new, v_new, s_new, now = u[b, t + 1], v[b, t + 1], s[b, t + 1], a[b, t]
            for j in range(du.shape[0]):
                u_new[j] = (one - du[j]) * u_old[j] + now[j]
                v_new[j] = (one - dv[j]) * v_old[j] * (one - s_old[j]) + u_new[j] + bias[j]
                s_new[j] = one if v_new[j] > one else np.float32(0)


@njit(cache=True, fastmath=True, nogil=True)
def backward(g_s, du, dv, u, v, s, g_a, g_du, g_dv, g_bias):
    """Gradients of a loss over one chunk, truncated at its start.

    Args:
        g_s: float32 ``(B, T, N)``, derivative of the loss by the spikes.
        du, dv, u, v, s: as in :func:`forward`.
        g_a: float32 ``(B, T, N)``, overwritten.
        g_du, g_dv, g_bias: float32 ``(N,)``, added to.
    """
    one, n = np.float32(1), du.shape[0]
    g_u, g_v = np.zeros(n, np.float32), np.zeros(n, np.float32)
    for b in range(g_s.shape[0]):
        g_u[:] = 0
        g_v[:] = 0
        for t in range(g_s.shape[1] - 1, -1, -1):
            v_new, s_new, u_old, v_old, s_old = v[b, t + 1], s[b, t + 1], u[b, t], v[b, t], s[b, t]
            g, out = g_s[b, t], g_a[b, t]
            for j in range(n):
                x = one + SURROGATE_SLOPE * abs(v_new[j] - one)
                g_v_new = g_v[j] * (one - s_new[j]) + g[j] * SURROGATE_GAIN / (x * x)
                g_bias[j] += g_v_new
                g_dv[j] -= g_v_new * v_old[j] * (one - s_old[j])
                g_v[j] = g_v_new * (one - dv[j])
                total = g_v_new + g_u[j]
                out[j] = total
                g_du[j] -= total * u_old[j]
                g_u[j] = total * (one - du[j])


class LayerSpikes(torch.autograd.Function):
    """Spikes of a layer as a function of its currents, decays and biases; see :func:`forward`."""

    @staticmethod
    def forward(ctx, a, du, dv, bias, carried):  # noqa: D102
        batch, steps, n = a.shape
        u, v, s = (np.empty((batch, steps + 1, n), np.float32) for _ in range(3))
        for whole, part in zip((u, v, s), carried, strict=True):
            whole[:, 0] = part.numpy()
        numbers = [x.detach().numpy() for x in (du, dv, bias)]
        forward(np.ascontiguousarray(a.detach().numpy()), *numbers, u, v, s)
        for whole, part in zip((u, v, s), carried, strict=True):
            part.numpy()[:] = whole[:, -1]
        ctx.kept = (numbers[0], numbers[1], u, v, s)
        return torch.from_numpy(s[:, 1:])

    @staticmethod
    def backward(ctx, g_s):  # noqa: D102
        du, dv, u, v, s = ctx.kept
        g_a = np.empty(g_s.shape, np.float32)
        g_du, g_dv, g_bias = (np.zeros(len(du), np.float32) for _ in range(3))
        backward(np.ascontiguousarray(g_s.numpy()), du, dv, u, v, s, g_a, g_du, g_dv, g_bias)
        return tuple(torch.from_numpy(g) for g in (g_a, g_du, g_dv, g_bias)) + (None,)


@njit(cache=True, fastmath=True, nogil=True)
def convolve(sample, step, channel, row, column, delays, weight, stride, pad, out):
    """Currents of a convolution of events: each is gone through once, whatever the size of the picture.

    Args:
        sample, step, channel, row, column: of each event; step 0 is ``max(delays) + 1`` steps before the chunk.
        delays: int64 ``(n_delays,)``, extra steps.
        weight: float32 ``(n_delays, C_in, k, k, C_out)``.
        stride, pad: of the convolution.
        out: float32 ``(B, T, H, W, C_out)``, added to.
    """
    kernel, longest = weight.shape[2], delays.max()
    for e in range(sample.shape[0]):
        for d in range(delays.shape[0]):
            t = step[e] - longest + delays[d]
            if t < 0 or t >= out.shape[1]:
                continue
            for i in range(max(0, -((kernel - 1 - row[e] - pad) // stride)), (row[e] + pad) // stride + 1):
                if i >= out.shape[2]:
                    break
                for j in range(max(0, -((kernel - 1 - column[e] - pad) // stride)), (column[e] + pad) // stride + 1):
                    if j >= out.shape[3]:
                        break
                    weights = weight[d, channel[e], row[e] + pad - i * stride, column[e] + pad - j * stride]
                    current = out[sample[e], t, i, j]
                    for c in range(weights.shape[0]):
                        current[c] += weights[c]


@njit(cache=True, fastmath=True, nogil=True)
def convolve_backward(sample, step, channel, row, column, delays, g_out, stride, pad, g_weight):
    """Gradient by the weights of :func:`convolve`, added to ``g_weight``."""
    kernel, longest = g_weight.shape[2], delays.max()
    for e in range(sample.shape[0]):
        for d in range(delays.shape[0]):
            t = step[e] - longest + delays[d]
            if t < 0 or t >= g_out.shape[1]:
                continue
            for i in range(max(0, -((kernel - 1 - row[e] - pad) // stride)), (row[e] + pad) // stride + 1):
                if i >= g_out.shape[2]:
                    break
                for j in range(max(0, -((kernel - 1 - column[e] - pad) // stride)), (column[e] + pad) // stride + 1):
                    if j >= g_out.shape[3]:
                        break
                    weights = g_weight[d, channel[e], row[e] + pad - i * stride, column[e] + pad - j * stride]
                    current = g_out[sample[e], t, i, j]
                    for c in range(current.shape[0]):
                        weights[c] += current[c]


class EventConvolution(torch.autograd.Function):
    """Currents ``(B, T, H, W, C_out)`` of a convolution of events; differentiable by the weights only."""

    @staticmethod
    def forward(ctx, weight, whole, delays, stride, pad, shape):
        """Args: weight as in :func:`convolve`; whole: spikes with those before, ``(B, D + 1 + T, C_in, H, W)``."""
        sample, step, channel, row, column = np.nonzero(whole.numpy())
        steps = whole.shape[1] - max(delays) - 1
        out = np.zeros((len(whole), steps, *shape[1:], shape[0]), np.float32)
        ctx.kept = (sample, step, channel, row, column, np.array(delays)), stride, pad, weight.shape
        convolve(*ctx.kept[0], np.ascontiguousarray(weight.detach().numpy()), stride, pad, out)
        return torch.from_numpy(out)

    @staticmethod
    def backward(ctx, g_out):  # noqa: D102
        events, stride, pad, shape = ctx.kept
        g_weight = np.zeros(shape, np.float32)
        convolve_backward(*events, np.ascontiguousarray(g_out.numpy()), stride, pad, g_weight)
        return torch.from_numpy(g_weight), None, None, None, None, None
