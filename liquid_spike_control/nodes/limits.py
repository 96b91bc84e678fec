# SPDX-License-Identifier: Apache-2.0
"""The pencil's gate: what the cart's motor takes. The gate node's parameters default to it."""

from __future__ import annotations

from ..control.gate import GateLimits
from ..sim.plant import FORCE_LIMIT

#: The force may cross its whole range within one control period: the motor can, and the pole needs it.
PENCIL_LIMITS = GateLimits(
    names=("cart_force",),
    lower=(-FORCE_LIMIT,),
    upper=(FORCE_LIMIT,),
    rate=(4000.0,),
    max_age_ns=30_000_000,
    safe=(0.0,),
)
