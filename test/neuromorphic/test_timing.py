# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from liquid_spike_control.neuromorphic.chip.mapping import place
from liquid_spike_control.neuromorphic.chip.timing import step_times
from liquid_spike_control.neuromorphic.emulator.loihi import Dense, LoihiNetwork, Population
from liquid_spike_control.types import SpikeTrain


def test_a_step_takes_what_its_slowest_core_takes_and_the_barrier():
    weights = np.ones((100, 3), int)
    weights[40:, 1] = 0
    network = LoihiNetwork(
        3,
        {"wide": Population(100, du=0, dv=0, vth=9), "small": Population(2, du=0, dv=0, vth=9)},
        [Dense("input", "wide", weights), Dense("wide", "small", np.ones((2, 100), int))],
    )
    spikes = {
        "wide": SpikeTrain.from_dense(np.array([[False] * 100, [True] * 100, [False] * 100])),
        "small": SpikeTrain.from_dense(np.zeros((3, 2), bool)),
    }
    found = step_times(place(network), spikes, SpikeTrain.from_dense(np.array([[1, 1, 0], [0, 0, 0], [0, 0, 0]])))
    barrier, wide, small = 113e-9, 100 * 8.4e-9, 2 * 8.4e-9
    expected = [140 * 3.5e-9 + wide, max(200 * 3.5e-9 + small, wide), wide]
    assert found.tolist() == pytest.approx([t + barrier for t in expected])


def test_the_barrier_grows_with_the_tiles():
    def time(n):
        network = LoihiNetwork(1, {"x": Population(n, du=0, dv=0, vth=9)}, [Dense("input", "x", np.ones((n, 1), int))])
        silence = SpikeTrain.from_dense(np.zeros((1, n), bool))
        return step_times(place(network), {"x": silence}, SpikeTrain.from_dense(np.zeros((1, 1), bool)))[0]

    assert time(128 * 1024) - time(1024) == pytest.approx((465 - 113) * 1e-9)
