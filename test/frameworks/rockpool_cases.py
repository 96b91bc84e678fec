# SPDX-License-Identifier: Apache-2.0
"""Networks of Rockpool, and what it makes of them."""

from __future__ import annotations

import numpy as np
from recording import Recording, spikes, spread


def rockpool_dense() -> Recording:
    import importlib.metadata

    import torch
    from rockpool.nn.combinators import Sequential
    from rockpool.nn.modules import ExpSynTorch, LIFNeuronTorch, LIFTorch, LinearTorch
    from rockpool.nn.modules.torch.nir import to_nir

    def linear(n_in, n_out, seed):
        rng = np.random.default_rng(seed)
        weight = (0.3 + rng.normal(size=(n_in, n_out))) / np.sqrt(n_in)
        return LinearTorch((n_in, n_out), weight=torch.tensor(weight, dtype=torch.float32), has_bias=False)

    one = torch.tensor(1.0)
    lif = LIFTorch(
        30, tau_mem=spread(30, 0.005, 0.02, 1), tau_syn=spread((30, 1), 0.002, 0.01, 2),
        threshold=spread(30, 1.5, 2.5, 3), dt=1e-3, max_spikes_per_dt=one,
    )  # fmt: skip
    neuron = LIFNeuronTorch(
        8, tau_mem=spread(8, 0.005, 0.02, 4), threshold=spread(8, 0.8, 1.2, 5), dt=1e-3, max_spikes_per_dt=one
    )
    synapse = ExpSynTorch(3, tau=spread(3, 0.005, 0.02, 6), dt=1e-3)
    net = Sequential(linear(20, 30, 1), lif, linear(30, 8, 2), neuron, linear(8, 3, 3), synapse)
    graph = to_nir(net)
    # What it exports of ExpSynTorch still carries a gradient, which nir.write refuses.
    graph.nodes["5_ExpSynTorch"].tau = graph.nodes["5_ExpSynTorch"].tau.detach()
    x = spikes((20,), 12)
    with torch.no_grad():
        out, _, record = net(torch.as_tensor(x[None]), record=True)
    sent = {"1_LIFTorch": record["1_LIFTorch"]["spikes"], "3_LIFNeuronTorch": record["3_LIFNeuronTorch"]["spikes"]}
    sent = {name: values[0].numpy() for name, values in sent.items()}
    voltages = {"5_ExpSynTorch": out[0].numpy()}
    return Recording(graph, "rockpool", x, sent, voltages, importlib.metadata.version("rockpool"))
