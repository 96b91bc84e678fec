# SPDX-License-Identifier: Apache-2.0
"""Numbers as spikes: Gaussian receptive fields, and neurons that accumulate and fire. No randomness.

A quantity ``x``, in units of its scale, is bent into ``z = x / (1/2 + |x|)``, so that no number is out of range and
fields lie densest about zero. Each of its ``F`` fields, evenly spaced over ``-1 <= z <= 1`` with one spacing as
standard deviation, fires regularly at a rate that follows how near ``z`` is to its centre:

    charge <- charge + exp(-(z - centre)^2 / (2 spacing^2)),   spike where charge >= 1/2,  then charge <- charge - 1

What a period leaves of the charge is carried into the next one, so that over time the rates are exact. Encoding by
Gaussian fields with deterministic spikes is that of PopSAN (Tang et al., "Deep reinforcement learning with
population-coded spiking neural network for continuous control", CoRL 2020, arXiv:2010.09635).
"""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def encode(x, n_fields, n_steps, charge, indptr, ids):
    """Spikes of the fields of every quantity in ``n_steps`` steps, for each of ``B`` independent rows.

    Args:
        x: float ``(B, n_quantities)``, in units of the scales.
        n_fields: of each quantity; axon ``q * n_fields + f`` is field f of quantity q.
        n_steps: how many steps.
        charge: float ``(B, n_quantities * n_fields)``, carried from period to period; zeros begin an episode.
        indptr: int64 ``(B, n_steps + 1)``, written.
        ids: int32 ``(B, n_quantities * n_fields * n_steps)``, written: the axons that spike in step t are
            ``ids[b, indptr[b, t]:indptr[b, t + 1]]``.
    """
    spacing = 2.0 / (n_fields - 1)
    n_axons = charge.shape[1]
    rate = np.empty(n_axons, charge.dtype)
    for b in range(len(x)):
        for q in range(x.shape[1]):
            z = x[b, q] / (0.5 + abs(x[b, q]))
            for f in range(n_fields):
                distance = (z + 1) / spacing - f
                rate[q * n_fields + f] = np.exp(-0.5 * distance * distance)
        end = 0
        indptr[b, 0] = 0
        for t in range(n_steps):
            for k in range(n_axons):
                charge[b, k] += rate[k]
                if charge[b, k] >= 0.5:
                    charge[b, k] -= 1
                    ids[b, end] = k
                    end += 1
            indptr[b, t + 1] = end
