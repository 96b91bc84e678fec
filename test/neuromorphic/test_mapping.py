# SPDX-License-Identifier: Apache-2.0
"""Placements against resources counted synapse by synapse, in plain Python, from the definitions alone."""

from collections import Counter, defaultdict
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from liquid_spike_control.bench.snn_step import random_network
from liquid_spike_control.errors import ModelError
from liquid_spike_control.neuromorphic.chip.chips import LOIHI1, LOIHI2
from liquid_spike_control.neuromorphic.chip.mapping import place
from liquid_spike_control.neuromorphic.chip.partition import RESOURCES, limits_of
from liquid_spike_control.neuromorphic.chip.synapse_lists import format_of, index_bits, list_words
from liquid_spike_control.neuromorphic.integers.network import LoihiNetwork
from liquid_spike_control.neuromorphic.integers.neurons import Population, ResonateAndFire
from liquid_spike_control.neuromorphic.integers.synapses import Conv, Dense, Sparse
from liquid_spike_control.neuromorphic.learning import rules

SMALL = replace(
    LOIHI1, cores=4, compartments=9, axons_in=40, axons_out=30, synapse_words=60, profiles=3, thresholds=2, bases=4
)


def lif(n, rng=None, **settings):
    """Neurons with a few different settings if a generator is given."""
    if rng is None:
        return Population(n, **{"du": 100, "dv": 100, "vth": 50, **settings})
    return Population(n, du=rng.choice([100, 200], n), dv=100, vth=rng.choice([50, 60, 70], n))


def even(rng, *shape):
    return 2 * rng.integers(-127, 128, shape)


def random_small(seed):
    """An image, convolved, read by a recurrent population, with feedback, delays and zeros among the weights."""
    rng = np.random.default_rng(seed)
    nx, ny, c_in, c_out = rng.integers(3, 7), rng.integers(3, 6), rng.integers(1, 3), rng.integers(1, 4)
    kernel = even(rng, c_out, rng.integers(1, 4), rng.integers(1, 4), c_in)
    geometry = {"stride": int(rng.integers(1, 3)), "padding": int(rng.integers(0, 2))}
    conv = Conv("image", "map", kernel, (nx, ny, c_in), channels_first=bool(rng.integers(2)), **geometry)
    sizes = {"image": nx * ny * c_in, "map": conv.shape[0], "mix": int(rng.integers(3, 20))}
    pairs = [(t, s) for t, s in product(range(sizes["map"]), range(sizes["mix"])) if rng.random() < 0.2]
    back = np.array(pairs, int).reshape(-1, 2)
    connections = [
        Dense("input", "image", even(rng, sizes["image"], 5) * (rng.random((sizes["image"], 5)) < 0.4)),
        conv,
        Dense("map", "mix", even(rng, sizes["mix"], sizes["map"]), num_weight_bits=int(rng.integers(1, 9))),
        Dense("mix", "mix", even(rng, sizes["mix"], sizes["mix"]), delays=rng.integers(0, 9, (sizes["mix"],) * 2)),
        Sparse("mix", "map", (sizes["map"], sizes["mix"]), back[:, 0], back[:, 1], even(rng, len(back)), delays=3),
    ]
    return LoihiNetwork(5, {name: lif(n, rng) for name, n in sizes.items()}, connections)


def taps(conv):
    """(target neuron, source pixel, kernel tap) of every output channel, by the definition of the convolution."""
    nx, ny, _ = conv.input_shape
    _, kx, ky, _ = conv.weights.shape
    (sx, sy), (px, py), (ox, oy, channels) = conv.strides, conv.paddings, conv.output_shape
    for x, y, o, k, m in product(range(ox), range(oy), range(channels), range(kx), range(ky)):
        i, j = x * sx - px + k, y * sy - py + m
        if 0 <= i < nx and 0 <= j < ny:
            yield (x * oy + y) * channels + o, i * ny + j, (k, m)


def pixel_of(conv, source):
    nx, ny, channels = conv.input_shape
    return source % (nx * ny) if conv.channels_first else source // channels


def counted(placement):
    """Usage of each core from the definitions, and the synapses of each connection."""
    network, usage, synapses = placement.network, defaultdict(Counter), []
    cores = {name: placement.core_of(name) for name in network.populations}
    for name, p in network.populations.items():
        for core in set(cores[name]):
            mine = np.flatnonzero(cores[name] == core)
            usage[core]["compartments"] = len(mine)
            usage[core]["profiles"] = len({(p.du[i], int(p.dv)) for i in mine} if p.du.ndim else {0})
            usage[core]["thresholds"] = len(set(np.broadcast_to(p.vth, p.n)[mine].tolist()))
    for c in network.connections:
        lists = defaultdict(Counter)  # core -> axon -> synapses, or taps
        bits, n_source = format_of(c).bits, c.shape[1]
        if isinstance(c, Conv):
            met = defaultdict(lambda: defaultdict(list))
            for target, pixel, tap in taps(c):
                met[cores[c.target][target]][pixel].append(tap)
                lists[cores[c.target][target]][pixel] += 1
            for core, pixels in met.items():
                width = bits + index_bits(usage[core]["compartments"])
                ways = {tuple(sorted(set(taps_))): len(taps_) for taps_ in pixels.values()}
                usage[core]["synapse memory"] += sum(c.weights.shape[3] * list_words(n, width) for n in ways.values())
            synapses.append(c.weights.shape[3] * sum(sum(axons.values()) for axons in lists.values()))
            unit_of, slots = [pixel_of(c, i) for i in range(n_source)], 2
        else:
            dense = np.zeros(c.shape, int)
            if isinstance(c, Dense):
                dense[:] = c.synapses
            else:
                dense[c.targets, c.sources] = c.synapses
            for target, source in zip(*np.nonzero(dense), strict=True):
                lists[cores[c.target][target]][source] += 1
            for core, axons in lists.items():
                n = usage[core]["compartments"]
                sparse = sum(list_words(k, bits + index_bits(n)) for k in axons.values())
                usage[core]["synapse memory"] += min(sparse, len(axons) * list_words(n, bits))
            synapses.append(np.count_nonzero(dense))
            unit_of, slots = list(range(n_source)), 1
        for core, axons in lists.items():
            usage[core]["axons in"] += len(axons)
            if c.source != "input":
                sent = {(cores[c.source][i], unit_of[i]) for i in range(n_source) if unit_of[i] in axons}
                for source_core, _ in sent:
                    usage[source_core]["axons out"] += slots
    table = [[int(usage[core][r]) for r in RESOURCES] for core in range(placement.n_cores)]
    return np.array(table), synapses


@pytest.mark.parametrize("seed", range(12))
def test_usage_is_what_a_count_of_every_synapse_gives(seed):
    placement = place(random_small(seed), SMALL)
    usage, synapses = counted(placement)
    np.testing.assert_array_equal(placement.usage, usage)
    assert [route.arrivals.sum() for route in placement.routes] == synapses


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    compartments=st.integers(1, 40),
    axons_in=st.integers(20, 200),
    axons_out=st.integers(10, 200),
    words=st.integers(10, 300),
)
def test_every_neuron_is_on_one_core_and_no_core_is_over_a_limit_without_a_misfit(
    seed, compartments, axons_in, axons_out, words
):
    chip = replace(SMALL, compartments=compartments, axons_in=axons_in, axons_out=axons_out, synapse_words=words)
    placement = place(random_small(seed), chip)
    held = np.concatenate([placement.core_of(name) for name in placement.network.populations])
    assert len(held) == placement.network.n_neurons
    np.testing.assert_array_equal(np.unique(held), np.arange(placement.n_cores))
    np.testing.assert_array_equal(np.bincount(held), placement.usage[:, 0])
    for name, partition in placement.partitions.items():
        mine = placement.usage[placement.first_core[name] :][: partition.n_cores]
        for r in np.flatnonzero((mine > limits_of(chip)).any(0)):
            assert any(m.where.startswith(name) and m.limit == RESOURCES[r] for m in placement.misfits)
        assert not partition.patches or (np.prod(partition.patches.size[:2]) <= chip.bases)
    # What leaves the cores arrives: output axons are input axons, a shared one taking two slots.
    leaving = sum(
        route.axons.slots * len({(s, u, core) for s, u, core in sent(placement, route)}) for route in placement.routes
    )
    assert placement.usage[:, RESOURCES.index("axons out")].sum() == leaving


def sent(placement, route):
    if route.connection.source == "input":
        return
    on, arrivals = placement.core_of(route.connection.source), route.arrivals.toarray() > 0
    for source, unit in enumerate(route.axons.unit_of):
        for core in np.flatnonzero(arrivals[:, unit]):
            yield on[source], unit, core


@pytest.mark.parametrize("seed", range(6))
def test_no_fewer_ranges_would_do(seed):
    rng = np.random.default_rng(seed)
    dense = even(rng, 40, 30) * (rng.random((40, 30)) < 0.15)
    network = LoihiNetwork(30, {"a": lif(40, rng)}, [Dense("input", "a", dense)])
    chip = replace(SMALL, axons_in=25)

    def fits(first, last):
        w, p = dense[first:last], network.populations["a"]
        n, counts = last - first, np.count_nonzero(w, axis=0)
        sparse = list_words(counts[counts > 0], 8 + index_bits(n)).sum()
        words = min(sparse, (counts > 0).sum() * list_words(n, 8))
        few = len(set(p.du[first:last])) <= chip.profiles and len(set(p.vth[first:last])) <= chip.thresholds
        return few and n <= chip.compartments and words <= chip.synapse_words and (counts > 0).sum() <= chip.axons_in

    fewest = [0] + [40] * 40  # of the first n neurons
    for last in range(1, 41):
        fewest[last] = min(fewest[first] + 1 for first in range(last) if fits(first, last))
    assert place(network, chip).n_cores == fewest[40] > 5


def network_of(connection, n_in=4, n=4, **settings):
    return LoihiNetwork(n_in, {"a": lif(n, **settings), "b": lif(n)}, connection)


ONES = np.ones((4, 4), int)
OVERFLOWS = {
    "axons in": ({"axons_in": 3}, [Dense("input", "a", ONES)]),
    "axons out": ({"axons_out": 3, "compartments": 1}, [Dense("a", "b", ONES)]),
    "synapse memory": ({"synapse_words": 3}, [Dense("input", "a", ONES)]),
    "delay": ({}, [Dense("input", "a", ONES, delays=63)]),
    "synapse formats": ({"formats": 1}, [Dense("input", "a", ONES), Dense("b", "a", ONES, weight_exp=1)]),
    "cores": ({"compartments": 2, "cores": 3}, [Dense("input", "a", ONES)]),
}


@pytest.mark.parametrize("limit", OVERFLOWS)
def test_each_overflow_is_refused_with_its_limit_and_a_remedy(limit):
    limits, connections = OVERFLOWS[limit]
    placement = place(network_of(connections), replace(LOIHI1, **limits), chips=1)
    (misfit,) = placement.misfits
    assert misfit.limit == limit and misfit.needed > misfit.available and misfit.remedy
    with pytest.raises(ModelError, match=f"does not fit on Loihi: .*{limit}") as refused:
        placement.check()
    assert "\n" not in str(refused.value)
    just = {name: value + 1 for name, value in limits.items()} | {"longest_delay": 63}
    place(network_of(connections), replace(LOIHI1, **just), chips=1).check()


@pytest.mark.parametrize(
    ("limit", "settings"),
    [
        ("compartments", {}),
        ("profiles", {"du": np.arange(40)}),
        ("thresholds", {"vth": np.arange(40)}),
    ],
)
def test_what_only_cutting_needs_is_cut(limit, settings):
    network = network_of([Dense("input", "a", np.ones((40, 4), int))], n=40, **settings)
    placement = place(network, replace(LOIHI1, **{limit: 10}))
    assert placement.fits
    assert placement.partitions["a"].n_cores == 4
    assert placement.scarcest("a") == limit
    assert placement.usage[:4, RESOURCES.index(limit)].tolist() == [10] * 4


def test_one_misfit_does_not_scatter_the_rest():
    ones = np.full((600, 5000), 128)
    network = LoihiNetwork(1, {"a": lif(5000), "b": lif(600)}, [Dense("a", "b", ones, num_weight_bits=1)])
    placement = place(network)
    assert "b, neuron 0 and 599 more: axons in: 5000 needed, 4096 available" in str(placement.misfits[0])
    assert len(placement.misfits) == 1 and placement.n_cores < 16


def test_models_of_loihi_2_are_refused_on_loihi_and_both_inputs_of_a_resonator_count():
    weights = even(np.random.default_rng(0), 6, 4)
    network = LoihiNetwork(4, {"r": ResonateAndFire(3, sin=5, cos=5, vth=9)}, [Dense("input", "r", weights)])
    with pytest.raises(ModelError, match=r"r \(ResonateAndFire\)"):
        place(network).check()
    placement = place(network, LOIHI2)
    placement.check()
    assert placement.routes[0].arrivals.sum() == np.count_nonzero(weights)


def test_a_rule_that_sees_voltages_is_refused_on_loihi():
    for rule, fits in ((rules.e_prop(), False), (rules.pair_stdp(), True)):
        plastic = Dense("input", "neurons", np.ones((3, 2), int), learning=rule)
        network = LoihiNetwork(2, {"neurons": Population(3, 1000, 100, 50)}, [plastic])
        place(network, LOIHI2).check()
        if fits:
            place(network, LOIHI1).check()
            continue
        with pytest.raises(ModelError, match=r"Dense input -> neurons: traces of voltages \(e_prop\): 3 needed"):
            place(network, LOIHI1).check()


def test_lists_take_the_words_that_nengo_loihi_counts():
    """``SynapseConfig.bits_per_axon`` of nengo-loihi 1.1.0: 8-bit weights, without and with 9 bits of index, and
    with 6 bits of delay too.
    """
    lengths = np.array([1, 3, 63, 64, 65, 128, 1000])
    assert (64 * list_words(lengths, 8)).tolist() == [64, 64, 576, 576, 640, 1152, 9024]
    assert (64 * list_words(lengths, 17)).tolist() == [64, 64, 1088, 1152, 1216, 2304, 17984]
    assert (64 * list_words(lengths, 23)).tolist() == [64, 128, 1472, 1536, 1600, 3072, 24000]


@pytest.mark.parametrize(
    ("sizes", "recurrent", "cores", "totals"),
    [
        ((64, 64), False, 2, (128, 64, 64, 576)),
        ((512, 256), False, 3, (768, 1024, 1024, 18432)),
        ((1024, 100), False, 2, (1124, 1024, 1024, 14336)),
        ((300, 400, 50), False, 4, (750, 1000, 1000, 20200)),
        ((256, 256), True, 3, (512, 1024, 1024, 18432)),
    ],
)
def test_dense_networks_take_the_cores_of_nengo_loihi(sizes, recurrent, cores, totals):
    """Sums over the blocks of nengo-loihi 1.1.0 after its own splitting: compartments, axons, words of synapses."""
    names = [f"p{i}" for i in range(len(sizes))]
    joined = list(zip(names, names[1:], strict=False)) + [(names[-1],) * 2] * recurrent
    size = dict(zip(names, sizes, strict=True))
    connections = [Dense(a, b, np.resize([2, -2], (size[b], size[a]))) for a, b in joined]
    placement = place(LoihiNetwork(1, {name: lif(n) for name, n in size.items()}, connections))
    assert placement.n_cores == cores
    assert tuple(placement.usage.sum(0)[:4]) == totals


def test_a_convolution_that_is_no_image_of_its_target_is_stored_synapse_by_synapse():
    rng = np.random.default_rng(0)
    kernel = even(rng, 2, 3, 2, 3) * (rng.random((2, 3, 2, 3)) < 0.7)
    conv = Conv("input", "r", kernel, (5, 4, 3), stride=2, padding=1, channels_first=True)
    network = LoihiNetwork(60, {"r": ResonateAndFire(conv.shape[0] // 2, sin=5, cos=5, vth=9)}, [conv])
    synapses, (nx, ny, _) = Counter(), conv.input_shape
    for target, pixel, (k, m) in taps(conv):
        o = target % 2
        for c in np.flatnonzero(kernel[o, 2 - k, 1 - m]):
            synapses[target % network.populations["r"].n, c * nx * ny + pixel] += 1
    (route,) = place(network, replace(LOIHI2, compartments=1)).routes
    stored = route.arrivals.tocoo()
    assert dict(zip(zip(stored.row, stored.col, strict=True), stored.data, strict=True)) == synapses


def test_the_width_of_a_kernel_follows_from_its_weights():
    def width(*weights):
        return format_of(Conv("input", "a", np.array(weights).reshape(1, 1, -1, 1), (4, 4, 1))).weight_bits

    assert width(2, -2) == 8 and width(1, -2) == 9 and width(255, 0) == 8
    assert width(128, 0) == 1 and width(-128, 128) == 2 and width(8, 16) == 5 and width(-4, 4) == 8


def test_the_table_names_every_population_and_every_misfit(capsys):
    placement = place(random_network(0), chips=1)
    placement.table(Console(width=140))
    printed = capsys.readouterr().out
    assert "49224 neurons on Loihi: 92 cores on 1 chip (estimate)" in printed
    for name in placement.network.populations:
        assert name in printed
    assert "does not fit: dense1, neuron 34 and 63 more: axons in: 13897 needed, 4096 available" in printed
    patches = placement.partitions["conv1"].patches
    assert patches is not None and patches.size == (8, 16, 8)
    place(random_network(0), LOIHI2).check()
