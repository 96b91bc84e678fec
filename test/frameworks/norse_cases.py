# SPDX-License-Identifier: Apache-2.0
"""Networks of Norse, and what it makes of them."""

from __future__ import annotations

from recording import Recording, observe, seeded, spikes, spread


def _norse(net, shape, layers, seed, voltages=()) -> Recording:
    import norse.torch
    import torch

    def step(net, x, state):
        return net(x[None], state)[1]

    graph = norse.torch.to_nir(net, torch.zeros(1, *shape))
    x = spikes(shape, seed)
    named = dict(net.named_modules())
    sent = observe(net, {k: named[v] for k, v in layers.items()}, x, step)
    spiking = {k: v for k, v in sent.items() if k not in voltages}
    import importlib.metadata

    read = {k: sent[k] for k in voltages}
    return Recording(graph, "norse", x, spiking, read, importlib.metadata.version("norse"))


def norse_dense() -> Recording:
    import norse.torch as norse
    import torch

    def lif(n, seed):
        parameters = norse.LIFParameters(
            tau_syn_inv=spread(n, 100, 400, seed), tau_mem_inv=spread(n, 60, 200, seed + 1), v_leak=torch.zeros(n),
            v_th=spread(n, 0.3, 0.6, seed + 2),
        )  # fmt: skip
        return norse.LIFCell(parameters)

    box = norse.LIFBoxParameters(tau_mem_inv=spread(8, 100, 300, 9), v_leak=torch.zeros(8), v_th=spread(8, 0.2, 0.4, 8))
    li = norse.LIBoxParameters(tau_mem_inv=spread(3, 100, 200, 7), v_leak=torch.zeros(3))
    net = norse.SequentialState(
        torch.nn.Linear(20, 30), lif(30, 1), torch.nn.Linear(30, 8), norse.LIFBoxCell(box), torch.nn.Linear(8, 3),
        norse.LIBoxCell(li),
    )  # fmt: skip
    return _norse(seeded(net, 5), (20,), {"1": "1", "3": "3", "5": "5"}, 5, ("5",))


def norse_conv() -> Recording:
    import norse.torch as norse
    import torch

    box = norse.LIFBoxParameters(tau_mem_inv=torch.tensor(200.0), v_leak=torch.tensor(0.0), v_th=torch.tensor(0.3))
    net = norse.SequentialState(
        torch.nn.Conv2d(2, 4, 3, stride=2), norse.LIFBoxCell(box), torch.nn.Conv2d(4, 3, 3, padding=1, dilation=1),
        norse.IAFCell(norse.IAFParameters(v_th=torch.tensor(1.3))),
    )  # fmt: skip
    return _norse(seeded(net, 6, 1.5), (2, 9, 9), {"1": "1", "3": "3"}, 6)
