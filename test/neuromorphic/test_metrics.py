# SPDX-License-Identifier: Apache-2.0
import importlib.util
from pathlib import Path

import numpy as np
import pytest

from liquid_spike_control.neuromorphic.emulator.engine import emulate
from liquid_spike_control.neuromorphic.emulator.graded import GradedTrain
from liquid_spike_control.neuromorphic.emulator.loihi import (
    Conv,
    Dense,
    LoihiEmulator,
    LoihiNetwork,
    Population,
    Sparse,
)
from liquid_spike_control.neuromorphic.energy.metrics import (
    connection_sparsity,
    dense_operations,
    fan_out,
    footprint,
    measure,
    synaptic_operations,
)
from liquid_spike_control.neuromorphic.integers.neurons import SigmaDelta
from liquid_spike_control.neuromorphic.reference import FloatReference
from liquid_spike_control.spiking.graph import Correlation, CubaPopulation, Linear, SpikingGraph, Synapses
from liquid_spike_control.types import SpikeTrain

HERE = Path(__file__).parents[1]
RECORDED = HERE / "data" / "neurobench.npz"
SCRIPT = HERE / "frameworks" / "record_neurobench.py"


def _network(seed=0) -> LoihiNetwork:
    """Every kind of synapse, zeros among the weights, odd geometry, delays and recurrence."""
    rng = np.random.default_rng(seed)

    def weights(*shape):
        return 2 * rng.integers(-40, 60, shape) * (rng.random(shape) < 0.7)

    pairs = rng.permutation(30 * 12)[:90]
    p = dict(du=1500, dv=400, vth=60)
    conv = Conv("input", "image", weights(3, 3, 2, 2), (7, 5, 2), stride=(2, 1), padding=(1, 0))
    n = int(np.prod(conv.output_shape))
    return LoihiNetwork(
        70,
        {"image": Population(n, **p), "rest": Population(30, **p), "out": Population(12, **p)},
        [
            conv,
            Conv("input", "image", weights(3, 3, 2, 2), (7, 5, 2), (2, 1), (1, 0), channels_first=True, delay=3),
            Dense("image", "rest", weights(30, n)),
            Dense("rest", "rest", weights(30, 30), delays=2),
            Sparse("rest", "out", (12, 30), pairs // 30, pairs % 30, weights(90)),
        ],
        outputs=("out",),
    )


def _spikes(n, n_steps, fraction=0.1, seed=1) -> SpikeTrain:
    return SpikeTrain.from_dense(np.random.default_rng(seed).random((n_steps, n)) < fraction)


def test_operations_are_those_that_the_emulator_counts():
    network, spikes = _network(), _spikes(70, 200)
    with LoihiEmulator(network) as emulator:
        trains = emulator.run_all(spikes) | {"input": spikes}
        stats = emulator.stats()
    assert stats.spikes > 1000
    operations = synaptic_operations(network, trains)
    assert operations.effective_acs == stats.synaptic_operations
    assert operations.effective_macs == 0


def test_graded_spikes_are_multiply_accumulates_unless_a_step_sends_nothing_but_ones():
    rng = np.random.default_rng(4)
    network = LoihiNetwork(
        6,
        {"change": SigmaDelta(20, vth=8), "out": Population(5, du=1500, dv=400, vth=60)},
        [
            Dense("input", "change", rng.integers(-20, 30, (20, 6)) * (rng.random((20, 6)) < 0.6)),
            Dense("change", "out", rng.integers(-20, 30, (5, 20))),
        ],
    )
    payloads = rng.integers(-2, 3, (80, 6)) * (rng.random((80, 6)) < 0.2)
    given = GradedTrain.from_dense(payloads)
    emulator = emulate(network)
    trains = emulator.run_all(given) | {"input": given}
    operations, stats = synaptic_operations(network, trains), emulator.stats()
    assert operations.effective_macs + operations.effective_acs == stats.synaptic_operations > 1000
    ones = np.abs(payloads).max(axis=1) <= 1
    of_input = fan_out(network.connections[0])
    sent = fan_out(network.connections[1])[trains["change"].ids].sum()
    assert operations.effective_acs >= ((payloads[ones] != 0) * of_input).sum() > 0
    assert operations.effective_macs <= ((payloads[~ones] != 0) * of_input).sum() + sent
    unknown = {m: t if isinstance(t, SpikeTrain) else t.spikes for m, t in trains.items()}
    assert synaptic_operations(network, unknown).effective_macs == sent > 0
    assert footprint(network).state == 20 * 3 * 4 + 5 * 6


def test_operations_of_a_float_graph_are_those_that_the_reference_counts():
    rng = np.random.default_rng(3)
    image = Correlation("input", "image", rng.normal(0.3, 1, (3, 2, 3, 2)), (2, 7, 5), (2, 1), (1, 0), True)
    n = image.shape[0]
    p = {m: CubaPopulation(np.full(k, 0.5), 0.1, 1.0, 0.0) for m, k in (("image", n), ("out", 9))}
    pool = Synapses("image", "out", (9, n), np.arange(n), np.arange(n) % 9, rng.normal(0.2, 0.3, n))
    graph = SpikingGraph(70, p, [image, pool, Linear("out", "out", rng.normal(0, 0.1, (9, 9)))], ("out",))
    spikes = _spikes(70, 100)
    reference = FloatReference(graph)
    trains = reference.run_all(spikes) | {"input": spikes}
    stats = reference.stats()
    assert stats.spikes > 100
    assert synaptic_operations(graph, trains).effective_acs == stats.synaptic_operations
    metrics = measure(graph, trains)
    assert metrics.activation_sparsity == pytest.approx(1 - stats.spikes / stats.neuron_steps)


@pytest.mark.parametrize("zeros", [False, True])
def test_fan_out_of_a_convolution_is_that_of_its_synapses_one_by_one(zeros):
    rng = np.random.default_rng(5)
    weight = rng.normal(size=(4, 3, 3, 4)) * (rng.random((4, 3, 3, 4)) < 0.5)
    for channels_first in (False, True):
        c = Correlation("input", "x", weight, (3, 9, 8), (2, 3), (2, 1), channels_first)
        filled = Correlation("input", "x", np.ones_like(weight), (3, 9, 8), (2, 3), (2, 1), channels_first)
        source, _, _ = (filled if zeros else c).synapses()
        expected = np.bincount(source, minlength=c.shape[1])
        assert fan_out(c, zeros).tolist() == expected.tolist()


def test_dense_operations_leave_out_the_padding():
    padded = Conv("input", "x", np.ones((1, 3, 3, 1), int), (4, 4, 1), padding=1)
    network = LoihiNetwork(16, {"x": Population(16, du=0, dv=0, vth=9)}, [padded])
    assert dense_operations(network) == (2 + 3 + 3 + 2) ** 2


def test_connection_sparsity_counts_the_weights_that_act():
    # 1 is odd among mixed weights: Loihi stores 0
    network = LoihiNetwork(
        4, {"x": Population(2, du=0, dv=0, vth=9)}, [Dense("input", "x", [[1, 2, -2, 0], [4, 4, 4, 4]])]
    )
    assert connection_sparsity(network) == 2 / 8


def test_footprint_of_integers_has_the_widths_of_the_chip():
    network = LoihiNetwork(
        10,
        {"x": Population(8, du=4095, dv=200, vth=np.arange(8)), "y": Population(4, du=9, dv=9, vth=9, bias_mant=1)},
        [Dense("input", "x", np.ones((8, 10), int)), Dense("x", "y", np.ones((4, 8), int), num_weight_bits=3)],
    )
    found = footprint(network)
    assert found.weights == 80 + 32 * 3 / 8
    assert found.parameters == np.ceil((12 + 8 * 17 + 12 + 12 + 17 + 13) / 8)
    assert found.state == 8 * 3 + 4 * 6  # no current where du clears it
    assert found.total == found.weights + found.parameters + found.state


def test_trains_that_are_missing_or_of_another_run_are_named():
    network, spikes = _network(), _spikes(70, 5)
    trains = {m: _spikes(p.n, 5) for m, p in network.populations.items()}
    with pytest.raises(ValueError, match="no spikes of input"):
        measure(network, trains)
    with pytest.raises(ValueError, match=r"\[4, 5\] steps"):
        measure(network, trains | {"input": spikes, "out": _spikes(12, 4)})


def _images(x: np.ndarray) -> np.ndarray:
    """(..., C, H, W) to our order of neurons, flat."""
    return np.moveaxis(x, -3, -1).reshape(*x.shape[:-3], -1)


def _same_network(name: str, state: dict[str, np.ndarray]) -> SpikingGraph:
    """The recorded snnTorch network as a graph."""

    def leaky(index: int, n: int, bias: np.ndarray | float) -> CubaPopulation:
        beta = np.broadcast_to(state[f"{index}.beta"], n)
        return CubaPopulation(np.ones(n), 1 - beta, state[f"{index}.threshold"], bias, reset="subtract")

    if name == "conv":
        first = Correlation("input", "1", state["0.weight"], (2, 7, 9), (2, 2), (1, 1), channels_first=True)
        last = Linear("1", "4", _images(state["3.weight"].reshape(6, 3, 4, 5)))
        populations = {"1": leaky(1, 60, np.tile(state["0.bias"], 20)), "4": leaky(4, 6, 0.0)}
        return SpikingGraph(2 * 7 * 9, populations, [first, last], ("4",))
    bias = state["0.bias"] + state.get("1.recurrent.bias", 0)
    connections = [Linear("input", "1", state["0.weight"]), Linear("1", "3", state["2.weight"])]
    if name == "recurrent":
        connections.append(Linear("1", "1", state["1.recurrent.weight"]))
    populations = {"1": leaky(1, len(bias), bias), "3": leaky(3, len(state["2.bias"]), state["2.bias"])}
    return SpikingGraph(state["0.weight"].shape[1], populations, connections, ("3",))


def _check_against_neurobench(everything: dict[str, np.ndarray]) -> None:
    for name in ("dense", "conv", "recurrent"):
        mine = {k.split("/", 1)[1]: v for k, v in everything.items() if k.startswith(f"{name}/")}
        theirs = {k.removeprefix("results/"): float(v) for k, v in mine.items() if k.startswith("results/")}
        state = {k.removeprefix("state/"): v for k, v in mine.items() if k.startswith("state/")}
        graph = _same_network(name, state)
        spikes = {k.removeprefix("spikes/"): v for k, v in mine.items() if k.startswith("spikes/")}
        trains = {k: SpikeTrain.from_dense(_images(v) if v.ndim == 4 else v) for k, v in spikes.items()}
        trains["input"] = SpikeTrain.from_dense(mine["input"].reshape(len(mine["input"]), -1))
        found = measure(graph, trains)

        assert round(found.connection_sparsity, 4) == theirs["ConnectionSparsity"]
        assert found.activation_sparsity == pytest.approx(theirs["ActivationSparsity"], abs=1e-12)
        operations = found.synaptic_operations
        assert (operations.dense, operations.effective_macs) == (theirs["Dense"], theirs["Effective_MACs"])
        unseen = 0  # torch's recurrent layer is not called again after the last step
        if name == "recurrent":
            unseen = int(fan_out(graph.connections[2])[trains["1"].step(trains["1"].n_steps - 1)].sum())
            assert unseen > 0
        assert operations.effective_acs == theirs["Effective_ACs"] + unseen > 800

        # Ours holds a bias a neuron: a convolution's three become 60, the two of a recurrent layer one
        biases = {"dense": 0, "conv": 60 - 3, "recurrent": -8}[name]
        stored = found.footprint.weights + found.footprint.parameters
        assert stored == theirs["Footprint"] - theirs["bookkeeping"] + 4 * biases


def test_metrics_equal_those_that_neurobench_gave():
    with np.load(RECORDED) as everything:
        _check_against_neurobench(dict(everything))


def test_metrics_equal_those_of_neurobench_itself():
    pytest.importorskip("neurobench", reason="the neurobench package is not installed")
    pytest.importorskip("snntorch", reason="snntorch is not installed")
    spec = importlib.util.spec_from_file_location("record_neurobench", SCRIPT)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    _check_against_neurobench(script.record())
