# SPDX-License-Identifier: Apache-2.0
"""The ``spikes`` encoding: address-event spikes of a population between nodes (docs/architecture.md).

Little-endian uint32 pairs (step, neuron) in ascending order, no pair twice.
"""

from __future__ import annotations

import numba
import numpy as np

from ..types import SpikeTrain


def encode_spikes(spikes: SpikeTrain) -> bytes:
    """The bytes of a spike train. Steps and neurons that are silent take none."""
    return _pairs(spikes.indptr, spikes.ids).tobytes()


def decode_spikes(data, n_steps: int, n_neurons: int) -> SpikeTrain | None:
    """Decode a spike train.

    Args:
        data: any bytes.
        n_steps: steps in the packet.
        n_neurons: neurons of the population.

    Returns:
        None if the bytes are malformed: no whole number of pairs, not ascending, or a step or a neuron that
        is out of range.
    """
    if len(data) % 8 or not 0 <= n_steps < 2**31:
        return None
    pairs = np.frombuffer(data, np.uint32)
    pairs.flags.writeable = False  # one kernel for bytes and for array.array
    indptr, ids, valid = _train(pairs, n_steps, n_neurons)
    return SpikeTrain(indptr, ids) if valid else None


@numba.njit(cache=True, nogil=True)
def _pairs(indptr, ids):
    pairs = np.empty(2 * ids.shape[0], np.uint32)
    for step in range(indptr.shape[0] - 1):
        for i in range(indptr[step], indptr[step + 1]):
            pairs[2 * i] = step
            pairs[2 * i + 1] = ids[i]
    return pairs


@numba.njit(cache=True, nogil=True)
def _train(pairs, n_steps, n_neurons):
    n = pairs.shape[0] // 2
    indptr = np.zeros(n_steps + 1, np.int64)
    ids = np.empty(n, np.int32)
    last_step, last_neuron = 0, -1
    for i in range(n):
        step, neuron = np.int64(pairs[2 * i]), np.int64(pairs[2 * i + 1])
        if step >= n_steps or neuron >= n_neurons:
            return indptr, ids, False
        if step < last_step or (step == last_step and neuron <= last_neuron):
            return indptr, ids, False
        indptr[step + 1] += 1
        ids[i] = neuron
        last_step, last_neuron = step, neuron
    for k in range(n_steps):
        indptr[k + 1] += indptr[k]
    return indptr, ids, True
