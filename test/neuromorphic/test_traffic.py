# SPDX-License-Identifier: Apache-2.0
"""Traffic against messages sent one by one over a mesh that is walked tile by tile."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from test_mapping import SMALL, lif, random_small, sent

from liquid_spike_control.errors import ModelError
from liquid_spike_control.neuromorphic.chip.chips import LOIHI1, LOIHI2, Mesh
from liquid_spike_control.neuromorphic.chip.floorplan import figure
from liquid_spike_control.neuromorphic.chip.mapping import place
from liquid_spike_control.neuromorphic.chip.traffic import Floorplan, traffic
from liquid_spike_control.neuromorphic.emulator.loihi import LoihiEmulator
from liquid_spike_control.neuromorphic.integers.network import LoihiNetwork
from liquid_spike_control.neuromorphic.integers.synapses import Dense
from liquid_spike_control.types import SpikeTrain

CHIP = replace(SMALL, cores=12, mesh=Mesh(3, 2, 2))


def random_spikes(network, rng, n_steps=9, rate=0.3):
    def train(n):
        return SpikeTrain.from_dense(rng.random((n_steps, n)) < rate)

    return {name: train(p.n) for name, p in network.populations.items()}, train(network.n_inputs)


def walk(tile, target):
    """Tiles from one to another: along the row, then along the column."""
    while tile != target:
        (x, y), (to_x, to_y) = tile, target
        step = (np.sign(to_x - x), 0) if x != to_x else (0, np.sign(to_y - y))
        yield tile, step
        tile = x + step[0], y + step[1]


@pytest.mark.parametrize("seed", range(8))
def test_counts_are_those_of_every_message_walked(seed):
    rng = np.random.default_rng(seed)
    placement = place(random_small(seed), CHIP)
    spikes, inputs = random_spikes(placement.network, rng)
    measured = traffic(placement, spikes, inputs)
    x, y = measured.floorplan.tiles(np.arange(placement.n_cores))
    per_step, pairs, links, counts = Counter(), Counter(), Counter(), Counter()
    for route in placement.routes:
        source = route.connection.source
        train = inputs if source == "input" else spikes[source]
        ways = route.arrivals.toarray() > 0
        for k in range(train.n_steps):
            for neuron in train.step(k):
                for core in route.first_core + np.flatnonzero(ways[:, route.axons.unit_of[neuron]]):
                    if source == "input":
                        counts["input", core] += 1
                        continue
                    per_step[k] += 1
                    begin = placement.core_of(source)[neuron]
                    pairs[begin, core] += 1
                    tile, target = (x[begin], y[begin]), (x[core], y[core])
                    counts["same tile"] += tile == target
                    counts["off chip"] += tile[0] // 3 != target[0] // 3
                    for (at_x, at_y), (dx, dy) in walk(tile, target):
                        links[min(at_x, at_x + dx), min(at_y, at_y + dy), dx != 0] += 1
                        between_chips = dx and at_x // 3 != (at_x + dx) // 3
                        counts["east-west" if dx else "north-south"] += not between_chips
    assert measured.messages_per_step.tolist() == [per_step[k] for k in range(9)]
    assert measured.messages == measured.within_tile == sum(pairs.values()) > 0
    assert dict(measured.sent.todok().items()) == pairs
    assert measured.same_tile == counts["same tile"]
    assert measured.off_chip == counts["off chip"]
    assert (measured.hops_east_west, measured.hops_north_south) == (counts["east-west"], counts["north-south"])
    rows, columns = measured.links_east_west.shape
    found = {(i, j, True): n for (j, i), n in np.ndenumerate(measured.links_east_west) if n}
    found |= {(i, j, False): n for (j, i), n in np.ndenumerate(measured.links_north_south) if n}
    assert found == links and (rows, columns) == (2, 3 * placement.n_chips - 1)
    assert measured.input_messages.tolist() == [counts["input", core] for core in range(placement.n_cores)]


def test_every_output_axon_of_a_neuron_that_spikes_is_a_message():
    """Discrete axons, each neuron spiking once: as many messages as output axons in use."""
    weights = np.full((30, 30), 2)
    network = LoihiNetwork(3, {"a": lif(30), "b": lif(30)}, [Dense("a", "b", weights), Dense("b", "b", weights)])
    placement = place(network, CHIP)
    once = {name: SpikeTrain.from_dense(np.ones((1, 30), bool)) for name in network.populations}
    assert traffic(placement, once).messages == placement.usage[:, 2].sum()
    assert {core for route in placement.routes for _, _, core in sent(placement, route)} == {
        core - placement.first_core["b"] for core in placement.core_of("b")
    }


def test_neighbours_in_number_are_neighbours_on_the_mesh():
    x, y = Floorplan(LOIHI1.mesh, 2).tiles(np.arange(256))
    assert len(set(zip(x, y, strict=True))) == 64 and x.max() == 15 and y.max() == 3
    assert set(np.abs(np.diff(x)) + np.abs(np.diff(y))) == {0, 1}
    assert (x[127], y[127]) == (7, 0)


def test_what_an_emulator_did_is_drawn(tmp_path):
    network = random_small(3)
    placement = place(network, CHIP)
    rng = np.random.default_rng(0)
    inputs = SpikeTrain.from_dense(rng.random((50, network.n_inputs)) < 0.5)
    measured = traffic(placement, LoihiEmulator(network).run_all(inputs), inputs)
    assert "messages a step" in str(measured)
    drawing = figure(placement, measured)
    drawing.savefig(tmp_path / "chip.png")
    assert (tmp_path / "chip.png").stat().st_size > 10_000
    labels = [text.get_text() for text in drawing.legends[0].get_texts()]
    assert all(any(label.startswith(name) for label in labels) for name in network.populations)
    assert len(figure(placement).axes) < len(drawing.axes)


def test_a_chip_without_a_floor_plan_and_missing_spikes_are_refused():
    network = random_small(0)
    spikes, _ = random_spikes(network, np.random.default_rng(0))
    with pytest.raises(ModelError, match="no floor plan of Loihi 2 is published"):
        traffic(place(network, LOIHI2), spikes)
    del spikes["mix"]
    with pytest.raises(ValueError, match="mix"):
        traffic(place(network), spikes)
