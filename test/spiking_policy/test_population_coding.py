# SPDX-License-Identifier: Apache-2.0
"""The population code: rates, what can be read from its spikes, and charge that is kept."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from liquid_spike_control.spiking.population_coding import encode


def spikes_of(x, n_fields, n_steps, charge):
    x = np.asarray(x, float)[None]
    indptr, ids = np.zeros((1, n_steps + 1), np.int64), np.zeros((1, x.size * n_fields * n_steps), np.int32)
    encode(x, n_fields, n_steps, charge, indptr, ids)
    dense = np.zeros((n_steps, x.size * n_fields), bool)
    for t in range(n_steps):
        dense[t, ids[0, indptr[0, t] : indptr[0, t + 1]]] = True
    return dense


@given(st.floats(-1e6, 1e6), st.integers(2, 20))
@settings(max_examples=60, deadline=None)
def test_rates_are_those_of_gaussian_fields(x, n_fields):
    n_steps = 100
    counts = spikes_of([x], n_fields, n_steps, np.zeros((1, n_fields))).sum(0)
    z, centres = x / (0.5 + abs(x)), np.linspace(-1, 1, n_fields)
    rates = np.exp(-0.5 * ((z - centres) * (n_fields - 1) / 2) ** 2)
    assert np.abs(counts - n_steps * rates).max() <= 0.5 + 1e-9, "regular spikes are never half a spike behind"


def test_a_quantity_can_be_read_from_its_spikes():
    centres = np.linspace(-1, 1, 16)
    for x in np.linspace(-2, 2, 41):
        counts = spikes_of([x], 16, 30, np.zeros((1, 16))).sum(0)
        assert abs((counts * centres).sum() / counts.sum() - x / (0.5 + abs(x))) < 0.02


def test_charge_goes_on_from_period_to_period():
    whole, parts = np.zeros((1, 16)), np.zeros((1, 16))
    x = [0.3, -1.2]
    together = spikes_of(x, 8, 20, whole)
    pieces = [spikes_of(x, 8, 5, parts) for _ in range(4)]
    np.testing.assert_array_equal(np.concatenate(pieces), together)
    np.testing.assert_array_equal(parts, whole)
