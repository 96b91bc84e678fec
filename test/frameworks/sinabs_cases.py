# SPDX-License-Identifier: Apache-2.0
"""Networks of Sinabs, and what it makes of them."""

from __future__ import annotations

from recording import Recording, observe, seeded, spikes, spread


def _sinabs(net, shape, layers, seed, preset="sinabs", voltages=()) -> Recording:
    import sinabs
    import sinabs.nir
    import torch

    x = spikes(shape, seed)
    net(torch.as_tensor(x))
    graph = sinabs.nir.to_nir(net, torch.as_tensor(x))
    sinabs.reset_states(net)
    named = dict(net.named_modules())
    sent = observe(net, {k: named[v] for k, v in layers.items()}, x[None], lambda net, x, _: (net(x), None)[1])
    sent = {k: v[0] for k, v in sent.items()}
    spiking = {k: v for k, v in sent.items() if k not in voltages}
    return Recording(graph, preset, x, spiking, {k: sent[k] for k in voltages}, sinabs.__version__)


def sinabs_dense(preset="sinabs", norm_input=True) -> Recording:
    import torch
    from sinabs.activation import SingleSpike
    from sinabs.layers import ExpLeakSqueeze, LIFSqueeze

    def lif(n, seed):
        gain = 0.15 if norm_input else 1.0
        return LIFSqueeze(
            tau_mem=spread(n, 5, 20, seed), spike_threshold=gain * spread(n, 0.8, 1.2, seed + 1), spike_fn=SingleSpike,
            norm_input=norm_input, batch_size=1,
        )  # fmt: skip

    net = torch.nn.Sequential(
        torch.nn.Linear(20, 30), lif(30, 1), torch.nn.Linear(30, 8, bias=False), lif(8, 3), torch.nn.Linear(8, 3),
        ExpLeakSqueeze(tau_mem=spread(3, 5, 20, 5), norm_input=norm_input, batch_size=1),
    )  # fmt: skip
    return _sinabs(seeded(net, 7), (20,), {"1": "1", "3": "3", "5": "5"}, 7, preset, ("5",))


def sinabs_unnormalised_dense() -> Recording:
    return sinabs_dense("sinabs_unnormalised", False)


def sinabs_conv() -> Recording:
    import torch
    from sinabs.activation import SingleSpike
    from sinabs.layers import IAFSqueeze, SumPool2d

    def iaf(threshold):
        return IAFSqueeze(spike_threshold=torch.tensor(threshold), spike_fn=SingleSpike, batch_size=1)

    net = torch.nn.Sequential(
        torch.nn.Conv2d(2, 4, 3, padding=1, bias=False), iaf(1.1), SumPool2d(2), torch.nn.Conv2d(4, 3, 3, stride=2),
        iaf(3.3), torch.nn.Flatten(), torch.nn.Linear(12, 5), iaf(1.7),
    )  # fmt: skip
    return _sinabs(seeded(net, 8), (2, 12, 12), {"1": "1", "4": "4", "7": "7"}, 8)


def sinabs_conv1d() -> Recording:
    import torch
    from sinabs.activation import SingleSpike
    from sinabs.layers import LIFSqueeze

    def lif(shape, seed):
        return LIFSqueeze(
            tau_mem=spread(shape, 5, 20, seed), spike_threshold=spread(shape, 0.1, 0.2, seed + 1), spike_fn=SingleSpike,
            batch_size=1,
        )  # fmt: skip

    net = torch.nn.Sequential(
        torch.nn.Conv1d(4, 6, 3, stride=2, padding=2, dilation=2, groups=2), lif((6, 8), 1), torch.nn.Flatten(),
        torch.nn.Linear(48, 5), lif((5,), 3),
    )  # fmt: skip
    return _sinabs(seeded(net, 9), (4, 15), {"1": "1", "4": "4"}, 9)
