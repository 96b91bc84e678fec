# SPDX-License-Identifier: Apache-2.0
"""The event-driven kernels against the rules written down densely, on random networks."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from liquid_spike_control.neuromorphic.emulator.block_schedule import REST_STEPS
from liquid_spike_control.neuromorphic.emulator.delivery import FEW
from liquid_spike_control.neuromorphic.emulator.loihi import Conv, Dense, LoihiEmulator, LoihiNetwork, Population
from liquid_spike_control.neuromorphic.emulator.membrane import rest_bounds
from liquid_spike_control.neuromorphic.emulator.vectors import BLOCK, trailing_zeros
from liquid_spike_control.types import SpikeTrain


def decayed(x, factor):
    return np.sign(x) * (np.abs(x) * factor >> 12)


def conv_matrix(conv):
    """The synapses of a convolution as a matrix ``(n_target, n_source)``."""
    (nx, ny, nc), (mx, my, mc) = conv.input_shape, conv.output_shape
    _, size_x, size_y, _ = conv.weights.shape
    matrix = np.zeros((mx, my, mc, nx, ny, nc), np.int64)
    for x, y in np.ndindex(mx, my):
        for k, l_ in np.ndindex(size_x, size_y):
            i, j = x * conv.strides[0] - conv.paddings[0] + k, y * conv.strides[1] - conv.paddings[1] + l_
            if 0 <= i < nx and 0 <= j < ny:
                matrix[x, y, :, i, j] = conv.weights[:, size_x - 1 - k, size_y - 1 - l_]
    matrix = matrix.reshape(mx * my * mc, nx, ny, nc)
    return (matrix.transpose(0, 3, 1, 2) if conv.channels_first else matrix).reshape(mx * my * mc, -1)


def dense_run(network, spikes):
    """All neurons, all synapses, every step, int64. Returns u, v, spikes by population, and the counts."""
    n_steps = len(spikes)
    fired = {m: np.zeros((n_steps, p.n), np.int64) for m, p in network.populations.items()}
    fired["input"] = spikes.astype(np.int64)
    u, v, counter = ({m: np.zeros(p.n, np.int64) for m, p in network.populations.items()} for _ in range(3))
    trace = {m: (np.zeros_like(fired[m]), np.zeros_like(fired[m])) for m in network.populations}
    synapses = [c.synapses if isinstance(c, Dense) else conv_matrix(c) for c in network.connections]
    operations = updates = 0
    parts = []  # in float64, which holds these sums exactly and multiplies many times faster
    for c, w in zip(network.connections, synapses, strict=True):
        delays = np.broadcast_to(c.delays if isinstance(c, Dense) else 0, w.shape)
        parts += [(c, d, (w * (delays == d)).astype(float)) for d in np.unique(delays)]
    for t in range(n_steps):
        a = {m: np.zeros(p.n, np.int64) for m, p in network.populations.items()}
        for c, d, w in parts:
            if t - 1 - d >= 0:  # the sum of one step is shifted, not that of all that is due
                total = (w @ fired[c.source][t - 1 - d]).astype(np.int64)
                a[c.target] += total << c.weight_exp if c.weight_exp >= 0 else total >> -c.weight_exp
        for m, p in network.populations.items():
            updates += int(
                ((u[m] != 0) | (v[m] != 0) | (a[m] != 0) | (p.bias != 0) | (counter[m] != 0)).sum()
            )
            new = decayed(u[m], 4096 - (p.du + 1)) + (a[m] << 6)
            new = np.where(new > 2**23, new - 2**24, new)
            u[m] = np.where(new <= -(2**23), new + 2**24, new)
            v[m] = np.clip(decayed(v[m], 4096 - p.dv) + u[m] + p.bias, 1 - 2**23, 2**23 - 1)
            v[m] = np.where(counter[m] > 0, 0, v[m])
            spike = v[m] > p.vth << 6
            v[m] = np.where(spike, 0, v[m])
            counter[m] = np.maximum(np.where(spike, p.refractory, counter[m]) - 1, 0)
            fired[m][t] = spike
            trace[m][0][t], trace[m][1][t] = u[m], v[m]
    for c, w in zip(network.connections, synapses, strict=True):
        operations += int((fired[c.source] @ (w != 0).sum(0)).sum())
    return trace, fired, operations, updates


@st.composite
def networks(draw):
    """Two populations, the first from a convolution or a matrix, the second with recurrence and delays."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    plain, slow = draw(st.booleans()), draw(st.booleans())
    bias, refractory = draw(st.booleans()), draw(st.booleans())

    def population(n, vth):
        shape = () if plain else (n,)
        some = {}
        if bias:
            some["bias_mant"] = rng.integers(-50, 51, n) * (rng.random(n) < 0.3)
            some["bias_exp"] = rng.integers(0, 4, n)
        if refractory:
            some["refractory"] = rng.integers(0, 5, n)
        # Down to no decay at all: such neurons rest for long without coming to zero.
        fastest = slow and int(rng.choice([1, 30, 400])) or 4096
        du, dv = rng.integers(0 if slow else 200, fastest, (2, *shape))
        return Population(n, du=du, dv=dv, vth=rng.integers(1, 40 * vth if slow else vth, shape), **some)

    def matrix(n, m, density):
        sign = rng.choice([-1, 0, 1])
        low, high = (-256, 255) if sign == 0 else (0, 255) if sign > 0 else (-255, 0)
        return rng.integers(low, high + 1, (n, m)) * (rng.random((n, m)) < density)

    if draw(st.booleans()):
        channels, out = rng.integers(1, 4), int(rng.choice([1, 3, 8, 11, 16, 40]))
        shape = (int(rng.integers(5, 10)), int(rng.integers(5, 10)), int(channels))
        size = rng.integers(1, 6, 2)
        w = rng.integers(-256, 256, (out, *size, channels)) * (rng.random((out, *size, channels)) < 0.7)
        first = Conv(
            "input", "a", w, shape, tuple(rng.integers(1, 4, 2)), tuple(rng.integers(0, 3, 2)),
            int(rng.integers(-3, 2)), bool(rng.random() < 0.5),
        )  # fmt: skip
        n_inputs, n = int(np.prod(shape)), int(np.prod(first.output_shape))
    else:
        n_inputs, n = rng.integers(1, 90, 2)
        w = matrix(n, n_inputs, draw(st.sampled_from([0.1, 1.0])))
        first = Dense("input", "a", w, int(rng.integers(2, 9)), int(rng.integers(-3, 3)))
    m = int(rng.integers(1, 40))
    density = draw(st.sampled_from([0.1, 0.9]))
    delays = rng.integers(0, 8, (m, n)) if draw(st.booleans()) else 0
    connections = [
        first,
        Dense("a", "b", matrix(m, n, density), 8, int(rng.integers(-2, 2)), delays),
        Dense("b", "b", matrix(m, m, density), 8, int(rng.integers(-2, 1))),
        Dense("b", "a", matrix(n, m, density) // 4),
    ]
    network = LoihiNetwork(
        n_inputs, {"a": population(n, 400), "b": population(m, 400)}, connections, ("a", "b")
    )
    # Bursts with silence between them, or few spikes, so that neurons come to rest and wake.
    if draw(st.booleans()):
        rate = np.where(np.arange(70) % 35 < 8, draw(st.sampled_from([0.05, 0.3])), 0.0)
    else:
        rate = np.full(3 * REST_STEPS + 40, draw(st.sampled_from([0.3, 2.0])) / n_inputs)
        rate[20 : 20 + REST_STEPS + 15] = 0
    return network, rng.random((len(rate), n_inputs)) < rate[:, None]


@given(networks())
@settings(max_examples=120, deadline=None)
def test_event_driven_equals_dense(case):
    network, spikes = case
    trace, fired, operations, updates = dense_run(network, spikes)
    emulator = LoihiEmulator(network)
    probes = emulator.probe(SpikeTrain.from_dense(spikes))
    for name, probe in probes.items():
        np.testing.assert_array_equal(probe.u, trace[name][0])
        np.testing.assert_array_equal(probe.v, trace[name][1])
        np.testing.assert_array_equal(probe.spikes, fired[name])
    # Without the probe nothing is read between the steps, and blocks may rest.
    left_alone = LoihiEmulator(network)
    output = left_alone.run(SpikeTrain.from_dense(spikes))
    np.testing.assert_array_equal(output.to_dense(network.n_outputs), np.hstack([fired["a"], fired["b"]]))
    stats = emulator.stats()
    assert left_alone.stats() == stats
    for name, end in left_alone.probe(SpikeTrain.from_dense(np.zeros((1, network.n_inputs)))).items():
        more, *_ = dense_run(network, np.vstack([spikes, np.zeros((1, network.n_inputs), bool)]))
        np.testing.assert_array_equal(end.u[0], more[name][0][-1])
        np.testing.assert_array_equal(end.v[0], more[name][1][-1])
    assert stats.synaptic_operations == operations
    assert stats.neuron_updates == updates
    assert stats.input_spikes == spikes.sum()
    assert stats.spikes == fired["a"].sum() + fired["b"].sum()


def test_many_spikes_of_a_convolution_reach_what_few_do():
    """Beyond ``FEW`` spikes of one step, blocks are marked in another way."""
    rng = np.random.default_rng(3)
    w = rng.integers(-20, 21, (5, 5, 3, 2))
    first = Conv("input", "a", w, (16, 18, 2), stride=2, padding=1)
    n = int(np.prod(first.output_shape))
    network = LoihiNetwork(576, {"a": Population(n, du=1000, dv=300, vth=300)}, [first])
    spikes = rng.random((40, 576)) < np.where(np.arange(40) % 2, 0.6, 0.02)[:, None]
    assert np.sort(spikes.sum(1))[20] > 2 * FEW and spikes.sum(1).min() < FEW
    trace, fired, operations, updates = dense_run(network, spikes)
    emulator = LoihiEmulator(network)
    probe = emulator.probe(SpikeTrain.from_dense(spikes))["a"]
    np.testing.assert_array_equal(probe.u, trace["a"][0])
    np.testing.assert_array_equal(probe.v, trace["a"][1])
    np.testing.assert_array_equal(probe.spikes, fired["a"])
    assert 0 < fired["a"].sum() == emulator.stats().spikes
    assert (emulator.stats().synaptic_operations, emulator.stats().neuron_updates) == (operations, updates)


@given(st.integers(0, 4095), st.integers(0, 4095), st.integers(1, 2**18), st.integers(0, 2**18))
@settings(max_examples=200, deadline=None)
def test_the_bound_of_rest_is_above_what_follows(du, dv, u, v):
    c_u, c_v = 4096 - (du + 1), 4096 - dv
    gain, limit = (int(x) for x in rest_bounds(np.array(c_u), np.array(c_v), np.array(0)))
    assert limit * gain <= 2**30
    u = min(u, limit)
    bound, highest = v * c_v + u * gain, 0
    for _ in range(500):
        u = u * c_u >> 12
        v = (v * c_v >> 12) + u
        highest = max(highest, v)
    assert 4096 * highest <= bound
    assert rest_bounds(np.array(c_u), np.array(c_v), np.array(5))[1] == -1


def test_a_network_at_rest_costs_no_update():
    network = LoihiNetwork(
        4, {"a": Population(100, du=2000, dv=2000, vth=5)}, [Dense("input", "a", np.ones((100, 4), int))]
    )
    emulator = LoihiEmulator(network)
    emulator.step([0, 1])
    emulator.run(SpikeTrain.from_dense(np.zeros((100, 4))))
    woken = emulator.stats().neuron_updates
    assert woken >= 100
    emulator.run(SpikeTrain.from_dense(np.zeros((100, 4))))
    assert emulator.stats().neuron_updates == woken


def test_current_wraps_once_and_voltage_clips_as_on_the_chip():
    network = LoihiNetwork(
        100,
        {"a": Population(1, du=0, dv=0, vth=2**17 - 1)},
        [Dense("input", "a", np.full((1, 100), 255), weight_exp=3)],
    )
    probe = LoihiEmulator(network).probe(SpikeTrain.from_dense(np.ones((5, 100))))["a"]
    step = 100 * 255 * 8 * 64
    assert probe.u[1, 0] == step - 2**24
    assert probe.v[2, 0] == -(2**23 - 1)


def test_refractory_neurons_are_silent_by_nengo_loihis_rule():
    for period in range(5):
        p = Population(1, du=0, dv=0, vth=1, bias_mant=1000, refractory=period)
        network = LoihiNetwork(1, {"a": p}, [])
        spikes = LoihiEmulator(network).run(SpikeTrain.from_dense(np.zeros((21, 1)))).to_dense(1)[:, 0]
        assert (np.diff(np.flatnonzero(spikes)) == max(period, 1)).all()


def test_the_mask_intrinsic_finds_the_lowest_bit():
    from numba import njit

    find = njit(lambda x: trailing_zeros(x))
    assert [find(np.uint64(1) << np.uint64(k)) for k in (0, 5, 63)] == [0, 5, 63]
    assert find(np.uint64(0)) == 64
    assert BLOCK == 32
