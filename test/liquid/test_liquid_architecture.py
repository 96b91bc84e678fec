# SPDX-License-Identifier: Apache-2.0
import json

import numpy as np
import pytest

from liquid_spike_control.errors import ModelError, TaskError
from liquid_spike_control.liquid.architecture import (
    NAMES,
    Architecture,
    matched,
    n_parameters,
    n_synapses,
    named,
    tensor_shapes,
)
from liquid_spike_control.liquid.wiring import WiringPlan


@pytest.mark.parametrize("name", NAMES)
def test_through_json_and_back(name):
    architecture = named(name)
    assert Architecture.from_dict(json.loads(json.dumps(architecture.as_dict()))) == architecture


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(TaskError, match="unknown architecture 'transformer'; known architectures: cfc, cfc_mm, ltc"):
        named("transformer")


@pytest.mark.parametrize(
    "name, changes, parameters",
    [
        # Counted by hand for 4 observations, elapsed time and 2 commands.
        ("mlp", {"units": 10, "layers": 2}, (5 * 10 + 10) + (10 * 10 + 10) + (10 * 2 + 2)),
        ("gru", {"units": 10}, 3 * (5 * 10 + 10) + 3 * (10 * 10 + 10) + 22),
        ("lstm", {"units": 10}, 4 * (15 * 10 + 10) + 22),
        ("cfc", {"units": 10, "backbone_units": 0}, 4 * (15 * 10 + 10) + 22),
        ("cfc", {"units": 10, "backbone_units": 7}, (15 * 7 + 7) + 4 * (7 * 10 + 10) + 22),
        ("cfc_mm", {"units": 10, "backbone_units": 7}, 4 * 160 + (15 * 7 + 7) + 4 * (7 * 10 + 10) + 22),
        ("cfc", {"units": 10, "backbone_units": 0, "mode": "pure"}, (15 * 10 + 10) + 20 + 22),
        ("ltc", {"units": 10}, 4 * (15 * 10) + 3 * 10 + 2 * 5 + 22),
        ("mlp", {"units": 10, "layers": 1, "elapsed_input": False}, (4 * 10 + 10) + 22),
        ("mlp", {"units": 10, "layers": 1, "stacked": 3}, (3 * 5 * 10 + 10) + 22),
        # Encoder; modes and skips, B, C and the gate of two layers
        ("s5", {"units": 10}, (5 * 10 + 10) + 2 * (4 * 10 + 200 + 200 + 110) + 22),
    ],
)
def test_parameters_are_those_counted_by_hand(name, changes, parameters):
    assert n_parameters(named(name, **changes), 4, 2) == parameters


def test_what_a_wiring_leaves_out_is_not_counted():
    plan = WiringPlan("auto_ncp")
    wiring = plan.build(5, 19, 2)
    ltc = named("ncp", wiring=plan)
    assert n_parameters(ltc, 4, 2) == 4 * wiring.n_synapses + 3 * 19 + 2 * 5 + (2 * 2 + 2)
    assert n_synapses(ltc, 4, 2) == wiring.n_synapses + 2 * 2
    sparse, dense = (named("ncp", cell="cfc", wiring=WiringPlan("auto_ncp", sparse_gates=s)) for s in (True, False))
    ones = sum(int(wiring.stage_mask(k).sum()) for k in range(3))
    every = sum(wiring.stage_mask(k).size for k in range(3))
    assert n_parameters(sparse, 4, 2) == 4 * (ones + 19) + 6
    assert n_parameters(dense, 4, 2) == 2 * (ones + every) + 4 * 19 + 6


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("budget", [500, 5000])
def test_a_matched_size_is_the_nearest(name, budget):
    architecture = matched(name, budget, 4, 1)
    found = abs(n_parameters(architecture, 4, 1) - budget)
    for change in (-1, 1):
        try:
            other = named(name, units=architecture.units + change)
            assert abs(n_parameters(other, 4, 1) - budget) >= found
        except ModelError:
            assert change == -1  # there is none smaller


@pytest.mark.parametrize(
    "kind, sparsity", [("auto_ncp", 0.5), ("auto_ncp", 0.9), ("random", 0.7), ("fully_connected", 0)]
)
def test_a_wiring_is_drawn_by_its_plan(kind, sparsity):
    plan = WiringPlan(kind, sparsity=sparsity)
    first, again = plan.build(6, 24, 3), plan.build(6, 24, 3)
    assert (first.synapses == again.synapses).all() and (first.sensory == again.sensory).all()
    assert {*np.unique(first.synapses)} <= {-1, 0, 1} and sum(first.stages) == 24
    other = WiringPlan(kind, sparsity=sparsity, seed=1).build(6, 24, 3)
    assert (first.synapses != other.synapses).any()
    if kind == "auto_ncp":
        inter, command, motor = first.stages
        assert motor == 3
        synapses = first.synapses != 0
        # Every neuron is driven, drives another, and only along the layers.
        assert first.sensory[:, :inter].any(0).all() and not first.sensory[:, inter:].any()
        assert synapses[:inter, inter : inter + command].any(0).all() and synapses[:inter].any(1).all()
        assert synapses[inter : inter + command, -motor:].any(0).all()
        assert synapses[inter : inter + command, -motor:].any(1).all()
        assert not synapses[:inter, :inter].any() and not synapses[-motor:].any()
    elif kind == "random":
        assert np.count_nonzero(first.synapses) == round(0.3 * 24 * 24)
    else:
        assert first.synapses.all() and first.sensory.all()


def test_an_ncp_has_the_fans_that_are_asked_for():
    fans = {"sensory_fanout": 4, "inter_fanout": 3, "command_recurrence": 5, "motor_fanin": 3}
    plan = WiringPlan("ncp", inter=8, command=6, motor=2, **fans)
    wiring = plan.build(5, 16, 2)
    assert (np.count_nonzero(wiring.sensory, axis=1) >= 4).all()
    assert (np.count_nonzero(wiring.synapses[:8, 8:14], axis=1) >= 3).all()
    assert np.count_nonzero(wiring.synapses[8:14, 8:14]) == 5
    assert (np.count_nonzero(wiring.synapses[8:14, 14:], axis=0) >= 3).all()
    with pytest.raises(ModelError, match="units: expected inter"):
        plan.build(5, 17, 2)


def test_too_few_units_for_a_wiring_are_refused_by_name():
    with pytest.raises(ModelError, match="units: expected at least 7 for 4 motor neurons, found 6"):
        tensor_shapes(named("ncp", units=6), 4, 4)


@pytest.mark.parametrize(
    "changes",
    [{"mode": "pure"}, {"mixed_memory": True}, {"wiring": WiringPlan()}, {"backbone_units": 5, "backbone_layers": 1}],
)
def test_what_does_not_go_with_a_cell_is_refused(changes):
    with pytest.raises(ModelError, match=next(iter(changes)).replace("units", "layers")):
        named("gru", **changes)
