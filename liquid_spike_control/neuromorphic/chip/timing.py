# SPDX-License-Identifier: Apache-2.0
"""Minimal duration of a step on Loihi: an estimate from the published times of its operations.

Davies et al. 2018, Table 2 (pre-silicon, 0.75 V): a synaptic operation takes up to 3.5 ns, an active neuron 8.4 ns,
an inactive one 5.3 ns, the barrier that ends a step 113 ns on one tile to 465 ns on 32. Cores work side by side, and
the barrier waits for the slowest. All neurons are taken as active; messages on their way, input and output and the
embedded processors, which rule the pace of small networks on real systems, are not in it.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import scipy.sparse as sp

from ...types import SpikeTrain
from ..integers.network import INPUT
from .mapping import Placement
from .partition import COMPARTMENTS

SYNAPTIC_OPERATION, ACTIVE_UPDATE = 3.5e-9, 8.4e-9
#: On one tile, and on all 32 of a chip; between them in proportion.
BARRIER = (113e-9, 465e-9)
_TILES = 32


def step_times(placement: Placement, spikes: Mapping[str, SpikeTrain], inputs: SpikeTrain) -> np.ndarray:
    """Time of each step of a run.

    Args:
        placement: of the network on Loihi.
        spikes: of every population.
        inputs: of the input axons.

    Returns:
        float64 ``(n_steps,)`` [s].
    """
    operations = np.zeros((inputs.n_steps, placement.n_cores), np.int64)
    for route in placement.routes:
        train = inputs if route.connection.source == INPUT else spikes[route.connection.source]
        units = route.axons.unit_of[train.ids]
        sent = sp.csr_array((np.ones(len(units), np.int64), units, train.indptr), (train.n_steps, route.axons.n_units))
        cores = slice(route.first_core, route.first_core + route.arrivals.shape[0])
        operations[:, cores] += (sent @ route.arrivals.T).toarray()
    busy = operations * SYNAPTIC_OPERATION + placement.usage[:, COMPARTMENTS] * ACTIVE_UPDATE
    tiles = min(_TILES, -(-placement.n_cores // 4))
    barrier = BARRIER[0] + (BARRIER[1] - BARRIER[0]) * (tiles - 1) / (_TILES - 1)
    return np.asarray(busy.max(axis=1) + barrier)
