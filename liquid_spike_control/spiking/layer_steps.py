# SPDX-License-Identifier: Apache-2.0
"""Steps of a layer in torch's own operations, for devices that compiled kernels do not reach, such as CUDA.

The equations, the surrogate derivative and what is not differentiated are those of :mod:`.layer_bptt` and
:mod:`.alif_bptt`, which are faster on a processor.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .bptt import SURROGATE_GAIN, SURROGATE_SLOPE


class Spike(torch.autograd.Function):
    """Whether a voltage exceeds a threshold, 0 or 1, with a surrogate derivative by both."""

    @staticmethod
    def forward(ctx, v, threshold):  # noqa: D102
        ctx.save_for_backward(v, threshold)
        return (v > threshold).to(v.dtype)

    @staticmethod
    def backward(ctx, g):  # noqa: D102
        v, threshold = ctx.saved_tensors
        by_v = g * float(SURROGATE_GAIN) / (1 + float(SURROGATE_SLOPE) * (v - threshold).abs()) ** 2
        return by_v, -by_v


def spikes_of(
    a: Tensor, du: Tensor, dv: Tensor, bias: Tensor, carried: Sequence[Tensor],
    adaptation: tuple[Tensor, Tensor] | None = None,
) -> Tensor:  # fmt: skip
    """Spikes of a layer without recurrence.

    Args:
        a: weighted spikes that are due in each step, ``(B, T, N)``.
        du, dv, bias: ``(N,)``.
        carried: current, voltage, spikes and, of a layer that adapts, rise of the threshold, ``(B, N)``; written.
        adaptation: rise and decay of the threshold, ``(N,)``.

    Returns:
        ``(B, T, N)``.
    """
    u, v, s, *h = (part.clone() for part in carried)
    threshold, spikes = torch.ones_like(v), []
    for now in a.unbind(1):
        u = (1 - du) * u + now
        v = (1 - dv) * v * (1 - s.detach()) + u + bias
        if adaptation:
            rise, dh = adaptation
            h = [(1 - dh) * (h[0] + rise * s)]
            threshold = 1 + h[0]
        s = Spike.apply(v, threshold)
        spikes.append(s)
    with torch.no_grad():
        for kept, last in zip(carried, (u, v, s, *h), strict=True):
            kept.copy_(last)
    return torch.stack(spikes, 1)
