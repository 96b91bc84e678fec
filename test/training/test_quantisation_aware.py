# SPDX-License-Identifier: Apache-2.0
import copy

import numpy as np
import pytest
import torch
from spike_patterns import accuracy, emulated_accuracy, fit, graph_of, trained
from torch import nn

from liquid_spike_control.errors import ModelError
from liquid_spike_control.neuromorphic.integers.synapses import quantise_weights
from liquid_spike_control.neuromorphic.quantisation.quantize import quantise, quantise_reported
from liquid_spike_control.training.quantisation_aware import WeightGrid, bake, best_scale, quantisation_aware


@pytest.fixture(scope="module")
def network():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield trained(100)
    torch.set_num_threads(threads)


def fine_tuned(network, bits, n_updates):
    tuned = copy.deepcopy(network)
    scales = quantisation_aware(tuned, bits, threshold=1.0, joint=[("inward", "recurrent")])
    fit(tuned, n_updates, 0.003, 50_000)
    bake(tuned)
    return tuned, {"hidden": scales["inward"], "out": scales["outward"]}


def test_fine_tuning_wins_back_what_two_bits_lose(network):
    tuned, scales = fine_tuned(network, 2, 50)
    before = emulated_accuracy(quantise(graph_of(network), num_weight_bits=2))
    after = emulated_accuracy(quantise(graph_of(tuned), scales, num_weight_bits=2))
    assert before < accuracy(network) - 0.2
    assert after > accuracy(network) - 0.07


@pytest.mark.parametrize("bits", [2, 3, 8])
def test_the_integers_are_those_that_were_trained(network, bits):
    tuned, scales = fine_tuned(network, bits, 5)
    graph = graph_of(tuned)
    for given in (scales, None):  # the grid is found, too
        integers, report = quantise_reported(graph, given, bits)
        assert [p.clipped for p in report.populations] == [0, 0]
        for c, trained_ones in zip(integers.connections, graph.connections, strict=True):
            unit = report.units[c.target]
            np.testing.assert_array_equal(c.synapses, quantise_weights(c.weights, bits))
            np.testing.assert_allclose(c.synapses * 2.0**c.weight_exp * unit, trained_ones.weight, rtol=1e-6)
        hidden = report.populations[0]
        assert hidden.threshold_error < 1e-6 and hidden.decay_error == 0


def test_gradients_pass_straight_through_the_rounding():
    grid = WeightGrid(0.01, 4)
    weight = torch.tensor([0.05, -0.5, 3.0, -9.0], requires_grad=True)
    stored = grid(weight)
    np.testing.assert_allclose(stored.detach(), [0.0, -0.64, 2.24, -2.56], atol=1e-6)
    stored.sum().backward()
    assert weight.grad.tolist() == [1, 1, 0, 0]
    assert grid.right_inverse(weight).tolist() == pytest.approx([0.05, -0.5, 2.24, -2.56])


@pytest.mark.parametrize(
    ("sign", "least", "most"), [("mixed", -256, 192), ("excitatory", 0, 224), ("inhibitory", -224, 0)]
)
def test_grids_are_what_the_chip_stores(sign, least, most):
    stored = WeightGrid(1.0, 3, sign)(torch.linspace(-400, 400, 4001)).numpy().astype(int)
    assert (stored.min(), stored.max()) == (least, most)
    np.testing.assert_array_equal(stored, quantise_weights(stored, 3))


def test_layers_of_one_sign_keep_it():
    layer = nn.Sequential(nn.Linear(6, 4), nn.Conv2d(2, 3, 3))
    with torch.no_grad():
        layer[0].weight.abs_()
        layer[1].weight.abs_().neg_()
    quantisation_aware(layer, 1)
    with torch.no_grad():
        for part in layer:
            part.parametrizations.weight.original.normal_()
    assert layer[0].weight.min() == 0 < layer[0].weight.max() and layer[1].weight.max() == 0 > layer[1].weight.min()
    assert len(layer[0].weight.unique()) == 2


def test_decays_and_chosen_layers():
    class Leaky(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc, self.free = nn.Linear(5, 5), nn.Linear(5, 5)
            self.beta = nn.Parameter(torch.tensor(0.87654))
            self.register_buffer("alpha", torch.tensor([0.3, 1.2]))

    model = Leaky()
    free = model.free.weight.detach().clone()
    assert quantisation_aware(model, {"fc": 5}, {"fc": 0.125}, decays=("beta", "alpha")) == {"fc": 0.125}
    (model.beta * 3 + model.fc.weight.sum()).backward()
    assert model.parametrizations.beta.original.grad == 3
    bake(model)
    assert model.beta == round(0.87654 * 4096) / 4096 and model.alpha[1] == 1
    assert isinstance(model.beta, nn.Parameter) and isinstance(model.fc.weight, nn.Parameter)
    assert torch.equal(model.free.weight, free)
    assert torch.equal(model.fc.weight % 2, torch.zeros(5, 5)) and not hasattr(model, "parametrizations")


def test_joint_layers_share_a_unit_up_to_a_power_of_two():
    model = nn.ModuleDict({"a": nn.Linear(30, 30), "b": nn.Linear(30, 30)})
    with torch.no_grad():
        model["b"].weight /= 11
    units = quantisation_aware(model, 4, joint=[("a", "b")])
    a, b = (model[name].parametrizations.weight[0].step for name in "ab")
    assert units["a"] == units["b"] == pytest.approx(b / 32) and a / b in (8, 16)


def test_the_scale_loses_least():
    weight = np.random.default_rng(0).standard_t(3, (50, 50))
    scale = best_scale(weight, 3)

    def error(s):
        return ((np.clip(np.rint(weight / (64 * s)), -4, 3) * 64 * s - weight) ** 2).sum()

    assert error(scale) < 0.5 * error(np.abs(weight).max() / 192)
    assert error(scale) <= min(error(1.1 * scale), error(0.9 * scale))


def test_what_is_not_there_or_not_possible_is_named():
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    with pytest.raises(ModelError, match="2 is no linear or convolution layer; there are"):
        quantisation_aware(model, {"2": 4})
    with pytest.raises(ModelError, match="0: 1 weight bits; give 1 .. 8, with weights of both signs 2 .. 8"):
        quantisation_aware(model, 1)
    with pytest.raises(ModelError, match="0.beta is no parameter or buffer"):
        quantisation_aware(model, 4, decays=("0.beta",))
