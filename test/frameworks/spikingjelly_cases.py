# SPDX-License-Identifier: Apache-2.0
"""Networks of SpikingJelly, and what it makes of them."""

from __future__ import annotations

from recording import Recording, observe, seeded, spikes


def _spikingjelly(net, shape, layers, seed) -> Recording:
    import importlib.metadata

    import torch
    from spikingjelly.activation_based import functional
    from spikingjelly.activation_based.nir_exchange import export_to_nir

    graph = export_to_nir(net, torch.zeros(1, *shape))
    functional.reset_net(net)
    x = spikes(shape, seed)
    named = dict(net.named_modules())
    sent = observe(net, {k: named[v] for k, v in layers.items()}, x, lambda net, x, _: (net(x[None]), None)[1])
    return Recording(graph, "spikingjelly", x, sent, {}, importlib.metadata.version("spikingjelly"))


def spikingjelly_dense() -> Recording:
    import torch
    from spikingjelly.activation_based import layer, neuron

    net = torch.nn.Sequential(
        layer.Linear(20, 30), neuron.LIFNode(tau=4.0, v_threshold=0.21), layer.Linear(30, 16),
        neuron.LIFNode(tau=3.0, decay_input=False, v_reset=-0.3, v_threshold=0.9), layer.Linear(16, 8, bias=False),
        neuron.CUBALIFNode(c_decay=0.4, v_decay=0.7, v_threshold=1.1), layer.Linear(8, 4), neuron.IFNode(0.9),
    )  # fmt: skip
    return _spikingjelly(seeded(net, 10, 1.3), (20,), {f"_{i}": str(i) for i in (1, 3, 5, 7)}, 10)


def spikingjelly_conv() -> Recording:
    import torch
    from spikingjelly.activation_based import layer, neuron

    net = torch.nn.Sequential(
        layer.Conv2d(2, 4, 3, padding="same", dilation=2), neuron.ParametricLIFNode(init_tau=3.0, v_threshold=0.4),
        layer.AvgPool2d(2), layer.Conv2d(4, 3, 3, stride=2), neuron.IFNode(0.8), layer.Flatten(), layer.Linear(12, 5),
        neuron.LIFNode(tau=2.5, v_threshold=0.3),
    )  # fmt: skip
    return _spikingjelly(seeded(net, 11, 1.5), (2, 12, 12), {"_1": "1", "_4": "4", "_7": "7"}, 11)
