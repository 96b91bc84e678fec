# SPDX-License-Identifier: Apache-2.0
"""The surrogate gradient in plain torch, to compare the compiled one with."""

import torch

from liquid_spike_control.spiking import bptt


class Spike(torch.autograd.Function):
    """1 above the threshold of 1; backwards the derivative of a fast sigmoid."""

    @staticmethod
    def forward(ctx, v):
        ctx.save_for_backward(v)
        return (v > 1).to(v.dtype)

    @staticmethod
    def backward(ctx, grad):
        (v,) = ctx.saved_tensors
        return grad * float(bptt.SURROGATE_GAIN) / (1 + float(bptt.SURROGATE_SLOPE) * (v - 1).abs()) ** 2
