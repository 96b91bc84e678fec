# SPDX-License-Identifier: Apache-2.0
"""Learning rate and loss that the trainings of perceptions and controllers share."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def cosine(fraction: float) -> float:
    """Factor on the learning rate after a ``fraction`` of the updates: from 1 along a cosine to a twentieth."""
    return 0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * min(1.0, fraction)))


def set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Give all parameters the same learning rate."""
    for group in optimiser.param_groups:
        group["lr"] = rate


def pseudo_huber(error: Tensor, knee: float) -> Tensor:
    """Half the square of errors far below the knee, linear far above; of the same shape."""
    return (torch.sqrt(1 + (error / knee) ** 2) - 1) * knee**2
