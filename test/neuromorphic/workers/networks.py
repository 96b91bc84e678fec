# SPDX-License-Identifier: Apache-2.0
"""Small networks for other people's simulators."""

import numpy as np

from liquid_spike_control.neuromorphic.emulator.loihi import Dense, LoihiNetwork, Population


def network(connection=None, n_inputs=3, **parameters) -> LoihiNetwork:
    population = Population(**{"n": 2, "du": 100, "dv": 100, "vth": 5, **parameters})
    dense = connection or Dense("input", "a", np.full((2, n_inputs), 100))
    return LoihiNetwork(n_inputs, {"a": population}, [dense])
