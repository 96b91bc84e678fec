# SPDX-License-Identifier: Apache-2.0
"""Networks made, exported to NIR and run by the frameworks themselves: what the importer must reproduce.

``python test/frameworks/record.py [framework ...]`` writes ``test/data/nir/<framework>_<case>.nir`` and ``.npz``:
the exported graph; the input spikes (one row a step, as NIR flattens them) and what each layer of neurons sent.
Nengo has no exporter: its graphs are written by hand as the NIR project's example does, its spikes are Nengo's own.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

DATA = Path(__file__).parents[1] / "data" / "nir"
STEPS = 80


@dataclass
class Recording:
    """A graph, the preset that reads it, its input, and what neurons sent: arrays ``(steps, ...)`` by node.

    ``voltages`` are those of neurons that never spike.
    """

    graph: object
    preset: str
    inputs: np.ndarray
    layers: dict[str, np.ndarray]
    voltages: dict[str, np.ndarray]
    version: str

    def write(self, stem: Path) -> None:
        import nir

        nir.write(stem.with_suffix(".nir"), _Written(self.graph), compression=None)
        arrays = {"inputs": self.inputs.reshape(len(self.inputs), -1).astype(bool)}
        arrays |= {f"spikes {m}": x.reshape(len(x), -1).astype(bool) for m, x in self.layers.items()}
        arrays |= {f"voltages {m}": x.reshape(len(x), -1) for m, x in self.voltages.items()}
        np.savez_compressed(stem.with_suffix(".npz"), preset=self.preset, version=self.version, **arrays)


@dataclass
class _Written:
    """A graph without the entries that are None (Norse and Sinabs leave ``input_shape`` so, nir 1.0.8 fails on it),
    its edges sorted (nirtorch gives them the order of a set)."""

    graph: object

    def to_dict(self) -> dict:
        def given(content: dict) -> dict:
            return {k: given(v) if isinstance(v, dict) else v for k, v in content.items() if v is not None}

        content = given(self.graph.to_dict())
        return content | {"edges": sorted(content["edges"])}


def spikes(shape: tuple[int, ...], seed: int, rate: float = 0.3) -> np.ndarray:
    """Random spikes, float32 ``(STEPS, *shape)``."""
    return (np.random.default_rng(seed).random((STEPS, *shape)) < rate).astype(np.float32)


def seeded(module, seed: int, gain: float = 1.0):
    """The module with its weights drawn anew, so large that every layer spikes."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    for layer in module.modules():
        if isinstance(layer, torch.nn.Linear | torch.nn.Conv1d | torch.nn.Conv2d):
            fan_in = layer.weight[0].numel()
            scale = gain / np.sqrt(fan_in)
            layer.weight.data = scale * (0.3 + torch.randn(layer.weight.shape, generator=generator))
            if layer.bias is not None:
                layer.bias.data = 0.1 * torch.rand(layer.bias.shape, generator=generator)
    return module


def spread(n: int | tuple[int, ...], low: float, high: float, seed: int):
    """Random parameters of n neurons, float32."""
    import torch

    shape = (n,) if isinstance(n, int) else n
    return torch.tensor(np.random.default_rng(seed).uniform(low, high, shape), dtype=torch.float32)


def observe(net, modules: dict[str, object], inputs: np.ndarray, step: Callable) -> dict[str, np.ndarray]:
    """Run step by step and keep what the named modules send."""
    import torch

    sent: dict[str, list] = {name: [] for name in modules}
    hooks = []
    for name, module in modules.items():

        def keep(_module, _args, output, name=name):
            first = output[0] if isinstance(output, tuple) else output
            sent[name].append(first.detach().numpy().copy())

        hooks.append(module.register_forward_hook(keep))
    with torch.no_grad():
        state = None
        for x in inputs:
            state = step(net, torch.as_tensor(x), state)
    for hook in hooks:
        hook.remove()
    return {name: np.stack(values) for name, values in sent.items()}


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


def _nengo(recurrent: bool) -> Recording:
    """Nengo's own LIF neurons; the graph by hand: LIF with r = 1, a Lowpass synapse as LI, spikes of height 1."""
    import nengo
    import nir

    dt, tau_rc, tau = 1e-3, 0.01, 0.005
    rng = np.random.default_rng(13)
    x = spikes((10,), 13)
    first = (0.3 + rng.normal(size=(12, 10))) * 4 / np.sqrt(10)
    second = (0.5 + rng.normal(size=(6, 12))) * 12 / np.sqrt(12)
    back = (rng.normal(size=(12, 12)) - 0.2) * 6 / np.sqrt(12)
    first *= 3 if recurrent else 1
    synapse = nengo.Lowpass(tau)
    lif = nengo.LIF(tau_rc, tau_ref=0, min_voltage=-np.inf, initial_state={"voltage": nengo.dists.Choice([0])})
    with nengo.Network(seed=0) as network:
        source = nengo.Node(lambda t: x[round(t / dt) - 1])
        a, b = (nengo.Ensemble(n, 1, neuron_type=lif, gain=np.ones(n), bias=np.zeros(n)) for n in (12, 6))
        # Nengo's spikes are 1 / dt high.
        nengo.Connection(source, a.neurons, transform=first, synapse=synapse if recurrent else None)
        nengo.Connection(a.neurons, b.neurons, transform=second * dt, synapse=synapse)
        if recurrent:
            nengo.Connection(a.neurons, a.neurons, transform=back * dt, synapse=synapse)
        probes = {name: nengo.Probe(e.neurons) for name, e in (("a", a), ("b", b))}
    with nengo.Simulator(network, dt=dt, progress_bar=False) as simulator:
        simulator.run_steps(len(x))
    sent = {name: simulator.data[probe] * dt > 0.5 for name, probe in probes.items()}

    def neurons(n):
        return nir.LIF(np.full(n, tau_rc), np.ones(n), np.zeros(n), np.ones(n))

    def lowpass(n):
        return nir.LI(np.full(n, tau), np.ones(n), np.zeros(n))

    nodes = {"input": nir.Input(np.array([10])), "first": nir.Linear(first), "a": neurons(12)}
    nodes |= {"second": nir.Linear(second), "lowpass": lowpass(6), "b": neurons(6), "output": nir.Output(np.array([6]))}
    edges = [("input", "first"), ("a", "second"), ("second", "lowpass"), ("lowpass", "b"), ("b", "output")]
    if recurrent:
        nodes |= {"back": nir.Linear(back), "shared": lowpass(12)}
        edges += [("first", "shared"), ("a", "back"), ("back", "shared"), ("shared", "a")]
    else:
        edges.append(("first", "a"))
    graph = nir.NIRGraph(nodes, edges, type_check=False)
    return Recording(graph, "nengo", x, sent, {}, nengo.__version__)


def nengo_handmade_dense() -> Recording:
    return _nengo(recurrent=False)


def nengo_handmade_recurrent() -> Recording:
    return _nengo(recurrent=True)


CASES = {
    name: make
    for name, make in list(globals().items())
    if callable(make) and name.split("_")[0] in ("snntorch", "norse", "sinabs", "spikingjelly", "rockpool", "nengo")
}


def main(frameworks: list[str]) -> None:
    """Record every case of the named frameworks, or of all that are installed."""
    warnings.simplefilter("ignore")
    DATA.mkdir(parents=True, exist_ok=True)
    for name, make in CASES.items():
        framework = name.split("_")[0]
        if frameworks and framework not in frameworks:
            continue
        try:
            importlib.import_module(framework)
        except ImportError as error:
            print(f"{name}: {framework} is not installed ({error})")
            continue
        recording = make()
        recording.write(DATA / name)
        rates = ", ".join(f"{m} {x.mean():.3f}" for m, x in recording.layers.items())
        size = sum((DATA / name).with_suffix(s).stat().st_size for s in (".nir", ".npz"))
        print(f"{name}: {framework} {recording.version}, rates {rates}; {size} bytes")


if __name__ == "__main__":
    main(sys.argv[1:])
