# SPDX-License-Identifier: Apache-2.0
"""Networks of snnTorch, and what it makes of them."""

from __future__ import annotations

from recording import Recording, observe, seeded, spikes, spread


def _snntorch(net, shape, preset, layers, seed) -> Recording:
    import snntorch
    import torch
    from snntorch import utils
    from snntorch.export_nir import export_to_nir

    graph = export_to_nir(net, torch.zeros(shape))  # an unbatched sample: snnTorch fails on others
    utils.reset(net)
    x = spikes(shape, seed)
    named = dict(net.named_modules())
    sent = observe(net, {k: named[v] for k, v in layers.items()}, x, lambda net, x, _: (net(x), None)[1])
    return Recording(graph, preset, x, sent, {}, snntorch.__version__)


def snntorch_dense(preset="snntorch", reset="subtract", seed=1, reset_delay=True, gain=1.0) -> Recording:
    import snntorch as snn
    import torch

    torch.manual_seed(seed)
    resets = {"reset_mechanism": reset, "reset_delay": reset_delay, "init_hidden": True}
    beta = [spread(n, 0.7, 0.95, seed + i) for i, n in enumerate((30, 10))]
    vth = [spread(n, 0.8, 1.2, seed + 5 + i) for i, n in enumerate((30, 10))]
    net = torch.nn.Sequential(
        torch.nn.Linear(20, 30),
        snn.Leaky(beta[0], threshold=vth[0], **resets),
        torch.nn.Linear(30, 10, bias=False),
        snn.Synaptic(spread(10, 0.3, 0.8, 9), beta[1], threshold=vth[1], **resets),
    )
    return _snntorch(seeded(net, seed, gain), (20,), preset, {"1": "1", "3": "3"}, seed)


def snntorch_zero_dense() -> Recording:
    return snntorch_dense("snntorch_zero", "zero", 2)


def snntorch_undelayed_dense() -> Recording:
    return snntorch_dense("snntorch_undelayed", "subtract", 4, False, 0.4)


def snntorch_zero_undelayed_dense() -> Recording:
    return snntorch_dense("snntorch_zero_undelayed", "zero", 5, False)


def snntorch_conv() -> Recording:
    import snntorch as snn
    import torch

    def leaky(shape, seed):
        return snn.Leaky(spread(shape, 0.7, 0.95, seed), threshold=spread(shape, 0.8, 1.2, seed + 1), init_hidden=True)

    net = torch.nn.Sequential(
        torch.nn.Conv2d(2, 4, 3, stride=2, padding=1), leaky((4, 5, 5), 1), torch.nn.Conv2d(4, 3, 2),
        leaky((3, 4, 4), 3), torch.nn.AvgPool2d(2), torch.nn.Flatten(0), torch.nn.Linear(12, 6), leaky((6,), 5),
    )  # fmt: skip
    return _snntorch(seeded(net, 3, 1.5), (2, 10, 10), "snntorch", {"1": "1", "3": "3", "7": "7"}, 3)


def snntorch_recurrent(preset="snntorch", reset="subtract") -> Recording:
    import snntorch as snn
    import torch

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.first = torch.nn.Linear(15, 20)
            self.leaky = snn.RLeaky(
                spread(20, 0.7, 0.95, 1), linear_features=20, init_hidden=True, reset_mechanism=reset
            )
            self.second = torch.nn.Linear(20, 8)
            self.synaptic = snn.RSynaptic(
                spread(8, 0.3, 0.8, 2), spread(8, 0.7, 0.9, 3), all_to_all=False, V=spread(8, -0.8, 0.2, 4),
                init_hidden=True, reset_mechanism=reset,
            )  # fmt: skip

        def forward(self, x):
            return self.synaptic(self.second(self.leaky(self.first(x))))

    net = seeded(Net(), 4)
    net.leaky.recurrent.weight.data -= 0.2
    return _snntorch(net, (15,), preset, {"leaky.lif": "leaky", "synaptic.lif": "synaptic"}, 4)


def snntorch_zero_recurrent() -> Recording:
    return snntorch_recurrent("snntorch_zero", "zero")
